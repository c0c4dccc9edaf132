# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""`--outliers network`: what every second frame says of a pose that lasts too long for a window."""

import numpy as np
import pytest
from helpers import write_averaging_checkpoint

from benchmarks.motion import fast_motion, generated
from lib.formats.recording import Recording, Track
from lib.inference import Smoother
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.inference.second_look import second_look
from lib.utils.errors import SmoothNetError


def smooth(points, fps, **options):
    recording = Recording("a", "npy", [Track(0, points)], len(points), fps)
    (smoothed,), report = Smoothing(SmoothingOptions(**options))(recording)
    return smoothed, report


def misread(seed=0, spells=((70, 84), (150, 164))):
    """Walking at 60 frames a second, mirrored and elsewhere for a quarter of a second; the truth and the estimate."""
    truth = generated("report", 4.0, 1)[0].at(60.0, 0.0, 4.0)
    seen = truth + np.random.default_rng(seed).normal(size=truth.shape) * 5
    for start, stop in spells:
        seen[start:stop] = 2 * seen[start:stop, :1] - seen[start:stop] + 300
    return truth, seen


def test_a_pose_that_is_misread_for_a_quarter_of_a_second_is_rejected():
    truth, seen = misread()
    seen[100:103, 4] = np.nan

    def error(points):
        return np.nanmean(np.linalg.norm(points - truth, axis=2)[60:175])

    alone, _ = smooth(seen, 60.0)
    looked, report = smooth(seen, 60.0, outliers="network")
    assert error(looked) < 0.6 * error(alone) < 0.6 * error(seen)
    assert report.outlier_frames >= 24 and "outliers rejected in" in report.text()
    np.testing.assert_array_equal(np.isnan(looked), np.isnan(seen))


@pytest.mark.parametrize("fps", [60.0, 120.0])
def test_fast_clean_motion_is_left_alone(fps):
    points = fast_motion(np.random.default_rng(0), 400, fps)
    _, rejected = second_look(Smoother.from_checkpoint(), points, fps, 10)
    assert rejected.mean() < 0.002


@pytest.mark.parametrize(("fps", "why"), [(None, "the frame rate is unknown"), (30.0, "below 48 frames/s")])
def test_below_48_frames_a_second_it_says_that_it_does_nothing(fps, why):
    _, seen = misread()
    smoothed, report = smooth(seen, fps, outliers="network")
    np.testing.assert_array_equal(smoothed, smooth(seen, fps)[0])
    assert why in report.text()


def test_joints_that_are_never_there_and_recordings_of_few_frames():
    _, seen = misread()
    seen[:, 3] = np.nan
    looked, _ = smooth(seen, 60.0, outliers="network")
    np.testing.assert_array_equal(np.isnan(looked), np.isnan(seen))
    for frames in (1, 2, 3, 9):
        assert np.isfinite(smooth(seen[:frames, :3], 60.0, outliers="network")[0]).all()


def test_other_methods_and_weights_refuse_it(tmp_path):
    with pytest.raises(SmoothNetError, match="no --outliers 'network' with --method rts: choose from hampel"):
        Smoothing(SmoothingOptions(method="rts", outliers="network"))
    weights = str(write_averaging_checkpoint(tmp_path / "mean.pth.tar"))
    with pytest.raises(SmoothNetError, match="goes with the general network alone"):
        Smoothing(SmoothingOptions(checkpoint=weights, outliers="network"))
    with pytest.raises(SmoothNetError, match="does not go with --delay"):
        Smoothing(SmoothingOptions(outliers="network", delay=31))
