"""Static files by a name that holds their digest: cached for good, never stale. All in memory, read once."""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib import resources

from aiohttp import web

from shared.errors import Missing


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    body: bytes
    kind: str
    digest: str


class Assets:
    """The files of `package`'s folder `static`, served under `prefix`."""

    def __init__(self, package: str, prefix: str = "/static/") -> None:
        self._prefix = prefix
        self._by_name: dict[str, Asset] = {}
        self._immutable: dict[str, Asset] = {}
        for file in resources.files(package).joinpath("static").iterdir():
            if file.is_file() and not file.name.endswith(".md"):
                self._add(file.name, file.read_bytes())

    def _add(self, name: str, body: bytes) -> None:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        asset = Asset(name, body, kind, hashlib.sha256(body).hexdigest()[:12])
        self._by_name[name] = asset
        self._immutable[_with_digest(asset)] = asset

    def url(self, name: str) -> str:
        """Where the file `name` is, in its present form. Raises KeyError: a template names what is not there."""
        return self._prefix + _with_digest(self._by_name[name])

    async def serve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        asset = self._immutable.get(name)
        cache = "public, max-age=31536000, immutable" if asset else "no-cache"
        if (asset := asset or self._by_name.get(name)) is None:
            raise Missing(f"no file {name}")
        charset = "utf-8" if asset.kind.startswith("text/") else None
        return web.Response(body=asset.body, content_type=asset.kind, charset=charset, headers={"Cache-Control": cache})

    def mount(self, app: web.Application) -> None:
        app.router.add_get(self._prefix + "{name}", self.serve)


def _with_digest(asset: Asset) -> str:
    stem, dot, end = asset.name.rpartition(".")
    return f"{stem}.{asset.digest}{dot}{end}" if dot else f"{asset.name}.{asset.digest}"
