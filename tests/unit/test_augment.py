# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Augmentation: what it may change, what it must keep, and that a seed decides it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.config import load_config
from lib.dataset.augment import augment, faster, is_on
from lib.utils.errors import SmoothNetError


def options(**values):
    return load_config(opts=[str(x) for key, value in values.items() for x in (f"AUGMENT.{key}", value)]).AUGMENT


def windows(seed=0, shape=(5, 6, 16)):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(shape, generator=generator).cumsum(-1)
    return truth + 0.3 * torch.randn(shape, generator=generator), truth


def run(x, truth, seed=1, mask=None, **values):
    return augment(x, truth, options(**values), torch.Generator().manual_seed(seed), mask)


def centred(x):
    return x - x.mean(-1, keepdim=True)


def test_one_frame_has_no_speed():
    x, truth = windows(shape=(5, 6, 1))
    for before, after in zip((x, truth), run(x, truth, SPEED=1), strict=True):
        torch.testing.assert_close(after, before)


def test_off_by_default():
    x, truth = windows()
    assert not is_on(options())
    for before, after in zip((x, truth), run(x, truth), strict=True):
        torch.testing.assert_close(after, before)


def test_flip_and_reverse_treat_input_and_truth_alike():
    x, truth = windows()
    offset = x.mean(-1, keepdim=True)
    flipped = run(x, truth, FLIP=1)
    torch.testing.assert_close(flipped[0], 2 * offset - x)
    torch.testing.assert_close(flipped[1], 2 * offset - truth)
    backwards = run(x, truth, REVERSE=1)
    torch.testing.assert_close(backwards[0], x.flip(-1))
    torch.testing.assert_close(backwards[1], truth.flip(-1))


def test_every_channel_draws_for_itself():
    x, truth = windows(shape=(40, 6, 16))
    after, _ = run(x, truth, FLIP=0.5)
    kept = torch.isclose(after, x, atol=1e-5).all(-1)
    assert 0.3 < kept.float().mean() < 0.7
    assert (kept.any(1) & ~kept.all(1)).any()  # within one window some channels are flipped and some are not


def test_motion_widens_the_truth_and_keeps_the_error():
    x, truth = windows()
    after, truth_after = run(x, truth, MOTION=1, MOTION_MAX=3)
    torch.testing.assert_close(after - truth_after, x - truth)
    k = centred(truth_after).norm(dim=-1) / centred(truth).norm(dim=-1)
    assert (k >= 1).all() and (k <= 3).all() and k.max() > 1.5


def test_scale_widens_both():
    x, truth = windows()
    after, truth_after = run(x, truth, SCALE=2)
    k = centred(after).norm(dim=-1) / centred(x).norm(dim=-1)
    assert (k > 0.499).all() and (k < 2.001).all() and k.max() > 1.2 and k.min() < 0.8
    torch.testing.assert_close(after - truth_after, (x - truth) * k[..., None], rtol=1e-3, atol=1e-4)


def test_twice_as_fast_by_hand():
    signal = torch.tensor([[0.0, 1.0, 3.0, 4.0, 6.0]])
    # frames 0, 2, 4; then 6 and 8: the point reflection about the last value, 2 * 6 - signal at 2 and at 0
    torch.testing.assert_close(faster(signal, torch.tensor([[2.0]])), torch.tensor([[0.0, 3.0, 6.0, 9.0, 12.0]]))
    torch.testing.assert_close(faster(signal, torch.tensor([[1.0]])), signal)


@given(st.floats(1, 4), st.integers(2, 20))
@settings(deadline=None, max_examples=50)
def test_a_straight_line_gets_steeper_by_the_speed(speed, frames):
    line = torch.arange(float(frames))[None]
    torch.testing.assert_close(faster(line, torch.tensor([[speed]])), line * speed, rtol=1e-4, atol=1e-4)


def test_speed_keeps_the_error():
    x, truth = windows()
    after, truth_after = run(x, truth, SPEED=1, SPEED_MAX=3)
    torch.testing.assert_close(after - truth_after, x - truth, rtol=1e-4, atol=1e-4)
    assert not torch.isclose(centred(truth_after), centred(truth), atol=1e-3).all()


EVERYTHING = {"FLIP": 0.5, "REVERSE": 0.5, "SCALE": 2, "MOTION": 0.5, "SPEED": 0.5}


def test_the_mean_of_the_input_stays():
    x, truth = windows()
    after, _ = run(x + 100, truth + 100, **EVERYTHING)
    torch.testing.assert_close(after.mean(-1), x.mean(-1) + 100, rtol=1e-5, atol=1e-3)


def test_frames_that_do_not_count_keep_their_place():
    x, truth = windows()
    mask = torch.ones(5, 16, dtype=torch.bool)
    mask[2, 10:] = False
    after, truth_after = run(x, truth, mask=mask, REVERSE=1, SPEED=1)
    torch.testing.assert_close(after[2], x[2])
    torch.testing.assert_close(truth_after[2], truth[2])
    assert not torch.isclose(after[1], x[1], atol=1e-3).all()


def test_the_seed_decides_and_arguments_stay():
    x, truth = windows()
    kept = x.clone(), truth.clone()
    first, again, other = (run(x, truth, seed=s, **EVERYTHING)[0] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(x, kept[0]) and torch.equal(truth, kept[1])


@pytest.mark.parametrize("key, value", [("FLIP", 1.5), ("SPEED", -0.1), ("SCALE", 0.5), ("SPEED_MAX", 0)])
def test_settings_out_of_range(key, value):
    with pytest.raises(SmoothNetError, match=f"AUGMENT.{key}"):
        options(**{key: value})
