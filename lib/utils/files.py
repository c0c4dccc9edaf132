# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import atexit
import ctypes
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from .errors import SmoothNetError
from .signals import ending_cleanly, undisturbed


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb", replace: bool = True) -> Iterator[IO]:
    """Open a temporary file beside `path`; when the block ends well it is synced and renamed to `path`.

    On any failure, and when a signal ends the process, the temporary file is removed and what was at `path` stays as it
    was. Text is UTF-8; what cannot be (names of files that are not UTF-8) is escaped.

    Args:
        replace: whether a file that is there may be replaced; see rename_new.

    Raises:
        SmoothNetError: the file cannot be written (no space, no permission, no such folder), or exists.
    """
    path = Path(path)
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with ending_cleanly():
        try:
            with temporary(partial(_empty_file, f".{path.name}.", path.parent)) as name:
                with open(name, mode, **options) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                # mkstemp makes files that only their owner may read; give them the permissions of an ordinary new file.
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(name, 0o666 & ~umask)
                with undisturbed():
                    (os.replace if replace else rename_new)(name, path)
        except FileExistsError as error:
            raise taken(path) from error
        except OSError as error:
            raise SmoothNetError(
                f"cannot write {path}: {error.strerror or error}; check the folder, its permissions and the free space"
            ) from error


def taken(path: Path) -> SmoothNetError:
    """That an output is there already."""
    return SmoothNetError(f"{path} exists; name another output, or replace it with --force")


def _empty_file(prefix: str, near: Path) -> str:
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=near)
    os.close(handle)
    return name


# Temporary files and folders that are there, with the process that made them.
_left: dict[str, int] = {}


@contextmanager
def temporary(make: Callable[[], str]) -> Iterator[str]:
    """The name of the temporary file or folder that `make` makes: gone in the end, however that comes, unless renamed.

    A signal's exception may come in the first lines of a `finally`, before anything in it holds signals back. Then it
    is removed as that goes on, and if another comes there, when the process ends.
    """
    name = None
    try:
        with undisturbed():  # a signal must not come between the file and its name
            name = make()
            _left[name] = os.getpid()
        yield name
    finally:
        try:
            _remove(name)
        except BaseException:
            _remove(name)
            raise


def _remove(name: str | None) -> None:
    """Remove a temporary file or folder with all that is in it, where it is there."""
    if name is None:
        return
    with undisturbed():
        if os.path.isdir(name):
            shutil.rmtree(name, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(name)
        if not os.path.lexists(name):
            _left.pop(name, None)


@atexit.register
def _remove_left() -> None:
    for name, process in list(_left.items()):
        if process == os.getpid():  # a forked process has the names, not the files
            _remove(name)


def rename_new(old: str | os.PathLike, new: str | os.PathLike) -> None:
    """Rename a file to a name that nothing has; FileExistsError where something has it.

    On Linux, and on file systems with hard links, the check and the renaming are one step, so that nothing that
    appears meanwhile is lost. Elsewhere (FAT on other systems) the check comes right before.
    """
    if _renameat2(old, new, _NO_REPLACE):
        return
    try:
        os.link(old, new)
    except FileExistsError:
        raise
    except OSError as error:
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from error
        os.rename(old, new)
    else:
        os.unlink(old)


def exchange(one: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Swap two files or folders in one step; False where the system cannot."""
    return _renameat2(one, other, _EXCHANGE)


_NO_REPLACE, _EXCHANGE = 1, 2  # linux/fs.h
_AT_FDCWD = -100
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP)  # this kernel or file system


def _renameat2(old: str | os.PathLike, new: str | os.PathLike, flag: int) -> bool:
    """Linux's renameat2; False where it does not exist, OSError where it fails."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # no such function; no such thing as the C library of the process
        return False
    if function(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), ctypes.c_uint(flag)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(old), None, str(new))


def only_in(folder: Path, other: Path) -> list[str]:
    """The names in a folder that another does not hold, sorted: what would be lost if it took the folder's place."""
    return sorted({entry.name for entry in folder.iterdir()} - {entry.name for entry in other.iterdir()})


def printable(path: str | os.PathLike) -> str:
    """The name of a file for people: what is not UTF-8 in it is escaped, so that any stream can print it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def refuse_endless(path: Path, name: object = None) -> None:
    """Raise SmoothNetError, which calls it `name`, for a device, pipe or socket, whose end nobody knows."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SmoothNetError(f"{name or path} is a device, pipe or socket; copy what comes out of it into a file")


def read_bounded(path: str | os.PathLike, largest: int, what: str) -> bytes:
    """The bytes of a file that may be anybody's.

    Args:
        largest: bytes that are read at most.
        what: what is never larger, for the error: "no exported model is".

    Raises:
        SmoothNetError: it is larger, or cannot be read.
    """
    path = Path(path)
    try:
        refuse_endless(path)
        size = path.stat().st_size
        if size > largest:
            raise SmoothNetError(f"{path} has {size} bytes; {what} that large")
        return path.read_bytes()
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` (UTF-8) to `path`, all or nothing."""
    with atomic_write(path, "w") as file:
        file.write(text)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON to `path`, all or nothing."""
    write_text(path, json.dumps(value, indent=2, allow_nan=True) + "\n")
