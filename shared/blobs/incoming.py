"""A blob on its way in, piece by piece: hashed and compressed as it comes, in its place only when it is whole."""

import contextlib
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

MAGIC = b"netci-z1"


class Incoming:
    """Write pieces, then `place` it or `drop` it. Blocking: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        """`folder` is on the file system of the blobs."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False)  # noqa: SIM115
        self._hash, self._packer = hashlib.sha256(), zlib.compressobj(6)
        self._file.write(MAGIC)
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what has been written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(self._packer.compress(data))
        self.size += len(data)

    def place(self, path: Path) -> None:
        """Make it the blob at `path`, wholly or not at all."""
        self._file.write(self._packer.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.chmod(self._file.name, 0o640)
        os.replace(self._file.name, path)

    def drop(self) -> None:
        """Forget what came; harmless after `place`."""
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file.name)
