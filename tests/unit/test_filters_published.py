# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The filters of the paper's tables, and the one table of all filters as an evaluation uses it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from lib.config import defaults
from lib.filters import FILTERS, apply_filter, classical_smoother, filter_names, filter_options
from lib.filters.published import gaus1d, gaussian, oneeuro, savgol
from lib.utils.errors import SmoothNetError

PUBLISHED = tuple(name for name, row in FILTERS.items() if row.published)


def noise(length, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(length, channels))


def test_savgol_is_the_middle_of_a_parabola_fitted_to_the_window():
    x = noise(40)
    t = np.arange(-15, 16)
    fit = np.polynomial.polynomial.polyfit(t, x[5:36], 2)
    np.testing.assert_allclose(savgol(x, 31, 2)[20], fit[0], rtol=1e-10)
    parabola = np.stack([0.3 * np.arange(50.0) ** 2 - 4, np.arange(50.0)], axis=1)
    np.testing.assert_allclose(savgol(parabola, 31, 2), parabola, atol=1e-8)


@pytest.mark.parametrize("length", [5, 12, 29, 30])
def test_on_sequences_shorter_than_the_window_the_published_filters_shorten_it(length):
    x = noise(length)
    odd = length - 1 + length % 2
    np.testing.assert_allclose(apply_filter("savgol", x), savgol_filter(x, odd, 2, axis=0), rtol=1e-10)
    np.testing.assert_allclose(apply_filter("gaus1d", x), gaussian_filter1d(x, 3, axis=0, mode="reflect"), rtol=1e-10)


def test_a_parabola_goes_through_two_frames():
    np.testing.assert_array_equal(savgol(noise(2), 31, 2), noise(2))


def test_gaus1d_filters_chunks_of_31_frames_and_leaves_the_rest():
    x = noise(70)
    y = gaus1d(x, 31, 3)
    np.testing.assert_array_equal(y[62:], x[62:])
    np.testing.assert_allclose(y[31:62], gaussian(x[31:62], 3), rtol=1e-12)
    changed = x.copy()
    changed[31] += 100
    np.testing.assert_array_equal(gaus1d(changed, 31, 3)[:31], y[:31])
    np.testing.assert_allclose(gaus1d(x[:62], 31, 3)[31:], gaussian(x[31:62], 3), rtol=1e-12)  # nothing is left over


def test_gaussian_weights_frames_by_a_gaussian_of_their_distance():
    x = np.zeros((101, 1))
    x[50] = 1
    weights = np.exp(-0.5 * (np.arange(-12, 13) / 3) ** 2)
    np.testing.assert_allclose(gaussian(x, 3)[38:63, 0], weights / weights.sum(), rtol=1e-12)


def test_oneeuro_by_hand():
    x = np.array([[0.0], [1.0], [1.0]])
    a_speed = 2 * np.pi / (2 * np.pi + 1)

    def weight(cutoff):
        return 2 * np.pi * cutoff / (2 * np.pi * cutoff + 1)

    speed1 = a_speed * 1.0
    y1 = weight(0.04 + 0.7 * speed1) * 1.0
    speed2 = a_speed * (1 - y1) + (1 - a_speed) * speed1  # measured from the filtered y1
    y2 = y1 + weight(0.04 + 0.7 * speed2) * (1 - y1)
    np.testing.assert_allclose(oneeuro(x, 0.04, 0.7)[:, 0], [0, y1, y2], rtol=1e-12)


# ---------------------------------------------------------------- every row of the table
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("length", [1, 2, 5, 31, 32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_length_keeps_shape_type_and_input(name, length, dtype):
    x = noise(length).astype(dtype)
    before = x.copy()
    y = apply_filter(name, x)
    assert y.shape == x.shape and y.dtype == dtype and np.isfinite(y).all()
    np.testing.assert_array_equal(x, before)
    still = np.full((length, 2), 3.5, dtype)
    np.testing.assert_allclose(apply_filter(name, still), still, rtol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_channels_do_not_mix(name):
    x = noise(80, 3)
    alone = np.concatenate([apply_filter(name, x[:, c : c + 1]) for c in range(3)], axis=1)
    np.testing.assert_allclose(apply_filter(name, x), alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("oneeuro", "median")])
@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 99))
def test_linear_filters_follow_scale_and_offset(name, scale, offset, seed):
    x = noise(45, 1, seed)
    np.testing.assert_allclose(
        apply_filter(name, scale * x + offset), scale * apply_filter(name, x) + offset, atol=1e-8
    )


@pytest.mark.parametrize("name", FILTERS)
def test_missing_frames_stay_missing_and_do_not_spread(name):
    x = np.outer(np.linspace(0, 1, 64), [1.0, 2.0])
    whole = apply_filter(name, x)
    x[20:23, 0] = np.nan
    x[:, 1] = np.inf
    y = apply_filter(name, x)
    assert np.isnan(y[20:23, 0]).all() and np.isnan(y[:, 1]).all()
    known = np.r_[0:20, 23:64]
    np.testing.assert_allclose(y[known, 0], whole[known, 0], atol=1e-9)  # a straight line bridges a line


# ---------------------------------------------------------------- settings
def test_without_a_frame_rate_the_published_settings_count_frames():
    assert filter_options("savgol") == {"window": 31, "order": 2}
    assert filter_options("gaus1d") == {"window": 31, "sigma": 3}
    assert filter_options("gaussian") == {"sigma": 3}
    assert filter_options("oneeuro") == {"min_cutoff": 0.04, "beta": 0.7, "time_step": 1}
    for name in FILTERS:
        assert filter_options(name, fps=30) == filter_options(name)


def test_at_twice_the_frame_rate_windows_hold_twice_the_frames():
    assert filter_options("savgol", fps=60) == {"window": 61, "order": 2}
    assert filter_options("gaus1d", fps=60) == {"window": 62, "sigma": 6}
    assert filter_options("gaussian", fps=60) == {"sigma": 6}
    assert filter_options("oneeuro", fps=60)["time_step"] == 0.5
    assert filter_options("savgol", fps=25)["window"] % 2 == 1


# gaus1d jumps between its chunks; the cut-off of rts rises with the frame rate, by its sixth root
@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("gaus1d", "rts")])
def test_the_same_motion_is_filtered_alike_at_any_frame_rate(name):
    def motion(fps):
        t = np.arange(0, 4, 1 / fps)
        return 0.02 * np.sin(2 * np.pi * 1.5 * t)[:, None]

    at_30, at_240 = apply_filter(name, motion(30), fps=30), apply_filter(name, motion(240), fps=240)[::8]
    counted_in_frames = apply_filter(name, motion(240))[::8]
    same, other = (np.abs(y - at_30)[20:-20].max() for y in (at_240, counted_in_frames))
    assert same < 0.65 * other


def test_settings_come_from_the_evaluate_node():
    x = noise(50)
    evaluate = {
        "TRADITION_SAVGOL": {"WINDOW_SIZE": 9, "POLYORDER": 3},
        "TRADITION_GAUS1D": {"SIGMA": 5},
        "TRADITION_ONEEURO": {"BETA": 0},
    }
    np.testing.assert_array_equal(apply_filter("savgol", x, evaluate), savgol(x, 9, 3))
    np.testing.assert_array_equal(apply_filter("gaussian", x, evaluate), gaussian(x, 5))
    np.testing.assert_array_equal(apply_filter("gaus1d", x, evaluate), gaus1d(x, 31, 5))
    np.testing.assert_array_equal(apply_filter("oneeuro", x, evaluate), oneeuro(x, 0.04, 0))
    for name in ("rts", "butterworth", "median"):  # have no published settings, and take nobody else's
        np.testing.assert_array_equal(apply_filter(name, x, evaluate), apply_filter(name, x))


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in PUBLISHED])
def test_filters_of_our_own_run_in_an_evaluation_as_the_smooth_command_runs_them(name):
    x = noise(60, 6).cumsum(axis=0)
    for fps in (None, 60.0):
        expected = classical_smoother(name, fps=fps)(x.reshape(60, 2, 3)).reshape(60, 6)
        np.testing.assert_array_equal(apply_filter(name, x, fps=fps), expected)


def test_without_settings_the_filters_are_those_of_an_evaluation_without():
    x, evaluate = noise(100, seed=3).cumsum(axis=0), defaults().EVALUATE
    for name in PUBLISHED:
        np.testing.assert_array_equal(apply_filter(name, x), apply_filter(name, x, evaluate))
        assert {option.key for option in FILTERS[name].published.options} <= set(evaluate[FILTERS[name].published.node])
    np.testing.assert_array_equal(apply_filter("oneeuro", x), oneeuro(x, 0.04, 0.7, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("savgol", {"TRADITION_SAVGOL": {"WINDOW_SIZE": 2, "POLYORDER": 2}}, "POLYORDER"),
        ("savgol", {"TRADITION_SAVGOL": {"WINDOW_SIZE": 7.5}}, "WINDOW_SIZE"),
        ("gaussian", {"TRADITION_GAUS1D": {"SIGMA": 0}}, "SIGMA"),
        ("oneeuro", {"TRADITION_ONEEURO": {"MIN_CUTOFF": -1}}, "MIN_CUTOFF"),
    ],
)
def test_settings_out_of_range_are_named(name, settings, message):
    with pytest.raises(SmoothNetError, match=message):
        apply_filter(name, noise(10), settings)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("fps", [0, -30, float("nan"), float("inf")])
def test_a_frame_rate_must_be_positive(name, fps):
    with pytest.raises(SmoothNetError, match="frame rate"):
        apply_filter(name, noise(10), fps=fps)


def test_filter_names():
    assert filter_names("") == []
    assert filter_names("all") == list(FILTERS)
    assert set(FILTERS) >= {"savgol", "oneeuro", "gaus1d", "gaussian", "rts", "butterworth", "median"}
    assert filter_names(" OneEuro, savgol,oneeuro") == ["oneeuro", "savgol"]
    with pytest.raises(SmoothNetError, match=r"'kalman'.*savgol, oneeuro, gaus1d, gaussian, .*or all"):
        filter_names("savgol,kalman")
    with pytest.raises(SmoothNetError, match="'Kalman'"):
        filter_names("Kalman")
    with pytest.raises(SmoothNetError, match="kalman"):
        apply_filter("kalman", noise(10))
