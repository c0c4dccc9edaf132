# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The training objective: the hand-written pass and the piecewise one against plain autograd."""

import math

import numpy as np
import pytest
import torch

from lib.models import fused
from lib.models.smoothnet import SmoothNet
from lib.training.loss import Batch, smoothnet_loss
from lib.training.objective import TrainingObjective

LOSS = smoothnet_loss(1.0, 0.3)
SIZES = [  # window, output, hidden, res_hidden, blocks, batch, channels
    (8, 8, 16, 8, 2, 7, 5),
    (16, 16, 32, 8, 1, 3, 51),
    (9, 5, 13, 7, 3, 11, 3),
    (4, 2, 8, 4, 0, 4, 6),
]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Four windows of five channels, so that tiny batches have several chunks of the hand-written pass."""
    monkeypatch.setattr(fused, "CHUNK_ROWS", 20)


def make(size, dropout=0.0, seed=0):
    window, output, hidden, res_hidden, blocks, batch, channels = size
    torch.manual_seed(seed)
    model = SmoothNet(window, output, hidden, res_hidden, blocks, dropout)
    x, truth = torch.randn(batch, channels, window), torch.randn(batch, channels, output)
    return model, x, truth


def plain(model, x, truth, mask):
    """Plain autograd in float64, so that every difference is the tested pass's own."""
    double = SmoothNet(
        model.window_size, model.output_size, model.hidden_size, model.res_hidden_size, model.num_blocks, 0.0
    ).double()
    double.load_state_dict(model.state_dict())
    error = double(x.double()) - truth.double()
    bend = error[..., :-2] - 2 * error[..., 1:-1] + error[..., 2:]
    weight = torch.ones_like(error) if mask is None else mask[:, None].expand(error.shape).double()
    inner = weight[..., :-2] * weight[..., 1:-1] * weight[..., 2:]
    pos = (error.abs() * weight).sum() / weight.sum()
    accel = (bend.abs() * inner).sum() / inner.sum().clamp(min=1)
    loss = 1.0 * pos + 0.3 * accel
    loss.backward()
    return loss.item(), pos.item(), accel.item(), [p.grad for p in double.parameters()]


def check(objective, x, truth, mask, expected, rtol=2e-5):
    loss, pos, accel = objective(x, truth, mask)
    for found, value in zip((loss, pos, accel), expected[:3], strict=True):
        assert found.item() == pytest.approx(value, rel=1e-6, abs=1e-7)
    loss.backward()
    for (name, parameter), gradient in zip(objective.model.named_parameters(), expected[3], strict=True):
        difference = (parameter.grad.double() - gradient).abs().max()
        assert difference <= rtol * gradient.abs().max() + 1e-7, name
        parameter.grad = None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pieces", [0, 2, 3, 100])
@pytest.mark.parametrize("way", [*fused.PRODUCTS, "autograd"])
def test_loss_and_every_gradient_equal_plain_code(size, masked, pieces, way, monkeypatch):
    model, x, truth = make(size)
    monkeypatch.setattr(fused, "CHUNK_ROWS", pieces * x.shape[1] or 1)
    mask = torch.rand(len(x), truth.shape[-1]) > 0.3 if masked else None
    by_hand = {"products": way} if way in fused.PRODUCTS else {"fused": False}
    objective = TrainingObjective(model, LOSS, micro_batch=pieces, **by_hand)
    check(objective, x, truth, mask, plain(model, x, truth, mask))


def test_the_products_are_tried_with_more_channels_than_a_chunk_has_rows():
    """A face of 478 points in 3D has them; the trial was of no rows."""
    model = SmoothNet(32, None, 8, 4, 1)
    assert fused.fastest_products(model, 10**7, 3 * 478, torch.float32, turns=1) in fused.PRODUCTS


def test_the_products_are_tried_where_it_pays_and_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(fused, "CHUNK_ROWS", 1024)
    model = SmoothNet(32, None, 64, 16, 1, 0.25)
    assert fused.fastest_products(model, 4, 6, torch.float32) == "oneDNN"  # tiny
    assert fused.fastest_products(model, 10**6, 6, torch.bfloat16) == "oneDNN"
    before = torch.get_rng_state()
    ticks = {fused.PRODUCTS["oneDNN"]: 1, fused.PRODUCTS["torch.mm"]: 2}
    now, original = [0.0], fused._chunk

    def chunk(weights, *rest):
        now[0] += ticks[weights.products]
        original(weights, *rest)

    monkeypatch.setattr(fused, "_chunk", chunk)
    monkeypatch.setattr(fused.time, "thread_time", lambda: now[0])
    assert fused.fastest_products(model, 10**6, 6, torch.float32) == "oneDNN"
    ticks[fused.PRODUCTS["oneDNN"]] = 3
    expected = "torch.mm" if fused.onednn(torch.float32) else "oneDNN"
    assert fused.fastest_products(model, 10**6, 6, torch.float32) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_the_hand_written_pass_is_what_trains_on_the_cpu(monkeypatch):
    called = []
    monkeypatch.setattr(
        "lib.training.objective.fused_gradients",
        lambda *a, **k: called.append(1) or fused.fused_gradients(*a, **k),
    )
    model, x, truth = make(SIZES[0], dropout=0.25)
    TrainingObjective(model, LOSS)(x, truth)
    assert called


def test_without_onednn_the_result_is_the_same(monkeypatch):
    model, x, truth = make(SIZES[0])
    expected = plain(model, x, truth, None)
    monkeypatch.setattr(fused, "onednn", lambda dtype: False)
    check(TrainingObjective(model, LOSS, micro_batch=2), x, truth, None, expected)


def test_truth_under_the_mask_does_not_matter_even_if_nan():
    model, x, truth = make(SIZES[0])
    mask = torch.ones(len(x), truth.shape[-1], dtype=torch.bool)
    mask[1, 3:] = False
    expected = plain(model, x, truth, mask)
    truth[1, :, 3:] = math.nan
    for hand_written in (True, False):
        objective = TrainingObjective(model, LOSS, micro_batch=2, fused=hand_written)
        check(objective, x, truth, mask, expected)


@pytest.mark.parametrize("hand_written", [True, False])
def test_a_factor_on_the_loss_and_a_loss_scale(hand_written):
    model, x, truth = make(SIZES[0])
    gradients = plain(model, x, truth, None)[3]
    objective = TrainingObjective(model, LOSS, micro_batch=2, fused=hand_written)
    for loss_scale in (None, torch.tensor(1024.0)):
        loss, _, _ = objective(x, truth, loss_scale=loss_scale)
        (3 * loss).backward()
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad.double(), 3 * gradient, rtol=1e-4, atol=1e-6)
            parameter.grad = None


def test_frozen_parameters_get_no_gradient_and_evaluation_needs_none():
    model, x, truth = make(SIZES[0])
    model.encoder.requires_grad_(False)
    for hand_written in (True, False):
        objective = TrainingObjective(model, LOSS, micro_batch=2, fused=hand_written)
        objective(x, truth)[0].backward()
        assert model.encoder[0].weight.grad is None
        assert model.decoder.weight.grad is not None
        with torch.no_grad():
            assert not objective(x, truth)[0].requires_grad


def test_state_dict_and_parameters_are_the_models_own():
    model, _, _ = make(SIZES[0])
    objective = TrainingObjective(model, LOSS, network=torch.nn.Sequential(model))
    assert list(objective.model.state_dict()) == list(model.state_dict())
    assert [id(p) for p in objective.parameters()] == [id(p) for p in model.parameters()]


def gradients_of(model, x, truth, **settings):
    seed = settings.pop("seed", 0)
    model.zero_grad()
    loss = TrainingObjective(model, LOSS, **settings)(x, truth, seed=seed)[0]
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters())]


def same(a, b):
    return all(torch.equal(u, v) for u, v in zip(a, b, strict=True))


def test_the_seed_decides_about_dropout_and_nothing_else_does():
    model, x, truth = make((8, 8, 16, 8, 2, 40, 5), dropout=0.25)
    first = gradients_of(model, x, truth, micro_batch=4, seed=3)
    torch.rand(5)
    assert same(first, gradients_of(model, x, truth, micro_batch=4, seed=3))
    assert not same(first, gradients_of(model, x, truth, micro_batch=4, seed=4))


def test_the_hand_written_pass_does_not_depend_on_the_size_of_pieces():
    model, x, truth = make((8, 8, 16, 8, 2, 40, 5), dropout=0.25)
    whole = gradients_of(model, x, truth, micro_batch=0, seed=3)
    assert same(whole, gradients_of(model, x, truth, micro_batch=7, seed=3))


def test_masks_do_not_depend_on_the_number_of_threads():
    model, x, truth = make((8, 8, 16, 8, 2, 40, 5), dropout=0.25)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(gradients_of(model, x, truth, micro_batch=4, seed=3))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("p", [0.25, 0.5, 0.1, 0.9, 1 / 3])
def test_dropout_drops_with_probability_p(p):
    rows, units, count = 512, 512, 512 * 512
    keep = fused.Dropout(p, seed=1, chunk=0).keep(rows, units, torch.float32)
    assert set(keep.unique().tolist()) == {0.0, 1.0}
    dropped = 1 - keep
    bound = 5 * math.sqrt(p * (1 - p) / count)  # five standard deviations
    assert abs(dropped.mean().item() - p) < bound + 2**-16
    for shift in (1, 2, 4, 8, 512, 513):  # neighbours, words and rows
        both = dropped.flatten()[shift:] * dropped.flatten()[:-shift]
        assert abs(both.mean().item() - p * p) < 5 * math.sqrt(p * p * (1 - p * p) / count) * 2 + 2**-15
    assert (dropped.mean(0) - p).abs().max() < 6 * math.sqrt(p * (1 - p) / rows)
    assert (dropped.mean(1) - p).abs().max() < 6 * math.sqrt(p * (1 - p) / units)


def test_every_decision_of_a_random_word_has_the_documented_probability():
    """Count over all values a decision can take, not over draws."""

    class Every:
        def __init__(self, values):
            self.values = values

        def random_raw(self, words):
            return self.values.view("u8")[:words]

    for p, values in ((0.25, np.arange(256, dtype=np.uint8)), (0.1, np.arange(65536, dtype=np.uint16))):
        dropout = fused.Dropout(p, 0, 0)
        dropout.bits = Every(values)
        dropped = (dropout.keep(1, len(values), torch.float32) == 0).sum().item()
        assert abs(dropped / len(values) - p) <= 2**-17


def test_streams_of_chunks_and_seeds_differ():
    draws = [fused.Dropout(0.5, seed, chunk).keep(64, 64, torch.float32) for seed in (0, 1) for chunk in (0, 1)]
    for i, a in enumerate(draws):
        for b in draws[:i]:
            assert abs((a == b).float().mean().item() - 0.5) < 6 * 0.5 / 64


def test_dropout_in_the_network_is_that_of_plain_code_with_the_same_masks():
    """Replay the masks in plain float64 code: dropout before the activation, survivors times 1 / (1 - p)."""
    p = 0.25
    model, x, truth = make((8, 8, 16, 8, 2, 6, 5), dropout=p)
    found = gradients_of(model, x, truth, micro_batch=4, seed=9)
    double = SmoothNet(8, 8, 16, 8, 2, 0.0).double()
    double.load_state_dict(model.state_dict())
    outputs = []
    for chunk, start in enumerate((0, 4)):
        h = x[start : start + 4].reshape(-1, 8).double()
        drop = fused.Dropout(p, 9, chunk)
        h = double.encoder(h)
        for block in double.res_blocks:
            y = h
            for layer in (block.linear1, block.linear2):
                keep = drop.keep(len(y), layer.out_features, torch.float32).double()
                y = torch.nn.functional.leaky_relu(layer(y) * keep / (1 - p), 0.2)
            h = h + y
        outputs.append(double.decoder(h))
    loss = LOSS(torch.cat(outputs).view(truth.shape), Batch(x, truth))[0]
    loss.backward()
    assert found[0].item() == pytest.approx(loss.item(), rel=1e-6)
    for gradient, parameter in zip(found[1:], double.parameters(), strict=True):
        torch.testing.assert_close(gradient.double(), parameter.grad, rtol=2e-5, atol=2e-6)


def test_the_mean_over_masks_is_the_network_without_dropout():
    model, x, truth = make((8, 8, 64, 32, 0, 3, 5), dropout=0.5)
    assert same(gradients_of(model, x, truth, seed=1), gradients_of(model, x, truth, seed=2))  # no block, no dropout
    model.eval()
    with torch.no_grad():
        expected = LOSS(model(x), Batch(x, truth))[0]
    assert TrainingObjective(model, LOSS)(x, truth)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_bfloat16_autocast_comes_near_float32_and_keeps_float32_gradients():
    model, x, truth = make((16, 16, 64, 32, 2, 8, 9))
    exact = plain(model, x, truth, None)
    with torch.autocast("cpu", torch.bfloat16):
        loss = TrainingObjective(model, LOSS, micro_batch=3)(x, truth)[0]
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact[0], rel=1e-2)
    for parameter, gradient in zip(model.parameters(), exact[3], strict=True):
        assert parameter.grad.dtype == torch.float32
        assert (parameter.grad - gradient).norm() < 0.15 * gradient.norm()


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_each_type_is_probed_by_itself_whatever_autocast_says(autocast):
    """Asked first under autocast, float32 was compared with bfloat16 and lost for the whole process."""
    found = {}
    for inside in (False, True):
        fused.onednn.cache_clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=inside and autocast is not None):
            found[inside] = [fused.onednn(dtype) for dtype in fused.FUSED_DTYPES]
    assert found[False] == found[True]
    if torch.backends.mkldnn.is_available():
        assert found[True][0]


def test_a_type_without_a_fused_product_takes_the_plain_one(monkeypatch):
    """As bfloat16 on processors without AVX-512, where the fused product raises."""

    def refuses(x, *rest):
        raise RuntimeError("could not create a primitive descriptor")

    refuses.binary = refuses
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", refuses)
    fused.onednn.cache_clear()
    try:
        test_bfloat16_autocast_comes_near_float32_and_keeps_float32_gradients()
        model, x, truth = make(SIZES[0])
        check(TrainingObjective(model, LOSS), x, truth, None, plain(model, x, truth, None))
    finally:
        monkeypatch.undo()
        fused.onednn.cache_clear()


def test_memory_holds_one_chunk_not_the_batch(monkeypatch):
    seen = []
    monkeypatch.setattr(fused, "CHUNK_ROWS", 200)
    original = fused._chunk
    monkeypatch.setattr(fused, "_chunk", lambda weights, x, *rest: seen.append(len(x)) or original(weights, x, *rest))
    model, x, truth = make((8, 8, 16, 8, 1, 64, 51))
    gradients_of(model, x, truth)
    assert max(seen) <= fused.CHUNK_ROWS and sum(seen) == 64 * 51


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threads", [1, 2])
def test_inference_equals_the_network(size, threads, monkeypatch):
    model, x, _ = make(size, dropout=0.5)
    model.eval()
    monkeypatch.setattr(fused, "CHUNK_ROWS", 6)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        run = fused.inference(model)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                torch.testing.assert_close(run(x), model(x), rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(run(x.transpose(0, 1)), model(x.transpose(0, 1)), rtol=1e-5, atol=1e-6)
                with torch.autocast("cpu", torch.bfloat16):
                    torch.testing.assert_close(run(x).float(), model(x).float(), rtol=0.1, atol=0.1)
    finally:
        torch.set_num_threads(before)


def test_inference_leaves_gradients_and_dropout_to_the_network():
    model, x, _ = make(SIZES[0], dropout=0.5)
    run = fused.inference(model)
    with torch.no_grad():
        assert not torch.equal(run(x), run(x))  # training mode: dropout is on
    model.eval()
    assert run(x).requires_grad


def test_weights_are_packed_for_many_rows_and_the_answer_is_the_same_without(monkeypatch):
    """Where PyTorch cannot put weights into oneDNN's order, they stay as they are."""
    model, x, _ = make((8, 8, 16, 8, 2, 16, 5))
    few, original, packs = x[:2], fused.packed, []
    monkeypatch.setattr(fused, "packed", lambda w, rows: packs.append(rows) or original(w, rows))
    with torch.no_grad():
        run = fused.inference(model.eval())
        torch.testing.assert_close(run(few), model(few))
        assert not packs
        answer = run(x)
        assert set(packs) == {fused.CHUNK_ROWS} or not fused.onednn(torch.float32)
        monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
        fused._packs.cache_clear()
        try:
            assert not fused._packs(torch.float32)
            torch.testing.assert_close(fused.inference(model)(x), answer)
        finally:
            monkeypatch.undo()
            fused._packs.cache_clear()
    torch.testing.assert_close(answer, model(x))
