"""The way to hosts over SSH: who we are there, which host keys are believed, and what can go wrong on the way.

Answers with connections. What asyncssh raises is translated by `as_infra`: whatever breaks between us and a host is
`InfraError`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import asyncssh

from services.executor.drivers.ssh_config import Access, Address
from shared.errors import InfraError


@contextmanager
def as_infra(host: str, doing: str) -> Iterator[None]:
    """Everything that can go wrong on the way to a host, as one error that names the host and the act."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise InfraError(f"{host}: its host key is not the one we know: {error.reason}", host=host) from error
    except asyncssh.PermissionDenied as error:
        raise InfraError(f"{host}: it does not accept our key: {error.reason}", host=host) from error
    except TimeoutError as error:
        raise InfraError(f"{host}: no answer while {doing}", host=host) from error
    except (asyncssh.Error, OSError, EOFError) as error:
        raise InfraError(f"{host}: lost while {doing}: {error or type(error).__name__}", host=host) from error


@asynccontextmanager
async def connected(access: Access, name: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection to the address `name`, by way of the jump host if there is one."""
    # It would log every command line, and with it what an operator put into the environment.
    asyncssh.set_log_level("WARNING")
    async with AsyncExitStack() as stack:
        tunnel = await _connect(stack, access, access.jump, None) if access.jump else None
        yield await _connect(stack, access, name, tunnel)


async def _connect(
    stack: AsyncExitStack, access: Access, name: str, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    address, wait = Address.parse(name), access.connect_timeout.total_seconds()
    with as_infra(name, "connecting"):
        known = await asyncio.to_thread(known_hosts, access)
        async with asyncio.timeout(wait):
            link = await asyncssh.connect(
                address.host, address.port, username=address.user, tunnel=tunnel,
                known_hosts=known, client_keys=[str(access.key_file)] if access.key_file else None,
                agent_path=() if access.agent else None, agent_forwarding=False,
                # The account's own ssh configuration could switch host keys off behind our back.
                config=None, password_auth=False, kbdint_auth=False, host_based_auth=False, gss_host=None,
                connect_timeout=wait, login_timeout=wait,
                keepalive_interval=access.keepalive_interval.total_seconds(),
                keepalive_count_max=access.keepalive_count,
            )  # fmt: skip
    stack.push_async_callback(hang_up, link)
    return link


def known_hosts(access: Access) -> asyncssh.SSHKnownHosts:
    """The host keys we believe: the file's and those written in the configuration."""
    lines = list(access.host_keys)
    if access.known_hosts:
        lines.append(access.known_hosts.read_text())
    try:
        return asyncssh.import_known_hosts("\n".join(lines) + "\n")
    except ValueError as error:
        raise InfraError(f"known hosts cannot be read: {error}") from error


async def hang_up(link: asyncssh.SSHClientConnection) -> None:
    """Close a connection, within seconds."""
    link.close()
    try:
        async with asyncio.timeout(5):
            await link.wait_closed()
    except (TimeoutError, asyncssh.Error, OSError):
        link.abort()
