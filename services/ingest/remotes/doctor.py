"""Looking once at a remote's manifest, for `netci doctor`."""

from services.ingest.remotes.poller import MANIFEST, files_of
from shared.doctor import Finding
from shared.errors import NetciError, Refused
from shared.formats.nipa import read_manifest
from shared.settings import Remote, Settings


async def examine(settings: Settings, remote: Remote) -> Finding:
    """Whether the manifest can be fetched and read."""
    what = f"remotes.{remote.name}.manifest"
    try:
        async with files_of(settings, remote.name) as files:
            file = await files.get(remote.manifest, MANIFEST)
        assert file is not None, "nothing was asked to be left out"
        manifest = read_manifest(file.body)
    except Refused as exc:
        return Finding(
            False, what, str(exc), "correct the address, or tell the lab's owner what is wrong with the file"
        )
    except NetciError as exc:
        return Finding(False, what, str(exc), f"open {remote.manifest} from this machine; is the lab up?")
    odd = f", {len(manifest.warnings)} that make no sense: {manifest.warnings[0]}" if manifest.warnings else ""
    return Finding(True, what, f"{len(manifest.entries)} runs{odd}")
