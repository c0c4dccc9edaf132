# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The smoothers in Hz: against hand computations, and what a user of each relies on."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from lib.filters import METHODS, classical, classical_smoother
from lib.filters.table import FILTERS

LINEAR = ("rts", "butterworth", "gaussian", "savgol")
OFFLINE = tuple(name for name in METHODS if not FILTERS[name].classical.causal)


def smooth(name, x, fps=30.0, **options):
    """(L, C) or (L,) through a smoother, each channel a joint with one coordinate."""
    x = np.asarray(x, float)
    points = x.reshape(len(x), -1, 1)
    return classical_smoother(name, fps=fps, **options)(points).reshape(x.shape)


def sinusoid(hertz, fps, seconds=20.0):
    return np.sin(2 * np.pi * hertz * np.arange(0, seconds, 1 / fps) + 0.4)


def gain(name, hertz, fps, **options):
    x = sinusoid(hertz, fps)
    y = smooth(name, x, fps, **options)
    middle = slice(len(x) // 4, 3 * len(x) // 4)
    return float(y[middle] @ x[middle] / (x[middle] @ x[middle]))


# ---------------------------------------------------------------- RTS
@pytest.mark.parametrize("length", [4, 5, 6, 7, 40])
def test_rts_is_the_solution_of_its_equations(length):
    x = np.random.default_rng(0).normal(size=(length, 3))
    third = np.diff(np.eye(length), 3, axis=0)
    expected = np.linalg.solve(np.eye(length) + 3.0 * third.T @ third, x)
    np.testing.assert_allclose(classical.rts(x, 3.0), expected, rtol=1e-10, atol=1e-12)


def test_rts_stays_exact_where_little_is_left():
    """Of a slow sinusoid at 1000 frames/s, half passes where lam (2 sin)^6 is 1: lam is 2.5e11 for 2 Hz."""
    t = np.arange(20000) / 1000
    lam = 1 / (2 * np.sin(np.pi * 2 / 1000)) ** 6
    y = classical.rts(np.sin(2 * np.pi * 2 * t)[:, None], lam)[5000:15000, 0]
    np.testing.assert_allclose(y, 0.5 * np.sin(2 * np.pi * 2 * t[5000:15000]), atol=1e-7)


def test_rts_is_a_kalman_filter_and_its_backward_pass():
    """The smoothed mean of a state (position, and its first two differences) that a random walk drives."""
    lam, rng = 3.0, np.random.default_rng(1)
    x = rng.normal(size=25).cumsum()
    transition = np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]])
    noise = np.diag([0.0, 0, 1 / lam])  # the third difference is white; points are seen with variance 1
    mean, cov = np.zeros(3), np.eye(3) * 1e9
    filtered, predicted = [], []
    for t, value in enumerate(x):
        if t:
            mean, cov = transition @ mean, transition @ cov @ transition.T + noise
        predicted.append((mean, cov))
        k = cov[:, 0] / (cov[0, 0] + 1)
        mean, cov = mean + k * (value - mean[0]), cov - np.outer(k, cov[0])
        filtered.append((mean, cov))
    state = filtered[-1][0]
    smoothed = [state[0]]
    for t in range(len(x) - 2, -1, -1):
        back = filtered[t][1] @ transition.T @ np.linalg.inv(predicted[t + 1][1])
        state = filtered[t][0] + back @ (state - predicted[t + 1][0])
        smoothed.append(state[0])
    np.testing.assert_allclose(classical.rts(x[:, None], lam)[:, 0], smoothed[::-1], atol=1e-4)


def test_rts_defaults():
    assert classical_smoother("rts").settings == {"lam": 3.0}
    assert classical_smoother("rts", fps=60).settings == {"lam": 96.0}
    assert classical.rts_lambda(3.511, 30) == pytest.approx(3.0, rel=1e-3)  # 3.5 Hz, as the documentation says


def test_parabolas_pass_rts_and_savgol():
    t = np.arange(60.0)
    for name in ("rts", "savgol"):
        np.testing.assert_allclose(smooth(name, 0.3 * t**2 - 4 * t), 0.3 * t**2 - 4 * t, atol=1e-6)


# ---------------------------------------------------------------- cut-offs
@pytest.mark.parametrize("name", ["rts", "butterworth", "gaussian"])
@pytest.mark.parametrize(("cutoff", "fps"), [(1.0, 30.0), (4.0, 30.0), (6.0, 60.0), (3.0, 120.0), (6.0, 15.0)])
def test_at_the_cutoff_the_gain_is_minus_3_db(name, cutoff, fps):
    assert gain(name, cutoff, fps, cutoff=cutoff) == pytest.approx(np.sqrt(0.5), abs=0.003)


def test_savgol_takes_the_window_whose_cutoff_is_the_nearest():
    for cutoff, fps in [(2.0, 30.0), (4.0, 30.0), (5.0, 100.0)]:
        window = classical.savgol_window(cutoff, fps)
        miss = [abs(np.log(classical.savgol_cutoff(n, fps) / cutoff)) for n in (window - 2, window, window + 2)]
        assert miss[1] == min(miss)
        exact = classical.savgol_cutoff(window, fps)
        assert gain("savgol", exact, fps, cutoff=cutoff) == pytest.approx(np.sqrt(0.5), abs=0.003)


def test_butterworth_is_of_fourth_order_with_no_delay():
    """Four octaves of 24 dB each; with the bilinear transform's warping, which is small at 1000 frames/s."""
    for octave in (1, 2):
        expected = 1 / (1 + classical.HALF_POWER * 2 ** (4 * octave))
        assert gain("butterworth", 4.0 * 2**octave, 1000.0, cutoff=4.0) == pytest.approx(expected, rel=0.01)
    pulse = np.zeros(101)
    pulse[50] = 1
    y = smooth("butterworth", pulse)
    np.testing.assert_allclose(y, y[::-1], atol=1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_slow_motion_passes_and_fast_jitter_does_not(name):
    assert gain(name, 0.5, 30.0) > 0.97
    assert abs(gain(name, 13.0, 30.0)) < 0.2


# ---------------------------------------------------------------- every smoother
@pytest.mark.parametrize("outliers", [None, "hampel"])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 9, 30])
def test_points_at_rest_stay_in_sequences_of_any_length(name, length, outliers):
    still = np.full((length, 4, 3), 7.25)
    before = still.copy()
    y = classical_smoother(name, outliers=outliers)(still)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, 7.25, rtol=1e-9)
    np.testing.assert_array_equal(still, before)


@pytest.mark.parametrize("name", OFFLINE)
@pytest.mark.parametrize("strength", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 50])
def test_uniform_motion_passes_unchanged_at_the_ends_too(name, strength, length):
    line = np.linspace(-3, 5, length)
    np.testing.assert_allclose(smooth(name, line, strength=strength), line, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_one_and_two_frames_are_returned(name):
    x = np.random.default_rng(2).normal(size=(2, 5))
    if name != "oneeuro":
        np.testing.assert_allclose(smooth(name, x), x, atol=1e-9)
    np.testing.assert_allclose(smooth(name, x[:1]), x[:1])


@pytest.mark.parametrize("name", METHODS)
def test_strength_goes_from_the_input_to_ever_smoother(name):
    x = np.random.default_rng(3).normal(size=(400, 6)).cumsum(axis=0)
    np.testing.assert_array_equal(smooth(name, x, strength=0), x)
    roughness = [np.square(np.diff(smooth(name, x, strength=s), 2, axis=0)).mean() for s in (0, 0.6, 1, 2, 4)]
    assert (np.diff(roughness) < 0).all(), roughness
    moved = [np.abs(smooth(name, x, strength=s) - x).mean() for s in (0, 0.6, 1, 2, 4)]
    assert (np.diff(moved) > 0).all(), moved


@pytest.mark.parametrize("name", ["rts", "butterworth", "gaussian", "savgol"])
def test_twice_the_strength_is_half_the_cutoff(name):
    half = FILTERS[name].classical.by_strength(2.0, 120.0)
    by_hand = {
        "rts": {"lam": 64 * classical.rts_default_lambda(1.0, 120.0)},
        "butterworth": {"cutoff": 2.0, "fps": 120.0},
        "gaussian": {"sigma": np.sqrt(np.log(2)) * 120 / (2 * np.pi * 2.0)},
        "savgol": {"window": classical.savgol_window(2.0, 120.0)},
    }[name]
    assert half == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_the_same_motion_comes_out_the_same_at_30_and_60_fps(name):
    def motion(fps):
        t = np.arange(0, 8, 1 / fps)
        return np.stack([np.sin(2 * np.pi * f * t + f) for f in (0.7, 1.9, 3.1)], axis=1)

    at_30, at_60 = smooth(name, motion(30), 30.0), smooth(name, motion(60), 60.0)[::2]
    counted_in_frames = smooth(name, motion(60), 30.0)[::2]
    same, other = (np.abs(y - at_30)[30:-30].mean() for y in (at_60, counted_in_frames))
    assert same < 0.05
    assert same < 0.6 * other


@pytest.mark.parametrize("name", METHODS)
def test_channels_do_not_mix_and_scale_and_origin_do_not_matter(name):
    points = np.random.default_rng(4).normal(size=(60, 5, 3)).cumsum(axis=0)
    smoother = classical_smoother(name, outliers="hampel")
    np.testing.assert_allclose(smoother(1000 * points + 50), 1000 * smoother(points) + 50, atol=1e-6)
    x = points.reshape(60, -1)
    if name != "oneeuro":  # which measures speeds by the body's size
        alone = np.concatenate([smooth(name, x[:, [c]]) for c in range(15)], axis=1)
        np.testing.assert_allclose(smooth(name, x), alone, atol=1e-10)


@pytest.mark.parametrize("name", OFFLINE)
def test_the_ends_are_smoothed_nearly_as_well_as_the_middle(name):
    noise = np.random.default_rng(5).normal(size=(60, 300))
    left = np.square(smooth(name, noise)).mean(axis=1)
    assert left[0] < 0.85 and left[-1] < 0.85
    assert left[20:40].mean() < 0.5


def test_median_is_a_running_median_that_removes_spikes_and_keeps_steps():
    x = np.random.default_rng(6).normal(size=(50, 2))
    y = smooth("median", x)
    np.testing.assert_allclose(y[2:-2], median_filter(x, (5, 1))[2:-2])
    step = np.r_[np.zeros(20), np.ones(20)]
    np.testing.assert_array_equal(smooth("median", step), step)
    step[7:9] = 100
    assert smooth("median", step)[:20].max() < 1e-9


def test_oneeuro_by_hand():
    def weight(cutoff):
        return 1 / (1 + 60 / (2 * np.pi * cutoff))

    x = np.array([[0.0], [1.0], [3.0]])
    y = classical.oneeuro(x, 60.0, min_cutoff=2.0, beta=0.5, d_cutoff=1.0, size=4.0)[:, 0]
    speed1 = weight(1.0) * 60.0
    y1 = weight(2.0 + 0.5 * speed1 / 4) * 1.0
    speed2 = speed1 + weight(1.0) * (120.0 - speed1)
    np.testing.assert_allclose(y, [0.0, y1, y1 + weight(2.0 + 0.5 * speed2 / 4) * (3 - y1)])


def test_oneeuro_knows_no_future():
    x = np.random.default_rng(7).normal(size=(40, 6, 2)).cumsum(axis=0)
    later = x.copy()
    later[25:] += 10
    smoother = classical_smoother("oneeuro")
    np.testing.assert_array_equal(smoother(x)[:25], smoother(later)[:25])


# ---------------------------------------------------------------- outliers
def arm(length=120, fps=30.0):
    t = np.arange(length)[:, None, None] / fps
    phase = np.arange(5)[None, :, None] + np.array([0.0, 1.1, 2.3])
    return 0.4 * np.sin(2 * np.pi * 1.0 * t + phase) + np.arange(5)[None, :, None]


def test_hampel_touches_nothing_on_a_clean_sinusoid():
    cleaned, rejected = classical_smoother("rts", outliers="hampel").clean(arm())
    assert not rejected.any()
    np.testing.assert_array_equal(cleaned, arm())


def test_hampel_rejects_an_outlier_as_a_point_and_bridges_it():
    points = arm()
    points[40, 2, 1] += 2.0  # one coordinate of one joint
    points[70:73, 4] -= 1.5  # three frames
    cleaned, rejected = classical_smoother("rts", outliers="hampel").clean(points)
    expected = np.zeros((120, 5), bool)
    expected[40, 2] = expected[70:73, 4] = True
    assert (rejected & expected).sum() == 4
    assert (rejected & ~expected).sum() <= 2  # a neighbour may go with the outlier
    np.testing.assert_allclose(cleaned[40, 2], (points[39, 2] + points[41, 2]) / 2, atol=0.05)
    assert np.abs(cleaned - arm()).max() < 0.25
    np.testing.assert_array_equal(cleaned[~rejected], points[~rejected])


def test_hampel_takes_what_lasts_for_motion():
    points = arm()
    points[50:, 3] += 1.0  # a step
    points[20:32, 1] += 1.0
    _, rejected = classical_smoother("rts", outliers="hampel").clean(points)
    assert rejected.mean() < 0.01
    fall = np.where(np.arange(60) < 30, 0, 4.9 * ((np.arange(60) - 30) / 30) ** 2)[:, None, None] * np.ones((1, 1, 3))
    assert classical.hampel(fall, 11)[1].mean() < 0.05


def test_hampel_rejects_few_points_of_white_noise():
    noise = np.random.default_rng(8).normal(size=(500, 20, 3))
    assert classical.hampel(noise, 11)[1].mean() < 0.03


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 8])
def test_hampel_of_short_sequences(length, dims):
    points = np.random.default_rng(9).normal(size=(length, 3, dims))
    cleaned, rejected = classical.hampel(points, 11)
    assert cleaned.shape == points.shape and rejected.shape == (length, 3)
    assert np.isfinite(cleaned).all()
