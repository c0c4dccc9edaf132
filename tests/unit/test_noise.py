# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The error model: every kind of error does what it says, in units of the body, and nothing else."""

import dataclasses

import numpy as np
import pytest

from lib.dataset import noise
from lib.dataset.noise import ErrorModel, add_errors
from lib.utils.errors import SmoothNetError
from lib.utils.gaps import bridge_windows

NOTHING = {field.name: 0.0 for field in dataclasses.fields(ErrorModel) if not isinstance(field.default, tuple)}
SHAPE = (300, 9, 3, 32)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def walk(rng, shape=SHAPE):
    """Smooth motion of bodies of size 1."""
    n, joints, dims, frames = shape
    place = rng.standard_normal((n, joints, dims, 1)) / dims**0.5
    return (place + np.sin(np.arange(frames) / 9 + place)).astype(np.float32)


def everywhere(n=SHAPE[0]):
    return np.ones(n, bool)


def changed(clean, noisy):
    """(N, K, W): which points moved."""
    return (np.abs(noisy - clean) > 1e-6).any(axis=2)


def test_without_errors_windows_come_back_as_they_were(rng):
    clean = walk(rng)
    model = ErrorModel(**{**NOTHING, "clean": 1.0})
    assert np.array_equal(add_errors(clean, np.ones(len(clean)), rng, model), clean)


def test_the_same_seed_gives_the_same_errors():
    clean = walk(np.random.default_rng(0))
    first, second = (add_errors(clean, np.ones(len(clean)), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, add_errors(clean, np.ones(len(clean)), np.random.default_rng(6)))


def test_errors_are_measured_in_bodies(rng):
    clean = walk(rng)
    model = ErrorModel(**{**NOTHING, "bursts": 0.4})
    small, large = (
        add_errors(unit * clean, np.full(len(clean), unit), np.random.default_rng(1), model) / unit - clean
        for unit in (1.0, 1024.0)
    )
    np.testing.assert_allclose(small, large, atol=2e-4)


def test_the_level_is_the_standard_deviation(rng):
    clean = walk(rng)
    model = ErrorModel(**{**NOTHING, "level": (0.05, 0.05)})
    error = add_errors(clean, np.full(len(clean), 2.0), rng, model) - clean
    assert error.std() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("tau", [1.0, 5.0, 25.0])
def test_ar1_has_variance_1_and_the_correlation_asked_for(rng, tau):
    noise_ = noise.ar1((4000, 2, 2, 32), np.full(4000, tau), rng)
    assert noise_.var() == pytest.approx(1, rel=0.03)
    assert noise_[..., 0].var() == pytest.approx(1, rel=0.05)
    assert (noise_[..., 1:] * noise_[..., :-1]).mean() == pytest.approx(np.exp(-1 / tau), abs=0.02)


def test_heavy_tails_have_variance_1_and_outliers(rng):
    values = noise.student((3000, 4, 3, 32), np.full(3000, 4.5), rng)
    assert values.var() == pytest.approx(1, rel=0.1)
    assert (np.abs(values) > 5).mean() > 20 * 6e-7  # of a normal distribution 6e-7 lies there


def test_the_common_shift_is_common(rng):
    shift = noise.common_shift(SHAPE, everywhere(), rng)
    assert shift.shape == (SHAPE[0], 1, 3, 32)
    assert shift.std() == pytest.approx(1, rel=0.1)


def test_the_wobble_keeps_the_shape_of_the_body(rng):
    clean = walk(rng)
    wobbly = clean + noise.wobble(clean, everywhere(), np.full(len(clean), 0.05), rng)
    flat, flat_wobbly = (x - x.mean(1, keepdims=True) for x in (clean, wobbly))
    factor = (flat * flat_wobbly).sum((1, 2)) / (flat**2).sum((1, 2))
    np.testing.assert_allclose(flat_wobbly, factor[:, None, None] * flat, atol=1e-5)
    assert factor.std() == pytest.approx(0.05, rel=0.15)


def test_bursts_are_short_and_of_the_size_asked_for(rng):
    bursts = noise.bursts(SHAPE, everywhere(), (0.3, 0.3), rng)
    share = (bursts != 0).any(axis=2).mean()
    assert 0.01 < share < 0.3
    moved = bursts[bursts != 0]
    assert 0.3 / 3**0.5 * 0.95 < moved.std() < 0.3 / 3**0.5 * 1.5  # the flicker comes on top
    assert not noise.bursts(SHAPE, ~everywhere(), (0.3, 0.3), rng).any()


def test_a_swap_exchanges_pairs_of_joints_and_loses_nothing(rng):
    clean = walk(rng)
    swapped = noise.swap(clean, everywhere(), rng)
    assert changed(clean, swapped).any(axis=(1, 2)).mean() > 0.95
    exchanged = changed(clean, swapped).sum(axis=1)
    joints = clean.shape[1]
    assert set(exchanged.ravel()) == set(range(0, joints + 1, 2))
    assert 0.6 < (exchanged.max(axis=-1) == 2).mean() < 0.85  # one pair as a rule
    np.testing.assert_array_equal(np.sort(clean, axis=1), np.sort(swapped, axis=1))


def test_a_mistaken_pose_is_the_same_each_time_and_a_linear_image_of_the_true_one(rng):
    clean = walk(rng)
    mistaken = noise.mistake(clean, np.ones((len(clean), 1, 1, 1), np.float32), everywhere(), rng)
    assert mistaken.dtype == np.float32
    moved = changed(clean, mistaken)
    assert moved.any(axis=(1, 2)).mean() > 0.9
    whole = 0
    for true, seen, joints in zip(clean, mistaken, moved, strict=True):
        frames = joints.any(axis=0)
        wrong = joints.any(axis=1)
        if frames.sum() < 4 or wrong.sum() < true.shape[1] - 1:  # all joints but, perhaps, the one that stays
            continue
        whole += 1
        # In all frames the differences of joints are one linear image of the true ones.
        true, seen = (points[wrong][..., frames] for points in (true, seen))
        true, seen = ((points[1:] - points[:1]).transpose(0, 2, 1).reshape(-1, 3) for points in (true, seen))
        image = np.linalg.lstsq(true, seen, rcond=None)[0]
        np.testing.assert_allclose(true @ image, seen, atol=2e-4 * np.abs(true).max())
        assert np.linalg.norm(image, 2) < 1.25
    assert whole > 20


def test_one_joint_alone_cannot_be_swapped(rng):
    clean = walk(rng, (20, 1, 2, 32))
    assert np.array_equal(noise.swap(clean, everywhere(20), rng), clean)


def test_frozen_joints_hold_their_last_value(rng):
    clean = walk(rng)
    frozen = noise.freeze(clean, everywhere(), rng)
    held = changed(clean, frozen)
    assert 0.01 < held.mean() < 0.5
    window, joint, frame = np.argwhere(held).T
    assert frame.min() > 0
    np.testing.assert_array_equal(frozen[window, joint, :, frame], frozen[window, joint, :, frame - 1])


def test_repeated_frames_come_in_twos_to_fours(rng):
    clean = walk(rng)
    steps = np.diff(noise.repeat_frames(clean, everywhere(), rng), axis=-1)
    new = (steps != 0).any(axis=(1, 2)).mean(axis=1)
    assert new.min() >= 7 / 31 and new.max() <= 16 / 31


def test_a_stutter_repeats_whole_frames(rng):
    clean = walk(rng)
    steps = np.diff(noise.stutter(clean, everywhere(), rng), axis=-1)
    still = (steps == 0).all(axis=(1, 2))
    assert 0.02 < still.mean() < 0.5
    assert (still == (steps == 0).any(axis=(1, 2))).all()  # all joints at once


def test_correlated_noise_keeps_its_variance_and_is_shared(rng):
    white = rng.standard_normal((2000, 6, 2, 32), dtype=np.float32)
    shared = noise.correlate(white, everywhere(2000), rng)
    assert shared.var() == pytest.approx(1, rel=0.1)
    alike = np.abs(np.mean(shared[:, 0] * shared[:, 1], axis=(1, 2))).mean()
    assert alike > 3 * np.abs(np.mean(white[:, 0] * white[:, 1], axis=(1, 2))).mean()
    assert np.array_equal(noise.correlate(white, ~everywhere(2000), rng), white)


def test_an_estimator_that_filters_lags(rng):
    clean = walk(rng)
    filtered = noise.low_pass(clean, everywhere(), rng)
    assert np.abs(np.diff(filtered, n=2)).mean() < np.abs(np.diff(clean, n=2)).mean()
    still = np.repeat(clean[..., :1], 32, axis=-1)
    np.testing.assert_allclose(noise.low_pass(still, everywhere(), rng), still, atol=1e-6)


def test_a_shaking_camera_moves_all_joints_6_to_15_times_a_second_where_the_rate_is_known(rng):
    fps = np.repeat([0.0, 10.0, 60.0], 100)
    wave = noise.vibration((300, 1, 2, 64), everywhere(300), fps, rng)
    moved = np.abs(wave).max(axis=(1, 2, 3)) > 0
    assert not moved[:200].any() and moved[200:].all()  # 10 frames a second cannot show it
    spectrum = np.abs(np.fft.rfft(wave[200:] * np.hanning(64))) ** 2
    hertz = np.fft.rfftfreq(64, 1 / 60)
    inside = spectrum[..., (hertz > 4) & (hertz < 17)].sum(-1) / spectrum.sum(-1)
    assert np.median(inside) > 0.95


def test_the_tremble_has_a_period(rng):
    wave = noise.tremble((200, 4, 2, 32), everywhere(200), rng)
    middle = wave[..., 1:-1]
    # sin(t + w) + sin(t - w) = 2 cos(w) sin(t)
    factor = ((wave[..., 2:] + wave[..., :-2]) * middle).sum((1, 2, 3)) / (middle**2).sum((1, 2, 3))
    np.testing.assert_allclose(wave[..., 2:] + wave[..., :-2], factor[:, None, None, None] * middle, atol=1e-4)
    together = (np.abs(wave - wave[:, :1]) < 1e-6).all((1, 2, 3))
    assert 0.3 < together.mean() < 0.7


def test_jumps_hold_their_place(rng):
    jumps = noise.jumps(SHAPE, everywhere(), (0.1, 0.1), rng)
    values = np.unique(jumps[0, 0], axis=-1)
    assert values.shape[-1] <= 2 and np.abs(jumps).max() > 0.05


def test_gaps_are_bridged_by_straight_lines():
    windows = np.arange(32, dtype=np.float32)[None, None, None] ** 2
    missing = np.zeros((1, 1, 32), bool)
    missing[..., [0, 1, 10, 11, 12, 31]] = True
    bridged = bridge_windows(windows, missing)[0, 0, 0]
    np.testing.assert_allclose(bridged[9:14], np.linspace(81, 169, 5))
    assert bridged[0] == bridged[1] == 4 and bridged[31] == 900
    np.testing.assert_array_equal(bridged[2:9], windows[0, 0, 0, 2:9])


def test_a_joint_that_is_never_seen_stays(rng):
    clean = walk(rng, (2, 3, 2, 32))
    missing = np.zeros((2, 3, 32), bool)
    missing[:, 1] = True
    assert np.array_equal(bridge_windows(clean, missing), clean)


@pytest.mark.parametrize("length", [2, 3, 8, 17, 31, 32])
def test_short_windows_are_held_or_reflected(rng, length):
    clean = walk(rng, (2, 3, 2, 32))
    held, reflected = noise.extend(clean, np.full(2, length), np.array([True, False]))
    rest = 32 - length
    np.testing.assert_array_equal(held[..., :length], clean[0][..., :length])
    assert (held[..., length:] == clean[0][..., length - 1 : length]).all()
    expected = np.pad(clean[1][..., :length], [(0, 0), (0, 0), (0, rest)], mode="reflect", reflect_type="odd")
    np.testing.assert_allclose(reflected, expected, atol=1e-4)


def test_rounded_coordinates_lie_on_the_grid(rng):
    clean = walk(rng, (2, 3, 2, 32))
    rounded = noise.round_to(clean, np.array([0.25, 0.0]))
    np.testing.assert_array_equal(rounded[0] % 0.25, 0)
    assert np.abs(rounded[0] - clean[0]).max() <= 0.125
    np.testing.assert_array_equal(rounded[1], clean[1])


def test_time_jitter_moves_nothing_that_rests(rng):
    still = np.repeat(walk(rng)[..., :1], 32, axis=-1)
    np.testing.assert_allclose(noise.jitter_time(still, everywhere(), rng), still, atol=1e-6)
    moving = walk(rng)
    late = noise.jitter_time(moving, everywhere(), rng)
    assert 0 < np.abs(late - moving).max() < 0.51 * np.abs(np.diff(moving, axis=-1)).max() + 1e-5


@pytest.mark.parametrize("shape", [(50, 1, 2, 8), (50, 2, 3, 32), (50, 20, 3, 64)])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_all_errors_together_stay_finite(rng, shape, unit):
    clean = np.float32(unit) * walk(rng, shape)
    noisy = add_errors(clean, np.full(shape[0], unit), rng)
    assert noisy.shape == shape and noisy.dtype == np.float32
    assert np.isfinite(noisy).all() and not np.array_equal(noisy, clean)


@pytest.mark.parametrize("wrong", [{"level": (0.1, 0.01)}, {"level": (0.0, 1.0)}, {"bursts": 1.5}, {"swaps": -0.1}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(SmoothNetError, match=next(iter(wrong))):
        ErrorModel(**wrong)
