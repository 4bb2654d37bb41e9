"""PostgreSQL, the truth: pools by room, statements by name, migrations, outbox, inbox, work and leases."""
