# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Classical smoothers on recordings with gaps and on streams, and what they refuse."""

import numpy as np
import pytest
import torch

from lib.filters import METHODS, classical_smoother
from lib.utils.errors import SmoothNetError
from lib.utils.gaps import MAX_GAP, bridge, segments


def walk(length=120, joints=4, dims=3, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(length)[:, None, None] / 30
    motion = np.sin(2 * np.pi * t * rng.uniform(0.5, 2, (1, joints, dims))) + 2 * rng.normal(size=(1, joints, dims))
    return motion + 0.05 * rng.normal(size=(length, joints, dims))


def streamed(stream, frames):
    out = [stream.push(frame) for frame in frames]
    assert all(frame is None for frame in out[: stream.delay])
    return out[stream.delay :] + stream.flush()


def test_whole_numbers_are_not_rounded_again():
    pixels = np.round(100 * walk()).astype(np.int32)
    np.testing.assert_array_equal(classical_smoother("rts")(pixels), classical_smoother("rts")(pixels.astype(float)))


@pytest.mark.parametrize("name", METHODS)
def test_next_to_no_strength_is_next_to_the_input(name):
    points = walk()
    np.testing.assert_allclose(classical_smoother(name, strength=1e-52)(points), points, rtol=1e-12)


# ---------------------------------------------------------------- missing points
def test_bridge():
    x = np.array([[np.nan, 1, np.nan], [2, np.inf, np.nan], [np.nan, 3, np.nan], [6, 4, np.nan]])
    np.testing.assert_array_equal(bridge(x), [[2, 1, 0], [2, 2, 0], [4, 3, 0], [6, 4, 0]])
    np.testing.assert_array_equal(bridge(x, hold=True), [[2, 1, 0], [2, 1, 0], [2, 3, 0], [6, 4, 0]])


def test_segments():
    points = np.zeros((30, 2, 2))
    points[[*range(0, 2), *range(5, 8), *range(12, 30)]] = np.nan
    assert list(segments(points, 3)) == [slice(2, 12)]
    assert list(segments(points, 2)) == [slice(2, 5), slice(8, 12)]
    assert list(segments(points * np.nan, 2)) == []


@pytest.mark.parametrize("outliers", [None, "hampel"])
@pytest.mark.parametrize("name", METHODS)
def test_missing_points_stay_missing_and_do_not_spread(name, outliers):
    points = walk()
    points[30:34, 1, 2] = np.nan  # one coordinate: the point
    points[60:65] = np.inf  # nobody
    points[:, 3] = np.nan  # never
    points[:7, 2] = np.nan
    y = classical_smoother(name, outliers=outliers)(points.astype(np.float32))
    missing = ~np.isfinite(points).all(axis=-1)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(missing[..., None], y.shape))
    assert np.nanmax(np.abs(y - np.where(missing[..., None], np.nan, points))) < 0.9


@pytest.mark.parametrize("name", METHODS)
def test_a_long_absence_makes_two_recordings_of_one(name):
    points = walk(90)
    points[40 : 40 + MAX_GAP + 1] = np.nan
    points[40 + MAX_GAP + 1 :] += 5
    smoother = classical_smoother(name)
    y = smoother(points)
    np.testing.assert_allclose(y[:40], smoother(points[:40]), atol=1e-12)
    np.testing.assert_allclose(y[40 + MAX_GAP + 1 :], smoother(points[40 + MAX_GAP + 1 :]), atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_the_numbers_of_rotations_have_no_outliers(name):
    turns = walk(dims=6)
    turns[50, 1] += 3
    smoother = classical_smoother(name, outliers="hampel")
    assert not smoother.clean(turns)[1].any()
    live = streamed(smoother.stream(), turns)
    np.testing.assert_allclose(live[40:60], classical_smoother(name)(turns)[40:60], atol=5e-3)


def test_rejected_points_are_counted_where_they_were_seen():
    points = walk()
    points[50, 1] += 3
    points[51, 1] = np.nan
    smoother = classical_smoother("rts", outliers="hampel")
    cleaned, rejected = smoother.clean(points)
    assert rejected[50, 1] and not rejected[51, 1]
    assert np.isnan(cleaned[51, 1]).all()
    assert np.abs(smoother(points)[45:55, 1] - walk()[45:55, 1])[np.arange(10) != 6].max() < 0.4


# ---------------------------------------------------------------- streams
@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("outliers", [None, "hampel"])
@pytest.mark.parametrize("name", METHODS)
def test_with_its_own_delay_a_stream_gives_what_the_recording_gives(name, outliers, fps):
    points = walk(150)
    points[70, 2] += 2
    smoother = classical_smoother(name, outliers=outliers, fps=fps)
    whole = smoother(points)
    live = np.array(streamed(smoother.stream(), points))
    assert np.sqrt(np.square(live - whole).mean()) <= 2e-3 * np.sqrt(np.square(whole - points).mean())


@pytest.mark.parametrize("name", [name for name in METHODS if name != "oneeuro"])
def test_less_delay_is_farther_from_the_recording(name):
    points = walk(200)
    smoother = classical_smoother(name)
    whole = smoother(points)
    away = [np.square(np.array(streamed(smoother.stream(d), points)) - whole).mean() for d in (0, 1, smoother.delay)]
    assert away[0] > away[1] > away[2]


def test_a_causal_filter_needs_no_delay_and_equals_the_recording_through_gaps():
    points = walk(100)
    points[:4, 0] = np.nan
    points[20:23, 1] = np.nan
    points[40:45] = np.nan
    points[60:75] = np.nan  # longer than a person may be away
    smoother = classical_smoother("oneeuro")
    assert smoother.delay == 0
    live = np.array(streamed(smoother.stream(), points))
    np.testing.assert_allclose(live, smoother(points), atol=1e-12)


@pytest.mark.parametrize("name", ["rts", "oneeuro"])
def test_people_come_and_go(name):
    a, b = walk(80, seed=1), walk(80, seed=2)
    smoother = classical_smoother(name)
    frames = [{1: a[t], **({"b": b[t]} if 10 <= t < 30 or t >= 60 else {})} for t in range(80)]
    live = streamed(smoother.stream(12), frames)
    assert len(live) == 80
    assert [set(frame) == {1, "b"} for frame in live] == [10 <= t < 30 or t >= 60 for t in range(80)]
    alone = streamed(smoother.stream(12), a)
    np.testing.assert_allclose(np.array([frame[1] for frame in live]), np.array(alone), atol=1e-12)
    later = streamed(smoother.stream(12), b[60:])
    np.testing.assert_allclose(np.array([frame["b"] for frame in live[60:]]), np.array(later), atol=1e-12)


def test_a_stream_forgets_people_and_starts_anew_after_flush():
    smoother = classical_smoother("rts")
    stream = smoother.stream(3)
    for t in range(400):
        stream.push({t // 20: walk(1, seed=t)[0]})
        assert len(stream._tracks) < 5
    stream.flush()
    points = walk(40)
    again = streamed(stream, [{0: frame} for frame in points])
    fresh = streamed(smoother.stream(3), points)
    np.testing.assert_array_equal(np.array([frame[0] for frame in again]), np.array(fresh))


def test_frames_without_anybody():
    stream = classical_smoother("rts").stream(2)
    assert [stream.push(None) for _ in range(3)] == [None] * 3
    for frame in walk(5):
        out = stream.push(frame)
    assert np.isfinite(out).all()
    assert [np.isnan(stream.push(None)).all() for _ in range(4)] == [False, False, True, True]
    assert len(stream.flush()) == 2


@pytest.mark.parametrize("name", ["rts", "oneeuro"])
def test_what_is_masked_is_missing(name):
    smoother = classical_smoother(name)
    x = np.random.default_rng(0).normal(size=(40, 3, 2)).cumsum(axis=0)
    masked = np.ma.MaskedArray(x.copy())
    masked[7, 1], masked.data[7, 1], x[7, 1] = np.ma.masked, 9999, np.nan
    expected = smoother(x)
    whole = smoother(masked)
    stream = smoother.stream()
    live = [stream.push(frame) for frame in masked][stream.delay :] + stream.flush()
    for smoothed in (whole, np.ma.stack(live)):
        np.testing.assert_array_equal(smoothed.mask, np.isnan(x))
        np.testing.assert_allclose(smoothed.filled(np.nan), expected, atol=0.01)


@pytest.mark.filterwarnings("error")
def test_frames_keep_their_type_and_complex_ones_are_refused():
    stream = classical_smoother("rts").stream(1)
    frame = torch.ones(3, 2, dtype=torch.bfloat16)
    stream.push(frame)
    assert stream.push(frame).dtype == torch.bfloat16
    assert classical_smoother("rts").stream(0).push(np.ones((3, 2), np.float32)).dtype == np.float32
    with pytest.raises(SmoothNetError, match="complex128"):
        stream.push(np.ones((3, 2)) * 1j)


def test_a_stream_takes_one_shape_and_one_kind():
    stream = classical_smoother("rts").stream()
    stream.push(walk(1)[0])
    with pytest.raises(SmoothNetError, match=r"frame 1 .*\(5, 3\).*\(4, 3\)"):
        stream.push(np.zeros((5, 3)))
    with pytest.raises(SmoothNetError, match=r"frame 1 .*array"):
        stream.push({1: np.zeros((4, 3))})
    with pytest.raises(SmoothNetError, match="delay"):
        classical_smoother("rts").stream(-1)


# ---------------------------------------------------------------- the door
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "kalman"}, "'kalman'.*savgol"),
        ({"name": "gaus1d"}, "gaus1d"),  # its chunks are for the paper's tables only
        ({"cutoff": 0}, "cutoff"),
        ({"cutoff": 1e-300}, "at least 0.003 Hz"),
        ({"name": "butterworth", "cutoff": 1e-6}, "at least 0.003 Hz"),
        ({"cutoff": 15}, "half of 30.*frame rate is unknown"),
        ({"cutoff": 25, "fps": 50}, "half of 50 frames/s,"),
        ({"cutoff": float("nan")}, "cutoff"),
        ({"cutoff": 4, "strength": 2}, "give one"),
        ({"name": "median", "cutoff": 4}, "no cut-off"),
        ({"strength": -1}, "strength"),
        ({"strength": float("inf")}, "strength"),
        ({"fps": 0}, "frame rate"),
        ({"outliers": "grubbs"}, "hampel"),
        ({"max_gap": -1}, "max_gap"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(SmoothNetError, match=message):
        classical_smoother(**{"name": "rts", **options})


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("strength", [1e-6, 0.1, 30.0])
@pytest.mark.parametrize("fps", [5.0, 1000.0])
def test_any_strength_works_at_any_frame_rate(name, strength, fps):
    points = walk(50)
    y = classical_smoother(name, strength=strength, fps=fps, outliers="hampel")(points)
    assert np.isfinite(y).all()
    assert np.abs(y - points).max() < 4 * np.abs(points).max()
