"""Errors of poses against ground truth, per frame: pure functions on (frames, joints, dims) arrays.

Units are those of the arrays (mm for 3D, pixels for 2D); Accel is per frame^2. Results have the arrays' type,
float64 for integers.
"""

from __future__ import annotations

import numpy as np

from .procrustes import procrustes_align

CHUNK_VALUES = 2**16  # coordinates aligned at once, so that they stay in the processor's cache


def _mean_length(vectors: np.ndarray) -> np.ndarray:
    """(L, K, D) -> (L,); several times as fast as numpy.linalg.norm over so short an axis."""
    return np.sqrt(np.einsum("lkd,lkd->lk", vectors, vectors)).mean(-1)


def mpjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean per joint position error ("Protocol #1") of each frame: (L, K, D), (L, K, D) -> (L,)."""
    return _mean_length(predicted - truth)


def pampjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """MPJPE after a similarity Procrustes alignment of each frame ("Protocol #2"): (L, K, D), (L, K, D) -> (L,)."""
    frames, joints, dims = truth.shape
    result = np.empty(frames, np.result_type(predicted, truth, np.float32))
    size = max(1, CHUNK_VALUES // max(1, joints * dims))
    for i in range(0, frames, size):
        rows = slice(i, i + size)
        result[rows] = mpjpe(procrustes_align(predicted[rows], truth[rows]), truth[rows])
    return result


def accel(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Acceleration error: mean over joints of |second difference of prediction - of truth|: (L, K, D) -> (L,).

    As published, the first and the last frame count as 0, so that a mean over the result divides by L.
    """
    error = predicted - truth
    result = np.zeros(len(error), np.result_type(error, np.float32))
    if len(error) > 2:
        result[1:-1] = _mean_length(error[:-2] - 2 * error[1:-1] + error[2:])
    return result


def mpvpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean per vertex position error of each frame: (L, V, 3), (L, V, 3) -> (L,)."""
    return mpjpe(predicted, truth)


def worst_frames(input_error: np.ndarray) -> np.ndarray:
    """Indices of the worst 1 % of frames by the input's MPJPE: sorted, from int(0.99 n) on; (n,) -> (m,)."""
    return np.argsort(input_error, kind="stable")[int(0.99 * len(input_error)) :]
