# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Rotations as matrices, six numbers (6D), axis-angle and quaternions, on float arrays of any leading shape.

Results have the dtype of the argument. Matrices and 6D are the same for the quaternions q and -q and for
axis-angle vectors that differ by full turns, which is why rotations are smoothed as 6D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Order = Literal["wxyz", "xyzw"]
CHUNK = 1 << 16  # rotations converted at once; some 10 MB


def axis_angle_to_matrix(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) axis times angle in radians -> (..., 3, 3)."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    # sin(angle / 2) / angle without dividing by zero; np.sinc(x) = sin(pi x) / (pi x)
    xyz = vectors * (0.5 * np.sinc(angle / (2 * np.pi))).astype(vectors.dtype, copy=False)  # float64 before NumPy 2
    return quaternion_to_matrix(np.concatenate([np.cos(angle / 2), xyz], axis=-1))


def matrix_to_axis_angle(matrices: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> (..., 3) axis times angle from 0 to pi; at pi the sign of the axis is free."""
    quaternions = matrix_to_quaternion(matrices)
    w, xyz = quaternions[..., :1], quaternions[..., 1:]
    sine = np.linalg.norm(xyz, axis=-1, keepdims=True)
    # angle / sin(angle / 2), which is 2 where the angle vanishes
    factor = np.divide(2 * np.arctan2(sine, w), sine, out=np.full_like(sine, 2), where=sine > 0)
    return xyz * factor


def quaternion_to_matrix(quaternions: np.ndarray, order: Order = "wxyz") -> np.ndarray:
    """(..., 4) of any length other than 0 -> (..., 3, 3)."""
    unit = _normalize(quaternions)
    w, x, y, z = np.moveaxis(unit if order == "wxyz" else np.roll(unit, 1, axis=-1), -1, 0)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return np.stack(rows, axis=-1).reshape(*unit.shape[:-1], 3, 3).astype(unit.dtype, copy=False)


def matrix_to_quaternion(matrices: np.ndarray, order: Order = "wxyz") -> np.ndarray:
    """(..., 3, 3) -> (..., 4) unit quaternions with w >= 0."""
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    # Four times the outer product of the quaternion with itself. Its row with the largest diagonal is the
    # quaternion times that component, which is at least 1/2: no division by a small number at any angle.
    rows = [
        *(1 + xx + yy + zz, wx, wy, wz),
        *(wx, 1 + xx - yy - zz, xy, xz),
        *(wy, xy, 1 - xx + yy - zz, yz),
        *(wz, xz, yz, 1 - xx - yy + zz),
    ]
    outer = np.stack(rows, axis=-1).reshape(*m.shape[:-2], 4, 4)
    largest = np.diagonal(outer, axis1=-2, axis2=-1).argmax(axis=-1)
    row: np.ndarray = np.take_along_axis(outer, largest[..., None, None], axis=-2)[..., 0, :]
    quaternions = _normalize(np.where(row[..., :1] < 0, -row, row))
    return quaternions if order == "wxyz" else np.roll(quaternions, -1, axis=-1)


def matrix_to_6d(matrices: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> (..., 6), the first two columns row by row: r00 r01 r10 r11 r20 r21.

    This is the order of the published SMPL numbers; PyTorch3D's 6D holds the first two rows.
    """
    return matrices[..., :2].reshape(*matrices.shape[:-2], 6)


def sixd_to_matrix(sixd: np.ndarray) -> np.ndarray:
    """(..., 6) of that order, orthonormal or not -> (..., 3, 3): Gram-Schmidt (Zhou et al., CVPR 2019).

    Two columns that are zero or parallel do not say a rotation; the result is then NaN.
    """
    columns = sixd.reshape(*sixd.shape[:-1], 3, 2)
    x = _normalize(columns[..., 0])
    y = _normalize(columns[..., 1] - (x * columns[..., 1]).sum(axis=-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def axis_angle_to_6d(poses: np.ndarray) -> np.ndarray:
    """Poses of J joints: (..., 3 J) axis-angle, as SMPL's 72 numbers -> (..., 6 J)."""
    return _each(poses, 3, 6, lambda vectors: matrix_to_6d(axis_angle_to_matrix(vectors)))


def sixd_to_axis_angle(poses: np.ndarray) -> np.ndarray:
    """Poses of J joints: (..., 6 J) -> (..., 3 J) axis-angle."""
    return _each(poses, 6, 3, lambda sixd: matrix_to_axis_angle(sixd_to_matrix(sixd)))


def quaternion_to_6d(poses: np.ndarray, order: Order = "wxyz") -> np.ndarray:
    """Poses of J joints: (..., 4 J) quaternions -> (..., 6 J)."""
    return _each(poses, 4, 6, lambda quaternions: matrix_to_6d(quaternion_to_matrix(quaternions, order)))


def sixd_to_quaternion(poses: np.ndarray, order: Order = "wxyz") -> np.ndarray:
    """Poses of J joints: (..., 6 J) -> (..., 4 J) unit quaternions with w >= 0."""
    return _each(poses, 6, 4, lambda sixd: matrix_to_quaternion(sixd_to_matrix(sixd), order))


def _each(poses: np.ndarray, numbers: int, results: int, convert: Callable) -> np.ndarray:
    """Convert every group of `numbers` in the last axis to `results`, in chunks to bound the memory."""
    flat = poses.reshape(-1, numbers)
    converted = np.empty((len(flat), results), poses.dtype)
    for start in range(0, len(flat), CHUNK):
        converted[start : start + CHUNK] = convert(flat[start : start + CHUNK])
    return converted.reshape(*poses.shape[:-1], poses.shape[-1] // numbers * results)


def _normalize(vectors: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN it should be
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
