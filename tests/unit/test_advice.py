# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files that are not read say in one sentence what would do."""

from __future__ import annotations

import numpy as np
import pytest

from lib.formats import read_recording
from lib.utils.errors import SmoothNetError

POINTS = np.random.default_rng(0).normal(size=(20, 5, 2)).cumsum(axis=0)


def table(delimiter: str, decimal: str, long: bool) -> str:
    if long:
        rows = [["frame", "joint", "x", "y"], *([t, k, *POINTS[t, k]] for t in range(20) for k in range(5))]
    else:
        rows = [["frame", "nose_x", "nose_y"], *([t, *POINTS[t, 0]] for t in range(20))]
    return "".join(delimiter.join(str(cell).replace(".", decimal) for cell in row) + "\n" for row in rows)


def fields():
    array = np.zeros(POINTS.shape[:2], [("x", "f4"), ("y", "f4")])
    array["x"], array["y"] = POINTS[..., 0], POINTS[..., 1]
    return array


FILES = {
    "comma.csv": (lambda p: p.write_text(table(";", ",", False)), r"comma for a decimal point; write points: .*sep="),
    "long.csv": (lambda p: p.write_text(table(";", ",", True)), r"comma for a decimal point; write points: .*sep="),
    "wide16.csv": (lambda p: p.write_text(table(",", ".", False), encoding="utf-16"), "UTF-16; save it as UTF-8"),
    "long16.csv": (lambda p: p.write_text(table(",", ".", True), encoding="utf-16"), "UTF-16; save it as UTF-8"),
    "objects.npy": (
        lambda p: np.save(p, {"keypoints": POINTS}, allow_pickle=True),  # type: ignore[arg-type]
        r"never unpickled; where you trust it .*, load it in Python, with numpy.load .* numpy.save",
    ),
    "objects.npz": (
        lambda p: np.savez(p, positions_2d=np.array({"S1": POINTS})),
        r"Python objects in positions_2d, .*, load positions_2d in Python, with numpy.load .* numpy.save",
    ),
    "fields.npy": (lambda p: np.save(p, fields()), "put its fields side by side: .*numpy.stack"),
    "walk.mvnx": (lambda p: p.write_text("<mvnx/>"), r"a recording of Xsens; export it as \.c3d or \.bvh"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_refusal_says_what_to_do(name, tmp_path):
    make, message = FILES[name]
    make(tmp_path / name)
    with pytest.raises(SmoothNetError, match=message):
        read_recording(tmp_path / name)


def test_the_advice_on_fields_works(tmp_path):
    a = fields()
    np.save(tmp_path / "poses.npy", np.stack([a[field] for field in a.dtype.names], -1))
    (track,) = read_recording(tmp_path / "poses.npy").tracks
    assert np.allclose(track.points, POINTS, atol=1e-5)


def test_cameras_beside_points_stay_as_they_are(tmp_path):
    turns = np.tile(np.eye(3), (20, 1, 1))
    poses = np.tile(np.eye(4), (20, 1, 1))
    np.savez(tmp_path / "a.npz", keypoints=POINTS, R=turns, K=turns, world2cam=poses, c2w=poses)
    recording = read_recording(tmp_path / "a.npz")
    assert [track.part for track in recording.tracks] == ["keypoints"]
    assert recording.left_alone == ["R", "K", "world2cam", "c2w"]


def test_a_rotation_alone_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", R=np.tile(np.eye(3), (20, 1, 1)))
    assert [track.kind for track in read_recording(tmp_path / "a.npz").tracks] == ["rotations"]
