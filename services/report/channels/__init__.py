"""The channels there are."""

from services.report.channels.base import Channel
from services.report.channels.patchwork import PatchworkChannel
from shared.settings import Project

CHANNELS: tuple[type[Channel], ...] = (PatchworkChannel,)


def wanted(project: Project) -> list[type[Channel]]:
    """The channels that a project's verdicts go to."""
    return [] if project.post == "off" else [channel for channel in CHANNELS if channel.wanted(project)]
