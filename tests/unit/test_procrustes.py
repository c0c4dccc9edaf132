# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The batched alignment against a plain SVD for each frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.evaluation.procrustes import procrustes_align


def naive(x, y):
    """Umeyama 1991, one frame."""
    a, b = x - x.mean(0), y - y.mean(0)
    u, sigma, vt = np.linalg.svd(a.T @ b)
    flip = np.ones(x.shape[1])
    flip[-1] = np.sign(np.linalg.det(u @ vt))
    scale = (sigma * flip).sum() / (a * a).sum()
    return scale * a @ (u * flip) @ vt + y.mean(0)


def random_rotation(rng, dims):
    q, _ = np.linalg.qr(rng.standard_normal((dims, dims)))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


def residual(a, b):
    return ((a - b) ** 2).sum((1, 2))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("noise", [1e-6, 0.05, 1.0, 30.0])
@pytest.mark.parametrize("thickness", [1.0, 0.1, 0.01])
def test_equals_an_svd_for_each_frame(dims, noise, thickness):
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((300, 17, dims)) * np.array([1, 0.3, thickness])[:dims] + 5
    predicted = 3 * truth @ random_rotation(rng, dims) + noise * rng.standard_normal(truth.shape)
    expected = np.stack([naive(x, y) for x, y in zip(predicted, truth, strict=True)])
    np.testing.assert_allclose(procrustes_align(predicted, truth), expected, atol=1e-7, rtol=0)


@given(seed=st.integers(0, 10**6), dims=st.sampled_from([2, 3]), unit=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=50, deadline=None)
def test_undoes_every_similarity_transform(seed, dims, unit):
    rng = np.random.default_rng(seed)
    truth = unit * rng.standard_normal((4, 5, dims))
    moved = rng.uniform(0.1, 10) * truth @ random_rotation(rng, dims) + unit * rng.standard_normal(dims)
    np.testing.assert_allclose(procrustes_align(moved, truth), truth, atol=1e-8 * unit)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_mirror_image_is_not_turned_into_the_original(dims):
    truth = np.random.default_rng(1).standard_normal((6, 9, dims))
    mirrored = truth * np.array([-1.0, 1, 1])[:dims]
    aligned = procrustes_align(mirrored, truth)
    assert (residual(aligned, truth) > 0.1).all()
    np.testing.assert_allclose(aligned, [naive(x, y) for x, y in zip(mirrored, truth, strict=True)], atol=1e-8)


@pytest.mark.parametrize("case", ["line", "almost a line", "plane", "three joints", "two joints", "symmetric"])
def test_degenerate_frames_reach_the_least_squares_of_the_svd(case):
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((40, 8, 3))
    if "line" in case:
        truth = truth[..., :1] * np.array([1.0, 2, 3]) + (0 if case == "line" else 1e-6) * truth
    if case == "plane":
        truth[..., 2] = 0
    if case == "three joints":
        truth = truth[:, :3]
    if case == "two joints":
        truth = truth[:, :2]
    if case == "symmetric":  # a cube and its mirror image: all singular values equal, the worst case for the sign
        truth = np.tile(np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float), (4, 1, 1))
    predicted = 2 * truth @ random_rotation(rng, 3) * (-1 if case == "symmetric" else 1)
    predicted = predicted + 0.01 * rng.standard_normal(truth.shape) * (case != "symmetric")
    expected = residual(np.stack([naive(x, y) for x, y in zip(predicted, truth, strict=True)]), truth)
    found = residual(procrustes_align(predicted, truth), truth)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("dims", [2, 3])
def test_coinciding_joints_and_nan_frames(dims):
    rng = np.random.default_rng(3)
    truth = rng.standard_normal((4, 5, dims))
    predicted = truth.copy()
    predicted[0] = 7.0  # all predicted joints in one place: the best guess is the mean of the truth
    truth[1] = 2.0
    predicted[2, 0, 0] = np.nan
    aligned = procrustes_align(predicted, truth)
    np.testing.assert_allclose(aligned[0], np.tile(truth[0].mean(0), (5, 1)))
    np.testing.assert_allclose(aligned[1], truth[1])
    assert np.isnan(aligned[2]).any()
    np.testing.assert_allclose(aligned[3], truth[3], atol=1e-12)


def test_float32_in_many_chunks_and_no_frames():
    rng = np.random.default_rng(4)
    truth = rng.standard_normal((5000, 17, 3)).astype(np.float32)
    predicted = truth + rng.standard_normal(truth.shape).astype(np.float32)
    aligned = procrustes_align(predicted, truth)
    for i in (0, 1, 1284, 1285, 1286, 4999):
        np.testing.assert_allclose(aligned[i], naive(predicted[i].astype(float), truth[i].astype(float)), atol=1e-7)
    assert procrustes_align(truth[:0], truth[:0]).shape == (0, 17, 3)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("place", [0.0, 0.1, 1234.567])
def test_joints_that_all_coincide_go_to_the_mean_of_the_truth(dims, place):
    truth = np.random.default_rng(3).standard_normal((5, 17, dims))
    aligned = procrustes_align(np.full(truth.shape, place), truth)
    np.testing.assert_allclose(aligned, np.broadcast_to(truth.mean(1, keepdims=True), truth.shape), atol=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_frame_with_nan_becomes_nan_and_its_neighbours_do_not_notice(dims):
    rng = np.random.default_rng(4)
    truth, predicted = rng.standard_normal((2, 3, 9, dims))
    alone = procrustes_align(predicted[::2], truth[::2])
    predicted[1, 4, 0] = np.nan
    aligned = procrustes_align(predicted, truth)
    assert np.isnan(aligned[1]).all()
    np.testing.assert_array_equal(aligned[::2], alone)
