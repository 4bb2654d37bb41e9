"""Git without a work tree: stores, series, merges, refs, pull requests. Nothing outside a store is written."""
