"""Where branches and series go, and what everybody may read of that."""

import pytest

from services.branch.repos import series_target, stream_target
from shared.settings import Project, Stream


@pytest.mark.parametrize(
    ("push", "public"),
    [
        ("https://bot@git.example.org/testing.git", "https://git.example.org/testing.git"),
        ("https://git.example.org/a@b.git", "https://git.example.org/a@b.git"),
        ("git@git.example.org:testing.git", "git@git.example.org:testing.git"),
    ],
)
def test_a_login_is_not_published(push: str, public: str) -> None:
    stream = Stream(tree="next", push=push)
    project = Project.model_validate({"trees": {"next": {"git": "/x"}}, "series_push": push})
    assert stream_target(stream).public == public
    assert (target := series_target(project)) is not None
    assert (target.push, target.public) == (push, public)
