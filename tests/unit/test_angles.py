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


@pytest.mark.parametrize(
    ("place", "turn"),
    [
        ("{}_p{}", "{}_r{}"), ("{}.t{}", "{}.r{}"), ("{}_T{}", "{}_R{}"), ("{}_pos{}", "{}_rot{}"),
        ("{}Pos{}", "{}Rot{}"), ("{}.translate{}", "{}.rotate{}"), ("{}_pos_{}", "{}_gyr_{}"), ("{}_{}", "{}_scale_{}"),
    ],
)  # fmt: skip
def test_turns_beside_places_are_left_alone(place, turn, tmp_path):
    """Columns as Unity, Maya, Vicon and scripts name them."""
    axes = "XYZ" if any(word in place for word in ("Pos", "translate", "_T")) else "xyz"
    names = [kind.format(joint, axis) for joint in JOINTS for kind in (place, turn) for axis in axes]
    values = np.stack([positions(), angles(False)], axis=2).reshape(90, -1)
    rows = ["frame," + ",".join(names), *(f"{i}," + ",".join(map(str, row)) for i, row in enumerate(values.tolist()))]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    recording = read_recording(tmp_path / "a.csv")
    (track,) = recording.tracks
    np.testing.assert_array_equal(track.points, positions())
    assert recording.left_alone == [turn.format(joint, axis) for joint in JOINTS for axis in axes]


@pytest.mark.parametrize("turn", ["{}_rot{}", "{}.rotate{}", "{}_gyr_{}"])
def test_turns_alone_are_refused(turn, tmp_path):
    names = [turn.format(joint, axis) for joint in JOINTS for axis in "xyz"]
    np.savetxt(tmp_path / "a.csv", angles(False).reshape(90, -1), delimiter=",", header=",".join(names), comments="")
    with pytest.raises(SmoothNetError, match=r"columns such as .* (are rotations|hold no positions) by their names"):
        read_recording(tmp_path / "a.csv")


def test_quaternions_with_a_row_a_joint_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    turns = np.array([0, 0, 0, 1]) + 0.05 * np.cumsum(rng.normal(size=(40, 3, 4)), axis=0) / 5
    turns /= np.linalg.norm(turns, axis=2, keepdims=True)
    rows = ["frame,joint,x,y,z,w"]
    rows += [f"{t},{k}," + ",".join(map(str, turns[t, k])) for t in range(40) for k in range(3)]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(SmoothNetError, match="columns w, x, y, z hold quaternions"):
        read_recording(tmp_path / "a.csv")


def test_a_single_angle_that_leaps_by_whole_turns_is_refused(tmp_path):
    t = np.arange(90) / 30
    degrees = (np.stack([170 + 30 * np.sin(3 * t), 20 * np.cos(2 * t)], axis=1) + 180) % 360 - 180
    np.savetxt(tmp_path / "a.csv", degrees, delimiter=",", header="yaw,pitch", comments="")
    with pytest.raises(SmoothNetError, match=r"leaps by whole turns.*numpy\.unwrap\(degrees, period=360, axis=0\)"):
        read_recording(tmp_path / "a.csv", dims=1)
    unwrapped = np.unwrap(degrees, period=360, axis=0)
    np.savetxt(tmp_path / "b.csv", unwrapped, delimiter=",", header="yaw,pitch", comments="")
    assert read_recording(tmp_path / "b.csv", dims=1).tracks[0].points.shape == (90, 2, 1)


def test_blendshapes_are_no_points(tmp_path):
    """LiveLink Face: a name a column, numbers from 0 to 1. Pins what was so before."""
    names = ["EyeBlinkLeft", "EyeLookDownLeft", "JawOpen", "MouthClose", "HeadYaw", "HeadPitch"]
    values = np.random.default_rng(0).uniform(size=(60, 6))
    rows = ["Timecode," + ",".join(names), *(f"14:33:{i}," + ",".join(map(str, v)) for i, v in enumerate(values))]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(SmoothNetError, match="nothing says which of the columns EyeBlinkLeft"):
        read_recording(tmp_path / "a.csv")


BONES = ("Spine", "RightUpperArm", "RightLowerArm", "LeftUpperLeg", "LeftLowerLeg", "Head")


def named(path, values):
    path.write_text(json.dumps([{n: dict(zip("xyz", v, strict=True)) for n, v in zip(BONES, pose, strict=True)}
                                for pose in values.tolist()]))  # fmt: skip
    return path


def test_turns_of_bones_by_name_are_no_positions(tmp_path):
    """Kalidokit gives radians of each bone by its name, which were smoothed as points."""
    rng, t = np.random.default_rng(2), np.arange(90)[:, None, None] / 30
    speed, phase, rest = (rng.uniform(low, high, (1, 6, 3)) for low, high in ((1.4, 3), (0, 6), (-0.7, 0.7)))
    path = named(tmp_path / "rig.json", rest + 0.7 * np.sin(speed * t + phase) + rng.normal(0, 0.01, (90, 6, 3)))
    with pytest.raises(SmoothNetError, match="holds angles, by bones such as RightUpperArm that keep no length"):
        read_recording(path)
    assert read_recording(path, layout="x,y,z").tracks[0].points.shape == (90, 6, 3)
    for metres in (1, 0.01):
        walk = named(tmp_path / "walk.json", positions() * metres)
        assert read_recording(walk).names == BONES


def test_what_is_called_a_rotation_is_none_of_the_joints_of_a_frame(tmp_path):
    """Beside positions by name stand turns with x, y and z of their own."""
    extra = {"rotation": {"x": 0.1, "y": 0.2, "z": 0.3}, "eulers": {"x": 0.1, "y": 0.2, "z": 0.3}}
    path = named(tmp_path / "rig.json", positions())
    path.write_text(json.dumps([pose | extra for pose in json.loads(path.read_text())]))
    assert read_recording(path).names == BONES
    path.write_text(json.dumps([{**extra, "place": {"x": t, "y": 1, "z": 2}} for t in range(20)]))
    with pytest.raises(SmoothNetError, match="in no known format"):
        read_recording(path)
