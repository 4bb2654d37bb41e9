"""What no command in a cage may ask of the kernel, as a filter (classic BPF) that bubblewrap loads.

A user namespace would give back every right that was dropped, inside it, and with it most of the kernel's attack
surface. Keys are the one thing that namespaces don't keep apart: the service's session keyring would be there. The
rest is what builds and scripts have no use for and kernels have had holes in. Nothing is lost where there is no
filter for a machine's architecture but this second wall, and user namespaces; `netci doctor` says so.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ENOSYS, _EPERM = 38, 1
_RET_ERRNO, _RET_ALLOW = 0x0005_0000, 0x7FFF_0000
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_NEW_USER = 0x1000_0000
_X32 = 0x4000_0000
_CLONE3 = 435
_EVERYWHERE = (425, 428, 429, 430, 432, 442)
"""io_uring_setup, open_tree, move_mount, fsopen, fsmount, mount_setattr: one number on all architectures."""


@dataclass(frozen=True, slots=True)
class _Calls:
    architecture: int
    clone: int
    unshare: int
    denied: tuple[int, ...]


# add_key request_key keyctl, bpf perf_event_open userfaultfd, mount umount2 pivot_root setns, init_module
# finit_module kexec_load kexec_file_load
_GENERIC = (217, 218, 219, 280, 241, 282, 40, 39, 41, 268, 105, 273, 104, 294)
_CALLS: Mapping[str, _Calls] = {
    "x86_64": _Calls(
        0xC000_003E, 56, 272, (248, 249, 250, 321, 298, 323, 165, 166, 155, 308, 175, 313, 246, 320)
    ),
    "aarch64": _Calls(0xC000_00B7, 220, 97, _GENERIC),
    "riscv64": _Calls(0xC000_00F3, 220, 97, _GENERIC),
}  # fmt: skip


def filter_for(machine: str) -> bytes:
    """The filter for `machine` (as uname says it); b"" if we know none."""
    calls = _CALLS.get(machine)
    if calls is None:
        return b""
    return b"".join(struct.pack("=HBBI", *step) for step in _steps(calls))


def _steps(calls: _Calls) -> Iterator[tuple[int, int, int, int]]:
    """Each test jumps over the answer that follows it, unless it is met."""
    yield _LOAD, 0, 0, _ARCHITECTURE_AT
    yield _JUMP_EQUAL, 1, 0, calls.architecture
    yield _RETURN, 0, 0, _RET_ERRNO | _ENOSYS
    yield _LOAD, 0, 0, _NUMBER_AT
    # 32-bit calls of a 64-bit machine would pass by all that follows.
    yield _JUMP_GREATER_EQUAL, 0, 1, _X32
    yield _RETURN, 0, 0, _RET_ERRNO | _ENOSYS
    # Its flags are behind a pointer, which a filter can't follow; libraries then use clone.
    yield _JUMP_EQUAL, 0, 1, _CLONE3
    yield _RETURN, 0, 0, _RET_ERRNO | _ENOSYS
    for number in (*calls.denied, *_EVERYWHERE):
        yield _JUMP_EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _RET_ERRNO | _EPERM
    yield _JUMP_EQUAL, 1, 0, calls.clone
    yield _JUMP_EQUAL, 0, 3, calls.unshare
    yield _LOAD, 0, 0, _FIRST_ARGUMENT_AT
    yield _JUMP_SET, 0, 1, _NEW_USER
    yield _RETURN, 0, 0, _RET_ERRNO | _EPERM
    yield _RETURN, 0, 0, _RET_ALLOW
