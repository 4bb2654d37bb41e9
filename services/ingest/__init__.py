"""ingest: the front door in. Sources of series, their assembly and triage; it knows no git."""
