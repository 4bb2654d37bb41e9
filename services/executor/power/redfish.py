"""Power by a BMC that speaks Redfish (DMTF DSP0266): a computer system's PowerState and its Reset action.

Redfish has no console of its own; name a program for it.
"""

import asyncio
import base64
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from services.executor.power.base import OFF_FOR, Line, PowerTable, State, until
from services.executor.power.lines import of_program
from shared.errors import InfraError, Transient
from shared.http import Answer, Http, trusting
from shared.settings import secret

_LIMIT = 60.0
_ANSWER = 20.0
_LOOK = 0.5
_TRIES = 3
_REST = 1.0


class RedfishConfig(PowerTable):
    """``power = { kind = "redfish", url = "https://bmc7.lab", user = "ci", password_file = "/etc/netci/bmc7" }``

    `system` is the path of the system, for a BMC that has several; `ca_file` is whose certificate is believed.
    `console` is a program that leads to the serial console, as ``["ssh", "bmc7.lab", "console"]``.
    """

    kind: Literal["redfish"]
    url: str = Field(pattern=r"^https?://[^\s/]+$")
    user: str = ""
    password_file: Path | None = None
    system: str = Field(default="", pattern=r"^(/redfish/v1/Systems/[^\s/]+)?$")
    ca_file: Path | None = None
    console: tuple[str, ...] = ()
    sysrq_prefix: str = ""


class RedfishPower:
    """See `base.Power`."""

    name: ClassVar[str] = "redfish"
    Config: ClassVar[type[PowerTable]] = RedfishConfig

    def __init__(self, config: RedfishConfig, machine: str) -> None:
        self._config, self._machine = config, machine

    async def state(self) -> State:
        async with self._client() as http:
            return await self._state(http, await self._system(http))

    async def on(self) -> None:
        await self._reset("On", State.ON)

    async def off(self) -> None:
        await self._reset("ForceOff", State.OFF)

    async def cycle(self) -> None:
        # PowerCycle and ForceRestart are offered by some and mean different things; these two are offered by all.
        await self.off()
        await asyncio.sleep(OFF_FOR)
        await self.on()

    def console(self) -> AbstractAsyncContextManager[Line]:
        if not self._config.console:
            raise InfraError(f"{self._machine}: Redfish has no console; name a program (power.console)")
        return of_program(self._config.console, self._config.sysrq_prefix.encode())

    def _client(self) -> Http:
        config = self._config
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        if config.user:
            password = secret(file=config.password_file, what=f"{self._machine}: power.password_file")
            headers["Authorization"] = "Basic " + base64.b64encode(f"{config.user}:{password}".encode()).decode()
        try:
            trust = trusting(config.ca_file) if config.ca_file else None
        except OSError as exc:
            raise InfraError(f"{self._machine}: power.ca_file: {config.ca_file}: {exc.strerror or exc}") from None
        return Http("redfish", config.url, headers=headers, timeout=_ANSWER, connections=2, trust=trust)

    async def _system(self, http: Http) -> str:
        """The path of the system: the configured one, or the only one there is."""
        if self._config.system:
            return self._config.system
        members = (await self._get(http, "/redfish/v1/Systems")).get("Members")
        paths = [one.get("@odata.id", "") for one in members or () if isinstance(one, dict)]
        if len(paths) != 1 or not str(paths[0]).startswith("/redfish/v1/Systems/"):
            raise InfraError(f"{self._machine}: its BMC has {len(paths)} systems; say which (power.system): {paths}")
        return str(paths[0])

    async def _state(self, http: Http, system: str) -> State:
        said = (await self._get(http, system)).get("PowerState")
        return {"On": State.ON, "Off": State.OFF}.get(str(said), State.UNKNOWN)

    async def _reset(self, kind: str, wanted: State) -> None:
        """Ask for it, unless it is so, and wait until it is."""
        async with self._client() as http:
            system = await self._system(http)
            if await self._state(http, system) is wanted:
                return
            await self._told(http, "POST", f"{system}/Actions/ComputerSystem.Reset", {"ResetType": kind})

            async def so() -> bool:
                return await self._state(http, system) is wanted

            await until(so, _LIMIT, _LOOK, f"{self._machine}: its BMC does not come to say that it is {wanted}")

    async def _get(self, http: Http, path: str) -> dict[str, Any]:
        said = await self._told(http, "GET", path, None)
        try:
            document = json.loads(said.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise InfraError(f"{self._machine}: what its BMC says of {path} is no object of JSON")
        return document

    async def _told(self, http: Http, method: str, path: str, body: object) -> Answer:
        """Some tries, for BMCs break off often. To reset twice is no harm: whoever resets has asked before."""
        for number in range(1, _TRIES + 1):
            try:
                answer = await http.request(method, path, json=body)
            except Transient as exc:
                if number == _TRIES:
                    raise InfraError(f"{self._machine}: {exc}") from exc
            else:
                if 200 <= answer.status < 300:
                    return answer
                if answer.status not in (500, 502, 503, 504) or number == _TRIES:
                    raise InfraError(f"{self._machine}: its BMC answers {method} {path} with {_why(answer)}")
            await asyncio.sleep(_REST)
        raise AssertionError("the last try leaves")


def _why(answer: Answer) -> str:
    """The status, and what an extended error says (DSP0266 8.6)."""
    try:
        error = json.loads(answer.body)["error"]
        said = [error.get("message", ""), *(one.get("Message", "") for one in error.get("@Message.ExtendedInfo", ()))]
    except (ValueError, KeyError, TypeError, AttributeError):
        said = []
    return " ".join([str(answer.status), *(str(one) for one in said if one)])[:300]
