# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""DeepLabCut .csv: pandas' header of several rows, scorer, (individuals,) bodyparts, coords."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..utils.errors import SmoothNetError
from .recording import Recording
from .tables import by_axes, frame_count, make_table, make_track, number_frames, read_lines, refuse_ragged, split_row
from .timeline import refuse_pictures, refuse_sequences, timeline

Owner = TypeVar("Owner", bound=Hashable)


def picture_frames(path: Path, labels: list[str]) -> np.ndarray:
    """The frames of rows by the pictures that they are of: labeled-data/video/img0012.png.

    Raises:
        SmoothNetError: they are of several videos, or single ones of a video.
    """
    refuse_sequences(path, labels)
    refuse_pictures(path, labels)
    numbers = timeline(labels)
    frames = np.array([numbers[label] for label in labels], dtype=np.int64)
    return frames if len(np.unique(frames)) == len(frames) else np.arange(len(frames))


def sniff_deeplabcut(path: Path) -> bool:
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").startswith(b"scorer,")


def read_deeplabcut(path: Path, **_: Any) -> Recording:
    lines = read_lines(path)
    header = _header(path, lines)
    table = make_table(path, lines, ",", len(header))
    width = len(header["coords"])
    refuse_ragged(table, width, "the header")
    if len({cells[0] for cells in table.cells}) == len(table.cells) and table.plain_column(0) is not None:
        number_frames(table, 0, "of frames")  # rows may be left out, or stand in another order
    elif table.plain_column(0) is None:
        words = [[cell.strip().strip('"') for cell in cells] for cells in table.cells]
        index = [column for column, coord in enumerate(header["coords"]) if coord in ("", "coords")]
        table.frames = picture_frames(path, ["/".join(cells[column] for column in index) for cells in words])
    labels = list(zip(header.get("individuals", [""] * width), header["bodyparts"], header["coords"], strict=True))
    tracks, names = [], set()
    for id, parts in label_columns(labels).items():
        groups = by_axes(parts)
        for axes, order in groups:
            columns = [[parts[name][axis] for axis in axes] for name in order]
            track = make_track(table, id, columns, [parts[name].get("likelihood") for name in order], order)
            track.part = f"{len(axes)}D" if len(groups) > 1 else track.part
            tracks.append(track)
            names.add(tuple(order))
    if not tracks:
        raise SmoothNetError(f"{path} has no columns x and y below its bodyparts")
    shared = names.pop() if len(names) == 1 else None
    return Recording(path, "deeplabcut", tracks, frame_count(table), names=shared, source=table)


def _header(path: Path, lines: list[str]) -> dict[str, list[str]]:
    """The rows of the header by their first cell, all of one length."""
    header: dict[str, list[str]] = {}
    for line in lines[:4]:
        cells = [cell.strip().strip('"') for cell in split_row(line.lstrip("\ufeff"), ",")]
        if cells[0] not in ("scorer", "individuals", "bodyparts", "coords") or cells[0] in header:
            break
        header[cells[0]] = cells
    if not {"scorer", "bodyparts", "coords"} <= header.keys():
        raise SmoothNetError(f"{path}: a DeepLabCut .csv starts with the rows scorer, bodyparts and coords")
    width = len(header["coords"])
    for name, cells in header.items():
        if len(cells) != width:
            raise SmoothNetError(f"{path}: the header row {name} has {len(cells)} cells, coords has {width}")
    return header


def label_columns(labels: Iterable[tuple[Owner, str, str]]) -> dict[Owner, dict[str, dict[str, int]]]:
    """individual -> bodypart -> x, y, (z,) (likelihood) -> column, from (individual, bodypart, coord)."""
    individuals: dict[Owner, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for column, (individual, bodypart, coord) in enumerate(labels):
        if coord in ("x", "y", "z", "likelihood"):
            individuals[individual][bodypart][coord] = column
    return individuals
