"""Power and consoles of machines: one module for each way to them, by the name an operator writes."""
