# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Euler angles in degrees, about axes that turn along, and the way to and from the six numbers that are smoothed."""

from __future__ import annotations

import warnings

import numpy as np

from ..utils.rotations import matrix_to_6d

# So close to a quarter turn (cosine of the middle angle) the first and the last axis are the same: gimbal lock.
_LOCKED = 1e-4


def euler_to_6d(angles: np.ndarray, order: str) -> np.ndarray:
    """(N, 3) degrees about the axes of `order`, such as "ZXY", one after the other -> (N, 6)."""
    from scipy.spatial.transform import Rotation

    return (
        matrix_to_6d(Rotation.from_euler(order, angles, degrees=True).as_matrix()) if len(angles) else np.zeros((0, 6))
    )


def nearest_euler(matrices: np.ndarray, old: np.ndarray, order: str) -> np.ndarray:
    """Of all angles that mean the same rotation the ones nearest to `old`: (N, 3, 3), (N, 3) -> (N, 3) degrees.

    There are two for each rotation, (a, b, c) and (a + 180, 180 - b, c + 180), and whole turns. In gimbal lock, where
    only the sum or difference of a and c counts, c is the file's.
    """
    from scipy.spatial.transform import Rotation

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gimbal lock, which is seen to below
        first = Rotation.from_matrix(matrices).as_euler(order, degrees=True)
    locked = np.abs(np.cos(np.radians(first[:, 1]))) < _LOCKED
    if locked.any():
        last = Rotation.from_euler(order[2], old[locked, 2:], degrees=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rest = (Rotation.from_matrix(matrices[locked]) * last.inv()).as_euler(order, degrees=True)
        first[locked] = np.column_stack([rest[:, 0], rest[:, 1], old[locked, 2]])
    second = first * [1, -1, 1] + 180
    options = [angles + 360 * np.round((old - angles) / 360) for angles in (first, second)]
    nearer = [np.abs(angles - old).sum(axis=1, keepdims=True) for angles in options]
    return np.where(nearer[0] <= nearer[1], options[0], options[1])
