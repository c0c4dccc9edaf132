# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Velocity and acceleration per second, to the ends of every run of frames."""

import numpy as np
import pytest

from lib.inference.derivatives import derivatives


@pytest.mark.parametrize("frames", [3, 4, 5, 6, 30])
def test_a_parabola_has_its_own_slope_and_curvature_everywhere(frames):
    fps = 50.0
    t = np.arange(frames)[:, None, None] / fps
    points = 3 + t * [[[2.0, -1.0]], [[0.0, 5.0]]][0] + 0.5 * t**2 * [[9.81, 4.0]]
    velocity, acceleration = derivatives(points, fps)
    np.testing.assert_allclose(velocity, np.array([2.0, -1.0]) + t * [9.81, 4.0], atol=1e-8)
    np.testing.assert_allclose(acceleration, np.broadcast_to([9.81, 4.0], points.shape), atol=1e-8)


def test_nothing_reaches_over_a_gap():
    points = np.zeros((20, 2, 1))
    points[8:, 0] = 100.0
    points[7, 0] = np.nan
    points[[1, 4, 5], 1] = np.nan  # runs of 1, 2 and 14 frames
    velocity, acceleration = derivatives(points, 30)
    assert np.array_equal(np.isnan(velocity[:, 0]), np.isnan(points[:, 0])) and np.nanmax(np.abs(velocity)) < 1e-9
    assert np.isnan(velocity[0, 1]) and velocity[2:4, 1].max() < 1e-9 and np.isnan(acceleration[2:4, 1]).all()
    assert np.abs(acceleration[6:, 1]).max() < 1e-9
