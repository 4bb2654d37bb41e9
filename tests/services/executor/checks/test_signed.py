"""What patatt answers; subjects in it may look like anything."""

import pytest

from services.executor.checks.signed import said


@pytest.mark.parametrize(
    ("output", "code", "state", "text"),
    [
        ("  PASS | ada@byrd.example, [PATCH] x\n", 0, "success", "Signed by ada@byrd.example"),
        (" NOSIG | [PATCH] x\n       | no signatures found\n", 4, "warning", "No signature found"),
        (" NOKEY | ada@byrd.example, x\n", 8, "warning", "Signed with a key that is not known: ada@byrd.example"),
        (" ERROR | ada@byrd.example, x\n", 16, "fail", "Signature cannot be read: ada@byrd.example"),
        ("BADSIG | ada@byrd.example, x\n", 32, "fail", "Signature is bad: ada@byrd.example"),
        ("", 0, "warning", "No signature found"),
        (" NOSIG | [PATCH]\n  PASS | ada@byrd.example, x\n", 4, "warning", "No signature found"),
        ("  PASS | a@x, x\nBADSIG | b@x, x\n", 32, "fail", "Signature is bad: b@x"),
    ],
)
def test_said(output: str, code: int, state: str, text: str) -> None:
    answer = said(output, code)
    assert (answer.state, answer.text) == (state, text)
