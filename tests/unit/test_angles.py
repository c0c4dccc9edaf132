# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Angles that look like positions by the names of their columns."""

import json

import numpy as np
import pytest

from benchmarks.motion import generated
from lib.formats import read_recording
from lib.utils.errors import SmoothNetError

JOINTS = ("Hips", "Chest", "Head", "LeftArm", "RightArm", "LeftLeg")


def angles(wrapping: bool, frames: int = 90) -> np.ndarray:
    """(frames, joints, 3) degrees of somebody who turns around, if wrapping past half a turn."""
    rng = np.random.default_rng(3)
    t = np.arange(frames)[:, None, None] / 30
    turned = 40 * np.sin(2 * t + rng.uniform(0, 6, (1, len(JOINTS), 3))) + rng.normal(0, 0.5, (frames, len(JOINTS), 3))
    turned[:, 0, 1] = (175 if wrapping else 0) + 20 * np.sin(4 * t[:, 0, 0])
    return (turned + 180) % 360 - 180


def positions(frames: int = 90) -> np.ndarray:
    """(frames, joints, 3) in centimetres of somebody who walks."""
    walk = generated("report", 4.0, 1)[0].at(30.0, 0.0, 3.0)[:frames, :6] / 10
    return walk - walk.mean(axis=(0, 1))


def bvh_converter(path, values):
    """Time,Hips.x,Hips.y,Hips.z,... as bvh-converter writes NAME_worldpos.csv and NAME_rotations.csv."""
    rows = ["Time," + ",".join(f"{joint}.{axis}" for joint in JOINTS for axis in "xyz")]
    rows += [f"{i / 30}," + ",".join(f"{v:.6f}" for v in row) for i, row in enumerate(values.reshape(len(values), -1))]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "wrapping", "words"),
    [
        ("walk_rotations.csv", False, "by 'rotations' in its name"),
        ("walkEuler.csv", False, "by 'euler' in its name"),
        ("walk.csv", True, "by leaps of a whole turn"),
    ],
)
def test_tables_of_angles_are_refused(name, wrapping, words, tmp_path):
    path = bvh_converter(tmp_path / name, angles(wrapping))
    with pytest.raises(SmoothNetError, match=rf"{name} holds angles, {words}.*say --layout x,y,z"):
        read_recording(path)
    assert read_recording(path, layout="x,y,z").tracks[0].points.shape == (90, 6, 3)


@pytest.mark.parametrize("name", ["angles.npy", "euler_angles.json"])
def test_arrays_and_json_of_angles_are_refused(name, tmp_path):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, angles(False))
    else:
        path.write_text(json.dumps([{"frame": i, "joints": a.tolist()} for i, a in enumerate(angles(False))]))
    with pytest.raises(SmoothNetError, match="holds angles"):
        read_recording(path)
    assert read_recording(path, layout="x,y,z").tracks[0].points.shape == (90, 6, 3)


def test_positions_stay_positions_whatever_the_file_is_called(tmp_path):
    path = bvh_converter(tmp_path / "trunk_rotation_exercise.csv", positions())
    assert read_recording(path).tracks[0].points.shape == (90, 6, 3)
    pixels = np.abs(positions()) % 340 + 10  # of a picture of 360 x 360, with points that are not there in between
    pixels[[20, 40, 60], :] = 0
    recording = read_recording(bvh_converter(tmp_path / "walk.csv", pixels))
    assert int((~recording.tracks[0].shown()).sum()) == 18
