"""An answer as the document that pages and programs read. Pure."""

from services.executor.checking.sink import Task
from services.executor.checks.base import Said, Subject
from shared.formats.check_report import CheckReport, ReportedFinding, artifact
from shared.model.ids import Sha


def report_of(task: Task, said: Said, subject: Subject, seconds: float) -> CheckReport:
    """`subject` is the series; its log and files are named as they are kept with the run."""
    commit = next((patch.commit for patch in subject.patches if patch.number == task.patch), subject.head)
    return CheckReport(
        task.check, task.patch, said.state.value, said.text,
        findings=tuple(
            ReportedFinding(one.text, one.path, one.line, one.level, one.new, one.context) for one in said.findings
        ),
        repeat=said.repeat, notes=said.notes, counts=dict(said.counts), seconds=round(seconds, 3),
        cause=said.cause.value if said.cause else "", tree=subject.tree, base=subject.base, commit=commit or Sha(""),
        log=artifact(task.patch, task.check, "log") if said.log else "",
        files=tuple(artifact(task.patch, task.check, f"files/{name}") for name in said.files),
    )  # fmt: skip
