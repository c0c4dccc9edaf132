# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The lines of a stream as a file (.jsonl): {"keypoints": [[x, y], ...]}, {"people": [...]} or [[x, y], ...] a frame.

What a live stream takes line by line (`smooth - --stream`); here a file is smoothed as a whole and every other byte of
its lines stays.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .content import Content
from .content import Person as Somebody
from .documents import as_list, as_object, read_numbers
from .frames import LINES, Found, Person, read_frames, sniff_frames
from .layout import Layout, Piece, fitting
from .meaning import place_of_score
from .recording import Recording

# What keys may be called, here and in a live stream.
PEOPLE = ("people", "instances")
IDS = ("id", "track_id", "person_id")
SCORES = ("scores", "keypoint_scores")


def people(value: Any, where: str, numbered: bool = False, said: Piece | None = None) -> list[Person] | None:
    """Who is in a line; see `frames.People`. `numbered`: each line has an id of its own, which is none of a person;
    `said`: what the numbers of a joint are."""
    if isinstance(value, list):
        if value and not all(isinstance(joint, list) for joint in value):
            return None
        return _persons([((), {"keypoints": value})], (), where, said)
    if not isinstance(value, dict):
        return None
    key = next((key for key in PEOPLE if key in value), None)
    if key is not None:
        persons = [as_object(p, f"{where}, {key}") for p in as_list(value[key] or [], f"{where}, {key}")]
        return _persons([((key, i), person) for i, person in enumerate(persons)], ("keypoints",), where, said)
    if "keypoints" in value and isinstance(value["keypoints"], list | None):
        found = _persons([((), value)], ("keypoints",), where, said)
        return [replace(person, id=None) for person in found] if numbered else found
    return None


def _persons(members: list[tuple[tuple, dict]], last: tuple, where: str, said: Piece | None) -> list[Person]:
    persons = []
    for path, person in members:
        keypoints = person.get("keypoints")
        if not keypoints:
            continue
        table = read_numbers(keypoints, f"{where}, keypoints")
        if table.ndim != 2 or (said is None and table.shape[1] not in (2, 3)):
            raise SmoothNetError(f"{where}: keypoints must be [[x, y], ...] or [[x, y, z], ...]")
        stride = table.shape[1]
        piece = said or Piece(tuple(range(stride)))
        fitting((piece,), stride, where)
        scores = next((person[key] for key in SCORES if person.get(key) is not None), None)
        given = None if scores is None else read_numbers(scores, f"{where}, scores")
        if given is not None and given.shape != (len(table),):
            raise SmoothNetError(f"{where}: there must be one score a joint")
        given = given if piece.score is None else table[:, piece.score]
        points = table[:, list(piece.numbers)]
        points[~np.isfinite(points).all(axis=1)] = np.nan
        id = next((person[key] for key in IDS if isinstance(person.get(key), int | str | float)), None)
        part = f"{len(piece.numbers)}D"
        persons.append(Person(id, [Found(part, (*path, *last), points, given, stride, numbers=piece.numbers)]))
    return persons


def sniff_lines(path: Path) -> bool:
    return path.suffix.lower() in LINES and sniff_frames(path, people, nobody=True)


def read_lines_file(path: Path, layout: Layout | None = None, **_: Any) -> Recording:
    if path.suffix.lower() not in LINES:
        raise SmoothNetError(f"{path} is not a .jsonl file with one frame a line")
    what = 'frame of a stream: an object with "keypoints" or "people", or a list of joints'
    said = layout.pieces[0] if layout is not None and layout.pieces else None
    if said is not None and said.form != "points":
        raise SmoothNetError(f"{path}: rotations are not read from lines of a stream; save them as .npy")
    numbered = False

    def look(frames: list[tuple[Any, str]]) -> None:
        nonlocal numbered
        ids = [next((line[key] for key in IDS if key in line), None) for line, _ in frames if isinstance(line, dict)]
        numbered = 1 < len(ids) == len({str(id) for id in ids})

    recording = read_frames(path, "jsonl", lambda value, where: people(value, where, numbered, said), what, look)
    if said is None:
        _refuse_scores(recording)
    return recording


def _refuse_scores(recording: Recording) -> None:
    """Refuse scores among the coordinates: [x, y, score], which a stream takes for z, and [score, x, y]."""
    tables = [track.points.reshape(-1, 3) for track in recording.tracks if track.points.shape[2] == 3]
    place = place_of_score(np.concatenate(tables)) if tables else None
    if place is not None:
        which, said = (("first", "score,x,y"), ("third", "x,y,score"))[place > 0]
        raise SmoothNetError(
            f"{recording.path}: the {which} number of a joint is a score by its values; say --layout {said}, or write "
            '{"keypoints": [[x, y], ...], "scores": [...]} a line'
        )


def make_lines(content: Content, out: Path) -> None:
    """One line a frame, as a stream takes them; null is missing."""
    several = len(content.people) > 1
    with atomic_write(out, "w") as file:
        for people in content.by_frame():
            persons = [_person(somebody, t, several) for somebody, t in people]
            line = {"people": persons} if several else next(iter(persons), {"keypoints": None})
            file.write(json.dumps(line) + "\n")


def _person(somebody: Somebody, t: int, several: bool) -> dict[str, Any]:
    person: dict[str, Any] = {}
    if several:
        person["id"] = somebody.id if isinstance(somebody.id, int | str) else str(somebody.id)
    person["keypoints"] = [[None if x != x else x for x in joint] for joint in somebody.points[t].tolist()]
    if somebody.scores is not None:
        person["scores"] = [None if score != score else score for score in somebody.scores[t].tolist()]
    return person
