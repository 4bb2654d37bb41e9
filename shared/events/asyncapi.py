"""The events as an AsyncAPI 3 document and as JSON Schemas: ``python -m shared.events.asyncapi > docs/asyncapi.json``.

Drawn from the models alone. It names every way by which events leave us: the stream, pages and long polls, webhooks,
and the exchange on RabbitMQ. It refuses to know how any of them is made.
"""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

from pydantic.json_schema import models_json_schema

from shared.events import BY_TYPE, Envelope, Event
from shared.events.base import LIMIT, PREFIX

VERSION = "3.0.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MEDIA = "application/cloudevents+json"
EXAMPLE = "https://ci.example.org"

ABOUT = f"""\
Everything that happens is an event: CloudEvents 1.0 in structured JSON, under {LIMIT // 1000} kB. An event says *look*:
ids, counts, references and a commit id. Events in the log are numbered without gaps; `id` is the same at every
repetition. Readers ignore attributes and types that they do not know.
"""

WAYS = {
    "stream": "Server-Sent Events: `id` is a cursor to come back with, `event` the type, `data` the event.",
    "page": "A page of the log, or a long poll with `?wait=`: `events`, and `next`, the cursor to come back with.",
    "webhook": "A POST to an address that somebody registered: the event as the body, signed as Standard Webhooks "
    "1.0.0 has it. 2xx is success; 410 ends it; 429 and `Retry-After` are heeded.",
    "exchange": "The topic exchange of the installation. The routing key is the type without its prefix. Bind a queue "
    "of your own; at least once, in no promised order, all visibilities.",
}

HEADERS = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The event's id, the same at every attempt."},
        "webhook-timestamp": {"type": "string", "description": "Seconds since 1970, of this attempt."},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, parted by blanks, "
            "while a secret is rotated.",
        },
    },
}


def document(public_url: str = EXAMPLE, exchange: str = "netci") -> dict[str, Any]:
    """The whole document, for an installation at `public_url`."""
    messages = {_name(event): _message(event) for event in BY_TYPE.values()}
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "netci: events", "version": "1.0.0", "description": ABOUT,
            "license": {"name": "GPL-2.0-or-later"},
        },
        "defaultContentType": MEDIA,
        "servers": _servers(public_url),
        "channels": _channels(exchange),
        "operations": {name: _operation(name) for name in WAYS},
        "components": {
            "schemas": _schemas(),
            "messages": messages | {f"signed.{name}": one | {"headers": HEADERS} for name, one in messages.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "netci_…",
                          "description": "Optional: a token with `events:read` shows what its projects keep for "
                                         "themselves, and all about its own remote's runs."},
                "reader": {"type": "userPassword", "description": "A user of the broker who may read, not write."},
            },
        },
    }  # fmt: skip


def schema_of(name: str, public_url: str = EXAMPLE) -> dict[str, Any] | None:
    """The JSON Schema of one type as it is on the wire (by its full or its short name), or of ``envelope``."""
    identity = {"$schema": DIALECT, "$id": f"{public_url}/api/v1/schemas/{name}.json"}
    if name == "envelope":
        return identity | Envelope.model_json_schema()
    event = next((e for e in BY_TYPE.values() if name in (e.type_name(), e.kind)), None)
    if event is None:
        return None
    return identity | _whole(Envelope.model_json_schema(), event, event.model_json_schema())


def _whole(envelope: dict[str, Any], event: type[Event], data: dict[str, Any]) -> dict[str, Any]:
    """The envelope with the type's name and body in place of any."""
    known = data.pop("$defs", {})
    properties = envelope["properties"] | {"type": {"const": event.type_name()}, "data": data}
    made = envelope | {"title": event.__name__, "description": _said(event), "properties": properties}
    made["required"] = sorted({*envelope.get("required", []), "data"})
    return made | ({"$defs": known} if known else {})


def _name(event: type[Event]) -> str:
    return event.type_name().removeprefix(PREFIX)


def _said(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split())


def _servers(public_url: str) -> dict[str, Any]:
    parts = urlsplit(public_url)
    web: dict[str, Any] = {"host": parts.netloc, "protocol": parts.scheme, "security": [{"$ref": _ref("token", True)}]}
    if parts.path.strip("/"):
        web["pathname"] = parts.path
    return {
        "web": web,
        "broker": {
            "host": "{broker}", "protocol": "amqp", "protocolVersion": "0-9-1",
            "description": "RabbitMQ, where the installation has one: ask its operator.",
            "variables": {"broker": {"default": "localhost:5672"}},
            "security": [{"$ref": _ref("reader", True)}],
        },
    }  # fmt: skip


def _ref(name: str, security: bool = False) -> str:
    return f"#/components/{'securitySchemes' if security else 'messages'}/{name}"


def _channels(exchange: str) -> dict[str, Any]:
    messages = {_name(event): {"$ref": _ref(_name(event))} for event in BY_TYPE.values()}
    signed = {name: {"$ref": _ref(f"signed.{name}")} for name in messages}
    web, broker = [{"$ref": "#/servers/web"}], [{"$ref": "#/servers/broker"}]
    return {
        "stream": _channel("stream", "/api/v1/events/stream", messages, web),
        "page": _channel("page", "/api/v1/events", messages, web),
        "webhook": _channel("webhook", None, signed, []),
        "exchange": _channel("exchange", "{routingKey}", messages, broker)
        | {
            "parameters": {"routingKey": {"enum": sorted(messages), "description": "The type without its prefix."}},
            "bindings": {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {
                        "name": exchange, "type": "topic", "durable": True, "autoDelete": False, "vhost": "/",
                    },
                    "bindingVersion": "0.3.0",
                }
            },
        },
    }  # fmt: skip


def _channel(name: str, address: str | None, messages: dict[str, Any], servers: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"address": address, "description": WAYS[name], "messages": messages}
    return made | ({"servers": servers} if servers else {})


def _operation(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": WAYS[name].partition(":")[0].partition(".")[0] + ".",
    }
    bindings = {
        "stream": {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
        "page": {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
        "webhook": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }
    if name in bindings:
        made["bindings"] = bindings[name]
    return made


def _message(event: type[Event]) -> dict[str, Any]:
    name = event.type_name()
    return {
        "name": name,
        "title": event.__name__,
        "summary": _said(event),
        "contentType": MEDIA,
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": name},
                        "data": {"$ref": f"#/components/schemas/{event.__name__}"},
                    },
                    "required": ["data"],
                },
            ]
        },
    }


def _schemas() -> dict[str, Any]:
    models = [(model, "validation") for model in (Envelope, *BY_TYPE.values())]
    _, made = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas: dict[str, Any] = made["$defs"]
    return schemas


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
