# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""DeepLabCut .h5: a pandas table in HDF5, read and changed in place of a copy with h5py alone.

pandas.read_hdf would unpickle whatever the file holds. Here the column labels are read with the restricted
unpickler, and writing changes numbers in a copy of the file, so all else in it stays byte for byte. Both
layouts of pandas are known: "table" (what DeepLabCut writes for videos) with the rows in one compound
dataset, and "fixed" with a plain matrix.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.apart import harm
from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.unpickle import restricted_load
from .deeplabcut import label_columns, picture_frames
from .recording import Recording, Track
from .tables import by_axes
from .timeline import timeline

SECONDS = 20.0  # that a walk through a file may take
_MOST = 1000  # blocks and levels that a data frame may claim to have
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass
class Block:
    """Numbers in the file: a dataset, or a field of a compound one; `labels` names its columns."""

    dataset: str
    field: str | None
    labels: list[tuple[str, ...]]


def import_h5py():
    try:
        import h5py
    except ImportError as error:
        raise SmoothNetError("reading .h5, .slp and .nc files needs h5py: pip install h5py") from error
    return h5py


def _unpickle_labels(attribute: Any, what: str) -> list[tuple[str, ...]]:
    raw = attribute.tobytes() if isinstance(attribute, np.ndarray | np.void) else bytes(attribute)
    labels = restricted_load(io.BytesIO(raw), what)
    return [tuple(str(part) for part in label) if isinstance(label, tuple) else (str(label),) for label in labels]


def is_h5(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return False
        about = os.fstat(file.fileno())
    if found := _harm(path, about.st_size, about.st_mtime_ns):
        raise SmoothNetError(f"{path} is damaged: reading it {found}; restore it or write it again")
    return True


@lru_cache(maxsize=256)
def _harm(path: Path, size: int, changed: int) -> str | None:
    """What reading a file does to the process, found out apart: damage can hold the HDF5 library or crash it."""
    try:
        h5py = import_h5py()
    except SmoothNetError:
        return None  # whoever reads it says what is missing

    def walk() -> None:
        def visit(name: str, member: Any) -> None:
            with suppress(Exception):
                dict(member.attrs)
            if isinstance(member, h5py.Dataset):
                with suppress(Exception):
                    [dimension.label for dimension in member.dims]
                with suppress(Exception):
                    if plain_dataset(member.parent, member.name.rpartition("/")[2]).nbytes <= 2**22:
                        member[()]

        with h5py.File(path, "r") as file:
            file.visititems(visit)

    return harm(walk, SECONDS)


def members(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the datasets at the top of the file, () for groups; empty where it cannot be opened."""
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            return {name: getattr(plain_member(file, name), "shape", ()) or () for name in islice(file, _MOST)}
    except Exception:  # damaged, or not of this library: the reader says so
        return {}


def sniff_h5(path: Path) -> bool:
    """A pandas data frame in HDF5."""
    if not is_h5(path):
        return False
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            return any("pandas_type" in plain_member(file, name).attrs for name in islice(file, _MOST))
    except Exception:  # no HDF5, or damaged: the reader says so
        return not members(path)


def read_h5(path: Path, **_: Any) -> Recording:
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            blocks = _find_blocks(file)
            tables = [_read_block(file, block) for block in blocks]
            index = _read_index(file)
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise SmoothNetError(f"{path} is not a DeepLabCut .h5 file: {error}".replace("\n", " ")) from error
    places = [(b, column) for b, block in enumerate(blocks) for column in range(len(block.labels))]
    labels = [blocks[b].labels[column] for b, column in places]
    if not labels or any(len(label) not in (3, 4) for label in labels) or len({len(t) for t in tables}) != 1:
        raise SmoothNetError(
            f"{path} is not a DeepLabCut .h5 file: its columns must be labelled scorer, (individuals,) "
            "bodyparts, coords"
        )
    named = [(label[1] if len(label) == 4 else "", label[-2], label[-1]) for label in labels]
    matrix = np.hstack([table.astype(np.float64) for table in tables])
    matrix[~np.isfinite(matrix)] = np.nan
    frames = _frames(path, index, len(matrix))
    tracks, names = [], set()
    for id, parts in label_columns(named).items():
        groups = by_axes(parts)
        for axes, order in groups:
            track = _track(id, matrix, frames, parts, axes, order)
            track.part = f"{len(axes)}D" if len(groups) > 1 else track.part
            tracks.append(track)
            names.add(tuple(order))
    if not tracks:
        raise SmoothNetError(f"{path} has no columns x and y below its bodyparts")
    shared = names.pop() if len(names) == 1 else None
    count = int(frames.max()) + 1 if len(frames) else 0
    return Recording(path, "deeplabcut-h5", tracks, count, names=shared, source=(blocks, places, frames))


def _frames(path: Path, index: np.ndarray | None, rows: int) -> np.ndarray:
    """The frame of each row: by pandas' index, which may leave rows out or have another order, else as they come."""
    if index is not None and index.dtype.kind == "S" and index.shape == (rows,):
        return picture_frames(path, [text.decode("utf-8", "replace") for text in index.tolist()])
    if index is None or index.shape != (rows,) or index.dtype.kind not in "iu" or len(np.unique(index)) < rows:
        return np.arange(rows)
    numbers = timeline(index.tolist())
    return np.array([numbers[label] for label in index.tolist()], np.int64)


def _track(
    id: str, matrix: np.ndarray, frames: np.ndarray, parts: dict[str, dict[str, int]], axes: str, order: list[str]
) -> Track:
    columns = np.array([[parts[name][axis] for axis in axes] for name in order])
    count = int(frames.max()) + 1 if len(frames) else 0
    points = np.full((count, *columns.shape), np.nan)
    points[frames] = matrix[:, columns]
    points[np.isnan(points).any(axis=2)] = np.nan
    scores = None
    if any("likelihood" in parts[name] for name in order):
        scores = np.full(points.shape[:2], np.nan)
        for k, name in enumerate(order):
            if "likelihood" in parts[name]:
                scores[frames, k] = matrix[:, parts[name]["likelihood"]]
    in_file = np.zeros(points.shape[:2], dtype=bool)
    in_file[frames] = True
    return Track(id, points, scores=scores, in_file=in_file, where=columns)


# ------------------------------------------------------------------------------------------- what a file may ask for

_ALWAYS = 2**26  # bytes that any file may unpack to
_TIMES = 100  # of its size that it may unpack to beyond: poses are noise, which packs badly


def plain_member(group: Any, name: str) -> Any:
    """The member of a group, which must lie in this file: a link to another is not followed."""
    h5py = import_h5py()
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise SmoothNetError(f"{group.file.filename} was refused: {name} lies in another file ({link.filename})")
    return group[name]


def plain_dataset(group: Any, name: str) -> Any:
    """A dataset whose numbers lie in this file, and are not many more than it can hold.

    Raises:
        SmoothNetError: it is virtual or has external storage, so that reading would read and writing would overwrite
            other files; or it unpacks to far more than poses can be packed from.
    """
    h5py = import_h5py()
    dataset, path = plain_member(group, name), group.file.filename
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise SmoothNetError(f"{path} was refused: the numbers of {dataset.name} lie in other files")
    if dataset.dtype.hasobject and dataset.size > 2**20:
        raise SmoothNetError(f"{path} was refused: {dataset.name} holds {dataset.size} texts")
    needed, size = dataset.size * dataset.dtype.itemsize, group.file.id.get_filesize()
    if needed > max(_ALWAYS, _TIMES * size):
        raise SmoothNetError(f"{path} was refused: its {size} bytes would unpack to {needed}, which no recording does")
    return dataset


def _find_blocks(file: Any) -> list[Block]:
    """The blocks of floats of the first data frame in the file."""
    for name in file:
        group = plain_member(file, name)
        kind = group.attrs.get("pandas_type", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if kind == "frame_table":
            return _table_blocks(group)
        if kind == "frame":
            return _fixed_blocks(group)
    raise KeyError("no pandas data frame in it")


def _read_index(file: Any) -> np.ndarray | None:
    """What names the rows of the first data frame in the file: pandas' index, if it is one column of numbers."""
    for name in file:
        group = plain_member(file, name)
        if "pandas_type" not in group.attrs:
            continue
        if "table" in group:
            table = plain_dataset(group, "table")
            return table["index"] if "index" in (table.dtype.names or ()) else None
        if "axis1_nlevels" in group.attrs:  # labeled-data, video, img0012.png
            return np.array(["/".join(words).encode() for words in _fixed_labels(group, "axis1")])
        return plain_dataset(group, "axis1")[:] if "axis1" in group else None
    return None


def _table_blocks(group: Any) -> list[Block]:
    table = plain_dataset(group, "table")
    names = [name for name in table.dtype.names or () if name.startswith("values_block_")]
    return [
        Block(table.name, name, _unpickle_labels(table.attrs[f"{name}_kind"], f"{group.file.filename}, {name}_kind"))
        for name in names
        if table.dtype[name].base.kind == "f"
    ]


def _fixed_blocks(group: Any) -> list[Block]:
    found = []
    for index in range(min(int(group.attrs["nblocks"]), _MOST)):
        values = plain_dataset(group, f"block{index}_values")
        if values.dtype.kind == "f":
            found.append(Block(values.name, None, _fixed_labels(group, f"block{index}_items")))
    return found


def _fixed_labels(group: Any, axis: str) -> list[tuple[str, ...]]:
    """Labels of an axis of the "fixed" layout: for each level the distinct names, and a code a column."""
    levels = []
    for level in range(min(int(group.attrs[f"{axis}_nlevels"]), _MOST)):
        raw = plain_dataset(group, f"{axis}_level{level}")[:]
        names = [n.decode("utf-8") if isinstance(n, bytes) else str(n) for n in raw]
        levels.append([names[code] for code in plain_dataset(group, f"{axis}_label{level}")[:]])
    return list(zip(*levels, strict=True))


def _read_block(file: Any, block: Block) -> np.ndarray:
    values = file[block.dataset][:]
    values = values[block.field] if block.field else values
    if values.ndim != 2 or values.shape[1] != len(block.labels):
        raise ValueError(f"{block.dataset} has shape {values.shape} for {len(block.labels)} labelled columns")
    return values


def write_h5(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    blocks, places, frames = recording.source

    def change(file: Any) -> None:
        for index, block in enumerate(blocks):
            parent, _, name = block.dataset.rpartition("/")
            dataset = plain_dataset(file[parent or "/"], name)  # again: the file may have changed since it was read
            whole = dataset[:]
            values = whole[block.field] if block.field else whole
            touched = False
            for track, new in zip(recording.tracks, smoothed, strict=True):
                changed = (np.isfinite(new) & (new != track.points))[frames]
                for k, d in np.argwhere(changed.any(axis=0)):
                    of_block, column = places[track.where[k, d]]
                    if of_block == index:
                        rows = changed[:, k, d]
                        values[rows, column] = new[frames[rows], k, d]
                        touched = True
            if touched:
                dataset[:] = whole

    _write_changed(recording.path, out, change)


def write_arrays(path: Path, out: Path, changes: Mapping[str, Callable[[np.ndarray], None]]) -> None:
    """A copy of an HDF5 file with some datasets changed in place: for each by name what changes its array.

    Raises:
        SmoothNetError: the file has changed into one whose numbers lie elsewhere, or is damaged; `out` cannot be
            written.
    """

    def change(file: Any) -> None:
        for name, change_array in changes.items():
            parent, _, last = name.rpartition("/")
            dataset = plain_dataset(file[parent or "/"], last)
            array = dataset[:]
            before = array.tobytes()
            change_array(array)
            if array.tobytes() != before:
                dataset[:] = array

    _write_changed(path, out, change)


def _write_changed(path: Path, out: Path, change: Callable[[Any], None]) -> None:
    """A copy of an HDF5 file after `change(file)`; apart first, as damage can lie where only writing comes upon it."""
    h5py = import_h5py()

    def changed() -> bytes:
        copy = io.BytesIO(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            change(file)
        return copy.getvalue()

    if found := harm(changed, SECONDS + path.stat().st_size / 1e7):
        raise SmoothNetError(f"{path} is damaged: writing a copy of it {found}; restore it or write it again")
    content = changed()
    with atomic_write(out) as file:
        file.write(content)


def read_texts(group: Any, name: str) -> list[str]:
    """A dataset of texts, of fixed or any length."""
    return [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in plain_dataset(group, name)[:]]
