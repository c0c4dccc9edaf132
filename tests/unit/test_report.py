# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What smoothing says of itself: how far points moved, outliers, and whether motion was lost."""

from dataclasses import replace

import numpy as np
import pytest

from lib.dataset.motion import generate_motion
from lib.dataset.noise import ar1
from lib.filters import classical_smoother
from lib.formats.recording import Recording, Track
from lib.inference.options import SmoothingOptions
from lib.inference.report import Part, Report, residual_lag
from lib.inference.tracks import Ready, smooth_recording
from lib.utils.rotations import axis_angle_to_6d


def recording(points, fps=30.0, **options):
    return Recording("a", "npy", [Track(0, points, **options)], len(points), fps)


def report(points, smooth, fps=30.0, **options):
    return smooth_recording(recording(points, fps, **options), Ready(smooth), fps=fps)[1]


def test_how_far_points_moved_by_hand():
    points = np.tile(np.arange(100.0)[:, None, None], (1, 1, 2))

    def smooth(given):
        moved = given.copy()
        moved[:90, 0, 1] += 3
        moved[90:, 0, 1] += 4
        moved[99, 0, 0] += 3  # (3, 4): 5
        return moved

    (part,) = report(points, smooth).parts.values()
    assert part.moved == pytest.approx((np.sqrt((90 * 9 + 9 * 16 + 25) / 100), 4.0, 5.0))
    assert "moved by 3.13 (RMS), 4 at 95 %, 5 at most" in report(points, smooth).text()


def test_rotations_moved_by_degrees():
    angle = np.linspace(0, 1, 20)[:, None] * [0, 0, 1.0]
    before, after = (axis_angle_to_6d(vectors)[:, None] for vectors in (angle, angle + np.array([0, 0, np.radians(7)])))
    (part,) = report(before, lambda given: after, kind="rotations").parts.values()
    assert part.moved == pytest.approx((7, 7, 7)) and part.unit == "deg"


def test_missing_points_do_not_move():
    points = np.tile(np.arange(10.0)[:, None, None], (1, 2, 3))
    points[4:, 0] = np.nan
    (part,) = report(points, lambda given: given + np.array([0, 0, 1.0])).parts.values()
    assert part.moved == pytest.approx((1, 1, 1))


def noisy(kind, level, seed=0):
    """Somebody of half a metre who moves, with white or slow noise, metres; and the same without."""
    rng = np.random.default_rng(seed)
    truth = generate_motion(np.random.default_rng(3), 240).astype(float)
    truth *= 0.5 / np.sqrt(((truth - truth.mean(1, keepdims=True)) ** 2).sum(2).mean())
    noise = rng.standard_normal(truth.shape)
    if kind == "slow":
        noise = np.moveaxis(ar1((*truth.shape[1:], len(truth)), np.full(truth.shape[1], 3.0), rng), -1, 0)
    return truth + level * noise, truth


def error(points, truth):
    return np.linalg.norm(points - truth, axis=-1).mean()


@pytest.mark.parametrize("level", [0.02, 0.06])
@pytest.mark.parametrize(("method", "options"), [("butterworth", {"cutoff": 6.0}), ("rts", {"strength": 0.7})])
def test_removing_white_jitter_does_not_warn(level, method, options):
    points, truth = noisy("white", level)
    smooth = classical_smoother(method, fps=30, **options)
    assert error(smooth(points), truth) < error(points, truth)
    assert report(points, smooth).warning() is None


@pytest.mark.parametrize("kind", ["white", "slow"])
@pytest.mark.parametrize(("method", "options"), [("gaussian", {"cutoff": 1.0}), ("rts", {"strength": 3.0})])
def test_losing_fast_motion_warns(kind, method, options):
    points, truth = noisy(kind, 0.005)
    smooth = classical_smoother(method, fps=30, **options)
    assert error(smooth(points), truth) > 2 * error(points, truth)
    warning = report(points, smooth).warning()
    assert "looks like motion" in warning and "--strength" in warning


def test_nothing_is_said_of_what_is_too_small_to_see():
    """Smooth, but a thousandth of the body: such as rounding of captured motion that hardly moves."""
    points, _ = noisy("white", 0.0)
    wave = 5e-4 * np.sin(np.arange(len(points)) / 8)[:, None, None]
    assert report(points, lambda given: given + wave).warning() is None
    assert report(points, lambda given: given + 100 * wave).warning() is not None


def test_the_lag_lasts_as_long_at_every_frame_rate():
    assert [residual_lag(fps) for fps in (None, 15, 30, 50, 60, 120)] == [1, 1, 1, 2, 2, 4]
    assert residual_lag(1e-3) == 1


TOO_FEW = "one or two frames show no motion, so there is nothing to smooth; give all frames of the recording"
NO_FRAMES = "it has no frames, so there is nothing to smooth; look whether all of it was written"


def test_still_and_empty_recordings_have_a_report():
    for points in (np.zeros((0, 3, 2)), np.zeros((1, 1, 2)), np.ones((5, 2, 2)), np.full((4, 2, 3), np.nan)):
        said = report(points, lambda given: given)
        assert said.text() and said.warning() == {0: NO_FRAMES, 1: TOO_FEW}.get(len(points))


def test_of_several_parts_the_warning_names_the_one_whose_motion_was_lost():
    part = Part(jitter=(1.0, 0.5), moved=(1.0, 2.0, 3.0))
    lost = replace(part, correlation=0.9, slow=0.5)
    assert (
        "removed (keypoints_2d) looks" in Report(frames=9, parts={"keypoints_3d": part, "keypoints_2d": lost}).warning()
    )
    assert "removed looks" in Report(frames=9, parts={"2D": lost}).warning()


def test_outliers_are_counted_and_do_not_count_as_lost_motion():
    from lib.inference.methods import Smoothing

    t = np.arange(100)[:, None, None]
    points = np.sin(t / 9 + np.arange(4)[:, None] + np.arange(3)) + 0.002 * np.random.default_rng(0).normal(
        size=(100, 4, 3)
    )
    points[[20, 40, 41, 60], 1] += 3.0
    smoothing = Smoothing(SmoothingOptions(method="rts", outliers="hampel", fps=30.0))
    _, said = smoothing(recording(points))
    assert said.outlier_frames == 4 and said.seen_frames == 100
    assert "outliers rejected in 4.0 % of the frames" in said.text() and said.warning() is None
    _, said = Smoothing(SmoothingOptions(method="rts", fps=30.0))(recording(points))
    assert said.outlier_frames is None and "outliers" not in said.text()


def test_joints_that_leap_by_the_size_of_the_body_are_doubted():
    """As of lists that have their joints in another order in each frame."""
    points, _ = noisy("white", 0.005)
    smooth = classical_smoother("rts", fps=30)
    assert "leap" not in (report(points, smooth).warning() or "")
    turned = np.stack([np.roll(frame, t % 3, axis=0) for t, frame in enumerate(points)])
    assert "joints leap by" in report(turned, smooth).warning()


def test_people_who_are_seen_in_one_frame_alone_are_doubted():
    points = np.zeros((9, 4, 2))
    reports = Report(frames=9, tracks=9, points=36, parts={"2D": Part(moved=(0.0, 0.0, 0.0))})
    assert "nobody is seen in three frames running" in reports.warning()
    assert "nobody" not in (report(points, classical_smoother("rts", fps=30)).warning() or "")
