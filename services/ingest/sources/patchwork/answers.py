"""What an answer of Patchwork, or of what stands before it, means: a document, gone, refused, or try again.

Patchwork says 403 and never 401, and 404 in JSON for an object but in HTML for a route; a proxy, a bot wall or an
error page may come with any status, 200 included. Pure: the request was another's.
"""

import json
import re
from typing import TYPE_CHECKING, Any

from shared.errors import Missing, Refused, Transient

if TYPE_CHECKING:
    from shared.http import Answer

JSON = "application/json"
_NEXT = re.compile(r"<[^<>]*\?([^<>]*)>\s*;\s*rel=\"?next\"?")
TRIES = 3
LONGEST_WAIT = 5.0
LONGEST_ASKED = 3600.0


def judge(answer: "Answer", what: str) -> None:
    """Nothing for 200. Raises Missing (JSON 404), Refused (4xx, redirects) or Transient (with hint `retry_after`)."""
    status, kind = answer.status, answer.kind
    match status:
        case 200:
            return
        case 404 if kind == JSON:
            raise Missing(f"{what}: {detail(answer.body)}")
        case 404:
            raise Transient(f"{what}: 404 and a page instead of an answer", status=404)
        case 301 | 302 | 307 | 308:
            raise Refused(f"{what} is moved to {answer.headers.get('location', '?')[:200]}; is patchwork.url right?")
        case 408 | 425 | 429:
            raise Transient(f"{what}: {status}, too many requests", retry_after=answer.retry_after(LONGEST_ASKED))
        case _ if status >= 500:
            raise Transient(f"{what}: {status}", retry_after=answer.retry_after(LONGEST_ASKED))
        case _ if kind == JSON:
            raise Refused(f"{what}: {status} {detail(answer.body)}")
        case _:
            raise Transient(f"{what}: {status} and a page instead of an answer")


def document(answer: "Answer", what: str) -> Any:
    """The JSON of a 200. Raises Transient for a page, or for JSON that breaks off."""
    if answer.kind != JSON:
        raise Transient(f"{what}: {answer.kind or 'no type'} instead of JSON, does a proxy answer for Patchwork?")
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as exc:
        raise Transient(f"{what}: broken JSON: {str(exc)[:100]}") from None


def mails(answer: "Answer", what: str) -> bytes:
    """The mbox of a 200. Raises Transient for a page."""
    if answer.kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        raise Transient(f"{what}: a page instead of mails")
    return answer.body


def detail(body: bytes) -> str:
    """Patchwork's own words for an error, short."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = value.get("detail", value) if isinstance(value, dict) else value
    return str(text)[:200]


def next_query(link: str) -> str:
    """The query of the next page in a Link header, "" on the last.

    Only the query: the address in it is what the server was called by, which may be http or another host.
    """
    found = _NEXT.search(link)
    return found[1] if found else ""


def wait_before(attempt: int, asked: float | None, spent: float = 0.0) -> float | None:
    """Seconds before request number `attempt` (from 1) is repeated; None: not now, leave it to the next round.

    `spent` seconds went into it so far: what has hung once will hang again, and the trouble is to be shown.
    """
    if attempt >= TRIES or spent > LONGEST_WAIT:
        return None
    wait: float = 0.25 * 4 ** (attempt - 1)
    if asked is None:
        return wait
    return max(wait, asked) if asked <= LONGEST_WAIT else None
