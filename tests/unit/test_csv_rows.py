# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Rows of a table in any order, and of several people: no person is mixed with another, nor one moment with another."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lib.formats import read_recording, write_recording
from lib.utils.errors import SmoothNetError

FRAMES = 12


def row(frame: int, person: int = 0, /, **first) -> dict:
    """One person in one frame: a point at 100 x person + frame."""
    return {**first, "nose_x": 100 * person + frame, "nose_y": frame + 0.5}


def table(path, rows):
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def people(path) -> list[list[float]]:
    return [track.points[:, 0, 0].tolist() for track in read_recording(path).tracks]


@pytest.mark.parametrize(
    "name",
    [
        lambda frame: {"frame": frame},
        lambda frame: {"Frame No": frame},
        lambda frame: {"time": frame / 4},
        lambda frame: {"timestamp_ms": frame * 33},
        lambda frame: {"image": f"img_{frame}.png"},
    ],
)
@pytest.mark.parametrize("sort", [sorted, lambda rows, key: rows[::-1]])
def test_rows_in_any_order_are_read_in_the_order_of_time_and_written_where_they_stood(name, sort, tmp_path):
    rows = [row(frame, **name(frame)) for frame in range(FRAMES)]
    path = table(tmp_path / "a.csv", sort(rows, key=lambda row: str(row["nose_x"])))
    recording = read_recording(path)
    (track,) = recording.tracks
    assert track.points[:, 0, 0].tolist() == list(range(FRAMES))
    write_recording(recording, [track.points + 1], tmp_path / "b.csv")
    before, after = (np.genfromtxt(tmp_path / f, delimiter=",", skip_header=1)[:, 1:] for f in ("a.csv", "b.csv"))
    assert np.allclose(after - before, 1)


@pytest.mark.parametrize("who", ["track_id", "BodyID", "Person ID", "tracking-id"])
@pytest.mark.parametrize("when", ["frame", "Timestamp"])
@pytest.mark.parametrize("one_after_the_other", [False, True])
def test_a_column_that_names_people_tells_them_apart(who, when, one_after_the_other, tmp_path):
    order = sorted(product(range(FRAMES), (0, 1)), key=lambda place: place[1] if one_after_the_other else 0)
    rows = [row(frame, person, **{when: frame, who: person + 7}) for frame, person in order]
    assert people(table(tmp_path / "a.csv", rows)) == [
        [100 * person + frame for frame in range(FRAMES)] for person in (0, 1)
    ]


def test_people_who_follow_one_another_are_two(tmp_path):
    rows = [row(t, t // FRAMES, frame=t, track_id=t // FRAMES) for t in range(2 * FRAMES)]
    assert [len(track) for track in people(table(tmp_path / "a.csv", rows))] == [FRAMES, FRAMES]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (lambda frame, person: {"track_id": person}, "track_id names several people, and no column numbers the frames"),
        (lambda frame, person: {"time": frame / 4, "who": person}, "differ in who; name that column track_id"),
        (lambda frame, person: {"time": frame / 4, "who": "ab"[person]}, "differ in who; name that column track_id"),
        (lambda frame, person: {"frame": frame, "who": person}, "a second row for frame 0"),
    ],
)
def test_people_that_cannot_be_told_apart_are_refused(heads, message, tmp_path):
    rows = [row(frame, person, **heads(frame, person)) for frame in range(FRAMES) for person in (0, 1)]
    with pytest.raises(SmoothNetError, match=message):
        read_recording(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (lambda frame: {"frame": frame}, "line 14: a second row for frame 0"),
        (lambda frame: {"time": frame / 4}, "line 14: time goes back to 0; .* several recordings need a file each"),
    ],
)
def test_recordings_one_below_the_other_are_refused(heads, message, tmp_path):
    rows = [row(frame, **heads(frame)) for frame in [*range(FRAMES), *range(FRAMES)]]
    with pytest.raises(SmoothNetError, match=message):
        read_recording(table(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    "heads",
    [
        lambda frame: {"time": frame // 4},  # a clock of whole seconds
        lambda frame: {"filename": "walk.mp4", "time": frame / 4},
        lambda frame: {"file": "walk.mp4", "frame": frame},
        lambda frame: {"frame": frame, "pose": "up" if frame < 5 else "down"},
        lambda frame: {"id": frame},
        lambda frame: {"person_id": 3},
    ],
)
def test_one_person_stays_one(heads, tmp_path):
    rows = [row(frame, **heads(frame)) for frame in range(FRAMES)]
    assert people(table(tmp_path / "a.csv", rows)) == [list(range(FRAMES))]


def test_a_clock_of_whole_seconds_tells_no_rate(tmp_path):
    rows = [row(frame, time=frame // 4) for frame in range(FRAMES)]
    assert read_recording(table(tmp_path / "a.csv", rows)).fps is None
