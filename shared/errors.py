"""The five ways a thing ends that is not a result. The docstring is the message; attributes are hints upward."""

from typing import Any


class NetciError(Exception):
    """Something went wrong."""

    def __init__(self, text: str = "", **hints: object) -> None:
        super().__init__(text or (self.__doc__ or "").strip())
        self.hints = hints


class Refused(NetciError):
    """The caller asked for what may not or cannot be done; asking again changes nothing."""

    status_hint = 400


class Missing(NetciError):
    """There is no such thing."""

    status_hint = 404


class Transient(NetciError):
    """It did not work now; the same again later may."""

    status_hint = 503


class InfraError(NetciError):
    """A machine or a service of ours is broken; the patch under test is not to blame."""

    status_hint = 500


class Superseded(NetciError):
    """The work is no longer wanted."""

    status_hint = 409


def first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first error in a group, however deep: what a person is told."""
    found = group.exceptions[0]
    return first_of(found) if isinstance(found, BaseExceptionGroup) else found
