"""Paths as OpenAPI has them."""

import pytest

from shared.web.openapi import Asked, Endpoint


async def act(context: None, asked: Asked) -> None:
    return None


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/v1/series/{key:.+}", "/api/v1/series/{key}"),
        ("/runs/{run:[0-9]{1,18}}/cases", "/runs/{run}/cases"),
        ("/{a:[^/]+}/{b}", "/{a}/{b}"),
    ],
)
def test_patterns_are_left_out(path: str, template: str) -> None:
    assert Endpoint("GET", path, "x", act).template == template
