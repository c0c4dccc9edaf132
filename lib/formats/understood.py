# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The last step of every reader: missing and absurd points become NaN, and one line says what was understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..utils.blocks import by_frames
from ..utils.errors import SmoothNetError
from ..utils.gaps import FARTHEST
from .angles import refuse_named_angles
from .layout import Layout
from .meaning import refuse_numbered
from .missing import mark_absurd, mark_missing, mark_without_depth
from .recording import Recording, Track
from .rotations import FORMS
from .text import printable

_SEVERAL = {"person": "people", "camera": "cameras", "person or camera": "people or cameras"}


def settle(recording: Recording, layout: Layout) -> None:
    """Take out of the tracks what is marked as missing and what is absurd; say what was understood. In place.

    Raises:
        SmoothNetError: coordinates beyond any recording, or angles where positions should be.
    """
    recording.fps, note = frame_rate(recording.fps)
    notes = [*recording.notes, *([note] if note else [])]
    if recording.names is not None:
        recording.names = tuple(printable(name) for name in recording.names)
    parts: dict[str, list[Track]] = defaultdict(list)
    for track in recording.tracks:
        track.id = printable(track.id) if isinstance(track.id, str) else track.id
        parts[track.part].append(track)
    lines = []
    for part, tracks in parts.items():
        marks: dict[float, int] = {}
        if tracks[0].kind == "points":
            marks = mark_missing(tracks, layout.missing)
            said = mark_without_depth(tracks) if layout.missing == "auto" else []
            said += mark_absurd(tracks)
            notes += [f"{note} ({part})" if len(parts) > 1 else note for note in said]
            _refuse_far(recording, tracks)
        lines.append(_describe(part, tracks, marks, recording))
    if layout.columns is None:
        refuse_named_angles(recording)
        for track in recording.tracks:
            if track.kind == "points":
                refuse_numbered(track.points, str(recording.path))
    lines = lines or [f"{recording.frame_count} frames with nobody in them"]
    recording.left_alone = [printable(name) for name in dict.fromkeys(recording.left_alone)]
    recording.notes = [printable(note) for note in notes]
    recording.understood = "; ".join([*lines, *recording.notes])


def _refuse_far(recording: Recording, tracks: list[Track]) -> None:
    for track in tracks:
        far = np.argwhere(by_frames(track.points, lambda part: (np.abs(part) > FARTHEST).any(axis=2)))
        if len(far):
            frame, joint = far[0]
            raise SmoothNetError(
                f"{recording.path}: a coordinate of joint {joint} in frame {track.start + frame} is "
                f"{np.nanmax(np.abs(track.points[frame, joint])):.3g}; no recording reaches that far; "
                "check the file, or scale it"
            )


def frame_rate(fps: float | None) -> tuple[float | None, str]:
    """A frame rate that can be one, else None and what to say."""
    if fps is None or 1e-3 <= fps <= 1e6:
        return fps, ""
    return None, f"the file's {fps:g} frames a second are ignored"


# ------------------------------------------------------------------------------------------------------ what to say


def _describe(part: str, tracks: list[Track], marks: dict[float, int], recording: Recording) -> str:
    """'keypoints: 230 frames x 33 joints, x y z + score, 1 person, 12 points missing as (0, 0)'."""
    joints = max(track.points.shape[1] for track in tracks)
    if tracks[0].kind == "rotations":
        form = tracks[0].form
        what, thing = f"rotations as {FORMS[form].text if form in FORMS else form}", "joint"
    else:
        dims = tracks[0].points.shape[2]
        what, thing = " ".join("xyz"[:dims]) if dims > 1 else "one number each", "joint" if dims > 1 else "channel"
    if any(track.scores is not None for track in tracks):
        what += " + score"
    people = len({track.id for track in tracks})
    words = [
        f"{recording.frame_count} frames x {_count(joints, thing)}",
        what,
        f"1 {tracks[0].owner}" if people == 1 else f"{people} {_SEVERAL[tracks[0].owner]}",
    ]
    missing = sum(int((~track.shown()).sum()) for track in tracks)
    marked = [f"{n} as ({', '.join([f'{value:g}'] * min(tracks[0].points.shape[2], 3))})" for value, n in marks.items()]
    if marked and sum(marks.values()) == missing and len(marks) == 1:
        words.append(f"{_count(missing, 'point')} missing {marked[0].split(' ', 1)[1]}")
    elif missing:
        words.append(f"{_count(missing, 'point')} missing" + (f" ({', '.join(marked)})" if marked else ""))
    return f"{printable(part)}: {', '.join(words)}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def spoken(names: Iterable[str]) -> str:
    """The line that says what was not smoothed, for commands: "" where there is nothing."""
    listed = ", ".join(names)
    return f"not smoothed: {listed}" if listed else ""
