"""DeepLabCut .h5: a pandas table in HDF5, read and changed in place of a copy with h5py alone.

pandas.read_hdf would unpickle whatever the file holds. Here the column labels are read with the restricted
unpickler, and writing changes numbers in a copy of the file, so all else in it stays byte for byte. Both
layouts of pandas are known: "table" (what DeepLabCut writes for videos) with the rows in one compound
dataset, and "fixed" with a plain matrix.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.unpickle import restricted_load
from .recording import Recording, Track
from .tables import deeplabcut_columns

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass
class Block:
    """Numbers in the file: a dataset, or a field of a compound one; `labels` names its columns."""

    dataset: str
    field: str | None
    labels: list[tuple[str, ...]]


def _h5py():
    try:
        import h5py
    except ImportError as error:
        raise SmoothNetError("reading .h5 files needs h5py: pip install h5py") from error
    return h5py


def _unpickle_labels(attribute: Any, what: str) -> list[tuple[str, ...]]:
    raw = attribute.tobytes() if isinstance(attribute, np.ndarray | np.void) else bytes(attribute)
    labels = restricted_load(io.BytesIO(raw), what)
    return [tuple(str(part) for part in label) if isinstance(label, tuple) else (str(label),) for label in labels]


def detect_h5(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def read_h5(path: Path, **_) -> Recording:
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            blocks = _find_blocks(file)
            tables = [_read_block(file, block) for block in blocks]
    except SmoothNetError:
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise SmoothNetError(f"{path} is not a DeepLabCut .h5 file: {error}") from error
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
    tracks, names = [], None
    for id, parts in deeplabcut_columns(named).items():
        if not parts:
            continue
        order = list(parts)
        columns = np.array([[parts[n][axis] for axis in "xyz" if axis in parts[n]] for n in order])
        points = matrix[:, columns]
        points[np.isnan(points).any(axis=2)] = np.nan
        scores = None
        if all("likelihood" in parts[n] for n in order):
            scores = matrix[:, [parts[n]["likelihood"] for n in order]]
        tracks.append(Track(id, points, scores=scores, where=columns))
        names = tuple(order) if names in (None, tuple(order)) else ()
    if not tracks:
        raise SmoothNetError(f"{path} has no columns x and y below its bodyparts")
    return Recording(path, "deeplabcut-h5", tracks, len(matrix), names=names or None, source=(blocks, places))


def _find_blocks(file) -> list[Block]:
    """The blocks of floats of the first data frame in the file."""
    for group in file.values():
        kind = group.attrs.get("pandas_type", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if kind == "frame_table":
            table = group["table"]
            names = [name for name in table.dtype.names if name.startswith("values_block_")]
            return [
                Block(
                    table.name,
                    name,
                    _unpickle_labels(table.attrs[f"{name}_kind"], f"{file.filename}, {name}_kind"),
                )
                for name in names
                if table.dtype[name].base.kind == "f"
            ]
        if kind == "frame":
            found = []
            for index in range(int(group.attrs["nblocks"])):
                values = group[f"block{index}_values"]
                if values.dtype.kind == "f":
                    found.append(Block(values.name, None, _fixed_labels(group, f"block{index}_items")))
            return found
    raise KeyError("no pandas data frame in it")


def _fixed_labels(group, axis: str) -> list[tuple[str, ...]]:
    """Labels of an axis of the "fixed" layout: for each level the distinct names, and a code a column."""
    levels = []
    for level in range(int(group.attrs[f"{axis}_nlevels"])):
        names = [n.decode("utf-8") if isinstance(n, bytes) else str(n) for n in group[f"{axis}_level{level}"][:]]
        levels.append([names[code] for code in group[f"{axis}_label{level}"][:]])
    return list(zip(*levels, strict=True))


def _read_block(file, block: Block) -> np.ndarray:
    values = file[block.dataset][:]
    values = values[block.field] if block.field else values
    if values.ndim != 2 or values.shape[1] != len(block.labels):
        raise ValueError(f"{block.dataset} has shape {values.shape} for {len(block.labels)} labelled columns")
    return values


def write_h5(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    h5py = _h5py()
    blocks, places = recording.source
    copy = io.BytesIO(recording.path.read_bytes())
    with h5py.File(copy, "r+") as file:
        for index, block in enumerate(blocks):
            whole = file[block.dataset][:]
            values = whole[block.field] if block.field else whole
            touched = False
            for track, new in zip(recording.tracks, smoothed, strict=True):
                changed = np.isfinite(new) & (new != track.points)
                for k, d in np.argwhere(changed.any(axis=0)):
                    of_block, column = places[track.where[k, d]]
                    if of_block == index:
                        rows = changed[:, k, d]
                        values[rows, column] = new[rows, k, d]
                        touched = True
            if touched:
                file[block.dataset][:] = whole
    with atomic_write(out) as file:
        file.write(copy.getvalue())
