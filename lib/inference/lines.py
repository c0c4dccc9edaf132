# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Live poses as lines of JSON: one frame a line in, one frame a line out.

A line is one of
    {"keypoints": [[x, y], ...], "scores": [...]}                         one person
    {"people": [{"id": 7, "keypoints": [[x, y], ...], "scores": [...]}]}  several
    [[x, y], ...]                                                          one person, bare
with two or three coordinates a joint (or other numbers, of which a layout says what they are); null coordinates, null
for a joint, and scores (optional) below min_score, mean missing; no people, an empty list or null, also as the whole
line, mean that nobody was seen. "instances" may stand for "people", "track_id" for "id" and "keypoint_scores" for
"scores". People without ids are matched as in files (`formats.association`). What else a line says comes back as it
was. The first line that is not null decides between one person and several.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from math import isinf
from typing import Any

import numpy as np

from ..formats.association import Association
from ..formats.documents import read_numbers
from ..formats.layout import Piece, fitting, parse_layout
from ..formats.lines import IDS, PEOPLE, SCORES
from ..utils.errors import SmoothNetError
from .methods import AnyStream


def smooth_lines(
    lines: Iterable[str | bytes],
    stream: AnyStream,
    min_score: float | None = None,
    layout: str | None = None,
) -> Iterator[str]:
    """Yield each line smoothed, as many frames after it was read as the stream's delay; the rest when the lines end.

    Args:
        lines: as said above, text or UTF-8.
        stream: from Smoothing.stream or Smoother.stream.
        min_score: points with a lower score are missing.
        layout: what the numbers of a joint are, as --layout takes it, such as x,y,score; None: x, y (, z).

    Raises:
        SmoothNetError: a line that is not of the form above, by its number.
    """
    association, said = Association(), _numbers_of(layout)
    waiting: deque[tuple[Any, list[Hashable]]] = deque()
    several = None
    for number, line in _numbered(lines):
        value = _parse(line, number)
        key = _people_key(value)
        several = key is not None if several is None and value is not None else several
        if several != (key is not None) and value is not None:
            raise SmoothNetError(f"line {number} is not of the form of the first line (one person or several)")
        frame: Any
        ids: list[Hashable]
        if value is None:
            frame, ids = ({} if several else None), []
        elif key is not None:
            frame, ids = _people(value, key, number, min_score, said, association)
        else:
            frame, ids = _points(value, number, min_score, said), [None]
        waiting.append((value, ids))
        try:
            out = stream.push(frame)
        except SmoothNetError as error:
            raise SmoothNetError(f"line {number}: {error}") from error
        if len(waiting) > stream.delay:
            yield _line(*waiting.popleft(), out, said)
    for out in stream.flush():
        yield _line(*waiting.popleft(), out, said)


def _numbers_of(layout: str | None) -> Piece | None:
    """What a layout says of the numbers of a joint, which is all that it can say of lines."""
    told = parse_layout(layout)
    pieces = told.pieces
    if told.axes is not None or told.missing != "auto" or (pieces is not None and len(pieces) > 1):
        raise SmoothNetError(
            f"--layout {layout!r}: of lines of a stream it says the numbers of a joint alone: x,y,score"
        )
    if pieces is not None and pieces[0].form != "points":
        raise SmoothNetError("rotations are not read from lines of a stream")
    return pieces[0] if pieces else None


def _numbered(lines: Iterable[str | bytes]) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8") if isinstance(line, bytes) else line
        except UnicodeDecodeError as error:
            raise SmoothNetError(f"line {number} is not UTF-8 (byte {error.start + 1} of it)") from error
        text = text.removeprefix("\ufeff") if number == 1 else text  # a mark of UTF-8 that shells put before it
        if text.strip():
            yield number, text


def _people(
    value: dict[str, Any],
    key: str,
    number: int,
    min_score: float | None,
    said: Piece | None,
    association: Association,
) -> tuple[dict[Hashable, np.ndarray], list[Hashable]]:
    """The people of a line that show anything, id -> (joints, dims), and the id of each person in it."""
    people = value[key] or []
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise SmoothNetError(f"line {number}: {key!r} must be a list of objects")
    poses = [_points(person, number, min_score, said) for person in people]
    ids: list[Any] = [next((p[name] for name in IDS if p.get(name) is not None), None) for p in people]
    if any(not isinstance(id, int | str | float) for id in ids) or len(set(ids)) < len(ids):
        shown = {i: pose for i, pose in enumerate(poses) if pose is not None}
        ids = [None] * len(people)
        for i, track in zip(shown, association.step(number, list(shown.values())), strict=True):
            ids[i] = f"track {track}"  # never the id of a file
    return {id: pose for id, pose in zip(ids, poses, strict=True) if pose is not None}, ids


def _parse(line: str, number: int) -> Any:
    def finite(text: str) -> float:
        decimal = float(text)
        if isinf(decimal):  # could not be written back as JSON
            raise SmoothNetError(f"line {number} holds the number {text[:40]}, which is too large")
        return decimal

    try:
        value = json.loads(line, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise SmoothNetError(f"line {number} is not valid JSON: {error}") from error
    if not isinstance(value, list | None) and not (
        isinstance(value, dict) and ("keypoints" in value or any(key in value for key in PEOPLE))
    ):
        raise SmoothNetError(f'line {number} must be an object with "keypoints" or "people", or a list of joints')
    return value


def _people_key(value: Any) -> str | None:
    return next((key for key in PEOPLE if isinstance(value, dict) and key in value), None)


def _points(person: Any, number: int, min_score: float | None, said: Piece | None) -> np.ndarray | None:
    """(joints, dims) of a person, NaN where missing; None if nobody is there."""
    joints = person.get("keypoints") if isinstance(person, dict) else person
    if not joints:
        return None
    if isinstance(joints, list) and None in joints:
        length = next((len(joint) for joint in joints if isinstance(joint, list)), 0)
        if not length:
            return None
        joints = [[None] * length if joint is None else joint for joint in joints]
    points = read_numbers(joints, f"line {number}: keypoints")
    if points.ndim != 2 or (said is None and points.shape[1] not in (2, 3)):
        raise SmoothNetError(f"line {number}: keypoints must be [[x, y], ...] or [[x, y, z], ...]")
    numbers = points
    if said is not None:
        fitting((said,), numbers.shape[1], f"line {number}")
        points = numbers[:, list(said.numbers)]
    if said is not None and said.score is not None:
        if min_score is not None:
            points[numbers[:, said.score] < min_score] = np.nan
        return points
    scores = next((person[key] for key in SCORES if key in person), None) if isinstance(person, dict) else None
    if min_score is not None and scores is not None:
        try:
            low = np.array([np.nan if s is None else float(s) for s in scores]) < min_score
        except (TypeError, ValueError, OverflowError):
            low = np.empty(0, dtype=bool)
        if len(low) != len(points):
            raise SmoothNetError(f"line {number}: there must be one score a joint")
        points[low] = np.nan
    return points


def _line(value: Any, ids: list[Hashable], out: Any, said: Piece | None) -> str:
    """The line with smoothed coordinates; what was missing keeps what it said."""
    key = _people_key(value)
    if key is not None:
        for id, person in zip(ids, value[key] or [], strict=True):
            if out and id in out:
                person["keypoints"] = _merge(person["keypoints"], out[id], said)
    elif out is not None and isinstance(value, dict) and value["keypoints"]:
        value["keypoints"] = _merge(value["keypoints"], out, said)
    elif out is not None and isinstance(value, list) and value:
        value = _merge(value, out, said)
    return json.dumps(value)


def _merge(joints: list, smoothed: np.ndarray, said: Piece | None) -> list:
    there = np.isfinite(smoothed).all(axis=1)
    if not there.any():  # null for each joint, of which there may be fewer than elsewhere
        return joints
    return [_put(old, said, new.tolist()) if ok else old for old, new, ok in zip(joints, smoothed, there, strict=True)]


def _put(joint: list, said: Piece | None, point: list[float]) -> list:
    """A joint with another point; its other numbers stay as they were."""
    if said is None:
        return point
    joint = list(joint)
    for place, value in zip(said.numbers, point, strict=True):
        joint[place] = value
    return joint
