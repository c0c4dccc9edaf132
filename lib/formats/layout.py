# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a user says of an array or table that it does not say itself: `--layout "tkd; x,y,score; missing=-1"`.

Three words in any number and order, parted by blanks or semicolons:

- **axes**, a letter each: c cameras, p people, t frames, k joints, d the numbers of a joint. Each camera and each
  person becomes a track. Two axes that lie flat in one stand side by side: of shape (T, K*D), `tkd` has the numbers
  of a joint together, `tdk` first every x, then every y.
- **numbers of a joint**, parted by commas: x, y, z; score (or conf, confidence, visibility, likelihood); _ for one to
  leave alone; qw, qx, qy, qz and rx, ry, rz (axis times angle in radians) for rotations. Or, for all of a joint, one
  of the words in `ROTATION_WORDS`.
- **missing=VALUE**: points whose coordinates all have this value were not found; missing=none: no value means that.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..utils.errors import SmoothNetError

LETTERS = {"c": "cameras", "p": "people", "t": "frames", "k": "joints", "d": "numbers of a joint"}
ROTATION_WORDS = {
    "axis-angle": ("rx", "ry", "rz"),
    "wxyz": ("qw", "qx", "qy", "qz"),
    "xyzw": ("qx", "qy", "qz", "qw"),
    "matrix": tuple(f"r{row}{column}" for row in range(3) for column in range(3)),
    "6d": ("a0", "b0", "a1", "b1", "a2", "b2"),  # two columns of the matrix, row by row: as this project has them
    "6d-vectors": ("a0", "a1", "a2", "b0", "b1", "b2"),  # one after the other
}
_POINT = ("x", "y", "z")
_SCORES = ("score", "conf", "confidence", "visibility", "likelihood")
_SKIP = "_"


@dataclass(frozen=True)
class Piece:
    """Some numbers of a joint that belong together: a point or a rotation."""

    numbers: tuple[int, ...]  # which of the numbers of a joint
    form: str = "points"  # or a word of ROTATION_WORDS
    score: int | None = None  # which of them is the score


@dataclass(frozen=True)
class Layout:
    """What a user said; None and "auto": to be told from the values."""

    axes: str | None = None
    columns: tuple[str, ...] | None = None
    missing: float | str = "auto"  # "auto" | "none" | the value

    @property
    def pieces(self) -> tuple[Piece, ...] | None:
        return None if self.columns is None else _pieces(self.columns)


def fitting(pieces: tuple[Piece, ...], numbers: int, where: str) -> tuple[Piece, ...]:
    """The pieces, if joints of so many numbers have them all.

    Raises:
        SmoothNetError: they have not.
    """
    needed = 1 + max(max(*piece.numbers, -1 if piece.score is None else piece.score) for piece in pieces)
    if needed > numbers:
        raise SmoothNetError(f"{where}: its joints have {numbers} numbers, --layout asks for {needed}")
    return pieces


def parse_layout(text: str | Layout | None) -> Layout:
    """The layout that `text` describes; see the module's head.

    Raises:
        SmoothNetError: a word that means nothing, twice the same letter, numbers that make no point or rotation.
    """
    if text is None or isinstance(text, Layout):
        return text or Layout()
    given: dict[str, object] = {}
    for word in re.split(r"[\s;]+", text.strip().lower()):
        if not word:
            continue
        key, value = _read_word(word)
        if key in given:
            raise SmoothNetError(f"--layout {text!r} says the {key} twice")
        given[key] = value
    return Layout(**given)  # type: ignore[arg-type]


def _read_word(word: str) -> tuple[str, object]:
    if word.startswith("missing="):
        return "missing", _missing(word.removeprefix("missing="))
    if word in ROTATION_WORDS:
        return "columns", ROTATION_WORDS[word]
    names = tuple("score" if name in _SCORES else name for name in word.split(","))
    known = {*_POINT, "score", _SKIP, *(n for names in ROTATION_WORDS.values() for n in names)}
    if set(names) <= known:
        _pieces(names)
        return "columns", names
    if set(word) <= LETTERS.keys():
        if len(set(word)) < len(word) or "t" not in word:
            raise SmoothNetError(f"--layout {word}: each letter once, and t (frames) among them")
        return "axes", word
    letters = ", ".join(f"{letter} {name}" for letter, name in LETTERS.items())
    raise SmoothNetError(
        f"--layout: {word!r} is neither axes ({letters}) nor numbers of a joint (x,y,z,score,_ or "
        f"{', '.join(ROTATION_WORDS)}) nor missing=VALUE"
    )


def _missing(text: str) -> float | str:
    if text == "none":
        return "none"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SmoothNetError(f"--layout missing={text}: give a number, or none")
    return value


def _pieces(columns: tuple[str, ...]) -> tuple[Piece, ...]:
    """The points and rotations that the numbers of a joint make."""
    said = ",".join(columns)
    places = {name: i for i, name in enumerate(columns) if name != _SKIP}
    if len(places) < sum(name != _SKIP for name in columns):
        raise SmoothNetError(f"--layout {said} names a number twice")
    pieces = []
    axes = [name for name in _POINT if name in places]
    if axes:
        if axes not in (["x"], ["x", "y"], ["x", "y", "z"]):
            raise SmoothNetError(f"--layout {said}: a point is x or x,y or x,y,z")
        pieces.append(Piece(tuple(places[name] for name in axes), score=places.get("score")))
    rest = {name for name in places if name not in (*_POINT, "score")}
    for form, names in ROTATION_WORDS.items():
        # wxyz and xyzw are the same four numbers in another order, as are the two of 6d: the first word takes them.
        if set(names) <= rest:
            pieces.append(Piece(tuple(places[name] for name in names), form, None if axes else places.get("score")))
            rest -= set(names)
    if rest or not pieces:
        raise SmoothNetError(f"--layout {said} makes no points (x,y) or rotations (such as qw,qx,qy,qz)")
    return tuple(pieces)
