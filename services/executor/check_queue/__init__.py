"""The checks of series as rows of work under leases: what is planned, in which order, taken over, cancelled, told."""
