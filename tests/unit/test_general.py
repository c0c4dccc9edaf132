# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The general smoother: free of unit, origin, number of joints and coordinates; safe on any input; exportable."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.dataset.motion import generate_motion
from lib.inference.overlap import pad_window
from lib.models.bank import BANK, member_roughness, smoother_matrix, window_taper
from lib.models.checkpoints import load_model
from lib.models.export import general_graph
from lib.models.general import GeneralSmoother, load_general, running_median, without_wild
from lib.utils.errors import SmoothNetError
from lib.weights import find_weights

W = 32


@pytest.fixture(scope="module")
def model():
    """A small network with weights large enough that every part of it matters."""
    torch.manual_seed(5)
    network = GeneralSmoother(W, hidden_size=24, res_hidden_size=16, num_blocks=2, knots=8).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def noisy_body(seed, n=3, joints=5, dims=3, frames=W):
    generator = torch.Generator().manual_seed(seed)
    place = torch.randn(n, joints, dims, 1, generator=generator)
    motion = 0.05 * torch.randn(n, joints, dims, frames, generator=generator).cumsum(-1)
    return place + motion + 0.02 * torch.randn(n, joints, dims, frames, generator=generator)


def smooth(model, *arguments, **options):
    with torch.no_grad():
        return model(*arguments, **options)


@given(seed=st.integers(0, 10_000), log_scale=st.integers(-20, 20), shift=st.floats(-20, 20))
def test_unit_and_origin_do_not_matter(model, seed, log_scale, shift):
    windows = noisy_body(seed)
    scale = 2.0**log_scale
    moved = smooth(model, scale * (windows + shift))
    expected = scale * (smooth(model, windows) + shift)
    assert torch.allclose(moved, expected, rtol=0, atol=1e-3 * scale)


@given(joints=st.integers(1, 40), dims=st.integers(1, 4), n=st.integers(1, 4))
def test_any_number_of_joints_and_coordinates(model, joints, dims, n):
    windows = noisy_body(joints, n, joints, dims)
    out = smooth(model, windows)
    assert out.shape == windows.shape and torch.isfinite(out).all()


@given(seed=st.integers(0, 1000))
def test_the_order_of_joints_and_axes_does_not_matter(model, seed):
    windows = noisy_body(seed)
    generator = torch.Generator().manual_seed(seed)
    joints, axes = torch.randperm(5, generator=generator), torch.randperm(3, generator=generator)
    permuted = smooth(model, windows[:, joints][:, :, axes])
    assert torch.allclose(permuted, smooth(model, windows)[:, joints][:, :, axes], atol=1e-5)


def test_windows_do_not_see_each_other(model):
    windows = noisy_body(0, n=4)
    alone = torch.cat([smooth(model, window[None]) for window in windows])
    assert torch.allclose(smooth(model, windows), alone, atol=1e-5)


def test_joints_that_are_not_shown_change_nothing(model):
    windows = noisy_body(1, joints=6)
    shown = torch.tensor([1.0, 0, 1, 1, 0, 1]).repeat(3, 1)
    rubbish = torch.where(shown[:, :, None, None] > 0, windows, 0.0)
    kept = smooth(model, windows[:, [0, 2, 3, 5]])
    assert torch.allclose(smooth(model, rubbish, shown)[:, [0, 2, 3, 5]], kept, atol=1e-5)
    assert torch.allclose(smooth(model, windows, torch.ones(3, 6)), smooth(model, windows), atol=1e-6)


def test_a_window_that_shows_nothing_is_survived(model):
    assert torch.isfinite(smooth(model, torch.zeros(2, 4, 3, W), torch.zeros(2, 4))).all()


@pytest.mark.parametrize("joints", [1, 3])
@pytest.mark.parametrize("place", [0.0, 1.0, 1e6])
def test_what_rests_stays_where_it_is(model, joints, place):
    windows = place + torch.arange(joints, dtype=torch.float32)[:, None, None] * torch.ones(2, joints, 2, W)
    assert torch.allclose(smooth(model, windows), windows, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("value", [1e30, 1e-30, 3e4])
def test_extreme_values_stay_finite(model, value):
    windows = noisy_body(2) * value
    out = smooth(model, windows)
    assert torch.isfinite(out).all()
    assert out.std() == pytest.approx(windows.std(), rel=0.5)
    thrown = noisy_body(3)
    thrown[0, 0, 0, 7] = value
    assert torch.isfinite(smooth(model, thrown)).all()


def test_strength_0_is_the_input_and_half_lies_in_the_middle(model):
    windows = noisy_body(4)
    whole = smooth(model, windows)
    assert torch.allclose(smooth(model, windows, strength=0.0), windows, atol=1e-6)
    assert torch.allclose(smooth(model, windows, strength=0.5), (windows + whole) / 2, atol=1e-5)
    assert torch.equal(smooth(model, windows, strength=1.0), whole)


def test_more_strength_is_smoother_and_continuous():
    torch.manual_seed(0)
    model = GeneralSmoother(W, hidden_size=24, res_hidden_size=16, num_blocks=2, knots=8).eval()
    torch.nn.init.zeros_(model.correction.weight)  # of an untrained network it is noise, whatever the strength
    windows = noisy_body(5)
    jitter = [
        smooth(model, windows, strength=strength).diff(n=2).abs().mean().item()
        for strength in (0.0, 0.3, 0.7, 1.0, 1.3, 2.0, 3.0, 5.0)
    ]
    assert all(a > b for a, b in pairwise(jitter))
    near = smooth(model, windows, strength=1.001) - smooth(model, windows)
    assert near.abs().max() < 0.001


def test_the_fixed_smoothers_are_what_they_say():
    time = np.linspace(-1, 1, W)
    np.testing.assert_allclose(smoother_matrix(W, 3, 1e6) @ time**2, time**2, atol=1e-6)
    np.testing.assert_allclose(smoother_matrix(W, 2, 300.0) @ time, time, atol=1e-9)
    np.testing.assert_array_equal(smoother_matrix(W, 3, 0.0), np.eye(W))
    # The minimiser of |x - y|^2 + lambda |D y|^2 has a gradient of 0 there.
    x = np.random.default_rng(0).standard_normal(W)
    y, D = smoother_matrix(W, 3, 7.0) @ x, np.diff(np.eye(W), n=3, axis=0)
    np.testing.assert_allclose(y - x + 7 * D.T @ (D @ y), 0, atol=1e-9)


def test_the_median_is_numpys():
    x = torch.randn(3, 4, 2, W)
    padded = np.pad(x.numpy(), [(0, 0)] * 3 + [(2, 2)], mode="edge")
    expected = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5, axis=-1), axis=-1)
    np.testing.assert_array_equal(running_median(x).numpy(), expected)


def test_a_parabola_is_kept_by_every_member_of_the_bank(model):
    x = torch.linspace(-1, 1, W)
    kept = model._bank(x.expand(1, 1, 1, W), torch.ones(1, 1, 1, W))[0, 0, 0]
    # straight lines: by all; the running median holds the ends
    assert (kept[:, 3:-3] - x[3:-3]).abs().max() < 0.05
    parabola = [i for i, (source, kind, _) in enumerate(BANK) if source != "median" and kind == "ca"]
    bent = model._bank((x**2).expand(1, 1, 1, W), torch.ones(1, 1, 1, W))[0, 0, 0]
    assert (bent[parabola] - x**2).abs().max() < 0.02


def test_frames_without_trust_are_replaced_from_their_neighbours(model):
    time = torch.arange(W, dtype=torch.float32)
    truth = (time / 8).sin().expand(1, 1, 1, W)
    seen, trust = truth.clone(), torch.ones(1, 1, 1, W)
    seen[..., 12:15] += 100.0
    trust[..., 12:15] = 0.0
    filled = [i for i, (source, _, amount) in enumerate(BANK) if source == "trusted" and amount == 0.0]
    assert (model._bank(seen, trust)[0, 0, 0, filled] - truth[0, 0]).abs().max() < 0.5


def test_roughness_orders_the_smoothers():
    rough = member_roughness(W)
    trusted = [rough[i] for i, (source, kind, _) in enumerate(BANK) if source == "trusted" and kind == "ca"]
    assert trusted[0] == pytest.approx(0, abs=1e-9) and trusted == sorted(trusted, reverse=True)
    assert (rough <= 1e-9).all()


@pytest.mark.parametrize("kind", ["uniform", "triangle", "hann"])
@pytest.mark.parametrize("window", [8, 32, 33])
def test_tapers_are_positive_and_symmetric(kind, window):
    taper = window_taper(window, kind)
    assert taper.min() > 0 and taper.max() <= 1
    np.testing.assert_allclose(taper, taper[::-1])


@pytest.mark.parametrize("window", [8, 32, 33])
def test_the_late_taper_rises_later_than_hanns_and_still_counts_every_frame(window):
    hann, late = window_taper(window, "hann"), window_taper(window, "late-hann")
    assert 0 < late[: window // 8].max() < 1e-6
    assert (np.diff(late[window // 8 - 1 : window // 2]) > 0).all()  # without a leap
    assert np.abs(np.diff(late)).max() < 1.5 * np.abs(np.diff(hann)).max()
    np.testing.assert_allclose(late[window // 2 + 1 :], hann[window // 2 + 1 :])


def test_short_recordings_go_on_as_they_were():
    line = np.arange(10.0)[:, None, None] * np.ones((1, 2, 3))
    np.testing.assert_allclose(pad_window(line, 32, reflect=True)[:, 1, 2], np.arange(32.0))
    assert (pad_window(line[3:4], 32, reflect=True) == 3).all()
    assert pad_window(line[:2], 32, reflect=True).shape == (32, 2, 3)


def test_an_unknown_taper_and_sizes_are_refused():
    with pytest.raises(SmoothNetError, match="uniform, triangle, hann, late-hann"):
        window_taper(32, "box")
    with pytest.raises(SmoothNetError, match="at least 8"):
        GeneralSmoother(4)
    with pytest.raises(SmoothNetError, match="knots"):
        GeneralSmoother(16, knots=17)


def test_a_checkpoint_gives_the_network_again(model):
    file = io.BytesIO()
    torch.save({"model": {"name": "general", **model.settings}, "state_dict": model.state_dict()}, file)
    file.seek(0)
    again = load_general(torch.load(file, weights_only=True))
    windows = noisy_body(6)
    assert torch.equal(smooth(again, windows), smooth(model, windows))
    with pytest.raises(SmoothNetError, match="not the weights of a general smoother"):
        load_general({"model": {"window_size": 16}, "state_dict": model.state_dict()})
    with pytest.raises(SmoothNetError, match="not the weights of a general smoother"):
        load_general({"state_dict": model.state_dict()})


def test_a_gradient_reaches_every_weight():
    torch.manual_seed(1)
    network = GeneralSmoother(W, hidden_size=16, res_hidden_size=8, num_blocks=2, knots=8)
    network(noisy_body(7), fps=60.0).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_frame_rate_counts_where_it_is_known(model):
    """Of one for all or of each window; what is unknown is 0, what is out of range counts as the next that is in it."""
    windows = noisy_body(9)
    unknown, slow, fast = (smooth(model, windows, fps=fps) for fps in (0.0, 30.0, 120.0))
    assert not torch.allclose(unknown, slow, atol=1e-4) and not torch.allclose(slow, fast, atol=1e-4)
    each = smooth(model, windows, fps=torch.tensor([0.0, 30.0, 120.0]))
    for i, alone in enumerate((unknown, slow, fast)):
        assert torch.allclose(each[i], alone[i], atol=1e-6)
    assert torch.equal(smooth(model, windows, fps=1e9), smooth(model, windows, fps=240.0))


def test_weights_that_were_never_told_a_frame_rate_take_no_notice_of_it(model):
    state = {name: value for name, value in model.state_dict().items() if name != "rate.weight"}
    older = load_general({"model": {"name": "general", **model.settings}, "state_dict": state})
    windows = noisy_body(9)
    assert torch.equal(smooth(older, windows, fps=60.0), smooth(older, windows))
    assert torch.allclose(smooth(older, windows), smooth(model, windows), atol=1e-6)


def test_a_gradient_of_a_still_window_is_finite():
    network = GeneralSmoother(W, hidden_size=16, res_hidden_size=8, num_blocks=2, knots=8)
    network(torch.zeros(2, 3, 2, W)).square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("torch_knows", ["two exporters", "the old one alone"])
def test_the_exported_network_computes_the_same(model, torch_knows, monkeypatch):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    export = torch.onnx.export
    if torch_knows == "the old one alone":  # as PyTorch 2.4 does

        def only(model, args, f, input_names, output_names, dynamic_axes, opset_version):
            export(model, args, f, input_names=input_names, output_names=output_names, dynamic_axes=dynamic_axes,
                   opset_version=opset_version, dynamo=False)  # fmt: skip

        monkeypatch.setattr(torch.onnx, "export", only)
    graph = general_graph(model, onnx).SerializeToString()
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for seed, (count, joints, dims) in enumerate([(1, 1, 2), (4, 17, 3), (2, 5, 3)]):
        windows, shown = noisy_body(seed, count, joints, dims), torch.ones(count, joints)
        shown[0, 1:2] = 0
        windows = windows * shown[:, :, None, None]
        windows[0, 0] += 30 * torch.randn(windows[0, 0].shape, generator=torch.Generator().manual_seed(2))  # wild
        windows[-1, :, -1] *= 1e-3  # an axis in another unit
        for strength, fps in ((0.4, 0.0), (1.0, 25.0), (2.0, 1e6)):
            feed = {"windows": windows.numpy(), "shown": shown.numpy()}
            feed |= {name: np.array(value, np.float32) for name, value in {"strength": strength, "fps": fps}.items()}
            expected = smooth(model, windows, shown, torch.tensor(strength), torch.tensor(fps))
            np.testing.assert_allclose(session.run(None, feed)[0], expected.numpy(), atol=2e-5, rtol=2e-5)


def test_the_shipped_weights_smooth_what_they_never_saw_and_leave_clean_motion_alone():
    shipped, _ = load_model(find_weights(None))
    window = shipped.window_size
    assert 1 < shipped.step <= window // 2 and len(shipped.taper) == window
    rng = np.random.default_rng(20)
    motion = np.stack([generate_motion(rng, window, joints=17) for _ in range(20)]).transpose(0, 2, 3, 1)
    truth = torch.from_numpy(np.ascontiguousarray(motion))
    seen = truth + 0.03 * torch.from_numpy(rng.standard_normal(motion.shape, dtype=np.float32))

    def error(points):
        return (points - truth).square().sum(2).sqrt().mean().item()

    assert error(smooth(shipped, seen)) < 0.7 * error(seen)
    assert error(smooth(shipped, truth)) < 0.001  # metres


@pytest.mark.parametrize("jitter", [0.001, 0.02])
def test_a_joint_that_is_seen_wrongly_does_no_harm_to_the_others(jitter):
    """As one that is hidden and guessed anew in each frame, or triangulated to anywhere."""
    shipped, _ = load_model(find_weights(None))
    rng = np.random.default_rng(21)
    motion = np.stack([generate_motion(rng, shipped.window_size, joints=17) for _ in range(20)]).transpose(0, 2, 3, 1)
    truth = torch.from_numpy(np.ascontiguousarray(motion))
    seen = truth + jitter * torch.from_numpy(rng.standard_normal(motion.shape, dtype=np.float32))
    anywhere = torch.from_numpy(rng.standard_normal((20, 1, *motion.shape[2:]), dtype=np.float32))

    def error(wild):
        return (smooth(shipped, torch.cat([seen, *wild], dim=1))[:, :17] - truth).square().sum(2).sqrt().mean().item()

    alone = error([])
    for metres in (1, 10, 1000):
        assert error([seen[:, 16:] + metres * anywhere]) < 1.05 * alone, f"{metres} m"


@given(joints=st.integers(1, 6), scale=st.integers(-30, 30))
def test_bodies_whose_joints_are_alike_are_taken_whole(joints, scale):
    """However large their noise is; and one joint alone always is."""
    weight = torch.full((1, joints, 1, 1), 1 / joints)
    noise = 2.0**scale * torch.linspace(1, 3, joints).reshape(weight.shape)
    assert torch.allclose(without_wild(weight, noise, torch.ones_like(weight)), weight)
    assert torch.allclose(without_wild(weight, 0 * noise, 0 * weight), weight)
    assert not without_wild(0 * weight, noise, noise).any()


@pytest.mark.parametrize("unit", [1e-4, 1e-3, 1e3])
def test_an_axis_in_another_unit_is_smoothed_as_well(unit):
    """As a depth in metres beside pixels."""
    shipped, _ = load_model(find_weights(None))
    rng = np.random.default_rng(22)
    motion = np.stack([generate_motion(rng, shipped.window_size, joints=17) for _ in range(20)]).transpose(0, 2, 3, 1)
    truth = torch.from_numpy(np.ascontiguousarray(motion))
    seen = truth + 0.01 * torch.from_numpy(rng.standard_normal(motion.shape, dtype=np.float32))
    units = torch.tensor([1, 1, unit]).reshape(3, 1)

    def errors(points):
        return (points - truth).abs().mean((0, 1, 3)).numpy()

    alike, mixed = errors(smooth(shipped, seen)), errors(smooth(shipped, seen * units) / units)
    assert (alike < 0.8 * errors(seen)).all() and (mixed < 0.96 * errors(seen)).all()  # a window alone


def test_an_axis_that_never_moves_stays():
    shipped, _ = load_model(find_weights(None))
    windows = noisy_body(4, 3, 17, 3, shipped.window_size)
    windows[:, :, 2] = 0
    assert smooth(shipped, windows)[:, :, 2].abs().max() < 1e-5
