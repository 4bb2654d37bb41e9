"""Where the mails of a series are, from the address that a person copies out of a browser. Pure."""

import json
import re
from urllib.parse import parse_qs, urlsplit, urlunsplit

_SERIES = re.compile(r"(.*?)/(?:series|patch|cover)/([^/]+)/?")
_LIST = re.compile(r"(.*?)/project/[^/]+/list/?")


def mails_at(url: str) -> str:
    """The address to fetch for `url`: Patchwork's list of a series or page of a patch, a thread on lore or another
    public-inbox, a series page of netci's; others are taken to be a mailbox as they are.
    """
    parts = urlsplit(url)
    path, query = parts.path, parse_qs(parts.query)
    if _LIST.fullmatch(path) and query.get("series"):
        return _at(parts.scheme, parts.netloc, f"{_LIST.fullmatch(path)[1]}/series/{query['series'][0]}/mbox/")  # type: ignore[index]
    if path.endswith(("/mbox", "/mbox/", ".gz", ".mbox", ".patch", ".json", "/raw")):
        return url
    if "/project/" in path and (found := re.fullmatch(r"(.*/patch/[^/]+)/?", path)):
        return _at(parts.scheme, parts.netloc, f"{found[1]}/mbox/")
    if found := re.fullmatch(r"(.*/series)/(.+?)/?", path):
        return _at(parts.scheme, parts.netloc, f"{found[1]}/{found[2]}.json")
    if found := re.fullmatch(r"(/[^/]+/[^/]*@[^/]*)(?:/(?:T/?|t/?|#.*)?)?", path):
        return _at(parts.scheme, parts.netloc, f"{found[1]}/t.mbox.gz")
    return url


def _at(scheme: str, host: str, path: str) -> str:
    return urlunsplit((scheme, host, path, "", ""))


def origin(document: bytes) -> str:
    """Where a series that netci describes came from; "" if the document says no such thing."""
    try:
        found = json.loads(document)["series"]["web_url"]
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and found.startswith(("https://", "http://")) else ""
