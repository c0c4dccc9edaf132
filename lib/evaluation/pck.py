# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""PCK, the percentage of correct keypoints, of 2D poses (JHMDB)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..dataset.skeletons import SKELETONS

THRESHOLDS: Mapping[str, float] = {"pck_005": 0.05, "pck_01": 0.1, "pck_02": 0.2}  # metric name -> fraction

# The columns of the usual per-part table. JHMDB marks the face, not the head; neck and belly belong to no
# column, but count in the mean over all joints.
PARTS: Mapping[str, tuple[str, ...]] = {
    "head": ("face",),
    "shoulder": ("right_shoulder", "left_shoulder"),
    "elbow": ("right_elbow", "left_elbow"),
    "wrist": ("right_wrist", "left_wrist"),
    "hip": ("right_hip", "left_hip"),
    "knee": ("right_knee", "left_knee"),
    "ankle": ("right_ankle", "left_ankle"),
}


def pck(predicted: np.ndarray, truth: np.ndarray, bbox: np.ndarray, threshold: float) -> np.ndarray:
    """Fraction of frames in which each joint is within `threshold` x the person's size of the truth.

    The published figure is the unweighted mean of these fractions over joints and sequences.

    Args:
        predicted, truth: (L, K, 2) in pixels.
        bbox: (L, 4) box x1, y1, x2, y2 of the person in pixels, cut to whole pixels; its longer side is
            the size.
        threshold: fraction of the size; a distance of just that much is correct.

    Returns:
        (K,) fractions from 0 to 1, float64. Frames with a distance that is not finite are left out; a joint
        without any other frame is NaN.
    """
    corners = np.asarray(bbox).astype(np.int32)
    size = np.maximum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    distance = np.linalg.norm(np.asarray(predicted) - np.asarray(truth), axis=-1)
    valid = np.isfinite(distance)
    correct = (distance <= threshold * size[:, None]) & valid
    counted = valid.sum(axis=0)
    return np.where(counted > 0, correct.sum(axis=0) / np.maximum(counted, 1), np.nan)


def known_mean(fractions: np.ndarray) -> float:
    """The mean of what is not NaN; NaN where that is nothing."""
    known = fractions[~np.isnan(fractions)]
    return float(known.mean()) if known.size else float("nan")


def pck_parts(fractions: np.ndarray, joints: Sequence[str] = SKELETONS["jhmdb15"].joints) -> dict[str, float]:
    """The per-part table of `fractions` (..., K): part -> mean over its joints and all leading axes.

    Parts of which the skeleton `joints` has no joint are left out, and so is what is NaN (see pck).
    """
    columns = {}
    for part, names in PARTS.items():
        indices = [joints.index(name) for name in names if name in joints]
        if indices:
            columns[part] = known_mean(np.asarray(fractions)[..., indices])
    return columns
