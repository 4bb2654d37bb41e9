"""The words spoken to the wrapper on a host, and what it answers. Pure: text in, text out.

The wrapper (wrapper.sh) is a shell script that every command goes through; it refuses an old lease number and
keeps each command in a session of its own. Refuses to know how the words travel.
"""

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NoReturn

from services.executor.drivers.base import Command, LeaseLost
from shared.errors import InfraError, Refused

SCRIPT = (resources.files(__package__ or "") / "wrapper.sh").read_bytes()
NAME = f"wrapper-{hashlib.sha256(SCRIPT).hexdigest()[:12]}"
_QUIET = re.compile(r"(?!PATH$|IFS$|ENV$|PWD$|OLDPWD$|HOME$|LD_|BASH|LC_|LANG)[A-Z_a-z][A-Z_a-z0-9]*")
THEN = "netci-owned"
"""The line that stands between what `take` says and what `then` does."""
OLD_LEASE, CANNOT_SERVE, DOES_NOT_END = 97, 96, 95


def own(directory: str, lease: int, session: str, grace: int, run: str, then: str) -> str:
    """A line that stores the wrapper from standard input, prints the absolute path of its folder, has it take the
    machine, and does `then`, a script, whose output comes after a line of its own. All in one command: they are dear
    on a slow machine.

    The size is compared before the file gets its name: a connection cut half-way must not leave half a script
    that a later lease would trust.
    """
    where, size = shlex.quote(directory), len(SCRIPT)
    return (
        f"umask 077 && mkdir -p {where} && cd {where} && cat >{NAME}.$$"
        f' && [ "$(wc -c <{NAME}.$$)" -eq {size} ] && mv {NAME}.$$ {NAME} && state=$(pwd -P) && echo "state=$state"'
        f' && sh "$state/{NAME}" take "$state" {lease} {session} {grace} {shlex.quote(run)} && cd "$state"'
        f" && echo {THEN} && {{ {then or ':'}\ntrue\n}}"
    )


@dataclass(frozen=True, slots=True)
class Words:
    """One lease's way of speaking: where the wrapper lies, our number and our session's nonce."""

    state: str
    lease: int
    session: str

    def _line(self, verb: str, *rest: object) -> str:
        words = ("sh", f"{self.state}/{NAME}", verb, self.state, self.lease, self.session, *rest)
        return shlex.join(str(word) for word in words)

    def run(self, ident: str, command: Command, cwd: str, then: str = "") -> str:
        """`then` is a script for the host's ``sh`` after it: what it says comes after `mark` on standard error."""
        env = [f"{key}={value}" for key, value in command.env.items()]
        for word in (*env, *command.argv, cwd):
            if "\0" in word:
                raise Refused("a word of a command cannot hold a NUL byte")
        words: tuple[str, ...] = (*env, "--", *command.argv)
        if not all(map(_QUIET.fullmatch, command.env)):
            # What would change the wrapper's own shell is left to a program.
            words = ("--", "env", *env, *command.argv) if env else ("--", *command.argv)
        return self._line("run", ident, command.cwd or cwd, int(command.merge), then, *words)

    @property
    def mark(self) -> bytes:
        return f"\nnetci-then {self.session}\n".encode()

    def end(self, ident: str, grace: int) -> str:
        return self._line("end", ident, grace)

    def leave(self, grace: int) -> str:
        return self._line("leave", grace)

    def clean(self) -> str:
        return self._line("clean")

    def complaint(self, code: int | None, stderr: bytes) -> str:
        """What the wrapper itself said about this exit; empty when the code is the command's own."""
        if code not in (OLD_LEASE, CANNOT_SERVE, DOES_NOT_END):
            return ""
        mark = f"netci-wrapper {self.session} ".encode()
        return stderr.rpartition(mark)[2].decode(errors="replace").strip()[:500] if mark in stderr else ""

    def refuse(self, code: int | None, complaint: str, host: str) -> NoReturn:
        """Raise what a complaint of the wrapper means."""
        if code == OLD_LEASE:
            raise LeaseLost(f"{host}: {complaint}", host=host, lease=self.lease)
        raise InfraError(f"{host}: {complaint}", host=host)


def facts(answer: bytes) -> Mapping[str, str]:
    """The ``key=value`` lines of `take`, each value capped: they come from a machine nobody trusts."""
    lines = answer.decode(errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines[:20])
    return {key: value[:300] for key, sign, value in pairs if sign}
