# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The last look at smoothed tracks: what cannot be the motion that was read is not written."""

from pathlib import Path

import numpy as np
import pytest

from lib.formats import check_output
from lib.formats.recording import Recording, Track
from lib.utils.errors import SmoothNetError
from lib.utils.rotations import axis_angle_to_6d


def recording(points, **options):
    return Recording(Path("a.npy"), "npy", [Track(3, points, start=10, **options)], len(points))


def walk():
    return np.cumsum(np.random.default_rng(0).normal(size=(30, 4, 2)), axis=0)


def test_good_output_passes():
    points = walk()
    points[3, 1] = np.nan
    check_output(recording(points), [points * 0.98])
    turns = axis_angle_to_6d(np.random.default_rng(0).normal(size=(30, 4, 3)))
    check_output(recording(turns, kind="rotations"), [turns * 0.6])
    check_output(recording(np.full((5, 2, 2), np.nan)), [np.full((5, 2, 2), np.nan)])
    check_output(recording(np.ones((5, 2, 2))), [np.ones((5, 2, 2)) + 1e-7])


def test_numbers_that_got_lost():
    new = walk()
    new[7, 2, 1] = np.nan
    with pytest.raises(SmoothNetError, match=r"a\.npy.*track 3, joint 2, frame 17.*is not finite; 1 of 120"):
        check_output(recording(walk()), [new])
    scores = np.ones((30, 4))
    scores[7, 2] = 0.1  # was taken as missing
    check_output(recording(walk(), scores=scores), [new], min_score=0.5)


def test_coordinates_out_of_reach():
    new = walk()
    new[7, 2] += 1000
    with pytest.raises(SmoothNetError, match=r"joint 2, frame 17.*beyond what the input reaches"):
        check_output(recording(walk()), [new])


def test_rotations_that_are_none():
    turns = axis_angle_to_6d(np.random.default_rng(0).normal(size=(30, 4, 3)))
    for bad in (np.zeros(6), np.array([1.0, 1, 0, 0.01, 0, 0])):
        new = turns.copy()
        new[7, 2] = bad
        with pytest.raises(SmoothNetError, match=r"joint 2, frame 17.*is no rotation any more"):
            check_output(recording(turns, kind="rotations"), [new])
