# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""MODEL.NORMALIZE body: what it makes of windows, by hand, and that it frees a network of unit and origin."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.models.normalize import BODY_SIZE, denormalize, normalize, with_normalization
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError

UNITS = {"metres": 1.0, "millimetres": 1000.0, "pixels": 240.0, "kilometres": 1e-3}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SmoothNet(8, hidden_size=16, res_hidden_size=8, num_blocks=2).eval()


def test_by_hand():
    """Two joints in the plane, 6 apart along x; the second swings by 1 around y = 0."""
    window = np.array([[[1, 1], [5, 5], [7, 7], [6, 4]]], float)  # x0 y0 x1 y1 over 2 frames
    normalised, offset, scale = normalize(window, dims=2)
    np.testing.assert_allclose(offset[0, :, 0], [1, 5, 7, 5])
    # Half the distance in each frame, sqrt(6^2 + 1^2) / 2, is each joint's distance from the centroid.
    np.testing.assert_allclose(scale, np.sqrt(37) / 2)
    np.testing.assert_allclose(normalised[0, 3], [2 / np.sqrt(37), -2 / np.sqrt(37)])
    np.testing.assert_allclose(normalised[0, :3], 0, atol=1e-15)


def test_a_single_joint_is_measured_by_its_motion():
    window = np.array([[[0, 2], [0, 0], [4, 4]]], float)
    normalised, _, scale = normalize(window, dims=3)
    np.testing.assert_allclose(scale, 1)
    np.testing.assert_allclose(normalised[0, 0], [-1, 1])


@pytest.mark.parametrize("joints", [2, 3, 7, 20])
def test_joints_that_all_coincide_are_measured_as_one(joints):
    """Their centroid is off by a rounding error, which is no size of a body."""
    one = np.random.default_rng(2).normal(size=(4, 3, 8)).cumsum(axis=-1).astype(np.float32) + np.float32(0.1)
    same = np.tile(one, (1, joints, 1))
    for kind in (np.asarray, torch.from_numpy):
        np.testing.assert_allclose(normalize(kind(same), 3)[2], normalize(kind(one), 3)[2], rtol=1e-5)


def test_joints_that_are_not_shown_do_not_count():
    generator = np.random.default_rng(0)
    window = generator.normal(size=(2, 12, 8))
    extra = np.concatenate([window, np.zeros((2, 3, 8))], axis=1)
    shown = np.array([[1.0, 1, 1, 1, 0]] * 2)
    np.testing.assert_allclose(normalize(extra, 3, shown=shown)[2], normalize(window, 3)[2], rtol=1e-12)
    assert not np.allclose(normalize(extra, 3)[2], normalize(window, 3)[2], rtol=1e-2)


@pytest.mark.parametrize("kind", ["none", *BODY_SIZE])
def test_numpy_and_torch_agree(kind):
    window = np.random.default_rng(1).normal(size=(3, 15, 8)) + 4
    for a, b in zip(normalize(window, 3, kind), normalize(torch.from_numpy(window), 3, kind), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-12, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(BODY_SIZE)),
    st.sampled_from(sorted(UNITS)),
    st.sampled_from([0.0, 1.0, 10.0, -50.0]),
    st.integers(1, 5),
    st.sampled_from([2, 3]),
    st.integers(0, 2**32 - 1),
)
def test_smoothing_is_equivariant(network, kind, unit, away, joints, dims, seed):
    """smooth(a x + b) = a smooth(x) + b to 1e-3 of the motion, in float32, up to 50 body sizes away."""
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(generator.normal(size=(3, joints * dims, 8)).astype(np.float32))
    a, b = UNITS[unit], UNITS[unit] * away
    smooth = with_normalization(network, kind, dims)
    with torch.inference_mode():
        expected = a * smooth(x) + b
        assert (smooth(a * x + b) - expected).abs().max() < 1e-3 * a * x.std()


def test_without_normalisation_it_is_not(network):
    x = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        smooth = with_normalization(network, "none", 3)
        assert (smooth(x + 10) - smooth(x) - 10).abs().max() > 0.1


@pytest.mark.parametrize("joints", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e6])
def test_a_window_without_size_comes_back_unchanged(network, joints, value):
    x = torch.full((2, joints * 3, 8), value)
    with torch.inference_mode():
        y = with_normalization(network, "body", 3)(x)
    np.testing.assert_allclose(y, x, rtol=1e-6, atol=0)


def test_the_way_back_restores_the_window():
    x = np.random.default_rng(2).normal(size=(4, 6, 8)) * 300 + 1e4
    np.testing.assert_allclose(denormalize(*normalize(x, 3)), x, rtol=1e-12)


def test_an_unknown_kind_is_refused():
    with pytest.raises(SmoothNetError, match="none, body, metres"):
        normalize(np.zeros((1, 3, 8)), 3, "unit")
