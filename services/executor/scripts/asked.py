"""What a Python check in the cage is told of a series, as the document that `inside` reads. Pure."""

import json
from typing import Any

from services.executor.checks.base import Patch, Subject


def asked(subject: Subject, *, root: str, module: str, function: str, branch: str) -> bytes:
    """The document. Mails are text in it, as NIPA has them: bytes that are no UTF-8 are replaced."""
    patches = [_patch(one) for one in subject.patches]
    series_subject = subject.title if subject.cover is None else subject.cover.subject.raw
    facts = {
        "root": root, "module": module, "function": function, "branch": branch, "path": "/src", "results": "/results",
        "patch": None if subject.patch is None else _patch(subject.patch),
        "series": {
            "id": 1, "title": subject.title, "subject": series_subject, "patches": patches,
            "cover": None if subject.cover is None else _text(subject.cover.raw),
            "cover_pull": subject.cover_pull, "pull": subject.pull or None, "tree": subject.tree,
            "marked": subject.marked, "mark_expected": subject.mark_expected,
        },
    }  # fmt: skip
    return json.dumps(facts).encode()


def _patch(patch: Patch) -> dict[str, Any]:
    subject = patch.mail.subject
    return {"id": patch.number, "title": subject.title, "subject": subject.raw, "raw": _text(patch.mail.raw)}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
