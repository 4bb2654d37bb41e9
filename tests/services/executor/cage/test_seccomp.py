"""The filter of system calls, run here by hand: what is let through, and what is answered instead."""

import struct

import pytest

from services.executor.cage.seccomp import filter_for

ALLOWED, EPERM, ENOSYS = 0x7FFF_0000, 0x0005_0001, 0x0005_0026
X86, ARM = 0xC000_003E, 0xC000_00B7


def answer(machine: str, architecture: int, number: int, first: int = 0) -> int:
    """What the filter says to a call, as the kernel's interpreter would find it."""
    steps = list(struct.iter_unpack("=HBBI", filter_for(machine)))
    data = struct.pack("=IIQQ6Q"[:4], number, architecture, 0) + struct.pack("=6Q", first, *[0] * 5)
    value, at = 0, 0
    while True:
        code, met, unmet, k = steps[at]
        at += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, k)
            case 0x06:
                return int(k)
            case 0x15:
                at += met if value == k else unmet
            case 0x35:
                at += met if value >= k else unmet
            case 0x45:
                at += met if value & k else unmet
            case _:
                raise AssertionError(code)


@pytest.mark.parametrize(
    ("call", "first", "said"),
    [
        (0, 0, ALLOWED), (1, 1, ALLOWED), (59, 0, ALLOWED), (57, 0, ALLOWED), (101, 0, ALLOWED),
        (56, 0x0100_0011, ALLOWED), (56, 0x1000_0011, EPERM),
        (272, 0x0002_0000, ALLOWED), (272, 0x1002_0000, EPERM), (272, 0x1000_0000, EPERM),
        (435, 0, ENOSYS), (0x4000_0000, 0, ENOSYS), (0x4000_0027, 0, ENOSYS),
        (250, 0, EPERM), (165, 0, EPERM), (308, 0, EPERM), (321, 0, EPERM), (425, 0, EPERM), (442, 0, EPERM),
    ],
)  # fmt: skip
def test_calls_of_x86(call: int, first: int, said: int) -> None:
    assert answer("x86_64", X86, call, first) == said


@pytest.mark.parametrize(
    ("call", "first", "said"),
    [
        (63, 0, ALLOWED), (220, 0x11, ALLOWED), (220, 0x1000_0011, EPERM), (97, 0x1000_0000, EPERM), (435, 0, ENOSYS),
        (219, 0, EPERM), (40, 0, EPERM), (268, 0, EPERM),
    ],
)  # fmt: skip
def test_calls_of_arm(call: int, first: int, said: int) -> None:
    assert answer("aarch64", ARM, call, first) == said


def test_calls_of_another_architecture_are_none() -> None:
    assert answer("x86_64", 0x4000_0003, 1) == ENOSYS


def test_there_is_none_for_a_machine_that_we_do_not_know() -> None:
    assert filter_for("vax") == b""
