# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What is carried over from a recording to a file of another form: people with their points and scores, the names of
the joints, the frame rate.

A form that can be written anew has a `Maker` in its row of `FORMATS`. Of a recording with several kinds of points (in
2D and 3D, in pixels and in metres) one kind goes over, with all its parts (body, hands); `convert` says what does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import refuse_sparse
from .recording import Recording, Track
from .text import printable

_SPACE_ALONE = (3,)  # dims of forms for positions in space, which are better in metres than in widths of a picture


@dataclass
class Person:
    """One person: frame t of the arrays is frame `start + t` of the recording."""

    id: Hashable
    start: int
    points: np.ndarray  # (frames, joints, dims) float64, NaN where missing
    scores: np.ndarray | None  # (frames, joints), NaN where there is none


@dataclass
class Content:
    people: list[Person]
    frame_count: int
    joints: int
    dims: int
    names: tuple[str, ...] | None  # of the joints, where the recording has them
    fps: float | None
    notes: list[str]  # a maker's: what people must know of the file it wrote

    def joint_names(self) -> list[str]:
        """Names of the joints, no two the same; joint0, joint1, ... where they have none."""
        names, seen = list(self.names or (f"joint{k}" for k in range(self.joints))), set()
        for k, name in enumerate(names):
            name = name.strip() or f"joint{k}"
            while name in seen:
                name = f"{name}_{k}"
            names[k] = name
            seen.add(name)
        return names

    def labels(self) -> list[str]:
        """A name for each joint of each person, person by person: ID:NAME where there are several, as mocap has it."""
        if len(self.people) == 1:
            return self.joint_names()
        return [f"{person.id}:{name}" for person in self.people for name in self.joint_names()]

    def dense(self) -> tuple[np.ndarray, np.ndarray | None]:
        """(frames, people, joints, dims) points, and (frames, people, joints) scores or None; NaN where missing."""
        points = np.full((self.frame_count, len(self.people), self.joints, self.dims), np.nan)
        scores = np.full(points.shape[:3], np.nan) if any(p.scores is not None for p in self.people) else None
        for number, person in enumerate(self.people):
            frames = slice(person.start, person.start + len(person.points))
            points[frames, number] = person.points
            if scores is not None and person.scores is not None:
                scores[frames, number] = person.scores
        return points, scores

    def by_frame(self) -> list[list[tuple[Person, int]]]:
        """For each frame of the recording the people in it that show anything, each with the index of the frame in
        their arrays."""
        frames: list[list[tuple[Person, int]]] = [[] for _ in range(self.frame_count)]
        for person in self.people:
            for t in np.flatnonzero(np.isfinite(person.points).all(axis=2).any(axis=1)):
                frames[person.start + int(t)].append((person, int(t)))
        return frames


@dataclass(frozen=True)
class Maker:
    """How a form is written anew.

    Attributes:
        endings: of file names that choose it.
        write: writes a content to a path, whole or not at all.
        dims: of points that it can hold.
        holds: what else it can hold, of "names", "scores", "fps".
        rate: whether it cannot be without a frame rate.
    """

    endings: tuple[str, ...]
    write: Callable[[Content, Path], None]
    dims: tuple[int, ...]
    holds: frozenset[str] = frozenset()
    rate: bool = False


@dataclass
class Carried:
    """What became of a recording in another form."""

    lost: list[str]  # what was not carried over, each a few words
    notes: list[str]

    def text(self, out: str) -> str:
        what = f"not carried over: {', '.join(self.lost)}" if self.lost else "all was carried over"
        return f"{out}: {'; '.join([what, *self.notes])}"


def convert(
    recording: Recording, smoothed: list[np.ndarray] | None, maker: Maker, out: Path, fps: float | None = None
) -> Carried:
    """Write a recording in another form.

    Args:
        smoothed: of each track an array like its points, of which NaN leaves what was read; None: as it was read.
        maker: of the other form.
        out: the file to write.
        fps: frames a second, None: what the recording says.

    Returns:
        What was not carried over, and what else a user must know.

    Raises:
        SmoothNetError: the form cannot hold this recording, or the file cannot be written.
    """
    values = [track.points[0 : track.points.shape[0]].astype(np.float64) for track in recording.tracks]
    if smoothed is not None:
        values = [np.where(np.isfinite(new), new, old) for new, old in zip(smoothed, values, strict=True)]
    content, left = _content(recording, values, maker, out, fps or recording.fps)
    if maker.rate and content.fps is None:
        raise SmoothNetError(f"{out.name} needs a frame rate, which {recording.path} does not say: name it with --fps")
    for what, there in (
        ("names", content.names is not None),
        ("scores", any(person.scores is not None for person in content.people)),
        ("fps", content.fps is not None),
    ):
        if there and what not in maker.holds:
            left.append({"names": "names of joints", "scores": "scores", "fps": "the frame rate"}[what])
    maker.write(content, out)
    return Carried([*left, *recording.left_alone], content.notes)


def _content(
    recording: Recording, values: list[np.ndarray], maker: Maker, out: Path, fps: float | None
) -> tuple[Content, list[str]]:
    """What goes over, and what does not."""
    kinds: dict[tuple[int, bool], list[int]] = defaultdict(list)  # (dims, in metres beside pixels) -> tracks
    left: dict[str, None] = {}
    for number, track in enumerate(recording.tracks):
        if track.kind == "points":
            kinds[track.points.shape[2], "world" in track.part.lower()].append(number)
        else:
            left[f"{track.part} (rotations)"] = None
    fitting = [kind for kind in kinds if kind[0] in maker.dims]
    if maker.dims == _SPACE_ALONE:
        fitting.sort(key=lambda kind: not kind[1])
    if not fitting:
        there = " and ".join(f"{dims}D" for dims, _ in kinds) or ("rotations" if left else "nobody")
        needed = " or ".join(f"{dims}D" for dims in maker.dims)
        raise SmoothNetError(
            f"{out.name} would hold points in {needed}, {recording.path} holds {there}; choose another form"
        )
    for kind in kinds:
        if kind != fitting[0]:
            left |= dict.fromkeys(recording.tracks[number].part for number in kinds[kind])
    chosen = kinds[fitting[0]]
    parts: dict[str, int] = {}  # part -> joints
    for number in chosen:
        part = recording.tracks[number].part
        parts[part] = max(parts.get(part, 0), values[number].shape[1])
    joints, dims = sum(parts.values()), fitting[0][0]
    names = recording.names if len(parts) == 1 and recording.names and len(recording.names) == joints else None
    if len(parts) > 1:
        names = tuple(printable(f"{part}_{k}".replace(" ", "_")) for part, count in parts.items() for k in range(count))
    members: dict[Hashable, list[int]] = defaultdict(list)
    for number in chosen:
        members[recording.tracks[number].id].append(number)
    people = []
    laid_out = written = 0
    for id, numbers in members.items():
        tracks = [recording.tracks[number] for number in numbers]
        written += sum(int(np.prod(track.points.shape)) for track in tracks)
        laid_out += (max(t.start + len(t.points) for t in tracks) - min(t.start for t in tracks)) * joints * dims
        refuse_sparse(recording.path, laid_out, written)
        people.append(_person(id, tracks, [values[number] for number in numbers], parts, dims))
    return Content(people, recording.frame_count, joints, dims, names, fps, []), list(left)


def _person(id: Hashable, tracks: list[Track], values: list[np.ndarray], parts: dict[str, int], dims: int) -> Person:
    """All parts of one person side by side."""
    start = min(track.start for track in tracks)
    length = max(track.start + len(track.points) for track in tracks) - start
    points = np.full((length, sum(parts.values()), dims), np.nan)
    scored = any(track.scores is not None for track in tracks)
    scores = np.full(points.shape[:2], np.nan) if scored else None
    firsts = dict(zip(parts, np.cumsum([0, *parts.values()]).tolist(), strict=False))
    for track, new in zip(tracks, values, strict=True):
        first = firsts[track.part]
        at = slice(track.start - start, track.start - start + len(new)), slice(first, first + new.shape[1])
        points[at] = np.where(np.isfinite(new).all(axis=2, keepdims=True), new, points[at])
        if scores is not None and track.scores is not None:
            scores[at] = np.where(np.isfinite(track.scores), track.scores, scores[at])
    points[~np.isfinite(points).all(axis=2)] = np.nan
    return Person(id, start, points, scores)


def body_unit(content: Content) -> str:
    """ "m" or "mm", whichever lets the body be of a person's size; for forms that have to name a unit."""
    sizes = []
    for person in content.people:
        points = person.points[np.isfinite(person.points).all(axis=2).any(axis=1)]
        high, low = (np.where(np.isfinite(points), points, far) for far in (-np.inf, np.inf))
        if len(points):
            sizes.append(float(np.median((high.max(axis=1) - low.min(axis=1)).max(axis=1))))
    return "mm" if sizes and max(sizes) > 10 else "m"
