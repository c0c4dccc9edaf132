# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Windows, sampling and the overlap mean, against the obvious loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.dataset.facts import Facts
from lib.dataset.poses import PoseData
from lib.dataset.windows import (
    epoch_batches,
    epoch_order,
    gather,
    training_windows,
)
from lib.models.windows import smooth_sequence, window_starts
from lib.utils.errors import SmoothNetError


def pose_data(lengths: list[int], joints: int = 2, legacy: str = "frames", invalid: tuple[int, ...] = ()) -> PoseData:
    frames = sum(lengths)
    values = torch.arange(frames * joints * 3, dtype=torch.float32).reshape(frames, -1)
    valid = torch.ones(frames, dtype=torch.bool)
    valid[list(invalid)] = False
    offsets = torch.tensor(np.concatenate([[0], np.cumsum(lengths)]))
    facts = Facts("toy", "3D", ("x",), joints, legacy_index=legacy)
    ones = torch.ones(len(lengths), 3)
    return PoseData(facts, "x", "train", values, values + 0.5, offsets, valid, ones, ones * 0, ["n"] * len(lengths))


def naive_smooth(network, x: np.ndarray, window: int, step: int) -> np.ndarray:
    """Every window by itself, every frame averaged over the windows that hold it."""
    length = len(x)
    padded = np.concatenate([x, np.repeat(x[-1:], max(window - length, 0), 0)])
    starts = sorted({*range(0, len(padded) - window + 1, step), len(padded) - window})
    outputs = {s: network(torch.tensor(padded[s : s + window].T[None]))[0].numpy().T for s in starts}
    result = np.zeros_like(padded)
    for frame in range(len(padded)):
        covering = [outputs[s][frame - s] for s in starts if s <= frame < s + window]
        result[frame] = np.mean(covering, axis=0)
    return result[:length]


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 50),
    window=st.integers(1, 16),
    step=st.integers(1, 16),
    channels=st.integers(1, 4),
    rows=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_smooth_sequence_is_the_mean_over_all_covering_windows(length, window, step, channels, rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(length, channels)).astype(np.float32)
    mix = torch.tensor(rng.normal(size=(window, window)).astype(np.float32))

    def network(windows):
        return torch.tanh(windows @ mix)

    step = min(step, window)
    ours = smooth_sequence(network, torch.tensor(x), window, step, rows).numpy()
    np.testing.assert_allclose(ours, naive_smooth(network, x, window, step), atol=2e-6)


def test_no_frame_is_dropped_behind_the_last_full_window():
    assert window_starts(10, 4, 4) == [0, 4, 6]
    assert window_starts(12, 4, 4) == [0, 4, 8]
    seen = smooth_sequence(lambda w: w, torch.arange(10.0)[:, None], 4, 4)
    torch.testing.assert_close(seen[:, 0], torch.arange(10.0))


def test_an_empty_sequence_comes_back_empty():
    assert smooth_sequence(lambda w: w, torch.zeros(0, 6), 8).shape == (0, 6)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5), window=st.integers(1, 12))
def test_uniform_sampling_draws_each_window_of_each_sequence_once(lengths, window):
    data = pose_data(lengths)
    windows = training_windows(data, window)
    first = np.cumsum([0, *lengths[:-1]])
    expected = {
        tuple(range(start + i, start + i + window))
        for start, length in zip(first, lengths, strict=True)
        for i in range(length - window + 1)
    }
    x, truth, mask = windows.batch(torch.arange(len(windows)))
    assert x.shape == (len(windows), 6, window)
    torch.testing.assert_close(truth, x + 0.5)
    whole = torch.ones(len(windows), dtype=torch.bool) if mask is None else mask.all(1)
    drawn = [tuple((x[i, 0] / 6).long().tolist()) for i in range(len(windows)) if whole[i]]
    assert len(drawn) == len(expected)
    assert set(drawn) == expected
    short = sum(length < window for length in lengths)
    assert len(windows) == len(expected) + short


def test_short_sequences_are_padded_and_the_padding_is_masked():
    windows = training_windows(pose_data([3, 9]), 5)
    x, _, mask = windows.batch(torch.arange(len(windows)))
    row = int((~mask.all(1)).nonzero()[0])
    assert mask[row].tolist() == [True, True, True, False, False]
    torch.testing.assert_close(x[row, 0], torch.tensor([0.0, 6.0, 12.0, 12.0, 12.0]))


def test_windows_never_hold_a_nan_frame():
    windows = training_windows(pose_data([12, 8], invalid=(5,)), 4)
    frames = {frame for start in windows.starts.tolist() for frame in range(start, start + 4)}
    assert 5 not in frames
    assert len(windows) == 2 + 3 + 5  # starts 0-1 and 6-8 of the first sequence, all of the second


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(SmoothNetError, match="no window of 4 frames without NaN"):
        training_windows(pose_data([6], invalid=(2, 3)), 4)


def test_legacy_sampling():
    """Of each sequence all windows but the last; one item a frame, the surplus (index - start) mod (L - W + 1) of the
    last sequence, its last window among them; or sum(L - W)."""
    windows = training_windows(pose_data([10, 7]), 4, "legacy")
    assert len(windows) == 17
    assert windows.starts[:6].tolist() == [0, 1, 2, 3, 4, 5]
    start = 6  # items before the last sequence's
    assert windows.starts[6:].tolist() == [10 + (index - start) % (7 - 4 + 1) for index in range(6, 17)]
    assert len(training_windows(pose_data([10, 7], legacy="windows"), 4, "legacy")) == 6 + 3


def test_gather():
    frames = torch.arange(20.0).reshape(10, 2)
    out = gather(frames, torch.tensor([3, 0]), 4)
    torch.testing.assert_close(out[0], frames[3:7].T)
    torch.testing.assert_close(out[1], frames[0:4].T)


def test_the_order_of_an_epoch_is_a_permutation_that_follows_from_seed_and_epoch():
    order = epoch_order(100, 4321, 3)
    assert sorted(order.tolist()) == list(range(100))
    assert torch.equal(order, epoch_order(100, 4321, 3))
    assert not torch.equal(order, epoch_order(100, 4321, 4))
    assert not torch.equal(order, epoch_order(100, 4322, 3))
    assert not torch.equal(order, epoch_order(100, 4321, 3, dataset=1))


def test_batches_alternate_between_datasets():
    first, second, third = slice(0, 2), slice(2, 4), slice(4, 5)
    assert epoch_batches([5, 2], 2) == [(0, first), (1, first), (0, second), (0, third)]
    assert epoch_batches([5, 2], 2, legacy=True) == [(0, first), (1, first)]
    # two processes: batches of four windows, and the fifth window alone could not be shared
    assert epoch_batches([5, 6], 2, processes=2) == [(0, slice(0, 5)), (1, slice(0, 4)), (1, slice(4, 6))]


def test_a_step_larger_than_the_window_leaves_no_frame_out():
    x = torch.arange(80.0).view(40, 2)
    assert torch.equal(smooth_sequence(lambda windows: 2 * windows, x, 8, step=30), 2 * x)
