# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How files write rotations, and the way to and from the six numbers in which they are smoothed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..utils.rotations import (
    axis_angle_to_6d,
    matrix_to_6d,
    matrix_to_quaternion,
    quaternion_to_6d,
    sixd_to_axis_angle,
    sixd_to_matrix,
    sixd_to_quaternion,
)

# How far from a rotation numbers may be that are called one: files are rounded to a few decimals.
TOLERANCE = 0.02
# An angle beyond this many radians (150 turns) is no pose.
_MOST_RADIANS = 1000.0

Convert = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Form:
    """A way to write a rotation: N of them are (N, numbers)."""

    text: str
    numbers: int
    error: Convert  # (N, numbers) -> (N,), how far each is from a rotation
    to_6d: Convert
    from_6d: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (N, 6), what the file has (N, numbers)


def nearest_axis_angle(sixd: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Of all vectors that mean the same rotation, the one nearest to the file's: (N, 6), (N, 3) -> (N, 3).

    A rotation by a about n is also one by a + 2 pi k about n; files hold angles beyond pi, and a jump of 2 pi
    would look like jitter to whoever reads the numbers.
    """
    values = sixd_to_axis_angle(sixd)
    angle = np.linalg.norm(values, axis=1, keepdims=True)
    length = np.linalg.norm(old, axis=1, keepdims=True)
    # A rotation near 0 has no axis of its own: keep the file's.
    axis = np.where(angle > 1e-8, values / np.maximum(angle, 1e-12), old / np.maximum(length, 1e-12))
    along = (old * axis).sum(axis=1, keepdims=True)
    return axis * (angle + 2 * np.pi * np.round((along - angle) / (2 * np.pi)))


def nearest_quaternion(sixd: np.ndarray, old: np.ndarray, order: str) -> np.ndarray:
    """Of q and -q, which are one rotation, the one nearest to the file's: (N, 6), (N, 4) -> (N, 4)."""
    values = sixd_to_quaternion(sixd, order)  # type: ignore[arg-type]
    return np.where((values * old).sum(axis=1, keepdims=True) < 0, -values, values)


def _vectors(sixd: np.ndarray) -> np.ndarray:
    """(N, 6) row by row <-> the two columns one after the other: the same step leads there and, twice, back."""
    return sixd.reshape(-1, 3, 2).transpose(0, 2, 1).reshape(-1, 6)


def _rows(vectors: np.ndarray) -> np.ndarray:
    return vectors.reshape(-1, 2, 3).transpose(0, 2, 1).reshape(-1, 6)


def _orthonormal(sixd: np.ndarray) -> np.ndarray:
    return matrix_to_6d(sixd_to_matrix(sixd))


def _sixd_error(sixd: np.ndarray) -> np.ndarray:
    a, b = sixd[:, ::2], sixd[:, 1::2]
    products = np.stack([(a * a).sum(1) - 1, (b * b).sum(1) - 1, (a * b).sum(1)])
    return np.abs(products).max(axis=0)


def _matrix_error(numbers: np.ndarray) -> np.ndarray:
    """Largest entry of M M^T - 1; infinite for a reflection, whose determinant is -1."""
    matrices = numbers.reshape(-1, 3, 3)
    error = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    return np.where(np.linalg.det(matrices) > 0, error, np.inf)


def _unit_error(quaternions: np.ndarray) -> np.ndarray:
    return np.abs(np.linalg.norm(quaternions, axis=1) - 1)


FORMS = {
    "axis-angle": Form(
        "axis-angle",
        3,
        lambda v: np.where(np.linalg.norm(v, axis=1) < _MOST_RADIANS, 0.0, np.inf),
        axis_angle_to_6d,
        nearest_axis_angle,
    ),
    "wxyz": Form(
        "quaternions w x y z", 4, _unit_error, quaternion_to_6d, lambda s, old: nearest_quaternion(s, old, "wxyz")
    ),
    "xyzw": Form(
        "quaternions x y z w",
        4,
        _unit_error,
        lambda q: quaternion_to_6d(q, "xyzw"),
        lambda s, old: nearest_quaternion(s, old, "xyzw"),
    ),
    "matrix": Form(
        "3 x 3 matrices",
        9,
        _matrix_error,
        # Through a quaternion, so that what was rounded becomes a rotation and stays one on the way back.
        lambda m: quaternion_to_6d(matrix_to_quaternion(m.reshape(-1, 3, 3))),
        lambda s, old: sixd_to_matrix(s).reshape(-1, 9),
    ),
    "6d": Form("6 numbers", 6, _sixd_error, _orthonormal, lambda s, old: _orthonormal(s)),
    "6d-vectors": Form(
        "6 numbers, two vectors",
        6,
        lambda v: _sixd_error(_rows(v)),
        lambda v: _orthonormal(_rows(v)),
        lambda s, old: _vectors(_orthonormal(s)),
    ),
}


def looks_like(form: str, numbers: np.ndarray) -> bool:
    """Whether (N, numbers) are rotations of this form, up to rounding; rows of zeros or NaN say nothing."""
    if numbers.dtype == np.float16:  # of which numpy works out no determinant
        numbers = numbers.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a NaN that signals does so when it is compared with 0
        known = numbers[np.isfinite(numbers).all(axis=1) & numbers.any(axis=1)]
        return len(known) > 0 and bool((FORMS[form].error(known) < TOLERANCE).all())


def to_6d(numbers: np.ndarray, form: str) -> np.ndarray:
    """(..., numbers) as the file has them -> (..., 6) float64; NaN where they say no rotation."""
    flat = numbers.reshape(-1, FORMS[form].numbers).astype(np.float64)
    known = np.all(np.isfinite(flat), axis=1)
    if form != "axis-angle":  # which alone may be zero
        known &= flat.any(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        # Far from a rotation is none; what is only rounded is made one.
        known[known] &= FORMS[form].error(flat[known]) < 0.5
    result = np.full((len(flat), 6), np.nan)
    if known.any():
        result[known] = FORMS[form].to_6d(flat[known])
    return result.reshape(*numbers.shape[:-1], 6)


def from_6d(sixd: np.ndarray, form: str, old: np.ndarray) -> np.ndarray:
    """(N, 6) -> (N, numbers) of this form, of those that mean the same rotation the nearest to `old`.

    Six numbers that say no rotation give back `old`.
    """
    known = np.where(np.isfinite(old), old, 0)
    with np.errstate(invalid="ignore"):
        values = FORMS[form].from_6d(sixd, known)
    return np.where(np.isfinite(values).all(axis=1, keepdims=True), values, old)
