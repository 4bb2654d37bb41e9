"""Who may call to wake us: the secrets of inbound hooks, and how often an address may call."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import Refused
from shared.formats.signed import PREFIX, key_of
from shared.settings import HookIn, Settings, secret
from shared.web.rates import Rates

LEAST = 16
"""Characters of a secret."""


@dataclass
class Callers:
    """Who may wake what: secrets by path, and budgets by address."""

    secrets: Mapping[str, str]
    rates: Rates = field(default_factory=lambda: Rates(rate=2, burst=30))


def callers_of(settings: Settings) -> Callers:
    """Raises Refused where a secret is named and not there."""
    return Callers({hook.path: _secret(hook) for hook in settings.hooks})


def _secret(hook: HookIn) -> str:
    text = secret(env=hook.secret_env, file=hook.secret_file, what=f"the secret of {hook.path}")
    if len(text) < LEAST:
        raise Refused(f"the secret of {hook.path} is too short: {LEAST} characters at least")
    if text.startswith(PREFIX):
        try:
            key_of(text)
        except ValueError as exc:
            raise Refused(f"the secret of {hook.path}: {exc}") from None
    return text
