# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
import gzip

import numpy as np
import pytest
from helpers import command
from scipy.spatial.transform import Rotation

from data import uiprmd
from lib.utils.errors import SmoothNetError
from lib.utils.unpickle import Npz


def write_clip(raw, name, seconds=2.5, lag=0.2, zipped=False, lose=None, seed=0, weights=None):
    """Joints that are weighted means of the markers, seen by two sensors, unlike in axes and clock."""
    rng = np.random.default_rng(seed)
    weights = uiprmd.regressor_weights() if weights is None else weights
    rest = 0.4 * np.random.default_rng(99).normal(size=(39, 3))
    phase, size = rng.uniform(0, 6, (39, 3)), rng.uniform(0.05, 0.2, (39, 3))
    turn, shift = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3)), rng.normal(size=3)

    def markers(t):
        return rest + size * np.sin(2 * np.pi * 0.7 * t[:, None, None] + phase)

    vicon = 1000 * markers(np.arange(0, seconds, 1 / 100))
    if lose is not None:
        vicon[lose[0] : lose[1], 5] = 0
    kinect_time = np.arange(0, seconds - lag, 1 / 30)
    joints = np.einsum("km,tmd->tkd", weights, markers(kinect_time + lag)) @ turn.as_matrix().T + shift
    offsets = joints.copy()  # with all angles 0 every frame of reference is the sensor's
    offsets[:, 1:] -= joints[:, list(uiprmd.PARENTS[1:])]
    for folder, kind, table in (
        ("Kinect/Positions", "positions", 100 * offsets),
        ("Kinect/Angles", "angles", np.zeros_like(offsets)),
        ("Vicon/Positions", "positions", vicon),
    ):
        path = raw / "Segmented Movements" / folder / f"{name}_{kind}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, table.reshape(len(table), -1), delimiter=",", fmt="%.6f")
        if zipped:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    return joints - joints[:, :1]


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def test_joints_are_found_through_lag_axes_gaps_and_gzip(raw, tmp_path):
    truth = {
        "m01_s01_e01": write_clip(raw, "m01_s01_e01", zipped=True),
        "m02_s09_e01": write_clip(raw, "m02_s09_e01", lag=0.35, lose=(40, 46), seed=1),
    }
    pairs = uiprmd.convert(raw, [1], [9])
    assert pairs.names == {"train": ["m01_s01_e01"], "test": ["m02_s09_e01"]} and not pairs.dropped
    for phase, (name,) in pairs.names.items():
        expected = truth[name].reshape(-1, 66)
        detected, found = pairs.detected[phase][0], pairs.groundtruth[phase][0]
        assert detected.dtype == found.dtype == np.float32 and detected.shape == found.shape
        np.testing.assert_allclose(detected, expected[: len(detected)], atol=1e-6)
        np.testing.assert_allclose(found, expected[: len(found)], atol=2e-3)
    paths = uiprmd.write_pairs(pairs, tmp_path / "poses")
    assert len(paths) == 4
    with Npz(tmp_path / "poses/uiprmd_kinect_3D/groundtruth/uiprmd_gt_3D_test.npz") as file:
        assert file["imgname"][0][3] == "m02_s09_e01/00003"
        np.testing.assert_array_equal(file["joints_3d"][0], pairs.groundtruth["test"][0])


def test_weights_can_be_fitted_anew(raw):
    means = uiprmd.mean_weights()
    truth = [write_clip(raw, f"m01_s0{p}_e01", seed=p, weights=means).reshape(-1, 66) for p in (1, 9)]
    pairs = uiprmd.convert(raw, [1], [9], fit=True)
    for phase, expected in zip(("train", "test"), truth, strict=True):
        found = pairs.groundtruth[phase][0]
        np.testing.assert_allclose(found, expected[: len(found)], atol=2e-3)
    with pytest.raises(SmoothNetError, match="no usable clip of people 2"):
        uiprmd.convert(raw, [2], [9], fit=True)


def test_weights_sum_to_one():
    np.testing.assert_allclose(uiprmd.regressor_weights().sum(1), 1, atol=1e-9)


def test_the_script_writes_the_pairs_and_refuses_in_one_sentence(raw, tmp_path):
    def run(folder, *options):
        return command("data/prepare_uiprmd.py", folder, "--output", tmp_path / "poses", *options)

    refused = run(tmp_path / "nowhere")
    assert refused.returncode == 2 and refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
    write_clip(raw, "m01_s01_e01")
    write_clip(raw, "m01_s09_e01", seconds=1.0)
    made = run(raw)
    assert made.returncode == 0, made.stderr
    assert "dropped m01_s09_e01" in made.stdout and "train: 1 sequences" in made.stdout
    assert {p.name for p in tmp_path.rglob("*.npz")} == {
        "uiprmd_gt_3D_train.npz",
        "uiprmd_kinect_3D_train.npz",
    }
    again = run(raw)
    assert again.returncode == 2 and "uiprmd_gt_3D_train.npz is there already" in again.stderr
    (tmp_path / "elsewhere").symlink_to(tmp_path / "poses")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.npz")}
    through = command("data/prepare_uiprmd.py", raw, "--output", tmp_path / "elsewhere")
    assert through.returncode == 2 and "is there already" in through.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert run(raw, "--force").returncode == 0


def test_forward_kinematics_turns_offsets_by_the_parents_angles():
    positions, angles = np.zeros((1, 22, 3)), np.zeros((1, 22, 3))
    positions[0, 0] = 100, 0, 0
    positions[0, 1] = 0, 50, 0
    angles[0, 0] = 0, 0, 90  # about z: the spine's offset turns from y to -x
    joints = uiprmd.kinect_joints(positions, angles)
    np.testing.assert_allclose(joints[0, :2], [[1, 0, 0], [0.5, 0, 0]], atol=1e-12)
    angles[0, 0] = 90, 0, 90  # Rz Rx: first about x to z, which the turn about z leaves
    np.testing.assert_allclose(uiprmd.kinect_joints(positions, angles)[0, 1], [1, 0, 0.5], atol=1e-12)


def test_gaps_are_closed_by_straight_lines():
    markers = np.ones((5, 39, 3)) * np.arange(1, 6)[:, None, None]
    lost = markers.copy()
    lost[1:3, 7] = 0
    np.testing.assert_allclose(uiprmd.close_gaps(lost), markers)
    lost[:, 7] = 0
    assert uiprmd.close_gaps(lost) is None


def test_clips_that_cannot_be_paired_are_dropped_with_the_reason(raw):
    write_clip(raw, "m01_s01_e01")
    write_clip(raw, "m01_s01_e02", lose=(0, 250))
    write_clip(raw, "m01_s01_e03", seconds=1.0)
    write_clip(raw, "m01_s01_e04")
    (raw / "Segmented Movements/Vicon/Positions/m01_s01_e04_positions.txt").unlink()
    pairs = uiprmd.convert(raw, [1], [9])
    assert pairs.names == {"train": ["m01_s01_e01"], "test": []}
    assert "never seen" in pairs.dropped["m01_s01_e02"]
    assert "frames" in pairs.dropped["m01_s01_e03"]
    assert "Vicon" in pairs.dropped["m01_s01_e04"]


def test_a_folder_that_is_not_uiprmd_is_refused(raw, tmp_path):
    with pytest.raises(SmoothNetError, match="not a folder"):
        uiprmd.convert(tmp_path / "nowhere", [1], [9])
    raw.mkdir()
    with pytest.raises(SmoothNetError, match="Segmented Movements/Kinect/Positions"):
        uiprmd.convert(raw, [1], [9])
    write_clip(raw, "m01_s09_e01")
    with pytest.raises(SmoothNetError, match="people 1"):
        uiprmd.convert(raw, [1], [2])
    bad = raw / "Segmented Movements/Kinect/Angles/m01_s09_e01_angles.txt"
    bad.write_text("1,2,3\n")
    with pytest.raises(SmoothNetError, match=r"m01_s09_e01_angles\.txt has 3 columns"):
        uiprmd.convert(raw, [9], [8])


@pytest.mark.parametrize("number", ["1e300", "nan", "-inf", "2e6"])
def test_numbers_that_nobody_measured_are_refused(raw, number):
    write_clip(raw, "m01_s09_e01")
    path = raw / "Segmented Movements/Kinect/Positions/m01_s09_e01_positions.txt"
    rest = path.read_text().partition(",")[2]
    path.write_text(f"{number},{rest}")
    with pytest.raises(SmoothNetError, match=r"m01_s09_e01_positions\.txt is damaged"):
        uiprmd.convert(raw, [9], [8])
