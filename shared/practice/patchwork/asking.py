"""One request and one answer, free of any HTTP library.

It follows Django REST framework as Patchwork has it: a bad token is 403 even for public things, other schemes are
anonymous, and what is not understood is named by `Denied`. What to answer is for `api` and `downloads`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shared.practice.patchwork import pages
from shared.practice.patchwork.changes import Denied, denied
from shared.practice.patchwork.records import User
from shared.practice.patchwork.state import Patchwork

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """`target` is path and query as they came; header names are lower case; `host` is what the client called us."""

    method: str
    target: str
    headers: Headers = field(default_factory=dict)
    content: bytes = b""
    host: str = "127.0.0.1"

    @property
    def raw_path(self) -> str:
        return urlsplit("//x" + self.target).path

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def query_text(self) -> str:
        return urlsplit("//x" + self.target).query

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_text, keep_blank_values=True)

    @property
    def address(self) -> str:
        """Without the query."""
        return f"http://{self.host}{self.raw_path}"


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


def as_json(body: object, status: int = 200, **headers: str) -> Answer:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode("utf-8", "surrogatepass"), {"Content-Type": "application/json", **headers})


def as_page(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), {"Content-Type": "text/html; charset=utf-8", "Vary": "Cookie"})


def moved(location: str, status: int) -> Answer:
    return Answer(status, b"", {"Content-Type": "text/html; charset=utf-8", "Location": location})


def not_found() -> Answer:
    return as_page(pages.NOT_FOUND, 404)


def wants_page(ask: Ask) -> bool:
    """Whether to answer as to a browser. Raises `Denied` 406 for a form that the Accept header does not take."""
    accept = ask.headers.get("accept", "*/*")
    only_html = "text/html" in accept and "application/json" not in accept
    asked = ask.query.get("format", [""])[-1]
    if asked == "json" and only_html and "*/*" not in accept:
        raise denied(406, "Could not satisfy the request Accept header.")
    return only_html and asked != "json"


def caller(pw: Patchwork, ask: Ask) -> User | None:
    """Who asks; None is anybody. Raises `Denied` 403 for credentials that are wrong."""
    scheme, _, rest = ask.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "token":
        return _found((u for u in pw.users.values() if u.token == rest.strip()), "Invalid token.")
    if scheme.lower() == "basic":
        name, secret = _basic(rest)
        matching = (u for u in pw.users.values() if (u.username, u.password) == (name, secret))
        return _found(matching, "Invalid username/password.")
    return None


def _found(users: Any, otherwise: str) -> User:
    user: User | None = next(users, None)
    if user is None:
        raise denied(403, otherwise)
    return user


def _basic(text: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def body(ask: Ask) -> tuple[dict[str, Any], bool]:
    """The fields of a body, and whether they came as a form. A JSON list has no fields. Raises `Denied` 400 and
    415.
    """
    kind = ask.headers.get("content-type", "")
    media = kind.partition(";")[0].strip().lower()
    if not ask.content:
        return {}, False
    if media == "application/json":
        return _json(ask.content), False
    if media == "application/x-www-form-urlencoded":
        fields = parse_qs(ask.content.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[-1] for name, values in fields.items()}, True
    if media == "multipart/form-data":
        return _multipart(kind, ask.content), True
    raise denied(415, f'Unsupported media type "{kind}" in request.')


def _json(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except UnicodeDecodeError as error:
        raise denied(400, f"JSON parse error - {error}") from None
    except json.JSONDecodeError as error:
        raise denied(400, f"JSON parse error - {error}") from None
    return value if isinstance(value, dict) else {}


def _multipart(kind: str, content: bytes) -> dict[str, Any]:
    mail = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\n\n" + content)
    fields: dict[str, Any] = {}
    for part in mail.walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace").removesuffix("\r\n")
    return fields


__all__ = ["Answer", "Ask", "Denied", "as_json", "as_page", "body", "caller", "moved", "not_found", "wants_page"]
