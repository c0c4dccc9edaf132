# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Where files lie: paths of this machine, which need no package, and URLs of the file systems that fsspec knows."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..utils.errors import SmoothNetError

CHUNK = 2**20


def is_url(text: str) -> bool:
    """Whether this is a URL of a remote file system; file:// is not, see local_name."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*(::[A-Za-z0-9+.-]+)*://", text) is not None


def local_name(text: str) -> str:
    """A file:// URL as the path that it means; all else as it is."""
    return unquote(urlsplit(text).path) if text.startswith("file://") else text


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path there.

    Raises:
        SmoothNetError: fsspec or the package for this kind of URL is not installed, or it cannot be reached.
    """
    try:
        import fsspec
    except ModuleNotFoundError:
        raise SmoothNetError(f'{url} needs fsspec: pip install "smoothnet[corpus]"') from None
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise SmoothNetError(f'{url}: {error}; `pip install "smoothnet[corpus]"` has what S3 needs') from None
    except Exception as error:  # every file system has its own: no such protocol, no credentials, no host
        raise SmoothNetError(f"{url} cannot be opened: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """One line on what an exception says."""
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextmanager
def fetched(source: str, folder: str | os.PathLike | None = None) -> Iterator[Path]:
    """A local path with the content of `source`: itself, or a copy in a temporary folder (in `folder`) that goes after.

    Raises:
        OSError: it is not there or cannot be read now.
        SmoothNetError: see filesystem.
    """
    if not is_url(source):
        yield Path(source)
        return
    fs, path = filesystem(source)
    with tempfile.TemporaryDirectory(prefix="smoothnet-", dir=folder) as place:
        copy = Path(place) / path.rstrip("/").rsplit("/", 1)[-1]
        try:
            fs.get(path, str(copy), recursive=fs.isdir(path))
        except OSError:
            raise
        except Exception as error:  # of botocore, gcsfs, huggingface_hub ...
            raise OSError(f"cannot read {source}: {reason(error)}") from error
        if not copy.exists():
            raise FileNotFoundError(f"{source} does not exist")
        yield copy


def put(path: Path, url: str) -> None:
    """Copy a file or folder to a URL; on object stores each object appears whole.

    Raises:
        OSError: it cannot be written.
    """
    fs, target = filesystem(url)
    try:
        if path.is_dir():
            for file in sorted(path.iterdir()):
                fs.put_file(str(file), f"{target}/{file.name}")
        else:
            fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            fs.put_file(str(path), target)
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"cannot write {url}: {reason(error)}") from error


def measure(path: Path, sync: bool = False) -> tuple[int, str]:
    """Size in bytes and sha256 of a file; of a folder: of all its files, and of a list of their names and sha256.

    Args:
        sync: also have it written to the disk, so that it survives a power cut.
    """
    if path.is_dir():
        total, digest = 0, hashlib.sha256()
        for file in sorted(path.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                size, sha = measure(file, sync)
                total += size
                digest.update(f"{sha}  ".encode() + os.fsencode(file.name) + b"\n")
        return total, digest.hexdigest()
    with open(path, "rb") as content:
        if sync:
            os.fsync(content.fileno())
        size, digest = 0, hashlib.sha256()
        while block := content.read(CHUNK):
            size += len(block)
            digest.update(block)
    return size, digest.hexdigest()


def join(folder: str, name: str) -> str:
    """A path or URL below another."""
    return f"{folder.rstrip('/')}/{name}"


def sizes_in(folder: str) -> dict[str, int]:
    """Name -> bytes of what lies in a folder or below a URL; of a folder, the sum. Empty if it is not there."""
    if is_url(folder):
        fs, path = filesystem(folder)
        try:
            entries = fs.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise SmoothNetError(f"{folder} cannot be listed: {reason(error)}") from error
        names = {entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry for entry in entries}
        return {
            name: sum(fs.du(entry["name"], total=False).values()) if entry["type"] == "directory" else entry["size"]
            for name, entry in names.items()
        }
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _size(entry) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SmoothNetError(f"{folder} cannot be listed: {error.strerror}") from error


def _size(entry: os.DirEntry) -> int:
    if not entry.is_dir():
        return entry.stat().st_size if entry.is_file() else -1
    with os.scandir(entry.path) as files:
        return sum(file.stat().st_size for file in files if file.is_file())
