# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Cells of text tables with their places in the file, for tables that have more than one number in a cell."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

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
