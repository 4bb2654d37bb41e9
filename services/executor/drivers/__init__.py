"""Ways to machines, over which suites run. Which there are stands in `rack`, which imports them all."""
