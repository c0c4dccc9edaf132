# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Similarity Procrustes alignment of many frames at once, without a loop or an SVD for each."""

from __future__ import annotations

import numpy as np

NEWTON_STEPS = 24  # enough for every frame that does not go to the SVD
NEWTON_END = 1e-10  # relative; the error after so short a step is about its square
SMALLEST_GAP = 1e-4  # below, the best rotation is nearly ambiguous and the SVD decides


def procrustes_align(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Move, turn and scale every frame of `predicted` to where its squared distance from `truth` is least.

    The rotation is proper (no mirror image). With M = (predicted - mean)^T (truth - mean) it is the R of the
    polar form M = R P, det R = 1, where P is symmetric and has the largest trace, which is the largest root
    of the quartic of Horn's quaternion matrix (Horn 1987, Theobald 2005), found by Newton's method; R follows
    from the Cayley-Hamilton theorem for P: R (M^T M + b I) = trace(P) M + cofactors(M), where
    b = (trace(P)^2 - |M|^2) / 2.
    Frames whose joints lie (nearly) on a line go through the SVD.

    Args:
        predicted, truth: (n, K, D) floats, D = 2 or 3.

    Returns:
        (n, K, D) float64. Frames with NaN become NaN; where all predicted or all true joints coincide, every
        joint becomes the mean of the truth.
    """
    x, _ = _centred(predicted)
    y, centre = _centred(truth)
    rotation, trace = _ROTATIONS[x.shape[2]](np.matmul(x.transpose(0, 2, 1), y))
    square = np.einsum("nkd,nkd->n", x, x)
    scale = np.divide(trace, square, out=np.zeros_like(trace), where=square != 0)
    aligned = np.matmul(x, rotation * scale[:, None, None], out=y)
    aligned += centre
    return aligned


def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, K, D) floats -> float64, each frame's mean joint subtracted; and that joint, (n, 1, D)."""
    joints = x.shape[1]
    centre = np.matmul(np.full((1, joints), 1 / joints), x)
    return x - centre, centre


def _rotation_2d(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2, 2) -> the rotations R of largest trace(R^T M), and that trace."""
    a, b = m[:, 0, 0] + m[:, 1, 1], m[:, 0, 1] - m[:, 1, 0]
    trace = np.hypot(a, b)
    ambiguous = trace == 0
    trace_or_1 = np.where(ambiguous, 1.0, trace)
    cos, sin = np.where(ambiguous, 1.0, a / trace_or_1), b / trace_or_1
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2), trace


def _rotation_3d(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3, 3) -> the rotations R of largest trace(R^T M), and that trace."""
    norm = np.sqrt(np.einsum("nij,nij->n", m, m))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit = m / norm[:, None, None]
        c = np.matmul(unit.transpose(0, 2, 1), unit)
        cofactors = _cofactors(unit)
        det = np.einsum("ni,ni->n", unit[:, 0], cofactors[:, 0])
        minors = c[:, 0, 0] * c[:, 1, 1] + c[:, 0, 0] * c[:, 2, 2] + c[:, 1, 1] * c[:, 2, 2]
        minors -= c[:, 0, 1] ** 2 + c[:, 0, 2] ** 2 + c[:, 1, 2] ** 2
        constant = 1 - 4 * minors
        root = np.full(len(m), np.sqrt(3.0))  # at or above the largest root, whence Newton falls monotonously
        for _ in range(NEWTON_STEPS):
            square = root * root
            value = (square - 2) * square - 8 * det * root + constant
            slope = 4 * (square - 1) * root - 8 * det
            step = value / slope
            root -= step
            if not (np.abs(step) > NEWTON_END * root).any():
                break
        b = (root * root - 1) / 2
        inverse = c
        inverse[:, [0, 1, 2], [0, 1, 2]] += b[:, None]
        inverse = _cofactors(inverse)  # symmetric
        rotation = np.matmul(root[:, None, None] * unit + cofactors, inverse)
        gap = root * b - det  # (p1 + p2) (p1 + p3) (p2 + p3) of the eigenvalues of P; its square is the determinant
        rotation /= (gap * gap)[:, None, None]
        # what rounding took from orthogonality, one step of Newton-Schulz puts back
        rotation = 1.5 * rotation - 0.5 * np.matmul(rotation, np.matmul(rotation.transpose(0, 2, 1), rotation))
        trace = root * norm
    finite = np.isfinite(norm)
    hard = np.flatnonzero(finite & ~(gap > SMALLEST_GAP))
    if len(hard):
        u, sigma, vt = np.linalg.svd(m[hard])
        sign = np.where(np.linalg.det(np.matmul(u, vt)) < 0, -1.0, 1.0)
        u[:, :, 2] *= sign[:, None]
        sigma[:, 2] *= sign
        rotation[hard], trace[hard] = np.matmul(u, vt), sigma.sum(-1)
    return rotation, trace


def _cofactors(m: np.ndarray) -> np.ndarray:
    """(n, 3, 3) -> the matrices of cofactors, det(m) x the transposed inverse."""
    result = np.empty_like(m)
    for i in range(3):
        p, q = m[:, (i + 1) % 3], m[:, (i + 2) % 3]
        for j in range(3):
            k, l = (j + 1) % 3, (j + 2) % 3
            result[:, i, j] = p[:, k] * q[:, l] - p[:, l] * q[:, k]
    return result


_ROTATIONS = {2: _rotation_2d, 3: _rotation_3d}
