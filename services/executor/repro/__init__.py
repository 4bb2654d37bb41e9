"""`netci repro`: the same test on the reader's own machine, and whether it comes to the same."""
