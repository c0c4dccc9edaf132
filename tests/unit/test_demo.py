# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Generated people are people, their errors are those of an estimator, and their files are pose files."""

import runpy

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from data.demo import (
    ACTIONS,
    FOCAL_LENGTH,
    FPS,
    IMAGE_SIZE,
    L_ELBOW,
    L_FOOT,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    PARENTS,
    R_ELBOW,
    R_FOOT,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
    estimator_noise,
    make_sequence,
    project,
    write_demo,
)
from lib.dataset.poses import load_poses
from lib.utils.errors import SmoothNetError
from lib.utils.unpickle import Npz

BONES = [(parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0]
sequences = given(
    seed=st.integers(0, 2**32 - 1),
    action=st.sampled_from((*ACTIONS, None)),
    frames=st.integers(1, 200),
    fps=st.sampled_from((15.0, 30.0, 50.0, 60.0)),
)


@sequences
@settings(max_examples=40, deadline=None)
def test_bodies_keep_their_bones_and_stand_on_the_floor(seed, action, frames, fps):
    poses = make_sequence(np.random.default_rng(seed), frames, fps, action)
    assert poses.shape == (frames, 17, 3)
    assert np.isfinite(poses).all()
    lengths = np.stack([np.linalg.norm(poses[:, a] - poses[:, b], axis=-1) for a, b in BONES])
    assert np.ptp(lengths, axis=1).max() < 1e-9
    assert lengths.min() > 0.05 and lengths.max() < 0.6
    np.testing.assert_allclose(lengths[1:3], lengths[4:6], rtol=1e-9)  # right and left leg
    assert poses[..., 1].min() > 0.02  # nothing below the floor
    assert np.abs(poses[:, [L_FOOT, R_FOOT], 1].min(axis=1) - 0.066).max() < 0.04  # one foot on it
    assert 0.8 < poses[..., 1].max() < 2.6


@sequences
@settings(max_examples=40, deadline=None)
def test_knees_and_elbows_bend_one_way(seed, action, frames, fps):
    poses = make_sequence(np.random.default_rng(seed), frames, fps, action)
    left = poses[:, L_HIP] - poses[:, R_HIP]
    for hip, knee, foot in ((L_HIP, L_KNEE, L_FOOT), (R_HIP, R_KNEE, R_FOOT)):
        # thigh x shank points to the left of a body whose shank goes back, whatever way it faces
        bend = np.cross(poses[:, knee] - poses[:, hip], poses[:, foot] - poses[:, knee])
        assert ((bend * left).sum(-1) > 0).all()
    for shoulder, elbow, wrist in ((L_SHOULDER, L_ELBOW, L_WRIST), (R_SHOULDER, R_ELBOW, R_WRIST)):
        upper, fore = poses[:, elbow] - poses[:, shoulder], poses[:, wrist] - poses[:, elbow]
        cosine = (upper * fore).sum(-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(fore, axis=-1)
        assert cosine.min() > np.cos(np.deg2rad(150))  # no hand inside its own upper arm


@pytest.mark.parametrize("action", [*ACTIONS, None])
def test_motion_is_smooth_and_feet_hold(action):
    for seed in range(4):
        poses = make_sequence(np.random.default_rng(seed), 600, FPS, action)
        acceleration = np.linalg.norm(np.diff(poses, 2, axis=0), axis=-1) * FPS**2
        assert acceleration.max() < 60  # m/s^2; a walking foot reaches some 40
        assert acceleration.mean() < 12
        speed = np.linalg.norm(np.diff(poses[:, [L_FOOT, R_FOOT]], axis=0), axis=-1) * FPS
        assert speed.min(axis=1).mean() < 0.25  # m/s: at least one foot stands
        travelled = np.linalg.norm(np.diff(poses[:, 0, ::2], axis=0), axis=-1).sum() / (600 / FPS)
        if action == "walk":
            assert 0.4 < travelled < 1.5  # m/s
        elif action is not None:
            assert travelled < 0.3


def test_actions_do_what_they_are_called():
    def of(action):
        return make_sequence(np.random.default_rng(5), 600, FPS, action)

    assert np.ptp(of("squat")[:, 0, 1]) > 0.2  # the hip goes down and up
    wave = of("wave")
    assert (wave[:, [L_WRIST, R_WRIST], 1].max(axis=1) > wave[:, 8, 1]).mean() > 0.5  # a hand above the chest
    across = of("turn")[:, L_HIP] - of("turn")[:, R_HIP]
    assert np.ptp(np.unwrap(np.arctan2(across[:, 2], across[:, 0]))) > np.pi / 2
    hands = of("reach")[:, [L_WRIST, R_WRIST]]
    assert np.ptp(hands[..., 1], axis=0).max() > 0.5


def errors_like_the_files(count=48, frames=400, fps=FPS):
    for seed in range(count):
        rng = np.random.default_rng([7, seed])
        poses = make_sequence(rng, frames, fps, (*ACTIONS, None)[seed % 6])
        error = estimator_noise(rng, poses, fps)
        yield error - error[:, :1]  # relative to the hip


def autocorrelation(errors, lag):
    pairs = sum((error[lag:] * error[:-lag]).mean(axis=0).sum() for error in errors)
    return pairs / sum((error**2).mean(axis=0).sum() for error in errors)


def test_errors_have_the_size_and_memory_of_real_ones():
    """Kinect on UI-PRMD at 30 fps: deviation 23 mm, autocorrelation 0.89 at lag 1 and 0.30 at lag 9."""
    errors = [error - error.mean(axis=0) for error in errors_like_the_files()]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.023, rel=0.06)
    assert autocorrelation(errors, 1) == pytest.approx(0.89, abs=0.02)
    assert autocorrelation(errors, 9) == pytest.approx(0.30, abs=0.04)
    by_joint = np.sqrt(np.mean(np.square(errors), axis=(0, 1, 3)))
    for inner, outer in ((R_HIP, R_FOOT), (L_HIP, L_FOOT), (R_SHOULDER, R_WRIST), (L_SHOULDER, L_WRIST)):
        assert by_joint[outer] > 1.4 * by_joint[inner]


def test_errors_keep_their_memory_in_seconds_at_another_frame_rate():
    errors = [error - error.mean(axis=0) for error in errors_like_the_files(24, 800, 2 * FPS)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.023, rel=0.1)
    assert autocorrelation(errors, 18) == pytest.approx(0.30, abs=0.06)


def test_bursts_are_rare_last_several_frames_and_prefer_hidden_joints():
    poses = np.zeros((20_000, 17, 3))
    poses[:, L_WRIST] = (0.0, 0.0, -0.5)  # behind the trunk, seen from the camera at +z
    poses[:, R_WRIST] = (0.0, 0.0, 0.5)
    error = np.linalg.norm(estimator_noise(np.random.default_rng(1), poses), axis=-1)
    far = error > 0.13  # at a wrist: beyond 4 standard deviations of jitter and lasting error
    assert 0 < far[:, R_WRIST].mean() < 0.02
    assert far[:, L_WRIST].mean() > 3 * far[:, R_WRIST].mean()
    starts = np.count_nonzero(np.diff(far[:, L_WRIST].astype(int)) == 1)
    assert far[:, L_WRIST].sum() / starts > 2  # stays far for frames in a row


def test_a_seed_gives_the_same_data_again(tmp_path):
    first = write_demo(tmp_path / "a", 2, 1, 40, seed=3)
    again = write_demo(tmp_path / "b", 2, 1, 40, seed=3)
    other = write_demo(tmp_path / "c", 2, 1, 40, seed=4)
    more = write_demo(tmp_path / "d", 3, 1, 40, seed=3)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, other, strict=True))
    with Npz(first[0]) as short, Npz(more[0]) as long:
        for a, b in zip(short["joints_3d"], long["joints_3d"][:2], strict=True):
            np.testing.assert_array_equal(a, b)


def test_files_are_in_the_official_layout(tmp_path):
    paths = write_demo(tmp_path, train_sequences=3, test_sequences=2, frames=33)
    base = tmp_path / "demo_synthetic_3D"
    assert paths == [
        base / "groundtruth" / "demo_gt_3D_train.npz",
        base / "detected" / "demo_synthetic_3D_train.npz",
        base / "groundtruth" / "demo_gt_3D_test.npz",
        base / "detected" / "demo_synthetic_3D_test.npz",
    ]
    for path, count in zip(paths, (3, 3, 2, 2), strict=True):
        with Npz(path) as file:
            assert sorted(file.keys) == ["imgname", "joints_3d"]
            assert file["joints_3d"].dtype == object
            assert [(a.shape, a.dtype) for a in file["joints_3d"]] == [((33, 51), np.float32)] * count
            assert [len(names) for names in file["imgname"]] == [33] * count
    data = load_poses(tmp_path, "demo", "synthetic", "3D", "test")
    assert (data.sequences, data.frames, data.facts.joints) == (2, 66, 17)
    assert data.groundtruth[:, :3].abs().max() == 0  # relative to the hip
    assert 5 < (data.detected - data.groundtruth).std() * 1000 < 60  # mm


def test_pixels_belong_to_the_same_people(tmp_path):
    write_demo(tmp_path, 1, 1, 50, seed=2, representation="2D")
    with Npz(tmp_path / "demo_synthetic_2D" / "groundtruth" / "demo_gt_2D_test.npz") as file:
        pixels, shape = file["joints_2d"][0].reshape(50, 17, 2), file["imgshape"][0]
    assert shape.tolist() == [IMAGE_SIZE, IMAGE_SIZE]
    assert pixels.min() >= 0 and pixels.max() <= IMAGE_SIZE
    rng = np.random.default_rng([2, 1, 0])  # seed, test phase, first sequence
    poses = make_sequence(rng, 50, FPS, ACTIONS[0])
    np.testing.assert_allclose(pixels, project(poses), atol=1e-3)
    data = load_poses(tmp_path, "demo", "synthetic", "2D", "train")
    assert data.detected.abs().max() < 1.5


def test_projection_is_a_pinhole_camera():
    # The corners of a square of 2 m around (0, 1) at z = 0: it fills 90 % of the image.
    square = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-1.0, 2.0, 0.0], [1.0, 2.0, 0.0]])
    np.testing.assert_allclose(project(square), [[50, 950], [950, 950], [50, 50], [950, 50]])
    # A point 1 m nearer stands at distance f / 450 - 1 and so is larger; the camera does not move for it.
    point = np.array([[0.1, 1.0, 1.0]])
    distance = FOCAL_LENGTH / 450
    expected = [500 + FOCAL_LENGTH * 0.1 / (distance - 1), 500]
    np.testing.assert_allclose(project(np.concatenate([square, point]))[-1], expected)


def test_command_says_what_it_wrote(tmp_path, capsys):
    main = runpy.run_path(str(ROOT / "data" / "make_demo.py"))["main"]
    assert main(["--output", str(tmp_path), "--train", "2", "--test", "1", "--frames", "20", "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    files = list(tmp_path.rglob("*.npz"))
    assert len(files) == 4
    assert all(str(path) in printed for path in files)
    assert "2 training and 1 test sequences of 20 frames" in printed


def test_data_that_are_there_are_not_replaced_without_force_not_through_links_either(tmp_path):
    main = runpy.run_path(str(ROOT / "data" / "make_demo.py"))["main"]
    small = ["--train", "1", "--test", "1", "--frames", "9"]
    theirs = tmp_path / "theirs"
    assert main(["--output", str(theirs), *small]) == 0
    before = {path: path.read_bytes() for path in theirs.rglob("*.npz")}
    (tmp_path / "linked").symlink_to(theirs)  # the whole folder, the dataset's folder, one file, one that leads nowhere
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/demo_synthetic_3D").symlink_to(theirs / "demo_synthetic_3D")
    for folder, target in (("file", next(iter(before))), ("nowhere", tmp_path / "gone")):
        (tmp_path / folder / "demo_synthetic_3D/detected").mkdir(parents=True)
        (tmp_path / folder / "demo_synthetic_3D/detected/demo_synthetic_3D_test.npz").symlink_to(target)
    for folder in ("theirs", "linked", "inside", "file", "nowhere"):
        with pytest.raises(SmoothNetError, match=r"npz is there already; choose another --output, or .* --force"):
            main(["--output", str(tmp_path / folder), *small, "--seed", "1"])
    assert {path: path.read_bytes() for path in theirs.rglob("*.npz")} == before
    assert (
        main(["--output", str(tmp_path / "file"), *small, "--seed", "1", "--force"]) == 0
    )  # the link goes, not its target
    assert {path: path.read_bytes() for path in theirs.rglob("*.npz")} == before
    assert main(["--output", str(theirs), *small, "--seed", "1", "--force"]) == 0
    assert all(path.read_bytes() != content for path, content in before.items())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: make_sequence(np.random.default_rng(0), 10, action="fly"), "unknown action 'fly'"),
        (lambda folder: make_sequence(np.random.default_rng(0), 0), "at least 1 frame"),
        (lambda folder: make_sequence(np.random.default_rng(0), 10, fps=0), "1 to 1000 fps"),
        (lambda folder: make_sequence(np.random.default_rng(0), 10, fps=np.inf), "1 to 1000 fps"),
        (lambda folder: write_demo(folder, representation="smpl"), "3D or 2D"),
        (lambda folder: write_demo(folder, 1, 1, 10**50), "at most 20,000,000 frames"),
        (lambda folder: write_demo(folder, train_sequences=0), "at least 1 train"),
        (lambda folder: write_demo(folder, seed=-1), "seed"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, call, message):
    with pytest.raises(SmoothNetError, match=message):
        call(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SmoothNetError, match="cannot make the folder"):
        write_demo(tmp_path / "file", 1, 1, 5)
