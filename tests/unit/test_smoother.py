# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smoother: any unit, type, length and gap; what comes back and what does not."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.inference import Smoother
from lib.models.network import Network
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError

W = 8


def save_checkpoint(path, normalize="body", window=W):
    torch.manual_seed(0)
    model = SmoothNet(window, hidden_size=16, res_hidden_size=8, num_blocks=2).eval()
    content = {"state_dict": model.state_dict()}
    torch.save(content if normalize == "none" else {**content, "normalize": normalize}, path)
    return model


@pytest.fixture(scope="module", params=["body", "none"])
def smoother(request, tmp_path_factory):
    """From a checkpoint trained here, and from one without a word on normalisation, as the published ones."""
    path = tmp_path_factory.mktemp("weights") / "checkpoint.pth.tar"
    save_checkpoint(path, request.param)
    return Smoother.from_checkpoint(path)


def walk(frames, joints=5, dims=3, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, joints, dims)).cumsum(axis=0)


def test_it_is_the_mean_over_all_windows_that_cover_a_frame(tmp_path):
    """Against windows run one by one, raw as the published networks are evaluated."""
    model = save_checkpoint(tmp_path / "c.pth.tar", "none")
    x = walk(20, 2).astype(np.float32)
    total, count = np.zeros((20, 6)), np.zeros((20, 1))
    for start in range(20 - W + 1):
        window = torch.from_numpy(x[start : start + W].reshape(W, 6).T[None].copy())
        with torch.inference_mode():
            total[start : start + W] += model(window)[0].numpy().T
        count[start : start + W] += 1
    smoothed = Smoother.from_checkpoint(tmp_path / "c.pth.tar", normalize="none")(x)
    np.testing.assert_allclose(smoothed.reshape(20, 6), total / count, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1.0, 1000.0, 240.0]),
    st.sampled_from([0.0, 10.0, 10_000.0]),
    st.integers(1, 30),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_unit_and_origin_do_not_matter(smoother, unit, away, frames, joints, gaps, seed):
    x = walk(frames, joints, seed=seed)
    if gaps:
        x[np.random.default_rng(seed).random((frames, joints)) < 0.3] = np.nan
    expected = unit * smoother(x) + away * unit
    np.testing.assert_allclose(smoother(unit * x + away * unit), expected, atol=1e-3 * unit)


@pytest.mark.parametrize("frames", [0, 1, 2, W - 1, W, W + 1, 40])
@pytest.mark.parametrize("step", [1, 3, W, 50])
def test_any_length_and_step_gives_every_frame(smoother, frames, step):
    x = walk(frames)
    smoothed = smoother(x, step=step)
    assert smoothed.shape == x.shape
    assert np.isfinite(smoothed).all()


def test_a_short_clip_is_the_start_of_one_that_stands_still_afterwards(smoother):
    x = walk(5)
    padded = np.concatenate([x, np.repeat(x[-1:], W - 5, axis=0)])
    np.testing.assert_allclose(smoother(x), smoother(padded)[:5], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_keep_type_shape_and_values_of_the_caller(smoother, dtype):
    x = walk(20).astype(dtype)
    before = x.copy()
    y = smoother(x)
    assert type(y) is np.ndarray and y.dtype == dtype and y.shape == x.shape
    np.testing.assert_array_equal(x, before)
    assert not np.array_equal(y, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_come_back_as_tensors(smoother, dtype):
    x = torch.from_numpy(walk(20)).to(dtype).requires_grad_()
    y = smoother(x)
    assert isinstance(y, torch.Tensor)
    assert (y.dtype, y.device, y.shape, y.requires_grad) == (dtype, x.device, x.shape, False)
    np.testing.assert_allclose(y.double(), smoother(x.detach().double().numpy()), rtol=0.02, atol=0.02)


def test_whole_numbers_come_back_smooth(smoother):
    x = (walk(20) * 100).astype(int)
    np.testing.assert_array_equal(smoother(x), smoother(x.astype(float)))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_flat_channels_are_joints_with_dims_coordinates(smoother, dims):
    x = walk(20, 6 // dims, dims)
    np.testing.assert_array_equal(smoother(x.reshape(20, 6), dims=dims).reshape(x.shape), smoother(x))


def test_missing_comes_back_missing_and_nothing_else_does(smoother):
    x = walk(60)
    x[10:13, 2] = np.nan
    x[20:24] = np.nan
    x[40, 1, 0] = np.nan  # one coordinate makes a point missing
    x[50, 3] = np.inf
    smoothed = smoother(x)
    missing = ~np.isfinite(x).all(axis=-1)
    assert np.isnan(smoothed[missing]).all()
    assert np.isfinite(smoothed[~missing]).all()


def test_a_short_gap_is_bridged_for_the_network():
    """A mean of 3 frames hardly notices a hole in a straight line; zeros in it would be 6 to 7 off."""

    def mean_of_3(windows):
        padded = np.pad(windows, ((0, 0), (0, 0), (1, 1)), mode="reflect", reflect_type="odd")
        return (padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / 3

    x = np.arange(40.0)[:, None, None] * np.ones((1, 5, 3)) + np.arange(5.0)[:, None]
    gap = x.copy()
    gap[18:21, 2] = np.nan
    smoothed = Smoother(Network(mean_of_3, W, "body"))(gap)
    shown = np.isfinite(gap)
    np.testing.assert_allclose(smoothed[shown], x[shown], atol=1 / 3)  # a window that starts in it holds 21


def test_a_long_gap_splits_the_recording(smoother):
    x = walk(60)
    x[25:40] = np.nan
    smoothed = smoother(x, max_gap=10)
    np.testing.assert_allclose(smoothed[:25], smoother(x[:25]), atol=1e-6)
    np.testing.assert_allclose(smoothed[40:], smoother(x[40:]), atol=1e-6)


def test_a_joint_that_is_never_seen_changes_nothing(smoother):
    x = walk(30)
    extra = np.concatenate([x, np.full((30, 2, 3), np.nan)], axis=1)
    smoothed = smoother(extra)
    np.testing.assert_allclose(smoothed[:, :5], smoother(x), atol=1e-5)
    assert np.isnan(smoothed[:, 5:]).all()


def test_nothing_but_missing_points(smoother):
    x = np.full((12, 3, 2), np.nan)
    assert np.isnan(smoother(x)).all()


def test_the_window_chooses_the_file_in_a_folder(tmp_path):
    for window in (8, 16):
        save_checkpoint(tmp_path / f"checkpoint_{window}.pth.tar", window=window)
    assert Smoother.from_checkpoint(tmp_path, window=16).window == 16
    with pytest.raises(SmoothNetError, match=r"has no checkpoint_32\.safetensors; there are checkpoint_16"):
        Smoother.from_checkpoint(tmp_path)
    with pytest.raises(SmoothNetError, match="window of 8 frames, but 16"):
        Smoother.from_checkpoint(tmp_path / "checkpoint_8.pth.tar", window=16)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((3, 4, 5, 2)), {}, "one person at a time"),
        (np.zeros(5), {}, "frames, channels"),
        (np.zeros((9, 10)), {"dims": 3}, "10 channels"),
        (np.zeros((9, 5, 3)), {"dims": 2}, "dims=2"),
        (np.zeros((9, 5, 3)), {"step": 0}, "step must be at least 1"),
        (np.zeros((9, 5, 3)), {"delay": W}, "delay must be from 0 to 7"),
        (np.zeros((9, 5, 3)), {"delay": 2, "step": 2}, "needs step 1"),
        ("abc", {}, "must be numbers"),
        (np.zeros((9, 5, 3), np.complex64), {}, "must be numbers .*complex64"),
        (np.zeros((9, 5, 3), "datetime64[s]"), {}, "must be numbers .*datetime64"),
    ],
)
def test_mistakes_are_named(smoother, points, options, message):
    with pytest.raises(SmoothNetError, match=message):
        smoother(points, **options)


def test_importing_it_does_not_import_torch():
    code = "import sys; from lib.inference import Smoother; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
