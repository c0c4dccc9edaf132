# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Motion for training: files are read or refused by name, windows show the motion at the speed asked for."""

import numpy as np
import pytest
import torch

from lib.dataset.general import (
    PoolSettings,
    batch_plan,
    general_loss,
    generated_recordings,
    make_pool,
)
from lib.dataset.motion import (
    MotionSource,
    Recording,
    View,
    clean_windows,
    generate_motion,
    load_recordings,
    pair_windows,
    plausible,
)
from lib.dataset.noise import ErrorModel
from lib.utils.errors import SmoothNetError

PLAIN = View(
    speed=(1.0, 1.0),
    backwards=0,
    relative=0,
    any_rotation=0,
    mirrored=0,
    scaled_motion=0,
    plain=0,
    rhythm=0,
    moving_camera=0,
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def turning(frames=200, joints=6, hertz=0.5, fps=30.0, dims=3):
    """A rigid body that swings along x, so that speed shows in the frequency."""
    time = np.arange(frames) / fps
    place = np.random.default_rng(0).standard_normal((joints, dims))
    swing = np.zeros((frames, 1, dims))
    swing[:, 0, 0] = np.sin(2 * np.pi * hertz * time)
    return (place + swing).astype(np.float32)


def objects(arrays):
    packed = np.empty(len(arrays), object)
    packed[:] = arrays
    return packed


def test_packed_clips(tmp_path):
    motion = np.arange(10 * 2 * 3, dtype=np.int16).reshape(10, 2, 3)
    path = tmp_path / "dance_motion.npz"
    np.savez(
        path,
        positions=motion,
        scale_mm=0.5,
        offset_mm=np.array([[0.0, 0, 0], [100, 0, 0]]),
        start=[0, 4, 10],
        fps=np.array([30.0, 60.0]),
        clip=np.array(["a", "b"]),
    )
    first, second = load_recordings(path)
    assert (first.group, first.person, first.fps, len(first.truth)) == ("dance", "a", 30.0, 4)
    np.testing.assert_allclose(second.truth, motion[4:] * 0.5 + [100, 0, 0])
    assert second.fps == 60 and second.detected is None


def test_packed_clips_by_length(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, pos=np.zeros((10, 2, 3), np.int16), length=[3, 7], name=np.array(["x", "y"]), fps=25.0)
    assert [(len(r.truth), r.person, r.fps) for r in load_recordings(path)] == [(3, "x", 25.0), (7, "y", 25.0)]


def test_clips_whose_frames_are_stored_twice_are_thinned(tmp_path):
    motion = np.repeat(turning(40, 2), 2, axis=0)
    still = np.zeros((80, 2, 3))
    path = tmp_path / "m.npz"
    np.savez(path, positions=np.concatenate([motion, still]), length=[80, 80], fps=60.0)
    doubled, resting = load_recordings(path)
    assert doubled.fps == 30 and np.array_equal(doubled.truth, turning(40, 2))
    assert resting.fps == 60 and len(resting.truth) == 80


def test_pairs(tmp_path, rng):
    truth = [rng.standard_normal((40, 3, 2)), rng.standard_normal((50, 3, 2))]
    seen = [t + 0.1 for t in truth]
    path = tmp_path / "op_pairs.npz"
    np.savez(path, detected=objects(seen), groundtruth=objects(truth), subject=[3, 4], fps=60)
    recordings = load_recordings(path)
    assert [(r.person, r.fps, r.group) for r in recordings] == [("3", 60.0, "op"), ("4", 60.0, "op")]
    np.testing.assert_allclose(recordings[1].detected - recordings[1].truth, 0.1, atol=1e-6)


def test_pairs_with_times_and_a_fairer_truth(tmp_path, rng):
    truth = [rng.standard_normal((40, 3, 3))]
    path = tmp_path / "hand.npz"
    np.savez(
        path,
        detected=objects(truth),
        groundtruth=objects(truth),
        groundtruth_offset=objects([truth[0] + 1]),
        timestamps=objects([np.arange(40) / 50]),
    )
    (recording,) = load_recordings(path)
    assert recording.fps == pytest.approx(50)
    np.testing.assert_allclose(recording.truth, truth[0] + 1, atol=1e-6)


def write_official(folder, rng, joints=4):
    for kind, name in (("detected", "toy_kinect_3D_train.npz"), ("groundtruth", "toy_gt_3D_train.npz")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        sequences = [rng.standard_normal((length, joints * 3)).astype(np.float32) for length in (40, 33)]
        images = [np.array([f"m01_s0{i + 3}_e01/{t:05d}" for t in range(len(x))]) for i, x in enumerate(sequences)]
        np.savez(folder / kind / name, joints_3d=objects(sequences), imgname=objects(images))


def test_the_official_layout_and_a_folder(tmp_path, rng):
    write_official(tmp_path / "toy_kinect_3D", rng)
    np.savez(tmp_path / "clips.npz", positions=np.zeros((10, 2, 3)), start=[0, 10])
    recordings = load_recordings(tmp_path)
    assert sorted(r.group for r in recordings) == ["clips", "toy", "toy"]
    assert sorted(r.person for r in recordings if r.group == "toy") == ["3", "4"]
    assert all(r.truth.shape[1:] == (4, 3) for r in recordings if r.group == "toy")


@pytest.mark.parametrize("names", ["h36m_mix_fcn", "toy_my_own"])
def test_names_of_several_words_find_their_ground_truth(tmp_path, rng, names):
    dataset = names.rpartition("_")[0] if names.startswith("h36m") else "toy"
    write_official(tmp_path / "poses", rng)
    for kind, old, new in (("detected", "toy_kinect", names), ("groundtruth", "toy_gt", f"{dataset}_gt")):
        (tmp_path / "poses" / kind / f"{old}_3D_train.npz").rename(tmp_path / "poses" / kind / f"{new}_3D_train.npz")
    assert {recording.group for recording in load_recordings(tmp_path)} == {dataset}


def test_one_file_of_detections_is_read_with_its_ground_truth_at_the_rate_of_its_dataset(tmp_path, rng):
    write_official(tmp_path / "poses", rng)
    detected = tmp_path / "poses/detected/toy_kinect_3D_train.npz"
    assert [recording.fps for recording in load_recordings(detected)] == [30, 30]  # of a dataset that nobody knows
    assert all(recording.detected is not None for recording in load_recordings(detected))
    detected = detected.rename(detected.with_name("h36m_fcn_3D_train.npz"))
    truth = tmp_path / "poses/groundtruth/toy_gt_3D_train.npz"
    truth.rename(truth.with_name("h36m_gt_3D_train.npz"))
    assert [recording.fps for recording in load_recordings(detected)] == [50, 50]


def break_partner(folder, rng):
    write_official(folder, rng)
    (folder / "groundtruth" / "toy_gt_3D_train.npz").unlink()


def packed(path, **more):
    np.savez(path, positions=np.zeros((10, 2, 3)), length=[4, 6], **more)


def damaged(path):
    packed(path)
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder, rng: None, "no npz files"),
        (lambda folder, rng: np.savez(folder / "a.npz", weights=np.zeros(3)), "a.npz holds weights"),
        (lambda folder, rng: (folder / "a.npz").write_bytes(b"no zip"), "a.npz is not a readable"),
        (lambda folder, rng: np.savez(folder / "a.npz", positions=np.zeros((5, 2, 3))), "neither `start` nor `length`"),
        (lambda folder, rng: np.savez(folder / "a.npz", positions=np.zeros((5, 2, 3)), length=[9]), "do not fit the 5"),
        (
            lambda folder, rng: np.savez(folder / "a.npz", positions=np.full((5, 2, 3), np.nan), length=[5]),
            "frame 0",
        ),
        (lambda folder, rng: np.savez(folder / "a.npz", positions=np.zeros((5, 2, 4)), length=[5]), "a.npz"),
        (break_partner, "toy_gt_3D_train.npz is missing"),
        (lambda folder, rng: (folder / "a.npz").write_bytes(b""), "a.npz is not a readable"),
        (
            lambda folder, rng: np.save(folder / "a", np.zeros(3)) or (folder / "a.npy").rename(folder / "a.npz"),
            "a.npz",
        ),
        (lambda folder, rng: damaged(folder / "a.npz"), "positions in .*a.npz is damaged"),
        (lambda folder, rng: packed(folder / "a.npz", clip=["x"]), "a.npz has 2 clips, but 1 in clip"),
        (lambda folder, rng: packed(folder / "a.npz", fps=[30, 30, 30]), "a.npz holds arrays that do not fit"),
        (lambda folder, rng: packed(folder / "a.npz", offset_mm=np.zeros((1, 3))), "a.npz holds arrays that do not"),
        (lambda folder, rng: packed(folder / "a.npz", scale_mm=[1, 2]), "a.npz holds arrays that do not fit"),
        (
            lambda folder, rng: np.savez(
                folder / "a.npz", detected=objects([turning()] * 2), groundtruth=objects([turning()] * 2), subject=[1]
            ),
            "a.npz holds arrays that do not fit",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, rng, make, says):
    make(tmp_path, rng)
    with pytest.raises(SmoothNetError, match=says):
        load_recordings(tmp_path)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(SmoothNetError, match="neither a file nor a folder"):
        load_recordings(tmp_path / "nothing")


@pytest.mark.parametrize("speed", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_windows_show_the_speed_asked_for(rng, speed, fps):
    view = View(**{**PLAIN.__dict__, "speed": (speed, speed)})
    source = MotionSource([Recording("swing", "g", "", turning(1200, fps=fps), fps=fps)])
    windows, size, _, rate = clean_windows(source, 20, 6, 3, 32, rng, view)
    # Two differences more make a sinusoid (2 sin(w / 2))^2 times larger, w its angular frequency per frame.
    once, thrice = (np.linalg.norm(np.diff(windows, n=n, axis=-1)) for n in (1, 3))
    omega = 2 * np.arcsin(np.sqrt(thrice / once) / 2)
    assert omega == pytest.approx(2 * np.pi * 0.5 * speed / 30, rel=0.1)
    assert (size == 1).all()
    assert rate == pytest.approx(30 / speed)  # at which it would be as fast as it was


def test_reading_between_frames_follows_the_motion():
    source = MotionSource([Recording("swing", "g", "", turning())])
    time = np.linspace(20, 150, 77)
    np.testing.assert_allclose(source.read(0, time)[:, 2, 0], turning()[0, 2, 0] + np.sin(np.pi * time / 30), atol=1e-4)
    np.testing.assert_allclose(source.read(0, np.arange(200.0)), turning(), atol=1e-5)


def test_recordings_at_low_rates_are_never_read_between_frames(rng):
    coarse = rng.standard_normal((60, 4, 3)).astype(np.float32)
    view = View(**{**PLAIN.__dict__, "speed": (0.2, 0.5)})
    windows, _, _, _ = clean_windows(
        MotionSource([Recording("flip", "g", "", coarse, fps=16.0)]), 10, 4, 3, 32, rng, view
    )
    shape = np.linalg.norm(coarse[:, 0] - coarse[:, 1], axis=1)
    for window in windows:
        ratio = np.sort([np.linalg.norm(window[i, :, 9] - window[j, :, 9]) for i in range(4) for j in range(i)])
        all_ratios = np.array(
            [np.sort([np.linalg.norm(f[i] - f[j]) for i in range(4) for j in range(i)]) for f in coarse]
        )
        assert (np.abs(all_ratios / all_ratios[:, -1:] - ratio / ratio[-1]).max(axis=1) < 1e-3).any()
    assert shape.std() > 0


def test_the_body_has_size_1_also_through_a_camera(rng):
    source = MotionSource(generated_recordings(rng, 5, 100))
    for dims in (2, 3):
        windows, _, relative, _ = clean_windows(source, 40, 20, dims, 32, rng)
        size = np.sqrt(((windows - windows.mean(1, keepdims=True)) ** 2).sum(2).mean((1, 2)))
        np.testing.assert_allclose(size, 1, atol=1e-3)
        assert relative.any() and (windows[relative][:, 0] == 0).all()


def test_errors_of_pairs_stay_with_their_motion(rng):
    truth = turning(300)
    seen = truth + 0.05 * np.sin(np.arange(300) / 3)[:, None, None].astype(np.float32) + np.float32(0.7)
    pairs = MotionSource([Recording("p", "g", "1", truth, seen)])
    detected, true, fps = pair_windows(pairs, 30, 4, 3, 32, rng, PLAIN)
    assert set(fps) <= {30.0, 15.0, 10.0} and len(set(fps)) > 1  # every frame, every 2nd, every 3rd
    middle = np.sort(detected - true, axis=-1)[..., 8:-8]
    np.testing.assert_allclose(middle.mean(-1), 0, atol=1e-5)  # the constant 0.7 is gone
    assert np.abs(detected - true).max() > 0.02
    moving = (true - true.mean(-1, keepdims=True)).std(axis=-1).max(axis=(1, 2))
    assert (moving > 0.1).all()


def test_a_few_frames_far_off_do_not_move_the_truth_of_a_pair(rng):
    truth = turning(300)
    seen = truth + np.float32(0.7)
    seen[::6] += 5  # every sixth frame
    pairs = MotionSource([Recording("p", "g", "1", truth, seen)])
    detected, true, _ = pair_windows(pairs, 30, 4, 3, 32, rng, PLAIN)
    off = np.abs(detected - true).max(axis=(1, 2)) > 1
    assert 0.1 < off.mean() < 0.6
    right = np.abs(detected - true)[np.broadcast_to(~off[:, None, None], true.shape)]
    assert np.quantile(right, 0.9) < 1e-5  # but for windows of every sixth frame alone, there is nothing left


def test_sources_without_what_is_asked_for_say_so(rng):
    source = MotionSource([Recording("a", "g", "", turning(joints=6))])
    with pytest.raises(SmoothNetError, match="no recording has 7 joints in 3D"):
        clean_windows(source, 3, 7, 3, 32, rng)
    with pytest.raises(SmoothNetError, match="no motion of h, only of g"):
        MotionSource([Recording("a", "g", "", turning())], {"g": 0.5, "h": 0.5})
    for share in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SmoothNetError, match="shares of motion must be 0 or more"):
            MotionSource([Recording("a", "g", "", turning())], {"g": share})
    with pytest.raises(SmoothNetError, match="no motion to cut"):
        MotionSource([])


def test_recordings_with_lost_markers_are_left_out():
    jump = turning()
    jump[50, 2] += 3.0
    good, bad = Recording("good", "g", "", turning()), Recording("bad", "g", "", jump)
    assert plausible([good, bad]) == [good]
    slow = Recording("slow", "g", "", jump, fps=5.0)
    assert plausible([slow]) == [slow]


def test_shares_go_to_groups_whatever_their_length(rng):
    source = MotionSource(
        [Recording("long", "a", "", turning(2000)), Recording("short", "b", "", turning(100))], {"a": 0.2, "b": 0.8}
    )
    chosen = source.choose(4000, 6, 3, 32, rng)
    assert (chosen == 1).mean() == pytest.approx(0.8, abs=0.03)


def test_generated_motion_is_a_body_of_rigid_bones_that_moves_fast_and_slow(rng):
    speeds = []
    for seed in range(8):
        motion = generate_motion(np.random.default_rng(seed), 200, joints=10)
        assert motion.shape == (200, 10, 3) and np.isfinite(motion).all()
        lengths = np.linalg.norm(motion[:, :, None] - motion[:, None], axis=-1)
        rigid = lengths.std(axis=0) < 1e-4 * (lengths.mean(axis=0) + 1e-9)
        assert rigid.sum() >= 10 + 2 * 9  # every joint but the root hangs on a bone
        speeds.append(np.linalg.norm(np.diff(motion, axis=0), axis=-1))
    fastest = [np.quantile(speed, 0.99) for speed in speeds]
    assert max(fastest) > 4 * min(fastest)
    np.testing.assert_array_equal(
        generate_motion(np.random.default_rng(0), 50), generate_motion(np.random.default_rng(0), 50)
    )


def test_a_pool_is_made_again_from_its_seed_and_every_window_comes_once(rng):
    pairs = MotionSource([Recording("p", "p", "1", turning(100, 20), turning(100, 20) + np.float32(0.01))])
    settings = PoolSettings(windows=120, window_size=16)
    first, second = (
        make_pool(
            MotionSource(generated_recordings(np.random.default_rng(3), 6, 60)),
            pairs,
            settings,
            np.random.default_rng(4),
        )
        for _ in range(2)
    )
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.detected, b.detected) and torch.equal(a.truth, b.truth) and torch.equal(a.fps, b.fps)
    told = torch.cat([group.fps for group in first])
    assert 0.3 < (told > 0).float().mean() < 0.9  # the network learns to do without as well
    batches, again = (batch_plan(first, 200, torch.Generator().manual_seed(0)) for _ in range(2))
    for group in first:
        drawn = torch.cat([index for of, index in batches if of is group])
        assert torch.equal(drawn.sort().values, torch.arange(len(group.truth)))  # every window once
    assert all(a[0] is b[0] and torch.equal(a[1], b[1]) for a, b in zip(batches, again, strict=True))


def test_the_loss_is_the_logarithm_of_the_share_of_the_error_that_is_left():
    truth = torch.randn(5, 4, 3, 32)
    detected = truth + 0.5 * torch.randn_like(truth)
    assert general_loss(detected, truth, detected).item() == pytest.approx(0, abs=1e-6)
    halfway, quarter = (truth + detected) / 2, (3 * truth + detected) / 4
    assert general_loss(halfway, truth, detected, acceleration=0.0).item() == pytest.approx(np.log(1 / 2), rel=0.01)
    assert general_loss(quarter, truth, detected, acceleration=0.5).item() == pytest.approx(
        1.5 * np.log(1 / 4), rel=0.01
    )
    assert general_loss(truth, truth, detected).item() < -5


def test_clean_windows_do_not_outweigh_the_others():
    """Whatever is done to them is many times their error; as a plain ratio, one would count as much as hundreds."""
    truth = torch.randn(1, 4, 3, 32)
    detected = truth + 0.1 * torch.randn_like(truth)
    harm = 0.02 * torch.randn_like(truth)
    assert 0 < general_loss(truth + 1e-5, truth, truth) < 0.2
    spoiled = general_loss(truth + harm, truth, truth)
    assert 2 < spoiled < 6 and spoiled < 4 * -general_loss(truth + harm, truth, detected)


def test_settings_out_of_range_are_refused():
    with pytest.raises(SmoothNetError, match="at least 100"):
        PoolSettings(windows=5)
    with pytest.raises(SmoothNetError, match="share of real pairs"):
        PoolSettings(pairs=1.0)
    with pytest.raises(SmoothNetError, match="speed"):
        View(speed=(2.0, 1.0))
    with pytest.raises(SmoothNetError, match="frozen"):
        ErrorModel(frozen=2.0)
