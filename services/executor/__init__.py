"""The room that runs things: checks on series, suites on branches, over drivers."""
