"""The common floor: vocabulary, formats, events, and the one way to each outside thing. Imports no room."""
