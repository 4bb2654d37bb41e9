"""The Patchwork channel: carries what `wire` writes, over HTTP. It decides nothing and keeps nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from services.report.channels.base import Address, Parcel, Receipt
from services.report.channels.patchwork import wire
from services.report.verdicts import Verdict
from shared.errors import Refused, Transient
from shared.http import Answer, Http, Unsent
from shared.patchwork import http_for, token_of
from shared.settings import Patchwork, Project

CONNECTIONS = 4


class PatchworkChannel:
    """Checks on one Patchwork. See `Channel`."""

    name: ClassVar[str] = "patchwork"

    def __init__(self, http: Http) -> None:
        self._http = http

    @staticmethod
    def wanted(project: Project) -> bool:
        return project.patchwork is not None

    @staticmethod
    def compose(verdict: Verdict, stream: str, addresses: Sequence[Address], public_url: str) -> list[Parcel]:
        return wire.compose(verdict, stream, addresses, public_url)

    @staticmethod
    @asynccontextmanager
    async def opened(project: Project, public_url: str) -> AsyncIterator["PatchworkChannel"]:
        config = project.patchwork
        assert config is not None
        token = token_of(config) if project.post == "on" else ""
        if project.post == "on" and not token:
            raise Refused(f'post = "on" needs a token for {config.url}: set token_env or token_file')
        async with posting(config, token, public_url) as http:
            yield PatchworkChannel(http)

    async def deliver(self, parcel: Parcel) -> Receipt:
        if parcel.doubtful and (known := await self._look_up(parcel)) is not None:
            return known
        try:
            answer = await self._http.request("POST", wire.checks_path(parcel), form=wire.form(parcel))
        except Unsent as exc:
            return Receipt("again", str(exc))
        except Transient as exc:
            return Receipt("doubt", str(exc))
        return wire.read_post(answer)

    async def _look_up(self, parcel: Parcel) -> Receipt | None:
        answer = await self._ask(parcel, wire.newest_of_ours(parcel))
        return answer if isinstance(answer, Receipt) else wire.read_lookup(answer, parcel)

    async def compare(self, parcel: Parcel) -> Receipt:
        if parcel.state == "pending":
            return Receipt("shadowed", "not settled, so not compared")
        answer = await self._ask(parcel, wire.of_anybody(parcel))
        return answer if isinstance(answer, Receipt) else wire.read_others(answer, parcel)

    async def _ask(self, parcel: Parcel, params: dict[str, str]) -> Answer | Receipt:
        try:
            return await self._http.request("GET", wire.checks_path(parcel), params=params)
        except Transient as exc:
            return Receipt("doubt" if parcel.doubtful else "again", str(exc))


def posting(config: Patchwork, token: str, contact: str) -> Http:
    """A client that posts, where it has a token."""
    return http_for(config, contact, name="patchwork checks", connections=CONNECTIONS, token=token)
