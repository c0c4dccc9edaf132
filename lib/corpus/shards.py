# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files of many sequences: Parquet with a sequence a row, WebDataset (a tar file with a sequence a member).

A shard is one input and one output of the same form. A sequence in it that cannot be smoothed stays as it is and is
counted; the others are smoothed.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..formats import FORMATS, write_recording
from ..inference.methods import Smoothing
from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .inputs import POSES, parquet
from .storage import reason
from .tally import Tally, writing

_MAY_BE_ANYTHING = {".json", ".csv"}  # beside the poses of a sample: of no known format, they are left alone
MOST = 2**31  # bytes of one sequence


def smooth_tar(path: Path, target: Path, smoothing: Smoothing) -> Tally:
    """Smooth every member that is a file of poses; the others, and all that is said of members, stay.

    Raises:
        SmoothNetError: it is no tar file, is damaged, or has no poses.
    """
    tally = Tally()
    try:
        with (
            tarfile.open(path, "r:") as old,
            writing(),
            atomic_write(target) as file,
            tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as new,
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            for member in old:
                content = old.extractfile(member) if member.isfile() else None
                if content is None:
                    new.addfile(member)
                    continue
                if PurePosixPath(member.name).suffix.lower() in POSES and member.size < MOST:
                    given = Path(folder) / f"sequence{PurePosixPath(member.name).suffix.lower()}"
                    given.write_bytes(content.read())
                    smoothed = _smooth_sequence(given, smoothing, tally, f"member {member.name}")
                    content = open(smoothed, "rb")  # noqa: SIM115  (closed below)
                    member.size = smoothed.stat().st_size
                    member.pax_headers = {k: v for k, v in member.pax_headers.items() if k != "size"}
                new.addfile(member, content)
                content.close()
    except tarfile.TarError as error:
        raise SmoothNetError(f"{path} is no readable tar file: {reason(error)}") from error
    if not tally.sequences:
        raise SmoothNetError(f"{path} has no member with poses ({' '.join(sorted(POSES))})")
    return tally


def _smooth_sequence(given: Path, smoothing: Smoothing, tally: Tally, what: str) -> Path:
    """Smooth one sequence of a shard, in a file of its own; gives the file to take in its place."""
    try:
        recording = smoothing.read(given)
        values, report = smoothing(recording)
    except SmoothNetError as error:
        known = given.suffix not in _MAY_BE_ANYTHING or any(_tells(row, given) for row in FORMATS.values())
        if known:
            tally.fail(f"{what}: {str(error).replace(f'{given}: ', '').replace(str(given), 'it')}")
        return given
    out = given.with_stem("smoothed")
    write_recording(recording, values, out)
    tally.add(recording, report, smoothing.fps(recording), smoothing.options.min_score)
    return out


def _tells(row: Any, path: Path) -> bool:
    try:
        return row.sniff(path)
    except SmoothNetError:
        return True


# ---------------------------------------------------------------- Parquet


def smooth_parquet(path: Path, target: Path, smoothing: Smoothing) -> Tally:
    """Smooth the sequence in each row; schema, compression and all other columns stay.

    A row is taken as an .npz file would be whose arrays are the columns with nested lists of numbers, (frames, joints,
    dims) or (frames, channels), with the columns that are one number beside them, such as fps. So names decide what
    is smoothed as they do there: scores and boxes are left alone.

    Raises:
        SmoothNetError: pyarrow is not installed; it is no Parquet file, or has no such column.
    """
    import pyarrow as pa

    pq, tally = parquet(), Tally()
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        nested = [f.name for f in schema if _depth(f.type) >= 2]
        single = [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
        if not nested:
            raise SmoothNetError(
                f"{path} has no column of sequences (lists of frames, each a list of numbers or of joints)"
            )
        codec = file.metadata.row_group(0).column(0).compression if file.metadata.num_row_groups else "SNAPPY"
        with (
            writing(),
            atomic_write(target) as out,
            pq.ParquetWriter(out, schema, compression=codec.lower().replace("uncompressed", "none")) as writer,
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            first = 0
            for group in range(file.metadata.num_row_groups):
                table = file.read_row_group(group)
                rows = [_row(table, i, nested, single) for i in range(len(table))]
                changed = [
                    _smooth_row(row, Path(folder), smoothing, tally, f"row {first + i}") for i, row in enumerate(rows)
                ]
                first += len(rows)
                for name in nested:
                    if any(name in row for row in changed):
                        table = _with_column(table, name, [row.get(name) for row in changed])
                writer.write_table(table)
    except pa.ArrowException as error:
        raise SmoothNetError(f"{path} is no readable Parquet file: {reason(error)}") from error
    return tally


def _depth(kind: Any) -> int:
    """How deeply a type nests lists of numbers; 0 for all else."""
    import pyarrow as pa

    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth if pa.types.is_floating(kind) or pa.types.is_integer(kind) else 0


def _row(table: Any, i: int, nested: list[str], single: list[str]) -> dict[str, np.ndarray | str]:
    """The arrays of a row; in place of one that is none, why."""
    row: dict[str, np.ndarray | str] = {}
    for name in nested:
        value = table.column(name)[i]
        if value.is_valid:
            row[name] = _array(value.values)
    for name in single:
        value = table.column(name)[i]
        if value.is_valid:
            row[name] = np.asarray(value.as_py())
    return row


def _array(values: Any) -> np.ndarray | str:
    """A nested Arrow array as a numpy array; nulls are NaN."""
    import pyarrow as pa

    shape = [len(values)]
    while _depth(values.type):
        if values.null_count:
            return "has a frame that is null"
        lengths = np.unique(np.diff(_offsets(values)))
        if len(lengths) > 1:
            return "has frames of unequal size"
        shape.append(int(lengths[0]) if len(lengths) else 0)
        values = values.flatten()
    if pa.types.is_integer(values.type) and not values.null_count:
        return values.to_numpy(zero_copy_only=False).reshape(shape)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=_numpy(values.type)).reshape(shape)


def _offsets(values: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(values.type):
        return np.arange(len(values) + 1) * values.type.list_size
    return np.asarray(values.offsets)


def _numpy(kind: Any) -> type:
    return {"double": np.float64, "int64": np.float64, "int32": np.float64}.get(str(kind), np.float32)


def _smooth_row(
    row: dict[str, np.ndarray | str], folder: Path, smoothing: Smoothing, tally: Tally, what: str
) -> dict[str, np.ndarray]:
    """The arrays of a row that smoothing changed; none where it cannot be smoothed."""
    for name, value in row.items():
        if isinstance(value, str):
            tally.fail(f"{what}: {name} {value}")
            return {}
    given = folder / "sequence.npz"
    columns: dict[str, Any] = dict(row)
    np.savez(given, **columns)
    bad = tally.bad
    out = _smooth_sequence(given, smoothing, tally, what)
    if tally.bad > bad:
        return {}
    with np.load(out, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in row if arrays[name].ndim >= 2 and not _same(arrays[name], row[name])}


def _same(one: np.ndarray, other: np.ndarray | str) -> bool:
    return np.array_equal(one, np.asarray(other), equal_nan=True)


def _with_column(table: Any, name: str, arrays: list[np.ndarray | None]) -> Any:
    """The table with the numbers of some rows replaced; NaN where the file has nulls goes back as null."""
    import pyarrow as pa

    field, column = table.schema.field(name), table.column(name)
    values = [
        column[i] if array is None else pa.scalar(_lists(array, column[i].values), field.type)
        for i, array in enumerate(arrays)
    ]
    built = pa.array([value.as_py() for value in values], type=field.type)
    return table.set_column(table.schema.get_field_index(name), field, built)


def _lists(array: np.ndarray, old: Any) -> list:
    """Nested lists of an array, None where the old values have null."""
    while _depth(old.type):
        old = old.flatten()
    if not old.null_count:
        return array.tolist()
    values = array.astype(object)
    values[np.asarray(old.is_null()).reshape(array.shape)] = None
    return values.tolist()
