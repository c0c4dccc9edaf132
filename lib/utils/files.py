"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from .errors import SmoothNetError


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb") -> Iterator[IO]:
    """Open a temporary file beside `path`; when the block ends well it is synced and renamed to `path`.

    On any failure the temporary file is removed and what was at `path` stays as it was.

    Raises:
        SmoothNetError: the file cannot be written (no space, no permission, no such folder).
    """
    path = Path(path)
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; give them the permissions of an ordinary new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise SmoothNetError(
            f"cannot write {path}: {error.strerror or error}; check the folder, its permissions and the free space"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` (UTF-8) to `path`, all or nothing."""
    with atomic_write(path, "w") as file:
        file.write(text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON to `path`, all or nothing."""
    write_text(path, json.dumps(value, indent=2, allow_nan=True) + "\n")
