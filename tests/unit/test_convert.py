# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Recordings written in another form: what is carried over comes back, what is not is said."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tool_samples
from helpers import ROOT

from lib.formats import FORMATS, convert, maker_of, makers, read_recording
from lib.formats.recording import Recording, Track
from lib.utils.errors import SmoothNetError

SAMPLES = ROOT / "data" / "samples"
ENDINGS = [ending for row in FORMATS.values() if row.make for ending in row.make.endings]


def people(dims: int, names=("nose", "left hip", "a,b"), fps: float | None = 25.0) -> Recording:
    """Two people with scores, one of whom comes late, with a missing point each."""
    rng = np.random.default_rng(dims)
    tracks = []
    for id, start, length in ((3, 0, 12), (8, 4, 6)):
        points = rng.normal(size=(length, 3, dims)).cumsum(axis=0) + 50 * id + [[1], [2], [3]]
        points[2, 1] = np.nan
        tracks.append(Track(id, points, start, rng.uniform(0.2, 0.9, size=(length, 3)).round(3)))
    return Recording(Path("in.x"), "x", tracks, 12, fps, names, left_alone=["boxes"])


def whole(recording: Recording) -> np.ndarray:
    """(frames, people, joints, dims), people in the order of their ids."""
    tracks = sorted(recording.tracks, key=lambda track: int(track.id))
    result = np.full((recording.frame_count, len(tracks), *tracks[0].points.shape[1:]), np.nan)
    for number, track in enumerate(tracks):
        result[track.start : track.start + len(track.points), number] = track.points
    return result


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("ending", ENDINGS)
def test_two_people_come_back(ending, dims, tmp_path):
    recording, out = people(dims), tmp_path / f"out{ending}"
    maker = maker_of(out)
    if dims not in maker.dims:
        with pytest.raises(SmoothNetError, match=rf"would hold points in .D, in\.x holds {dims}D"):
            convert(recording, None, maker, out)
        assert not out.exists()
        return
    lost = convert(recording, None, maker, out).lost
    back = read_recording(out)
    expected = whole(recording)
    if ending in (".trc", ".c3d"):  # one set of markers
        expected = expected.reshape(12, 1, 6, 3)
        assert back.names == ("3:nose", "3:left hip", "3:a,b", "8:nose", "8:left hip", "8:a,b")
    np.testing.assert_allclose(whole(back), expected, rtol=1e-6)
    assert ("names of joints" in lost) == (back.names is None)
    if "names of joints" not in lost and len(back.tracks) == 2:
        assert back.names == recording.names
    assert ("the frame rate" in lost) == (back.fps is None)
    assert back.fps is None or back.fps == pytest.approx(25)
    assert ("scores" in lost) == (back.tracks[0].scores is None)
    if "scores" not in lost:
        for old, new in zip(recording.tracks, sorted(back.tracks, key=lambda t: int(t.id)), strict=True):
            scores = new.scores[old.start - new.start :][: len(old.scores)]
            found = old.shown()
            np.testing.assert_allclose(scores[found], old.scores[found])
    assert lost[-1] == "boxes"


def test_smoothed_points_go_over_and_what_was_missing_stays():
    recording = people(2)
    new = [track.points + 1 for track in recording.tracks]
    new[0][5] = np.nan  # nothing is to be written there: what was read stays
    kept = [
        np.where(np.isfinite(values), values, track.points) for values, track in zip(new, recording.tracks, strict=True)
    ]
    seen = {}
    maker = maker_of("x.npz")
    convert(
        recording, new, type(maker)((".x",), lambda content, out: seen.update(people=content.people), (2,)), Path("x")
    )
    for person, values in zip(seen["people"], kept, strict=True):
        np.testing.assert_array_equal(person.points, values)


def test_a_table_for_pandas(tmp_path):
    convert(people(2), None, maker_of("x.csv"), tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert list(rows[0])[:6] == ["frame", "time", "track_id", "nose_x", "nose_y", "nose_score"]
    assert [row["frame"] for row in rows[:6]] == ["0", "1", "2", "3", "4", "4"]
    assert rows[5]["track_id"] == "8" and rows[2]["left hip_x"] == "" and float(rows[5]["time"]) == pytest.approx(0.16)


def test_what_a_form_needs(tmp_path):
    for ending in (".trc", ".c3d"):
        with pytest.raises(SmoothNetError, match=r"needs a frame rate, which in\.x does not say: name it with --fps"):
            convert(people(3, fps=None), None, maker_of(f"x{ending}"), tmp_path / f"a{ending}")
        convert(people(3, fps=None), None, maker_of(f"x{ending}"), tmp_path / f"a{ending}", 50)
        assert read_recording(tmp_path / f"a{ending}").fps == 50
    nobody = Recording(Path("in.x"), "x", [], 5)
    with pytest.raises(SmoothNetError, match=r"in\.x holds nobody"):
        convert(nobody, None, maker_of("x.csv"), tmp_path / "a.csv")


def test_other_tools_read_c3d(tmp_path):
    ezc3d = pytest.importorskip("ezc3d")
    recording = people(3)
    notes = convert(recording, None, maker_of("x.c3d"), tmp_path / "a.c3d").notes
    assert notes == ["the unit is taken for mm, by the size of the body"] or "for m," in notes[0]
    file = ezc3d.c3d(str(tmp_path / "a.c3d"))
    assert file["parameters"]["POINT"]["LABELS"]["value"][:2] == ["3:nose", "3:left hip"]
    assert file["parameters"]["POINT"]["RATE"]["value"][0] == 25
    points = np.moveaxis(file["data"]["points"][:3], 2, 0).swapaxes(1, 2)
    np.testing.assert_allclose(points, whole(recording).reshape(12, 6, 3), rtol=1e-6)


def test_many_points_and_frames_in_c3d(tmp_path):
    names = tuple(f"a rather long name of a marker {k}" for k in range(700))
    points = np.random.default_rng(0).normal(size=(70, 700, 3)).astype(np.float32).astype(np.float64)
    recording = Recording(Path("in.x"), "x", [Track(0, points)], 70, 100.0, names)
    convert(recording, None, maker_of("x.c3d"), tmp_path / "a.c3d")
    back = read_recording(tmp_path / "a.c3d")
    assert back.names == names
    np.testing.assert_array_equal(back.tracks[0].points, points)
    long = Recording(Path("in.x"), "x", [Track(0, points.reshape(-1, 1, 3).repeat(2, axis=0))], 98000, 100.0)
    convert(long, None, maker_of("x.c3d"), tmp_path / "b.c3d")
    assert read_recording(tmp_path / "b.c3d").frame_count == 98000


@pytest.mark.parametrize("make", tool_samples.SAMPLES, ids=lambda make: make.__name__)
def test_every_form_goes_into_every_other_or_says_why_not(make, tmp_path):
    try:
        recording = read_recording(make(tmp_path / "in"))
    except ImportError as error:
        pytest.skip(str(error))
    written = 0
    for ending in makers():
        out = tmp_path / f"out{ending}"
        try:
            carried = convert(recording, None, maker_of(out), out, recording.fps or 30)
        except SmoothNetError as error:
            assert "choose another form" in str(error)
            continue
        layout = carried.notes[-1].split('"')[1] if ending == ".npy" else None  # which does not say it itself
        back, written = read_recording(out, layout=layout), written + 1
        kinds = {track.part for track in recording.tracks if track.kind == "points"}
        assert kinds and sum(int(track.shown().sum()) for track in back.tracks) > 0
    assert written or not any(track.kind == "points" and track.points.shape[2] > 1 for track in recording.tracks)
