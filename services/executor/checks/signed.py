"""Whether a mail carries its sender's signature, as patatt makes it (X-Developer-Signature)."""

import re
from collections.abc import Mapping
from pathlib import Path

from services.executor.checks.base import CheckConfig, Desk, Finding, OurCheck, Said, Subject
from services.executor.lint.limited import Limited, ended
from shared.errors import InfraError
from shared.formats.clean import plain
from shared.model.results import CheckState

_VERDICTS: Mapping[int, tuple[CheckState, str, str]] = {
    0: (CheckState.SUCCESS, "PASS", "Signed by {}"),
    4: (CheckState.WARNING, "NOSIG", "No signature found"),
    8: (CheckState.WARNING, "NOKEY", "Signed with a key that is not known: {}"),
    16: (CheckState.FAIL, "ERROR", "Signature cannot be read: {}"),
    32: (CheckState.FAIL, "BADSIG", "Signature is bad: {}"),
}
"""By patatt's exit status, which is the worst of a mail's signatures: the state, the word that it prints, ours."""

_LINE = re.compile(r"\s*(PASS|NOSIG|NOKEY|ERROR|BADSIG) \| (.*)")


class SignedConfig(CheckConfig):
    """`keyring`: a folder of public keys as patatt keeps them, ``ed25519/example.org/name/default`` and the like, that
    everybody on the machine may read.
    """

    keyring: Path | None = None


class Signed(OurCheck):
    name = "signed"
    help = "the mail is signed by its sender (patatt)"
    tools = ("patatt", "git")
    Config = SignedConfig
    config: SignedConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        folders, env = {}, {}
        if self.config.keyring is not None:
            folders = {"/keyring": self.config.keyring}
            env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "patatt.keyringsrc", "GIT_CONFIG_VALUE_0": "/keyring"}
        ran = await desk.run(
            "patatt", "validate", stdin=subject.patch.mail.raw, cwd="/tmp", env=env, folders=folders
        )  # fmt: skip
        try:
            ended("patatt", ran)
        except Limited as exc:
            return exc.said
        if ran.code not in _VERDICTS:
            why = ran.stderr.decode("utf-8", "replace").strip()[-300:] or f"ended with {ran.code}"
            raise InfraError(f"patatt: {why}")
        return said((ran.stdout + ran.stderr).decode("utf-8", "replace"), ran.code)


def said(output: str, code: int) -> Said:
    """The status decides, and not what is printed: the mail's subject is in that, and may look like anything."""
    found = [match.groups() for line in output.splitlines() if (match := _LINE.fullmatch(line))]
    state, word, words = _VERDICTS[code]
    who = next((text.partition(",")[0] for kind, text in found if kind == word), "")
    if not who:
        # Nothing was validated at all.
        state, word, words = _VERDICTS[4]
    findings = tuple(
        Finding(plain(f"{kind}: {text}"), level="note" if kind == "PASS" else "warning") for kind, text in found
    )
    repeat = "patatt validate MAIL  # the mail as it came, in a file"
    return Said(state, words.format(plain(who)[:320]), findings=findings, log=output, repeat=repeat)
