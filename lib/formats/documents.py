# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JSON documents: read whole, changed number by number, so that every other byte stays as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.last_read import LastRead


@dataclass
class Slot:
    """The numbers of a person in a document, `stride` a joint, the coordinates first or at `numbers`.

    They are a list, nested or flat; with `axes`, objects with these keys ([{"x": 1, "y": 2}, ...]) or an object of
    lists ({"x": [...], "y": [...]}).
    """

    document: int
    path: tuple | np.ndarray  # in a JSON document; of a `Spanned` the places of its numbers, (joints, stride)
    joints: slice  # where its joints stand in the joints of the track
    stride: int
    axes: tuple[str, ...] = ()
    named: bool = False  # each joint says which one it is, so that others may be left out
    numbers: tuple[int, ...] = ()  # which of a joint's are its coordinates, where these are not the first


# Strings are matched first so that digits inside them are never taken for numbers.
_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*|-?Infinity|NaN|null)', re.DOTALL)


@dataclass
class Document:
    path: Path
    text: str
    value: Any

    def tokens(self) -> Tokens:
        return Tokens(self)


@dataclass
class Spanned:
    """Text of another form, of which a reader found the numbers itself: (N, 2) begin and end of each."""

    path: Path
    text: str
    spans: np.ndarray
    value: None = None

    def tokens(self) -> SpanTokens:
        return SpanTokens(self.text, self.spans)


def frame_files(folder: Path, ending: str) -> list[Path]:
    """The files of a folder with a file a frame, in the order of names; hidden ones are left out.

    Raises:
        SmoothNetError: something of that name is no file, such as a link to nowhere: the frame would be missing.
    """
    found = sorted(path for path in folder.glob(f"*{ending}") if not path.name.startswith("."))
    for path in found:
        if not path.is_file():
            raise SmoothNetError(
                f"{path} is no file but a folder, a device, a pipe or a link to nowhere; remove or replace it"
            )
    return found


@LastRead
def read_document(path: Path) -> Document:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_document(path, raw, str(path))


def parse_document(path: Path, raw: bytes, where: str) -> Document:
    """A document of these bytes, the whole file or a line of it, which `where` names in errors."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise SmoothNetError(f"{where} is nested too deeply to be a file of poses") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of thousands of digits
        lines = where == str(path) and str(error).startswith("Extra data: line 2 column 1")
        advice = f"; if it has a frame a line, name it {path.stem}.jsonl" if lines else ""
        raise SmoothNetError(f"{where} is not valid JSON: {error}{advice}") from error
    return Document(path, text, value)


class SpanTokens:
    """The numbers of a text by their places, and what is to stand there instead."""

    def __init__(self, text: str, spans: np.ndarray):
        self.text = text
        self.spans = spans
        self.changes: dict[int, str] = {}

    def at(self, slot: Slot) -> np.ndarray:
        """Token positions of a slot, shape (joints, stride)."""
        return np.asarray(slot.path)

    def token(self, ordinal: int) -> str:
        start, stop = self.spans[ordinal]
        return self.text[start:stop]

    def changed_text(self) -> str:
        pieces, end = [], 0
        for ordinal in sorted(self.changes, key=lambda ordinal: int(self.spans[ordinal, 0])):
            start, stop = self.spans[ordinal]
            pieces += [self.text[end:start], self.changes[ordinal]]
            end = stop
        pieces.append(self.text[end:])
        return "".join(pieces)


class Tokens(SpanTokens):
    """The number tokens of a document, and where each stands in the parsed structure."""

    def __init__(self, document: Document):
        ends = (end for match in _SCALAR.finditer(document.text) if match.group(1) for end in match.span(1))
        super().__init__(document.text, np.fromiter(ends, np.int64).reshape(-1, 2))
        # The same document with every number replaced by its position among the numbers: parsed, it has the
        # same shape as the original, so a path that led to a coordinate now leads to the place of its token.
        pieces, end = [], 0
        for ordinal, (start, stop) in enumerate(self.spans.tolist()):
            pieces += [self.text[end:start], str(ordinal)]
            end = stop
        pieces.append(self.text[end:])
        self.ordinals = json.loads("".join(pieces).removeprefix("\ufeff"))

    def at(self, slot: Slot) -> np.ndarray:
        value = self.ordinals
        for key in slot.path:
            value = value[key]
        return np.asarray(by_joints(value, slot.axes)).reshape(-1, slot.stride)


def by_joints(value: Any, axes: tuple[str, ...]) -> Any:
    """Objects with the keys `axes`, one of them, or an object of lists, as lists of the numbers of each joint."""
    if not axes:
        return value
    if isinstance(value, dict) and not isinstance(value[axes[0]], list):
        return [[value[axis] for axis in axes]]
    if isinstance(value, dict):
        return [list(numbers) for numbers in zip(*(value[axis] for axis in axes), strict=True)]
    return [[point[axis] for axis in axes] for point in value]


def read_numbers(values: Any, where: str) -> np.ndarray:
    """`values` as float64, None as NaN; anything that is not a rectangle of numbers is an error."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu" or _has_truth(values, array):
            array = np.asarray(_floats(values), dtype=np.float64)
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SmoothNetError(f"{where} must hold numbers only, in lists of equal length") from error


def _has_truth(values: Any, array: np.ndarray) -> bool:
    """Whether true or false stands among the numbers, which numpy takes for 1 and 0."""
    return bool(((array == 0) | (array == 1)).any()) and _finds_truth(values)


def _finds_truth(values: Any) -> bool:
    return any(type(value) is bool or (type(value) is list and _finds_truth(value)) for value in values)


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
