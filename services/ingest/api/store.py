"""The statements of the endpoints for labs."""

from shared.db.statements import load

SQL = load("services.ingest.api")
