# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Outliers that the general network finds where its window is short: `--outliers network`.

At 60 frames a second a window of 32 frames is half a second, and an estimator that sees another pose for a quarter of a
second fills half of it: which of the two is the person cannot be told. In every second frame the same window reaches
twice as far. So the even and the odd frames are smoothed each by themselves, at half the frame rate, and points far
from what comes out are replaced by it before the network sees all frames. Nothing else is changed by it: fast motion
is smoothed at the full rate.
"""

from __future__ import annotations

import numpy as np

from ..utils.gaps import shown_points
from .overlap import blank_missing
from .report import body_size
from .smoother import Smoother

SLOWEST = 48.0  # frames a second; below, every second frame is too few for fast motion
FAR = 6.0  # times the median distance of the joint over the recording: an outlier, if it also is
LEAST = 0.05  # times the body's size away


def second_look(network: Smoother, points: np.ndarray, fps: float, max_gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Replace outliers of points by what every second frame says of them; numbers of another kind have none.

    Args:
        network: a smoother with the general network.
        points: (T, K, D), NaN where missing.
        fps: frames a second.
        max_gap: frames without any point that are bridged.

    Returns:
        (T, K, D) without the outliers, and (T, K) bool, which they were.
    """
    known = blank_missing(points)
    if points.shape[2] > 3:
        return known, np.zeros(points.shape[:2], bool)
    every_second = Smoother(network.network, fps=fps / 2)
    every_second.threads = network.threads
    far = np.full_like(known, np.nan)
    for first in (0, 1):
        far[first::2] = every_second(known[first::2], max_gap=max_gap // 2)
    shown = shown_points(known)
    distance = np.sqrt(np.where(shown, ((known - far) ** 2).sum(axis=-1), 0.0))
    usual = [np.median(joint[there]) if there.any() else 0.0 for joint, there in zip(distance.T, shown.T, strict=True)]
    outlier = shown & (distance > np.maximum(FAR * np.array(usual), LEAST * body_size(known, shown)))
    return np.where(outlier[..., None], far, known), outlier
