# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""benchmarks/accuracy.py: that it measures what it says, and splits what it says."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import command

from benchmarks import accuracy, errors
from benchmarks.motion import PARTS, Clip, _without_repeats, body_size, fast_motion, generated, held_out, recorded
from lib.dataset.motion import load_recordings
from lib.formats.recording import Recording, Track
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.utils.errors import SmoothNetError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def clip() -> Clip:
    return generated("settings", 4.0, 1)[0]


def test_scores_by_hand():
    t = np.arange(201.0)
    truth = np.zeros((201, 1, 2))
    truth[:, 0, 0] = t**2 / 100
    same = accuracy.pooled([accuracy.scores(truth, truth, 30.0)])
    assert same == {"kept": pytest.approx(1), "mpjpe": 0, "velocity": 0, "accel": 0}
    output = truth.copy()
    output[..., 1] += 3 * (-1.0) ** t[:, None]  # to and fro
    values = accuracy.pooled([accuracy.scores(output, truth, 30.0)])
    assert values == pytest.approx({"kept": 1, "mpjpe": 3, "velocity": 6, "accel": 12})
    assert accuracy.pooled([accuracy.scores(0.5 * truth, truth, 30.0)])["kept"] == pytest.approx(0.5)
    longer = accuracy.scores(np.concatenate([truth, truth]) + 1, np.concatenate([truth, truth]), 30.0)
    pooled = accuracy.pooled([accuracy.scores(truth, truth, 30.0), longer])
    assert pooled["mpjpe"] == pytest.approx(np.sqrt(2) * 402 / 603)  # every frame counts the same


@pytest.mark.parametrize("kind", errors.KINDS["report"])
def test_every_kind_of_error_is_there_at_its_level_and_the_same_again(kind, clip):
    truth = clip.at(30, 0, 4)
    size = body_size(truth)

    def error(level):
        made = kind(np.random.default_rng(1), truth, 30.0, level, clip)
        assert made.shape == truth.shape
        np.testing.assert_array_equal(made, kind(np.random.default_rng(1), truth, 30.0, level, clip))
        return float(np.sqrt(np.nanmean((made - truth) ** 2))) / size

    assert 0.3 * 0.05 < error(0.05) < 0.25
    assert error(0.1) > 1.2 * error(0.02)
    np.testing.assert_array_equal(truth, clip.at(30, 0, 4))


def test_cases_cover_rates_dims_and_speeds_and_differ_between_the_parts():
    report, settings = (errors.cases(part) for part in ("report", "settings"))
    assert 40 <= len(report) <= 70
    for cases in (report, settings):
        assert {case.fps for case in cases} == {15, 30, 60, 120}
        assert {case.dims for case in cases} == {2, 3} and {case.fast for case in cases} == {True, False}
    assert not {case.name for case in report} & {case.name for case in settings}
    assert len({case.name for case in report}) == len(report)
    assert len({case.kind for case in report}) > 2 * len({case.kind for case in settings})


def test_nobody_is_in_both_parts(tmp_path):
    assert held_out([3, 1, 2, 3, 10]) == {10}
    assert held_out(range(9)) == {6, 7, 8}
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "clean.npz",
        pos=rng.integers(-50, 50, (600, 4, 3), dtype=np.int16),
        scale_mm=0.5,
        offset_mm=np.zeros((6, 3)),
        length=np.full(6, 100),
        fps=30.0,
        name=np.array(["01_01", "01_02", "02_01", "03_01", "03_02", "03_03"]),
        joint_names=np.array(["root", "lhand", "rhand", "head"]),
        parents=np.array([-1, 0, 0, 0]),
    )
    parts = [recorded(tmp_path, part) for part in PARTS]
    assert [[clip.name for clip in part] for part in parts] == [
        ["cmu:01_01", "cmu:01_02", "cmu:02_01"],
        ["cmu:03_01", "cmu:03_02", "cmu:03_03"],
    ]
    assert parts[0][0].sides.tolist() == [[1, 2]]
    assert parts[0][0].points.shape == (100, 4, 3) and np.abs(parts[0][0].points).max() <= 25


def test_recordings_with_every_frame_twice_are_read_at_half_the_rate():
    once = np.random.default_rng(0).normal(size=(20, 3, 3))
    for twice in (np.repeat(once, 2, axis=0), np.repeat(once, 2, axis=0)[1:]):
        points, fps = _without_repeats(twice, 60.0)
        assert fps == 30.0 and len(np.unique(points, axis=0)) == len(points) >= 19
    assert _without_repeats(once, 60.0)[1] == 60.0


def test_fast_motion_is_a_fast_person():
    points = fast_motion(np.random.default_rng(0), 600, 120.0)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * 120
    assert 6 < np.percentile(speed, 99.5) < 16  # m/s
    bones = np.linalg.norm(points[:, [2, 3, 12, 13]] - points[:, [1, 2, 11, 12]], axis=-1)
    np.testing.assert_allclose(bones, bones[:1] + np.zeros_like(bones), rtol=1e-9)
    again = fast_motion(np.random.default_rng(0), 600, 120.0)
    np.testing.assert_array_equal(points, again)


def test_the_default_weights_keep_a_rhythm():
    """Weights that were better by every other figure took somebody with a jump rope for a shaking camera, clean or in
    noise."""
    methods = {name: accuracy.method(name) for name in ("network", "untold+network")}
    for case, kept in accuracy.rhythm(methods, "report").items():
        assert min(kept.values()) > (0.9 if "noise" in case else 0.99), case


def test_the_default_weights_smooth_one_joint_on_a_plain_path():
    """Weights that were better by every other figure of the benchmark took its noise for a recording without errors."""
    methods = {name: accuracy.method(name) for name in ("input", "rts", "network", "untold+network")}
    for case, left in accuracy.alone(methods).items():
        assert left["input"] == pytest.approx(1) and 0.05 < left["rts"] < 0.12, case
        assert max(left["network"], left["untold+network"]) < 0.25, case


def test_a_second_look_is_measured_as_the_command_does_it():
    points = generated("report", 2.0, 1)[0].at(60.0, 0.0, 2.0)
    points[40:55] = points[40:55].mean(axis=1, keepdims=True) + 300
    recording = Recording("a", "npy", [Track(0, points)], len(points), 60.0)
    (expected,), _ = Smoothing(SmoothingOptions(outliers="network"))(recording)
    look = accuracy.method("look+network")
    np.testing.assert_array_equal(look(points, 60.0), expected)
    np.testing.assert_array_equal(look(points, 30.0), accuracy.method("network")(points, 30.0))


def test_any_callable_can_be_measured(tmp_path):
    def half(points, fps):
        return (points + accuracy.method("rts")(points, fps)) / 2

    result = accuracy.run({"half": half}, None, "settings", quick=True)
    rows = result["summary"]
    assert list(rows) == ["input", "rts", "half"]
    assert rows["input"]["mpjpe"] == pytest.approx(1) and rows["input"]["kept"] == pytest.approx(1)
    assert rows["rts"]["mpjpe"] < rows["half"]["mpjpe"] < 1
    assert rows["rts"]["worse_than_rts"] == 0 < rows["input"]["worse_than_rts"]
    assert all(value == 0 for value in rows["input"]["clean"].values())
    fast, slow = (rows["rts"]["clean"][f"{speed} 30 fps"] for speed in ("fast", "slow"))
    assert fast > slow > 0
    assert rows["input"]["rhythm"] == pytest.approx(1) and 0.8 < rows["rts"]["rhythm"] < 0.9
    assert result["rhythm"]["rope 3 Hz"]["rts"] < result["rhythm"]["rope 1.5 Hz"]["rts"]
    assert rows["rts"]["alone"] < rows["half"]["alone"] < rows["input"]["alone"] == pytest.approx(1)
    assert "half" in accuracy.report(result, True)
    json.dumps(result)


def test_a_method_that_loses_points_is_named():
    with pytest.raises(SmoothNetError, match="broken"):
        accuracy.run({"broken": lambda points, fps: points * np.nan}, None, "settings", quick=True)


@pytest.mark.parametrize("name", ["rts:2", "network"])
def test_hampel_goes_before_any_method(name):
    points = np.random.default_rng(2).normal(size=(60, 4, 3)).cumsum(0)
    points[20, 1] += 80
    cleaned = accuracy.method("hampel")(points, 30.0)
    assert np.abs(cleaned[20, 1] - points[20, 1]).max() > 20
    expected = accuracy.method(name)(cleaned, 30.0)
    np.testing.assert_allclose(accuracy.method(f"hampel+{name}")(points, 30.0), expected, atol=1e-9)


@pytest.mark.parametrize("text", ["kalman", "rts:much", "untold+look+network", "hampel+kalman", "nothing.pth.tar"])
def test_there_is_no_such_method(text):
    with pytest.raises(SmoothNetError, match=text.split(":")[0].split("+")[-1]):
        accuracy.method(text)


def test_pairs_are_read_from_both_forms(tmp_path):
    rng = np.random.default_rng(0)

    def objects(arrays):
        out = np.empty(len(arrays), object)
        out[:] = arrays
        return out

    truth = [np.cumsum(rng.normal(size=(40 + i, 3, 2)), axis=0) for i in range(6)]
    noisy = [x + rng.normal(size=x.shape) for x in truth]
    subject = np.array([1, 1, 2, 2, 3, 3])
    np.savez(tmp_path / "some_pairs.npz", detected=objects(noisy), groundtruth=objects(truth), subject=subject)
    base = tmp_path / "poses" / "mine_cam_3D"
    names = objects([np.array([f"s{s:02d}/{t}" for t in range(40)]) for s in (1, 2, 3)])
    joints = [rng.normal(size=(40, 6)).astype(np.float32) for _ in range(3)]
    for part, file in (("groundtruth", "mine_gt_3D_test.npz"), ("detected", "mine_cam_3D_test.npz")):
        (base / part).mkdir(parents=True)
        np.savez(base / part / file, imgname=names, joints_3d=objects(joints))
    found = {part: accuracy.real_pairs(tmp_path, part) for part in PARTS}
    samples = ("pose2sim blazepose_full", "pose2sim blazepose_heavy", "pose2sim openpose")
    assert [(p.name, p.unit, len(p.items)) for p in found["report"][:3]] == [(name, "px", 4) for name in samples]
    found["report"] = found["report"][3:]
    assert [(p.name, p.unit, len(p.items)) for p in found["settings"]] == [("some", "px", 4), ("mine_cam_3D", "mm", 2)]
    assert [(p.name, p.unit, len(p.items)) for p in found["report"]] == [("some", "px", 2), ("mine_cam_3D", "mm", 1)]
    np.testing.assert_array_equal(found["report"][0].items[0][0], noisy[4])
    np.testing.assert_allclose(found["report"][1].items[0][1].reshape(40, 6), 1000 * joints[2], rtol=1e-5)
    values = accuracy.measure({"input": accuracy.method("input")}, found["report"][0].items, found["report"][0].root)
    assert values["input"]["mpjpe"] == pytest.approx(
        np.mean([np.linalg.norm(noisy[i] - truth[i], axis=-1).mean() for i in (4, 5)]), rel=0.02
    )


def test_the_sample_is_scored_where_its_reference_knows_a_joint():
    blazepose = accuracy.sample_pairs()[0]
    points, truth, fps = blazepose.items[0]
    assert points.shape == truth.shape == (100, 33, 2) and fps == pytest.approx(60)
    known = np.isfinite(truth).all(axis=(0, 2))
    assert known.sum() == 17 and np.isfinite(points).all()
    score = accuracy.measure({"input": accuracy.method("input")}, blazepose.items)["input"]
    of_view = [np.linalg.norm((points - truth)[:, known], axis=-1).mean() for points, truth, _ in blazepose.items]
    assert score["mpjpe"] == pytest.approx(np.mean(of_view), rel=1e-6)
    assert 30 < score["mpjpe"] < 40 and 0 < score["kept"] < 1.5


def test_the_sample_makes_pairs_to_train_on(tmp_path):
    done = command("data/pose2sim_pairs.py", "--output", tmp_path / "pose2sim_pairs.npz")
    assert done.returncode == 0, done.stderr
    recordings = load_recordings(tmp_path / "pose2sim_pairs.npz")
    assert len(recordings) == 12 and {r.group for r in recordings} == {"pose2sim"}
    points, truth, _ = accuracy.sample_pairs()[2].items[3]  # OpenPose, the last view
    openpose = next(r for r in recordings if r.name.endswith("openpose_view4"))
    known = np.isfinite(truth).all(axis=(0, 2))
    assert openpose.fps == pytest.approx(60) and openpose.truth.shape == (100, known.sum(), 2)
    np.testing.assert_allclose(openpose.truth, truth[:, known], atol=1e-3)
    there = np.isfinite(points[:, known])
    assert not there.all()
    np.testing.assert_allclose(openpose.detected[there], points[:, known][there], atol=1e-3)
    wrong = command("data/pose2sim_pairs.py", "--output", tmp_path / "no" / "x.npz")
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr


def test_the_command(tmp_path):
    words = ["benchmarks/accuracy.py", "--quick", "--part", "settings", "--methods", "input,rts:0.8"]
    done = command(*words, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert "rts:0.8" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["summary"]["rts:0.8"]["mpjpe"] < 1
    wrong = command(*words, "--data", tmp_path / "no")
    assert wrong.returncode == 2 and "does not exist" in wrong.stderr and "Traceback" not in wrong.stderr
