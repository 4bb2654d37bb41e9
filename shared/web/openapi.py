"""Endpoints as values: what a path takes, gives and needs, said once, for the router and for the OpenAPI document.

A room lists its endpoints in a table; `mount` makes routes of it, `document` the OpenAPI 3.1 document. An endpoint's
function gets what the room hands it (its context) and an `Asked`: the request, the token, the path's and query's values
as they were declared, and the body as a strict model. It returns a model, a mapping, or a whole response.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema

from shared.errors import Refused, Transient
from shared.formats.faults import in_words
from shared.model.tokens import Right, Token
from shared.web.app import PATIENT
from shared.web.auth import Gate
from shared.web.errors import problem

C = TypeVar("C")

JSON_LIMIT = 1 << 20
"""Bytes of an ordinary body."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of the path or the query; `schema` is a Python type that pydantic reads from text. `form` tells who
    got a pattern wrong what is right.
    """

    name: str
    schema: Any = str
    description: str = ""
    required: bool = False
    default: Any = None
    repeats: bool = False
    example: Any = None
    form: str = ""


@dataclass(frozen=True)
class Asked:
    """One request, read as its endpoint declares."""

    request: web.Request
    token: Token | None
    values: Mapping[str, Any]
    body: Any = None

    @property
    def holder(self) -> Token:
        """The token of an endpoint that needs one."""
        assert self.token is not None, "the endpoint declares no right"
        return self.token


@dataclass(frozen=True)
class Endpoint(Generic[C]):
    """One operation. `right` None: open to all, a token is looked at if shown. `raw` endpoints read the body themselves
    (`accepts` names its media types; `body` is the shape of the JSON among them). `status` is the good answer, as are
    those in `also`; `statuses` are further ones, all problems. `patient`: without a time limit.
    """

    method: str
    path: str
    summary: str
    act: Callable[[C, Asked], Awaitable[Any]]
    tag: str = ""
    right: Right | None = None
    body: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    also: tuple[int, ...] = ()
    query: tuple[Parameter, ...] = ()
    parts: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = ()
    raw: bool = False
    accepts: tuple[str, ...] = ("application/json",)
    gives: tuple[str, ...] = ("application/json",)
    patient: bool = False
    description: str = ""
    hidden: bool = False
    plain: tuple[int, ...] = ()
    """Statuses that are told in plain words, as the protocol of others has it."""
    strict: bool = False
    """Refuses parameters of the query that it does not know."""

    @property
    def template(self) -> str:
        """The path in OpenAPI's form: without aiohttp's patterns."""
        return re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", self.path)


def mount(app: web.Application, endpoints: Iterable[Endpoint[C]], context: Callable[[], C], gate: Gate) -> None:
    """Add the routes. `context` is asked at each request: it raises Transient while its room does not take part."""
    for endpoint in endpoints:
        handler = _handler(endpoint, context, gate)
        if endpoint.patient:
            app[PATIENT].add(handler)
        if endpoint.method == "GET":
            app.router.add_get(endpoint.path, handler, allow_head=not endpoint.patient)
        else:
            app.router.add_route(endpoint.method, endpoint.path, handler)


def _handler(endpoint: Endpoint[C], context: Callable[[], C], gate: Gate) -> Callable[[web.Request], Any]:
    adapters = {p.name: TypeAdapter(p.schema) for p in (*endpoint.query, *endpoint.parts)}

    async def handle(request: web.Request) -> web.StreamResponse:
        held = context()
        token = await (gate.require(request, endpoint.right) if endpoint.right else gate.token(request))
        allowance = gate.allow(token) if token else None
        asked = Asked(request, token, _values(endpoint, request, adapters), await _body(endpoint, request))
        response = _answer(endpoint, await endpoint.act(held, asked))
        if allowance and not response.prepared:
            response.headers.update(allowance.headers)
        return response

    return handle


def _values(endpoint: Endpoint[Any], request: web.Request, adapters: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name; raises Refused naming the parameter that can't be read."""
    values: dict[str, Any] = {}
    if endpoint.strict:
        _check_names(endpoint, request)
    for parameter in endpoint.query:
        texts = request.query.getall(parameter.name, [])
        if not texts:
            if parameter.required:
                raise Refused(f"{parameter.name}: is needed in the query")
            values[parameter.name] = [] if parameter.repeats else parameter.default
        elif parameter.repeats:
            values[parameter.name] = [_value(parameter, text, adapters) for text in texts]
        else:
            values[parameter.name] = _value(parameter, texts[-1], adapters)
    for parameter in endpoint.parts:
        values[parameter.name] = _value(parameter, request.match_info[parameter.name], adapters)
    return values


def _check_names(endpoint: Endpoint[Any], request: web.Request) -> None:
    """A filter or an attempt that is spelled wrong and passed over would do something else than was asked."""
    known = {parameter.name for parameter in endpoint.query}
    if unknown := sorted(request.query.keys() - known):
        there = f"there are {', '.join(sorted(known))}" if known else "there are none here"
        raise Refused(f"{', '.join(unknown)[:200]}: no such parameter; {there}")


def _value(parameter: Parameter, text: str, adapters: Mapping[str, Any]) -> Any:
    try:
        return adapters[parameter.name].validate_strings(text)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        right = parameter.form if error["type"] == "string_pattern_mismatch" else ""
        raise Refused(f"{parameter.name}: {right or in_words(error)}") from None


async def _body(endpoint: Endpoint[Any], request: web.Request) -> Any:
    if endpoint.body is None or endpoint.raw:
        return None
    if request.content_type not in endpoint.accepts:
        raise web.HTTPUnsupportedMediaType(text=f"send {' or '.join(endpoint.accepts)}")
    data = await read_capped(request, JSON_LIMIT)
    return endpoint.body.model_validate_json(data, strict=True)


async def read_capped(request: web.Request, limit: int) -> bytes:
    """The body as it came; 413 once it is over `limit` bytes, without reading on."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(data))
    return bytes(data)


def _answer(endpoint: Endpoint[Any], value: Any) -> web.StreamResponse:
    if isinstance(value, web.StreamResponse):
        return value
    if endpoint.status == 204:
        return web.Response(status=204)
    text = (
        value.model_dump_json(by_alias=True)
        if isinstance(value, BaseModel)
        else TypeAdapter(Any).dump_json(value).decode()
    )
    return web.Response(text=text, status=endpoint.status, content_type="application/json")


class Door(Generic[C]):
    """Where a room hands its context to routes that may be served by another room's listener."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._context: C | None = None

    def open(self, context: C) -> None:
        self._context = context

    def close(self) -> None:
        self._context = None

    def __call__(self) -> C:
        if self._context is None:
            raise Transient(f"{self._room} does not take part just now; try again soon", headers={"Retry-After": "2"})
        return self._context


# The document


class Problem(BaseModel):
    """An error, as RFC 9457 has it; `errors` point at the faults of a body."""

    class Fault(BaseModel):
        pointer: str = ""
        detail: str = ""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    errors: list[Fault] = Field(default_factory=list)


TITLES = {
    400: "What was sent is not what is asked for.", 401: "No token that holds.", 403: "The token may not do this.",
    404: "No such thing.", 405: "Not by this method.", 408: "The body did not come.", 409: "Not in this state.",
    410: "Gone.", 413: "Too large.", 415: "Not in this format.", 422: "Wrong in places, or said otherwise before.",
    429: "Too many requests.", 503: "A part that is needed does not answer.",
}  # fmt: skip


def document(
    endpoints: Sequence[Endpoint[Any]], *, title: str, version: str, description: str, server: str = ""
) -> dict[str, Any]:
    """OpenAPI 3.1 of all endpoints that are not hidden."""
    listed = [e for e in endpoints if not e.hidden]
    models = [
        (m, mode) for e in listed for m, mode in ((e.body, "validation"), (_model(e.answer), "serialization")) if m
    ]
    refs, defined = models_json_schema(
        [*dict.fromkeys([*models, (Problem, "serialization")])],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        paths.setdefault(endpoint.template, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        **({"servers": [{"url": server}]} if server else {}),
        "paths": paths,
        "components": {
            "schemas": defined.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "netci_…"}},
        },
    }


def _model(answer: Any) -> type[BaseModel] | None:
    return answer if isinstance(answer, type) and issubclass(answer, BaseModel) else None


def _operation(endpoint: Endpoint[Any], refs: Mapping[Any, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        **({"description": endpoint.description} if endpoint.description else {}),
        **({"tags": [endpoint.tag]} if endpoint.tag else {}),
        "parameters": [
            *(_parameter(p, "path") for p in endpoint.parts),
            *(_parameter(p, "query") for p in endpoint.query),
            *(_parameter(p, "header") for p in endpoint.headers),
        ],
        "responses": _responses(endpoint, refs),
        "security": [{"token": []}] if endpoint.right else [{}, {"token": []}],
    }
    if endpoint.body is not None:
        schema = refs[endpoint.body, "validation"]
        made["requestBody"] = {
            "required": True,
            "content": {k: {"schema": schema} if k == "application/json" else {} for k in endpoint.accepts},
        }
    elif endpoint.raw:
        made["requestBody"] = {"required": True, "content": {kind: {} for kind in endpoint.accepts}}
    if endpoint.right:
        made["x-scope"] = str(endpoint.right)
    return made


def _operation_id(endpoint: Endpoint[Any]) -> str:
    words = re.findall(r"[A-Za-z0-9]+", endpoint.template)
    return "_".join([endpoint.method.lower(), *words])


def _parameter(parameter: Parameter, place: str) -> dict[str, Any]:
    schema = TypeAdapter(parameter.schema).json_schema()
    if parameter.repeats:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": place,
        "required": place == "path" or parameter.required,
        "schema": schema,
        **({"description": parameter.description} if parameter.description else {}),
        **({"example": parameter.example} if parameter.example is not None else {}),
    }


def _responses(endpoint: Endpoint[Any], refs: Mapping[Any, Any]) -> dict[str, Any]:
    schema = refs[model, "serialization"] if (model := _model(endpoint.answer)) else _loose(endpoint.answer)
    content = {kind: {"schema": schema} if kind == "application/json" else {} for kind in endpoint.gives}
    good: dict[str, Any] = {"description": endpoint.summary}
    if endpoint.status != 204:
        good["content"] = content
    fault = {"application/problem+json": {"schema": refs[Problem, "serialization"]}}
    words: dict[str, Any] = fault | {"text/plain": {}}
    codes = {400, 401, 429, 503, *endpoint.statuses} | ({403} if endpoint.right else set())
    codes |= {404} if endpoint.parts else set()
    codes |= {413, 415} if endpoint.body or endpoint.raw else set()
    return {
        **{str(code): good for code in (endpoint.status, *endpoint.also)},
        **{
            str(code): {
                "description": TITLES.get(code, "Refused."),
                "content": words if code in endpoint.plain else fault,
            }
            for code in sorted(codes)
        },
    }


def _loose(answer: Any) -> dict[str, Any]:
    return TypeAdapter(answer).json_schema(mode="serialization") if answer is not None else {}


__all__ = [
    "Asked",
    "Door",
    "Endpoint",
    "Parameter",
    "Problem",
    "document",
    "mount",
    "problem",
    "read_capped",
]
