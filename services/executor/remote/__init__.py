"""`netci remote`: a lab's machine, with nothing but outgoing HTTPS. No database, no broker, no open port."""
