"""The OpenAPI document of the whole product: what ingest and report answer to, as their tables say."""

from typing import Any

from services.ingest.api import ENDPOINTS
from services.report.web.app import described
from shared.web.openapi import Endpoint, document

VERSION = "1.0.0"
"""Of the contract, not of the program: it grows with every addition, and its first number with what breaks readers."""

ABOUT = """\
Reading is open to everybody, without a token. Writing, and what is a project's own, needs one:
`Authorization: Bearer netci_…`; the operator makes it with `netci token create`. Errors are problems as RFC 9457 has
them, with a JSON pointer to each fault of a body. Lists go by key: `next` of a page is the `before` or `after` of the
following one. Whole answers have an `ETag`. Events are described in `/api/v1/asyncapi.json`.
"""


def endpoints() -> tuple[Endpoint[Any], ...]:
    """All of them, in the order of the document."""
    return (*ENDPOINTS, *described())


def openapi(public_url: str) -> dict[str, Any]:
    """The document, for an installation at `public_url`."""
    return document(endpoints(), title="netci", version=VERSION, description=ABOUT, server=public_url)
