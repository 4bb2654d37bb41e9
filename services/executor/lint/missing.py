"""What is said where a tool of a linter is not there. Pure."""

from collections.abc import Sequence


def missing(tools: Sequence[str], package: str) -> str:
    """Both to an operator and to the author who runs checks himself."""
    verb = "is" if len(tools) == 1 else "are"
    return (
        f"{', '.join(tools)} {verb} not there: install {package}, or name the folder that has it "
        "(checks.path; netci check --path DIR)"
    )
