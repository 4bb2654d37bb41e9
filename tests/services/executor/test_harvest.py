"""Attempts' logs become one pack, which stays bounded."""

import os

from services.executor.harvest import LEFT_OUT, gathering, part
from shared.blobs.pack import member, names


def test_all_attempts_are_in_the_run() -> None:
    whole = gathering("run 7")
    whole.take(part({"g/a/0/stdout": b"one\n", "g/a/0/dmesg": b""}))
    whole.take(part({"g/a/1/stdout": b"two\n"}))
    packed = whole.packed()
    assert list(names(packed)) == ["run", "g/a/0/stdout", "g/a/0/dmesg", "g/a/1/stdout"]
    assert member(packed, "g/a/0/stdout") == b"one\n"
    assert member(packed, "g/a/1/stdout") == b"two\n"
    assert member(packed, "run") == b"run 7\n"


def test_a_run_of_one_attempt_is_not_that_attempts_blob() -> None:
    alone = part({"g/a/0/stdout": b"one\n"})
    whole = gathering("run 7")
    whole.take(alone)
    assert whole.packed() != alone


def test_what_goes_over_the_limit_says_so() -> None:
    whole = gathering("run 7", limit=5000)
    for number in range(4):
        whole.take(part({f"g/t{number}/0/stdout": os.urandom(2000)}))
    whole.take(part({"g/small/0/stdout": b"fits\n"}))
    packed = whole.packed()
    assert [member(packed, f"g/t{n}/0/stdout") == LEFT_OUT for n in range(4)] == [False, False, True, True]
    assert member(packed, "g/small/0/stdout") == b"fits\n"
    assert len(packed) < 6000
