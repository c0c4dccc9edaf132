# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Metrics and loss against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import write_poses
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lib.dataset.poses import load_poses
from lib.evaluation import metrics as m
from lib.evaluation.evaluate import SequenceResult, evaluate_sequences, input_method, summarise
from lib.evaluation.procrustes import procrustes_align
from lib.training.loss import Batch, smoothnet_loss


def test_mpjpe_by_hand():
    truth = np.zeros((2, 2, 3))
    predicted = np.array([[[3, 4, 0], [0, 0, 0]], [[1, 2, 2], [0, 6, 8]]], float)
    np.testing.assert_allclose(m.mpjpe(predicted, truth), [2.5, 6.5])  # (5 + 0) / 2, (3 + 10) / 2


def test_accel_by_hand_is_padded_with_zeros():
    truth = np.zeros((5, 1, 1))
    predicted = np.array([0, 1, 4, 9, 17], float).reshape(5, 1, 1)  # second differences 2, 2, 3
    np.testing.assert_allclose(m.accel(predicted, truth), [0, 2, 2, 3, 0])
    np.testing.assert_allclose(m.accel(predicted, predicted), 0)
    assert m.accel(predicted[:2], truth[:2]).tolist() == [0, 0]


def test_accel_takes_the_norm_over_dims_and_the_mean_over_joints():
    truth = np.zeros((3, 2, 3))
    predicted = np.zeros((3, 2, 3))
    predicted[1, 0] = [-1.5, -2, 0]  # second difference (3, 4, 0): norm 5; the other joint 0
    np.testing.assert_allclose(m.accel(predicted, truth), [0, 2.5, 0])


def test_accel_does_not_see_constant_velocity():
    truth = np.zeros((6, 1, 3))
    predicted = np.arange(6.0)[:, None, None] * np.array([1.0, -2, 3]) + 7
    np.testing.assert_allclose(m.accel(predicted, truth), 0, atol=1e-12)


@pytest.mark.parametrize("values", [1, 40, 10**6])
def test_pampjpe_does_not_depend_on_how_many_frames_are_aligned_at_once(monkeypatch, values):
    truth, predicted = np.random.default_rng(5).standard_normal((2, 11, 6, 3))
    alone = [m.mpjpe(procrustes_align(x[None], y[None]), y[None])[0] for x, y in zip(predicted, truth, strict=True)]
    monkeypatch.setattr(m, "CHUNK_VALUES", values)
    np.testing.assert_allclose(m.pampjpe(predicted, truth), alone, rtol=1e-12)


def test_whole_numbers_do_not_round_the_errors():
    truth = np.array([[[0, 0], [0, 4], [3, 0]]] * 4)
    predicted = truth + np.array([[[1, 0]], [[0, 0]], [[0, 1]], [[1, 1]]]) * np.array([[[1], [2], [0]]])
    for metric in (m.mpjpe, m.pampjpe, m.accel):
        values = metric(predicted, truth)
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, metric(predicted.astype(float), truth.astype(float)))
        floats = metric(predicted.astype(np.float32), truth.astype(np.float32))
        assert floats.dtype == np.float32
        np.testing.assert_allclose(floats, values, rtol=1e-5)


def test_pampjpe_by_hand():
    """A stretched square: the best scale is 1 along neither side, each corner is off by half a unit."""
    truth = np.array([[[1, 1], [1, -1], [-1, -1], [-1, 1]]], float)
    predicted = truth * [1.5, 0.5]
    # the optimal similarity: no rotation, scale s = sum(p.t) / sum(p.p) = 8 / (4 (2.25 + 0.25)) = 0.8
    expected = np.hypot(1.5 * 0.8 - 1, 0.5 * 0.8 - 1)
    np.testing.assert_allclose(m.pampjpe(predicted, truth), [expected])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), dims=st.sampled_from([2, 3]), frames=st.sampled_from([1, 2, 3, 5]))
def test_pampjpe_does_not_see_scale_rotation_and_translation(seed, dims, frames):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(frames, 7, dims))
    turn = Rotation.random(random_state=seed).as_matrix()
    if dims == 2:
        angle = rng.uniform(0, 6)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = rng.uniform(0.1, 9) * truth @ turn.T + rng.normal(size=dims)
    np.testing.assert_allclose(m.pampjpe(moved, truth), 0, atol=1e-7)
    if dims == 3:
        assert m.pampjpe(-truth, truth).min() > 1e-3  # a reflection is no rotation


def test_worst_frames_start_at_the_99th_percentile():
    error = np.arange(250)[::-1]
    assert sorted(error[m.worst_frames(error)]) == [247, 248, 249]  # int(0.99 x 250) = 247
    assert len(m.worst_frames(np.arange(5))) == 1


def sequence(index: int, mpjpe: list[float], accel: list[float], output: list[float], valid=None) -> SequenceResult:
    flags = np.ones(len(mpjpe), bool) if valid is None else np.array(valid)
    values = {
        "input": {"mpjpe": np.array(mpjpe), "accel": np.array(accel)},
        "smoothnet": {"mpjpe": np.array(output), "accel": np.array(accel) / 2},
    }
    return SequenceResult(index, "", flags, {}, values)


def test_frames_of_all_sequences_are_pooled():
    metrics = summarise([
        sequence(1, [4, 4, 4], [0, 6, 0], [3, 3, 3]),
        sequence(0, [1, 2, 3, 4, 5], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]),
    ])  # fmt: skip
    assert metrics["input_mpjpe"] == pytest.approx((12 + 15) / 8)  # not the mean of 4 and 3
    assert metrics["smoothnet_mpjpe"] == pytest.approx(14 / 8)
    assert metrics["improvement_mpjpe"] == pytest.approx((14 - 27) / 8)
    assert metrics["input_accel"] == pytest.approx(9 / 8)  # divides by all frames
    assert metrics["input_accel_unpadded"] == pytest.approx(9 / 4)  # by inner frames
    assert metrics["input_mpjpe_top1"] == 5  # from index int(0.99 x 8) = 7 of the sorted frames on
    assert metrics["smoothnet_mpjpe_top1"] == 1
    assert metrics["input_accel_top1"] == 0


def test_invalid_frames_count_for_no_method_and_no_metric():
    bad = sequence(0, [1, 999, 3, 4, 5], [0, 7, 7, 1, 0], [2, 999, 2, 2, 2], [True, False, True, True, True])
    metrics = summarise([bad])
    assert metrics["input_mpjpe"] == pytest.approx(13 / 4)
    assert metrics["smoothnet_mpjpe"] == 2
    assert metrics["input_accel"] == pytest.approx(1 / 2)  # frames 0 and 2 lean on frame 1
    assert metrics["input_mpjpe_top1"] == 5
    assert metrics["invalid_frames"] == 1


def test_accel_of_the_worst_frames_leaves_out_those_beside_an_invalid_one():
    lost = sequence(0, [1, 1, 999, 9, 1], [0, 1, 7, 7, 0], [1, 1, 1, 1, 1], [True, True, False, True, True])
    metrics = summarise([lost])
    assert metrics["input_mpjpe_top1"] == 9
    assert np.isnan(metrics["input_accel_top1"])  # the one frame leans on what was lost


def test_loss_by_hand():
    truth = torch.zeros(1, 1, 4)
    output = torch.tensor([[[1.0, -1, 0, 2]]])
    total, pos, accel = smoothnet_loss(2.0, 0.5)(output, Batch(output, truth))
    assert float(pos) == pytest.approx(1.0)  # (1 + 1 + 0 + 2) / 4
    assert float(accel) == pytest.approx(2.0)  # |1 + 2 + 0|, |-1 - 0 + 2| -> (3 + 1) / 2
    assert float(total) == pytest.approx(3.0)


def test_masked_loss_leaves_padding_out():
    truth = torch.zeros(2, 1, 4)
    output = torch.tensor([[[1.0, 1, 1, 1]], [[2.0, 2, 100, 100]]])
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    _, pos, accel = smoothnet_loss(1.0, 1.0)(output, Batch(output, truth, mask))
    assert float(pos) == pytest.approx(8 / 6)
    assert float(accel) == 0


@pytest.mark.parametrize("count", [0, 1, 4])
def test_metrics_in_a_thread_are_the_same_in_the_same_order(tmp_path, count):
    data = load_poses(write_poses(tmp_path, lengths=(9, 7, 5, 8), phases=("test",)), "toy", "est", "3D", "test")
    methods = {"input": input_method(data)}
    alone, beside = (
        list(evaluate_sequences(data, methods, sequences=range(count), beside=thread)) for thread in (False, True)
    )
    assert [result.index for result in beside] == list(range(count))
    for a, b in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(a.values["input"]["pampjpe"], b.values["input"]["pampjpe"])
