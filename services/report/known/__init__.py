"""Known issues: failures that are shown and do not count (`rules`), the tables they are in (`store`), the API."""
