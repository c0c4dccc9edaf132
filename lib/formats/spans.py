# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Cells of text tables with their places in the file, and tables of numbers parted by blanks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .numbers import number_style
from .tables import split_row

_NUMBER = re.compile(r"(?<![\w.])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")


@dataclass
class Cell:
    text: str
    start: int  # of the text in the file


def cells_of(line: str, delimiter: str, start: int) -> list[Cell]:
    """The cells of a line that begins at `start` of the file."""
    cells, at = [], start
    for text in split_row(line, delimiter):
        cells.append(Cell(text, at))
        at += len(text) + len(delimiter)
    return cells


def number_spans(cell: Cell) -> np.ndarray:
    """(N, 2): where in the file the numbers of a cell begin and end."""
    spans = [(match.start() + cell.start, match.end() + cell.start) for match in _NUMBER.finditer(cell.text)]
    return np.array(spans, np.int64).reshape(-1, 2)


@dataclass
class Rows:
    """A table of numbers in a text: `values` (rows, columns), and where each begins and ends, (rows, columns, 2)."""

    values: np.ndarray
    spans: np.ndarray


def read_rows(text: str, start: int, columns: int, path: Path, separators: str = " \t") -> Rows:
    """The rows of numbers of a text from `start` to its end.

    Raises:
        SmoothNetError: a row of another length, or with something that is no number; names the line.
    """
    word = re.compile(rf"[^{re.escape(separators)}\r\n]+")
    values, spans = [], []
    for match in re.finditer(r"[^\r\n]+", text[start:]):
        words = list(word.finditer(match[0]))
        if not words:
            continue
        try:
            if len(words) != columns:
                raise ValueError(f"{len(words)} numbers where there should be {columns}")
            values.append([float(w[0]) for w in words])
        except ValueError as error:
            line = text.count("\n", 0, start + match.start()) + 1
            raise SmoothNetError(f"{path}, line {line}: {error}") from error
        first = start + match.start()
        spans.append([(w.start() + first, w.end() + first) for w in words])
    return Rows(np.array(values, np.float64).reshape(-1, columns), np.array(spans, np.int64).reshape(-1, columns, 2))


def write_rows(text: str, rows: Rows, new: np.ndarray, out: Path) -> None:
    """The text with the numbers of `new` (rows, columns) in place of those that differ, as their column writes them."""
    changed = np.isfinite(new) & (new != rows.values)
    pieces, end = [], 0
    styles = {}
    for column in np.flatnonzero(changed.any(axis=0)).tolist():
        styles[column] = number_style([text[a:b] for a, b in rows.spans[:, column].tolist()])
    for row, column in np.argwhere(changed).tolist():
        start, stop = rows.spans[row, column].tolist()
        pieces += [text[end:start], styles[column](float(new[row, column]))]
        end = stop
    pieces.append(text[end:])
    with atomic_write(out) as file:
        file.write("".join(pieces).encode("utf-8", "surrogateescape"))


def unwrapped(angles: np.ndarray, period: float) -> np.ndarray:
    """Angles (frames, N) without jumps of whole turns; NaN stays and is jumped over."""
    result = angles.copy()
    for column in range(angles.shape[1]):
        known = np.isfinite(angles[:, column])
        result[known, column] = np.unwrap(angles[known, column], period=period)
    return result
