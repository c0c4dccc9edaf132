# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Streams: what comes out when, the full delay equals the whole recording, tracks, bounded memory."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.filters import classical_smoother
from lib.inference import Smoother
from lib.models.network import Network
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError

W = 8


def random_network(normalize="body", calls=None):
    torch.manual_seed(0)
    model = SmoothNet(W, hidden_size=16, res_hidden_size=8, num_blocks=2).eval()

    def run(windows):
        if calls is not None:
            calls.append(windows.shape)
        with torch.inference_mode():
            return model(torch.from_numpy(np.ascontiguousarray(windows, np.float32))).numpy()

    return Network(run, W, normalize, model, torch.device("cpu"))


@pytest.fixture(scope="module")
def smoother():
    return Smoother(random_network())


def recording(frames, seed, missing=0.0, absent=0.0, joints=3, dims=2):
    """A random walk in which points are missing, and for some stretches all of them."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(frames, joints, dims)).cumsum(axis=0)
    x[generator.random((frames, joints)) < missing] = np.nan
    x[np.repeat(generator.random(-(-frames // 3)) < absent, 3)[:frames]] = np.nan
    return x


def through(stream, frames):
    """Everything a stream gives for these frames, in order."""
    given = [stream.push(frame) for frame in frames]
    return given + stream.flush()


@pytest.mark.parametrize("step", [1, 3])
def test_a_network_that_fails_on_some_window_is_named(step):
    """One that is good on what it was tried with when it was read."""

    def run(windows):
        return np.where(np.abs(windows).max(axis=(1, 2), keepdims=True) > 1e3, np.nan, windows)

    broken = Smoother(Network(run, W, "none", None, torch.device("cpu")), "none")
    good, bad = recording(40, 0), recording(40, 0) + 1e4
    assert np.isfinite(broken(good, step=step)).all()
    with pytest.raises(SmoothNetError, match="no finite number"):
        broken(bad, step=step)
    with pytest.raises(SmoothNetError, match="no finite number"):
        through(broken.stream(), bad)


def test_an_absence_longer_than_the_window_within_a_gap_gives_no_warning(smoother):
    x = recording(40, 0)
    x[10 : 10 + 2 * W] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smoothed = smoother(x, max_gap=3 * W)
    np.testing.assert_array_equal(np.isnan(smoothed), np.isnan(x))


gaps = {"missing": st.sampled_from([0.0, 0.1, 0.6]), "absent": st.sampled_from([0.0, 0.3, 0.7])}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 45), st.integers(0, 12), st.integers(0, 2**32 - 1), *gaps.values())
def test_the_full_delay_equals_the_whole_recording(smoother, frames, max_gap, seed, missing, absent):
    """To 1e-5, at both ends, around gaps of any length, and for clips shorter than the window."""
    x = recording(frames, seed, missing, absent)
    came = through(smoother.stream(delay=W - 1, max_gap=max_gap), x)
    assert all(frame is None for frame in came[: min(W - 1, frames)])
    whole = smoother(x, max_gap=max_gap)
    assert len(came) == frames + min(W - 1, frames)
    for frame, expected in zip(came[min(W - 1, frames) :], whole, strict=True):
        np.testing.assert_allclose(frame, expected, atol=1e-5)


@pytest.mark.filterwarnings("error")
@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, W), st.integers(0, 45), st.integers(0, 12), st.integers(0, 2**32 - 1), *gaps.values()
)  # fmt: skip
def test_it_equals_the_whole_recording_at_any_step(step, frames, max_gap, seed, missing, absent):
    """A network whose windows are tapered runs every few frames, whole and live, around gaps of any length."""
    network = random_network()
    network.taper, network.step = np.sin(np.pi * (np.arange(W) + 0.5) / W) ** 2, step
    smoother = Smoother(network)
    x = recording(frames, seed, missing, absent)
    came = through(smoother.stream(max_gap=max_gap), x)[min(W - 1, frames) :]
    for frame, expected in zip(came, smoother(x, max_gap=max_gap), strict=True):
        np.testing.assert_allclose(frame, expected, atol=1e-5)


def test_the_network_runs_when_its_turn_is():
    calls = []
    network = random_network(calls=calls)
    network.taper, network.step = np.ones(W), 4
    stream = Smoother(network).stream()
    for t, frame in enumerate(recording(40, 0)):
        stream.push(frame)
        assert len(calls) == max(0, (t - (W - 1)) // 4 + 1)
    calls.clear()
    Smoother(network)(recording(40, 0), delay=2)
    assert len(calls) == 40 - 2  # too little delay to wait: with every frame
    with pytest.raises(SmoothNetError, match=r"step must be from 1 to 3 frames \(delay 2\), not 4"):
        Smoother(network).stream(2, step=4)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, W - 1), st.integers(0, 30), st.integers(0, 2**32 - 1), *gaps.values())
def test_any_delay_gives_every_frame_once_and_in_time(smoother, delay, frames, seed, missing, absent):
    """With an identity for a network what comes out is the input `delay` frames ago, whatever is missing."""
    x = recording(frames, seed, missing, absent)
    came = through(Smoother(Network(lambda windows: windows, W, "body")).stream(delay=delay), x)
    assert [frame is None for frame in came] == [i < min(delay, frames) for i in range(len(came))]
    for frame, expected in zip(came[min(delay, frames) :], x, strict=True):
        np.testing.assert_allclose(frame, expected, atol=1e-9)


@pytest.mark.parametrize("delay", range(W))
def test_a_frame_is_the_mean_over_the_windows_seen_so_far(smoother, delay):
    x = recording(30, seed=3)
    windows = np.stack([smoother(x[start : start + W]) for start in range(30 - W + 1)])  # W frames: one window
    came = through(smoother.stream(delay=delay), x)[delay:]
    for i in range(W - 1, 30):
        starts = [s for s in range(30 - W + 1) if s <= i < s + W and s + W - 1 <= i + delay]
        np.testing.assert_allclose(came[i], np.mean([windows[s, i - s] for s in starts], axis=0), atol=1e-5)


def test_the_delay_of_a_call_is_that_of_a_stream(smoother):
    x = recording(30, seed=4, missing=0.1)
    for delay in (0, 3, W - 1):
        expected = through(smoother.stream(delay=delay), x)[delay:]
        np.testing.assert_array_equal(smoother(x, delay=delay), np.stack(expected))


def test_a_stream_sees_no_future(smoother):
    """What came out by frame 20 does not change with what follows."""
    a, b = recording(40, seed=5), recording(40, seed=5)
    b[21:] += 100
    for delay in (0, 2, W - 1):
        one, other = smoother.stream(delay=delay), smoother.stream(delay=delay)
        for frame_a, frame_b in zip(a[:21], b[:21], strict=True):
            np.testing.assert_equal(one.push(frame_a), other.push(frame_b))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, W - 1), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_tracks_do_not_touch_each_other(smoother, delay, people, seed):
    """Several people that come and go give what each gives alone, and a dict holds those that were seen."""
    recordings = {f"p{i}": recording(35, [seed, i], 0.1, 0.5) for i in range(people)}
    stream = smoother.stream(delay=delay, tracks=True)
    seen = [{key: x[t] for key, x in recordings.items() if np.isfinite(x[t]).all(-1).any()} for t in range(35)]
    came = through(stream, seen)[delay:]
    assert [set(frame) for frame in came] == [set(frame) for frame in seen]
    for key, x in recordings.items():
        alone = smoother(x, delay=delay)
        for t, frame in enumerate(came):
            if key in frame:
                np.testing.assert_allclose(frame[key], alone[t], atol=1e-5)


def test_all_tracks_go_through_the_network_in_one_call():
    calls = []
    stream = Smoother(random_network(calls=calls)).stream(delay=2)
    for t in range(20):
        stream.push({i: recording(20, i)[t] for i in range(5) if t >= i})
        assert len(calls) <= t + 1
    assert calls[-1] == (5, 6, W)


def test_only_the_chosen_tracks_are_smoothed(smoother):
    frame = {"a": np.zeros((3, 2)), "b": np.ones((3, 2))}
    assert set(smoother.stream(delay=0, tracks=["b"]).push(frame)) == {"b"}


def test_nobody_in_sight(smoother):
    single = smoother.stream(delay=1)
    assert [single.push(None) for _ in range(3)] == [None] * 3  # no frame told the number of joints
    single.push(np.zeros((3, 2)))
    assert np.isnan(single.push(None)).sum() == 0  # that frame
    assert np.isnan(single.push(None)).all()  # and the one after it
    named = smoother.stream(delay=0, tracks=True)
    assert named.push({}) == {} == named.push(None)
    assert named.push({"a": np.full((3, 2), np.nan), "b": None}) == {}


def test_coordinates_that_no_recording_reaches_are_refused_by_every_way(smoother):
    x = recording(20, 0)
    x[7, 1, 0] = -1e20
    median = classical_smoother("median")
    for smooth in (smoother, median, lambda x: through(smoother.stream(), x), lambda x: through(median.stream(), x)):
        with pytest.raises(SmoothNetError, match=r"a coordinate is 1e\+20; no recording reaches that far"):
            smooth(x)
    x[7, 1, 0] = np.inf  # which is missing
    assert np.isnan(smoother(x)[7, 1]).all()


def test_a_flushed_stream_starts_anew(smoother):
    x = recording(20, seed=6)
    stream = smoother.stream(delay=3)
    first, second = through(stream, x), through(stream, x)
    np.testing.assert_equal(first, second)
    assert smoother.stream(delay=3).flush() == []


def test_frames_keep_their_type(smoother):
    x = torch.from_numpy(recording(10, seed=7)).to(torch.float32)
    came = through(smoother.stream(delay=2), x)[2:]
    assert all(frame.dtype == torch.float32 for frame in came)
    came = through(smoother.stream(delay=2), [{7: frame.numpy()} for frame in x])[2:]
    assert all(frame[7].dtype == np.float32 and isinstance(frame[7], np.ndarray) for frame in came)


def size_of(stream):
    parts = [part for parts in stream._segments.values() for part in parts]
    return len(stream._segments), len(parts), sum(part.frames.memory.nbytes for part in parts)


def test_memory_stays_bounded_while_tracks_come_and_go():
    """A new person every 5 frames for 10,000 frames, each seen for 12 with a hole; 3 in sight at most."""
    stream = Smoother(Network(lambda windows: windows, W, "body")).stream(delay=W - 1, max_gap=4)
    frame = np.array([[0.0, 0.0], [1.0, 1.0]])
    largest = 0
    for t in range(10_000):
        people = range(max(0, t // 5 - 2), t // 5 + 1)
        stream.push({i: frame for i in people if 0 <= t - 5 * i < 12 and t - 5 * i != 6})
        largest = max(largest, *size_of(stream)[:2])
    assert largest <= 3 + (W - 1 + 4) // 5 + 1
    assert len(stream.flush()) == W - 1
    assert size_of(stream) == (0, 0, 0)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((4, 2))], r"frame 1 has the shape \(4, 2\), this stream takes \(3, 2\)"),
        ([np.zeros(6)], r"takes \(joints, dims\)"),
        ([np.zeros((3, 2)), {1: np.zeros((3, 2))}], "frame 1 of this stream must be an array"),
        ([{1: np.zeros((3, 2))}, np.zeros((3, 2))], "frame 1 of this stream must be a dict"),
    ],
)
def test_mistakes_are_named(smoother, frames, message):
    stream = smoother.stream(delay=0)
    with pytest.raises(SmoothNetError, match=message):
        for frame in frames:
            stream.push(frame)


@pytest.mark.parametrize("make", [lambda smoother: smoother, lambda smoother: classical_smoother("rts")])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": "4"}, "delay must be a whole number of frames, not '4'"),
        ({"delay": 4.0}, "delay must be a whole number of frames, not 4.0"),
        ({"tracks": 7}, "tracks must be True, False, or a list of ids, not 7"),
        ({"tracks": "anna"}, r"tracks must be a list of ids; for one, say \['anna'\]"),
    ],
)
def test_mistakes_of_a_new_stream_are_named(smoother, make, options, words):
    with pytest.raises(SmoothNetError, match=words):
        make(smoother).stream(**options)


def test_a_frame_without_coordinates_is_refused(smoother):
    for stream in (smoother.stream(delay=0), classical_smoother("rts").stream()):
        with pytest.raises(SmoothNetError, match=r"frame 0 has the shape \(3, 0\)"):
            stream.push(np.zeros((3, 0)))


@pytest.mark.parametrize("delay", [-1, W])
def test_a_delay_is_shorter_than_the_window(smoother, delay):
    with pytest.raises(SmoothNetError, match="delay must be from 0 to 7 frames"):
        smoother.stream(delay=delay)
