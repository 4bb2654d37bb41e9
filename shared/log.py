"""Logging: one canonical line per handled event, run, request and delivery; JSON, or readable on a terminal."""

import logging
import re
import sys
import traceback
from typing import Any, TextIO

import structlog

_SECRET = ("token", "password", "secret", "authorization")


_LOGIN = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")


def _hide_secrets(logger: Any, method: str, event: Any) -> Any:
    for key, value in event.items():
        if any(word in key.lower() for word in _SECRET):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _LOGIN.sub("***", value)
    return event


def _plain_traceback(out: TextIO, exc_info: Any) -> None:
    text = "".join(traceback.format_exception(*exc_info))
    out.write("\n" + _LOGIN.sub("***", text))


def configure(*, json: bool | None = None, level: str = "info") -> None:
    """Set up structlog over stdlib, so that libraries' lines join ours. `json` defaults to: not a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            # Not the default: that one prints local variables, and secrets are local variables somewhere.
            exception_formatter=_plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        final += [structlog.processors.format_exc_info, _hide_secrets]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "asyncssh", "aiormq", "aio_pika", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # At each outage it logs a traceback of what our own line already says.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
