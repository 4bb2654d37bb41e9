"""Who may see which event."""

import pytest

from shared.model.tokens import Token, parse_scopes
from shared.web.audience import ANYBODY, EVERYTHING, Audience, audience_of


def a_token(*scopes: str, remote: str = "metal", projects: tuple[str, ...] = ()) -> Token:
    return Token("abcdefgh", "a token", remote, parse_scopes(scopes), projects)


def test_without_the_right_a_token_shows_what_anybody_sees() -> None:
    assert audience_of(None) == ANYBODY
    assert audience_of(a_token("results:write:*")) == ANYBODY


def test_who_manages_its_remotes_webhooks_sees_what_is_told_of_that_remote_and_no_more() -> None:
    manager = audience_of(a_token("hooks:manage"))
    assert manager.sees("operator", "netdev", "metal")
    assert not manager.sees("project", "netdev", "")
    assert not manager.sees("operator", "netdev", "other")


def test_an_admin_sees_everything() -> None:
    assert audience_of(a_token("admin", remote="")) == EVERYTHING


READER = audience_of(a_token("events:read", projects=("netdev",)))
ALL_PROJECTS = audience_of(a_token("events:read"))
NO_REMOTE = audience_of(a_token("events:read", remote=""))


@pytest.mark.parametrize(
    ("audience", "visibility", "project", "remote", "seen"),
    [
        (ANYBODY, "public", "netdev", "", True),
        (ANYBODY, "project", "netdev", "", False),
        (ANYBODY, "operator", "netdev", "metal", False),
        (READER, "project", "netdev", "", True),
        (READER, "project", "bpf", "", False),
        (READER, "operator", "netdev", "", False),
        (READER, "operator", "netdev", "other", False),
        (READER, "operator", "netdev", "metal", True),
        (READER, "project", "bpf", "metal", True),
        (ALL_PROJECTS, "project", "bpf", "", True),
        (ALL_PROJECTS, "operator", "bpf", "", False),
        (NO_REMOTE, "operator", "netdev", "", False),
        (EVERYTHING, "operator", "bpf", "other", True),
    ],
)
def test_what_is_seen(audience: Audience, visibility: str, project: str, remote: str, seen: bool) -> None:
    assert audience.sees(visibility, project, remote) is seen
