# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lib.utils.rotations import (
    axis_angle_to_6d,
    axis_angle_to_matrix,
    matrix_to_6d,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_6d,
    quaternion_to_matrix,
    sixd_to_axis_angle,
    sixd_to_matrix,
    sixd_to_quaternion,
)

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))


@st.composite
def vectors(draw):
    """Axis-angle vectors at ordinary angles and very close to 0, pi and 2 pi."""
    axis = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    norm = np.linalg.norm(axis)
    axis = axis / norm if norm > 1e-3 else np.array([0.0, 0.0, 1.0])
    near = draw(st.sampled_from([0.0, np.pi, 2 * np.pi]))
    away = draw(st.sampled_from([0.0, 1e-12, 1e-8, 1e-5, 1e-3])) * draw(st.sampled_from([-1, 1]))
    return axis * draw(st.one_of(st.just(near + away), st.floats(0, 7)))


def close(a, b, dtype):
    np.testing.assert_allclose(a, b, atol=TOLERANCE[dtype], rtol=0)


@DTYPES
@given(vectors())
def test_matrices_are_those_of_scipy(dtype, vector):
    v = np.array(vector, dtype)
    matrix = axis_angle_to_matrix(v)
    assert matrix.dtype == dtype
    close(matrix, Rotation.from_rotvec(v.astype(np.float64)).as_matrix(), dtype)


@DTYPES
@given(vectors())
def test_axis_angle_round_trip_gives_the_same_rotation_with_an_angle_up_to_pi(dtype, vector):
    v = np.array(vector, dtype)
    back = matrix_to_axis_angle(axis_angle_to_matrix(v))
    assert np.linalg.norm(back) <= np.pi + 1e-6
    close(axis_angle_to_matrix(back), axis_angle_to_matrix(v), dtype)
    if np.linalg.norm(vector) < np.pi - 1e-2:
        close(back, v, dtype)


@DTYPES
def test_small_rotations_keep_their_size(dtype):
    v = np.array([[1e-7, -2e-7, 3e-7], [0, 0, 0], [1e-30, 0, 0]], dtype)
    np.testing.assert_allclose(matrix_to_axis_angle(axis_angle_to_matrix(v)), v, rtol=1e-5, atol=1e-20)


@DTYPES
@given(vectors(), st.sampled_from(["wxyz", "xyzw"]), st.sampled_from([1.0, -1.0, 2.5]))
def test_quaternions_of_either_sign_and_any_length(dtype, vector, order, factor):
    reference = Rotation.from_rotvec(vector)
    q = factor * np.roll(reference.as_quat(), 1 if order == "wxyz" else 0).astype(dtype)
    matrix = quaternion_to_matrix(q, order)
    close(matrix, reference.as_matrix(), dtype)
    back = matrix_to_quaternion(matrix, order)
    assert back[0 if order == "wxyz" else 3] >= 0
    assert np.linalg.norm(back) == pytest.approx(1, abs=1e-6)
    close(quaternion_to_matrix(back, order), matrix, dtype)


def test_6d_is_the_first_two_columns_row_by_row():
    matrix = np.arange(9.0).reshape(3, 3)  # r_ij = 3 i + j
    np.testing.assert_array_equal(matrix_to_6d(matrix), [0, 1, 3, 4, 6, 7])
    quarter_turn_about_z = axis_angle_to_6d(np.array([0, 0, np.pi / 2]))
    close(quarter_turn_about_z, [0, -1, 1, 0, 0, 0], np.float32)


@DTYPES
@given(vectors())
def test_6d_round_trip(dtype, vector):
    matrix = axis_angle_to_matrix(np.array(vector, dtype))
    close(sixd_to_matrix(matrix_to_6d(matrix)), matrix, dtype)


@given(st.integers(0, 10**6))
def test_any_six_numbers_give_a_proper_rotation(seed):
    sixd = np.random.default_rng(seed).normal(size=(5, 6))
    matrix = sixd_to_matrix(sixd)
    close(matrix @ matrix.swapaxes(1, 2), np.tile(np.eye(3), (5, 1, 1)), np.float64)
    close(np.linalg.det(matrix), np.ones(5), np.float64)
    first = sixd[:, 0::2]
    close(matrix[..., 0], first / np.linalg.norm(first, axis=-1, keepdims=True), np.float64)


def test_whole_poses_keep_the_order_of_their_joints():
    pose = 0.5 * np.random.default_rng(0).normal(size=(4, 72))
    sixd = axis_angle_to_6d(pose)
    assert sixd.shape == (4, 144)
    close(sixd[:, 30:36], axis_angle_to_6d(pose[:, 15:18]), np.float64)
    close(sixd_to_axis_angle(sixd), pose, np.float64)


@pytest.mark.parametrize("order", ["wxyz", "xyzw"])
def test_quaternion_poses_through_6d(order):
    q = Rotation.random(40, random_state=0).as_quat()
    q = (q * np.where(q[:, 3:] < 0, -1, 1)).reshape(10, 4, 4)
    poses = (np.roll(q, 1, axis=-1) if order == "wxyz" else q).reshape(10, 16)
    sixd = quaternion_to_6d(poses, order)
    close(sixd[:, 6:12], matrix_to_6d(Rotation.from_quat(q[:, 1]).as_matrix()), np.float64)
    close(sixd_to_quaternion(sixd, order), poses, np.float64)


def test_long_sequences_are_converted_in_chunks(monkeypatch):
    poses = np.random.default_rng(0).normal(size=(7, 9))
    whole = axis_angle_to_6d(poses)
    monkeypatch.setattr("lib.utils.rotations.CHUNK", 4)
    np.testing.assert_array_equal(axis_angle_to_6d(poses), whole)
    assert axis_angle_to_6d(poses[:0]).shape == (0, 18)
