"""Every case gets exactly the answers that its file expects: state and text of each, findings and notes where given."""

from pathlib import Path

import pytest

from services.executor.checking.place import Place
from services.executor.checking.sink import Task
from shared.practice.kernel import kernel_store
from tests.corpus.asked import Answers, ask, place_of, state
from tests.corpus.case import Expected, all_cases, read

CASES = all_cases()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", CASES)
async def test_case(name: str, place: Place, repo: Path) -> None:
    _, kernel = await kernel_store()
    case = read(CASES[name])
    answers = await ask(case, CASES[name].parent, repo, kernel, place)
    problems = [line for expected in case.expect for line in differences(expected, answers)]
    assert not problems, "\n".join((case.shows, *problems))


def differences(expected: Expected, answers: Answers) -> list[str]:
    """Line by line, where an answer is not what was expected."""
    task = Task(expected.check, expected.patch)
    said = answers.said.get(task)
    if said is None:
        return [f"{task}: not answered: {answers.why.get(task, 'it is no task of the plan')}"]
    found = tuple(place_of(one) for one in said.findings if one.new)
    pairs: list[tuple[str, object, object]] = [
        ("state", state(said), expected.state),
        ("text", said.text, expected.text),
    ]
    pairs += [("findings", found, expected.findings)] if expected.findings is not None else []
    pairs += [("notes", said.notes, expected.notes)] if expected.notes is not None else []
    wrong = [f"{task}: {what} is\n    {is_!r}, not\n    {want!r}" for what, is_, want in pairs if is_ != want]
    return [*wrong, f"log:\n{said.log[-3000:]}"] if wrong else []
