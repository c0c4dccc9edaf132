# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the user names, file by file: folders, patterns, lists, shards, and any of them by URL.

Nothing here opens a file of poses: a corpus of a million files is listed in seconds, and what a file holds is found
out where it is smoothed.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..formats import FORMATS
from ..utils.errors import SmoothNetError
from .storage import filesystem, is_url, join, local_name, reason

POSES = {".json", ".jsonl", ".csv", ".npy", ".npz", ".h5", ".slp", ".nc", ".trc", ".c3d", ".mot", ".sto", ".bvh"}
POSES |= {".ndjson", ".tsv", ".pkl", ".pt"}  # files that a folder is searched for, and
SHARDS = {".parquet": "parquet", ".tar": "tar"}  # those that hold many sequences
LISTS = {".txt", ".lst"}
LIST_COLUMNS = ("path", "url", "file")  # of a Parquet file that is a list
_FRAME = re.compile(r".+_keypoints\.json")  # OpenPose writes one a frame


class Item(NamedTuple):
    """One input.

    Attributes:
        name: its place in the output's tree, with "/".
        source: absolute path or URL.
        kind: "file" | "frames" (a folder of OpenPose frames) | "parquet" | "tar".
        size, stamp: bytes and what changes with the content (time of change, or the store's tag); -1 and "" where
            nobody has looked (entries of lists of URLs, files that are not there).
    """

    name: str
    source: str
    kind: str
    size: int
    stamp: str


def find_inputs(inputs: Sequence[str], out: str) -> Iterator[Item]:
    """Every file that the inputs mean, each input in the order of names.

    Args:
        inputs: files, folders (searched through; hidden files and linked folders are left out), patterns with * and
            **, lists (.txt with a path a line, .parquet with a column path) and URLs of these.
        out: the output, which is left out where it lies in an input.

    Raises:
        SmoothNetError: an input is not there, cannot be listed, or has no file of poses.
    """
    skipped = {os.path.realpath(out), os.path.realpath(workplace(out))} if not is_url(out) else set()
    for given in inputs:
        named = local_name(given)
        found = False
        for item in _remote(named, skipped) if is_url(named) else _local(named, skipped):
            found = True
            yield item
        if not found:
            endings = " ".join(sorted({*POSES, *SHARDS}))
            raise SmoothNetError(f"{given} has no file of poses ({endings}); is it the right one, and mounted?")


def workplace(out: str) -> str:
    """The folder beside a local output with the manifest and the report."""
    return f"{os.path.abspath(out)}.corpus"


def kind_of(name: str) -> str:
    """The kind of a file, by its name's ending."""
    return SHARDS.get(PurePosixPath(name).suffix.lower(), "file")


def _wanted(name: str) -> bool:
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in {*POSES, *SHARDS}


def _are_frames(files: Iterable[str], folders: Iterable[str]) -> bool:
    """Whether a folder with these names is one sequence: nothing but frames of OpenPose."""
    shown = [name for name in files if not name.startswith(".")]
    return bool(shown) and not any(not f.startswith(".") for f in folders) and all(map(_FRAME.fullmatch, shown))


# ---------------------------------------------------------------- this machine


def _local(named: str, skipped: set[str]) -> Iterator[Item]:
    if not os.path.lexists(named) and glob.has_magic(named):
        root = os.path.abspath(_before_magic(named))
        for path in sorted(glob.iglob(named, recursive=True)):
            if os.path.isfile(path) and os.path.realpath(path) not in skipped:
                yield _local_file(os.path.abspath(path), os.path.relpath(os.path.abspath(path), root))
        return
    path = os.path.abspath(named)
    if not os.path.exists(path):
        raise SmoothNetError(f"{named} does not exist")
    if os.path.isdir(path):
        if _is_sequence(Path(path)):
            yield _local_frames(path, os.path.basename(path))
        else:
            yield from _walk(path, "", skipped)
    elif PurePosixPath(path).suffix.lower() in LISTS:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            yield from _listed(lines, "")
    elif kind_of(path) == "parquet" and (column := _list_column(path)):
        yield from _listed(_parquet_list(path, column), "")
    else:
        yield _local_file(path, os.path.basename(path))


def _is_sequence(folder: Path) -> bool:
    """Whether a folder that was named is itself a sequence of frames, whatever their names."""
    try:
        return FORMATS["openpose"].sniff(folder)
    except SmoothNetError:  # its first file is damaged, which is found out again where it is read
        return False


def _before_magic(pattern: str) -> str:
    """The folders of a pattern before the first that has a * in it."""
    parts = pattern.split("/")
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else ".")


def _walk(folder: str, below: str, skipped: set[str]) -> Iterator[Item]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise SmoothNetError(f"cannot list {folder}: {error.strerror}; mend that, or leave it out") from error
    folders = [e for e in entries if e.is_dir(follow_symlinks=False)]
    files = [e for e in entries if e.is_file()]
    if below and _are_frames([e.name for e in files], [e.name for e in folders]):
        yield _local_frames(folder, below.rstrip("/"))
        return
    for entry in files:
        if _wanted(entry.name):
            facts = entry.stat()
            stamp = str(facts.st_mtime_ns)
            yield Item(below + entry.name, entry.path, kind_of(entry.name), facts.st_size, stamp)
    for entry in folders:
        if not entry.name.startswith(".") and os.path.realpath(entry.path) not in skipped:
            yield from _walk(entry.path, f"{below}{entry.name}/", skipped)


def _local_file(path: str, name: str) -> Item:
    try:
        facts = os.stat(path)
    except OSError:
        return Item(name, path, kind_of(path), -1, "")
    if stat.S_ISDIR(facts.st_mode):
        return _local_frames(path, name)
    return Item(name, path, kind_of(path), facts.st_size, str(facts.st_mtime_ns))


def _local_frames(path: str, name: str) -> Item:
    with os.scandir(path) as entries:
        shown = [entry for entry in entries if entry.is_file() and not entry.name.startswith(".")]
        facts = sorted((entry.name, entry.stat().st_size, str(entry.stat().st_mtime_ns)) for entry in shown)
    return _frames(name, path, facts)


def _frames(name: str, source: str, facts: Sequence[tuple[str, int, str]]) -> Item:
    """A folder of frames, from the name, size and stamp of each: a frame that is renamed or replaced changes it."""
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    return Item(name, source, "frames", sum(size for _, size, _ in facts), f"{len(facts)} files, {digest}")


# ---------------------------------------------------------------- lists


def _listed(lines: Iterable[str], folder: str) -> Iterator[Item]:
    """The entries of a list; relative ones are relative to `folder`, "" is where the program was started."""
    for line in lines:
        entry = local_name(line.strip())
        if not entry or entry.startswith("#"):
            continue
        name = "/".join(part for part in re.sub(r"^[^:/]+://", "", entry).split("/") if part not in ("", ".", ".."))
        if folder and not is_url(entry):
            entry = join(folder, entry)
        yield Item(name, entry, kind_of(entry), -1, "") if is_url(entry) else _local_file(os.path.abspath(entry), name)


def parquet() -> Any:
    """The module pyarrow.parquet.

    Raises:
        SmoothNetError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise SmoothNetError('Parquet needs pyarrow: pip install "smoothnet[corpus]"') from None
    return pyarrow.parquet


def _list_column(file: Any) -> str | None:
    """The column with paths, if a Parquet file is a list; one with poses in it is a shard."""
    try:
        schema = parquet().read_schema(file)
    except (OSError, ValueError) as error:
        raise SmoothNetError(f"{file} is no readable Parquet file: {reason(error)}") from error
    types = {field.name: str(field.type) for field in schema}
    if any("list" in kind for kind in types.values()):
        return None
    return next((name for name in LIST_COLUMNS if "string" in types.get(name, "")), None)


def _parquet_list(file: Any, column: str) -> Iterator[str]:
    for batch in parquet().ParquetFile(file).iter_batches(columns=[column]):
        yield from (text for text in batch.column(0).to_pylist() if text)


# ---------------------------------------------------------------- other file systems


def _remote(url: str, skipped: set[str]) -> Iterator[Item]:
    fs, path = filesystem(url)

    def item(entry: dict, name: str) -> Item:
        tag = next((str(entry[key]) for key in ("ETag", "etag", "sha256", "md5Hash", "mtime", "LastModified", "created")
                    if entry.get(key)), "")  # fmt: skip
        return Item(name, fs.unstrip_protocol(entry["name"]), kind_of(name), entry["size"] or 0, tag)

    try:
        if glob.has_magic(path):
            root = _before_magic(path)
            for name, entry in sorted(fs.glob(path, detail=True).items()):
                if entry["type"] == "file":
                    yield item(entry, _below(name, root))
            return
        facts = fs.info(path)
        if facts["type"] == "directory":
            yield from _remote_walk(fs, path, item)
        elif PurePosixPath(path).suffix.lower() in LISTS:
            with fs.open(path, "r", encoding="utf-8") as lines:
                yield from _listed(lines, url.rsplit("/", 1)[0])
            return
        else:
            if kind_of(path) == "parquet":
                with fs.open(path, "rb") as file:
                    if column := _list_column(file):
                        yield from _listed(_parquet_list(file, column), url.rsplit("/", 1)[0])
                        return
            yield item({**facts, "name": path}, PurePosixPath(path).name)
    except SmoothNetError:
        raise
    except FileNotFoundError:
        raise SmoothNetError(f"{url} does not exist") from None
    except Exception as error:  # every file system has its own
        raise SmoothNetError(f"{url} cannot be listed: {reason(error)}") from error


def _below(name: str, root: str) -> str:
    return name.strip("/").removeprefix(root.strip("/")).lstrip("/")


def _remote_walk(fs: Any, root: str, item: Any) -> Iterator[Item]:
    for folder, folders, files in fs.walk(root, detail=True, on_error="raise"):
        below = _below(folder, root)
        prefix = f"{below}/" if below else ""
        if below and _are_frames(files, folders):
            frames = [(name, item(files[name], name)) for name in sorted(files)]
            source = item({"name": folder, "size": 0}, below).source
            yield _frames(below, source, [(name, frame.size, frame.stamp) for name, frame in frames])
            continue
        for name in sorted(files):
            if _wanted(name):
                yield item(files[name], prefix + name)
