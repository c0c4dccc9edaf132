# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JSON documents: read whole, changed number by number, so that every other byte stays as it was."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError


@dataclass
class Slot:
    """A list of numbers in a document, `stride` a joint, the coordinates first."""

    document: int
    path: tuple
    joints: slice  # where its joints stand in the joints of the track
    stride: int


# Strings are matched first so that digits inside them are never taken for numbers.
_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*|-?Infinity|NaN|null)', re.DOTALL)


@dataclass
class Document:
    path: Path
    text: str
    value: Any


@functools.lru_cache(maxsize=1)  # telling the format and reading it look at the same file
def read_document(path: Path) -> Document:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        text = raw.decode("utf-8")
        value = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise SmoothNetError(f"{path} is nested too deeply to be a file of poses") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of thousands of digits
        raise SmoothNetError(f"{path} is not valid JSON: {error}") from error
    return Document(path, text, value)


class Tokens:
    """The number tokens of a document, and where each stands in the parsed structure."""

    def __init__(self, document: Document):
        self.text = document.text
        ends = (end for match in _SCALAR.finditer(self.text) if match.group(1) for end in match.span(1))
        self.spans = np.fromiter(ends, np.int64).reshape(-1, 2)
        # The same document with every number replaced by its position among the numbers: parsed, it has the
        # same shape as the original, so a path that led to a coordinate now leads to the place of its token.
        pieces, end = [], 0
        for ordinal, (start, stop) in enumerate(self.spans.tolist()):
            pieces += [self.text[end:start], str(ordinal)]
            end = stop
        pieces.append(self.text[end:])
        self.ordinals = json.loads("".join(pieces).removeprefix("\ufeff"))
        self.changes: dict[int, str] = {}

    def at(self, slot: Slot) -> np.ndarray:
        """Token positions of a slot, shape (joints, stride)."""
        value = self.ordinals
        for key in slot.path:
            value = value[key]
        return np.asarray(value).reshape(-1, slot.stride)

    def token(self, ordinal: int) -> str:
        start, stop = self.spans[ordinal]
        return self.text[start:stop]

    def changed_text(self) -> str:
        pieces, end = [], 0
        for ordinal in sorted(self.changes):
            start, stop = self.spans[ordinal]
            pieces += [self.text[end:start], self.changes[ordinal]]
            end = stop
        pieces.append(self.text[end:])
        return "".join(pieces)


def read_numbers(values: Any, where: str) -> np.ndarray:
    """`values` as float64, None as NaN; anything that is not a rectangle of numbers is an error."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            array = np.asarray(_floats(values), dtype=np.float64)
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SmoothNetError(f"{where} must hold numbers only, in lists of equal length") from error


def _floats(values: Any) -> Any:
    if isinstance(values, list):
        return [_floats(value) for value in values]
    if values is None:
        return np.nan
    if isinstance(values, int | float) and not isinstance(values, bool):
        return float(values)
    raise ValueError(values)


def as_list(value: Any, where: str) -> list:
    if not isinstance(value, list):
        raise SmoothNetError(f"{where} must be a list, not {type(value).__name__}")
    return value


def as_object(value: Any, where: str) -> dict:
    if not isinstance(value, dict):
        raise SmoothNetError(f"{where} must be an object, not {type(value).__name__}")
    return value
