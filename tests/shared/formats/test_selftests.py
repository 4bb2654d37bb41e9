"""The field's spelling of tests."""

import pytest

from shared.formats.selftests import Spelling, dashed, group_of, unwrap


def test_names_are_spelled_as_the_field_does() -> None:
    assert [dashed(name) for name in ("gro.sh", "tls", "run_it", "..", "a--b ")] == [
        "gro-sh", "tls", "run-it", "no-name", "a-b",
    ]  # fmt: skip
    assert group_of("drivers/net/hw") == "selftests-drivers-net-hw"


def test_two_programs_of_one_spelling_are_two_tests() -> None:
    spelling = Spelling()
    assert [spelling.of("net", name) for name in ("a.sh", "a_sh", "b.sh")] == [
        ("selftests-net", "a-sh"), ("selftests-net", "a-sh-2"), ("selftests-net", "b-sh"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("selftests: net/forwarding: a.sh", ("net/forwarding", "a.sh")),
        ("selftests: net: ", None),
        ("selftests: a.sh", None),
        ("suite", None),
    ],
)
def test_what_the_kernels_runner_wraps(name: str, parts: tuple[str, str] | None) -> None:
    assert unwrap(name) == parts
