# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A standard deviation for each point: larger where there is more noise, in the unit of the points."""

import numpy as np
import pytest
from helpers import ROOT

from lib.commands import run
from lib.inference import Smoother
from lib.inference.uncertainty import deviations
from lib.models.windows import window_starts


def noisy(frames: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Five joints on slow circles; joint 3 trembles five times as much. Points and truth."""
    rng = np.random.default_rng(4)
    t = np.arange(frames)[:, None] / 30
    truth = (
        np.stack([np.cos(t + np.arange(5)), np.sin(2 * t + np.arange(5))], axis=2) * 100 + np.arange(5)[:, None] * 40
    )
    return truth + rng.normal(size=truth.shape) * np.array([1, 1, 1, 5, 1])[:, None], truth


def test_one_wild_frame_does_not_make_all_later_ones_sure():
    spread = np.full((90, 1), 1e-3)
    calm = deviations(spread)[60]
    spread[20] = 1e9
    np.testing.assert_allclose(deviations(spread)[60], calm)


def test_the_spread_is_that_of_the_windows():
    """By hand: each window alone, weighted by the taper."""
    points = noisy()[0]
    smoother = Smoother.from_checkpoint()
    smoothed, step, window = smoother(points), smoother.network.step, smoother.window
    total, weight = np.zeros(points.shape), np.zeros((len(points), 1, 1))
    for start in window_starts(len(points), window, step):
        frames = slice(start, start + window)
        one = smoother.network.people(np.moveaxis(points[frames], 0, -1)[None].astype(np.float32), None, 1.0, 0.0)[0]
        taper = smoother.network.taper.copy()
        if start % step:
            taper[0] = 0  # as chosen_windows has it of a window that ends the recording
        total[frames] += taper[:, None, None] * (np.moveaxis(one, -1, 0) - smoothed[frames]) ** 2
        weight[frames] += taper[:, None, None]
    expected = np.sqrt((total / weight).mean(axis=-1))
    np.testing.assert_allclose(smoother.spread(points, smoothed), expected, rtol=0.02, atol=2e-3)


def test_more_noise_is_less_sure_and_the_unit_does_not_matter():
    points, truth = noisy()
    points[20:23, 1] = np.nan
    smoother = Smoother.from_checkpoint()
    smoothed = smoother(points)
    sigma = deviations(smoother.spread(points, smoothed))
    assert np.array_equal(np.isnan(sigma), np.isnan(points).any(axis=2))
    typical = np.nanmedian(sigma, axis=0)
    assert typical[3] > 2.5 * max(typical[[0, 1, 2, 4]])
    within = np.abs(smoothed - truth)[:, :, 0] < 2 * sigma
    assert within[np.isfinite(sigma)].mean() > 0.85
    other = points * 0.001 + 7
    np.testing.assert_allclose(deviations(smoother.spread(other, smoother(other))), sigma * 0.001, rtol=0.02, atol=1e-5)


def test_the_command_writes_deviations_beside_the_output(tmp_path, capsys):
    source = str(ROOT / "data/samples/openpose_balance_cam3")
    assert run("smooth", [source, "-o", str(tmp_path / "out"), "--uncertainty"]) == 0
    with np.load(tmp_path / "out.uncertainty.npz") as file:
        deviation = file["deviation"]
        assert deviation.shape == (100, 25) and file["tracks"].tolist() == ["2D 0"]
    assert np.isnan(deviation).sum() == 124 and np.nanmin(deviation) >= 0
    assert 0.5 < np.nanmedian(deviation) < 20  # pixels


@pytest.mark.parametrize("words", [["--method", "rts"], ["--strength", "2"], ["--delay", "3"]])
def test_what_is_not_calibrated(words, tmp_path, capsys):
    source = str(ROOT / "data/samples/pose2sim_balancing.trc")
    assert run("smooth", [source, "-o", str(tmp_path / "out.trc"), "--uncertainty", *words]) == 2
    assert "--uncertainty is calibrated for the general network" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
