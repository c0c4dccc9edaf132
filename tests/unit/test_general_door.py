# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The general network through the one door: files, whole recordings, streams, exported models."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib.evaluation.evaluate import network_method, rate_of
from lib.inference import Smoother
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.models.checkpoints import load_model, save_checkpoint
from lib.models.export import export_checkpoint
from lib.models.general import GeneralSmoother
from lib.models.kinds import description
from lib.models.network import Work
from lib.utils.errors import SmoothNetError
from lib.weights import find_weights

W = 16


def checkpoint_of(folder, taper):
    """A small network of chance, which smooths little but does everything that a trained one does."""
    torch.manual_seed(4)
    model = GeneralSmoother(W, hidden_size=16, res_hidden_size=8, num_blocks=2, knots=8, taper=taper, step=4)
    path = folder / f"{taper}.pth.tar"
    save_checkpoint(path, {"state_dict": model.state_dict(), "model": description(model), "normalize": "none"})
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("general"), "triangle")


@pytest.fixture(scope="module")
def smoother(checkpoint):
    return Smoother.from_checkpoint(checkpoint)


def recording(frames, joints=5, dims=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(frames, joints, dims)).cumsum(0) + 3 * rng.normal(size=(1, joints, dims))


def test_a_checkpoint_keeps_what_does_not_follow_from_its_weights(checkpoint):
    model, _ = load_model(checkpoint)
    assert model.settings["knots"] == 8 and model.settings["taper"] == "triangle"
    assert (Smoother.from_checkpoint(checkpoint).network.step, model.window_size) == (4, W)
    with pytest.raises(SmoothNetError, match="window of 16 frames"):
        load_model(checkpoint, 32)


@pytest.mark.parametrize("frames", [1, 2, 10, W, 40])
def test_evaluation_smooths_as_smoothing_does(checkpoint, smoother, frames):
    """Short sequences too: with the last frame held, what is measured is not what anybody gets."""
    x = recording(frames)
    flat = torch.from_numpy(x).float().reshape(frames, -1)
    data = SimpleNamespace(detected=flat, slice=lambda i: slice(0, frames), facts=SimpleNamespace(dims=3))
    smoothed = network_method(load_model(checkpoint)[0], data, device=torch.device("cpu"))(0)
    np.testing.assert_allclose(smoothed.reshape(x.shape), smoother(x, step=1), atol=1e-4)


def test_evaluation_tells_the_frame_rate_of_the_dataset():
    """What `smooth --fps` gives, `eval` measures: the user's rate before that of the table of datasets."""
    x = recording(80)
    flat, facts = torch.from_numpy(x).float().reshape(80, -1), SimpleNamespace(dims=3, fps=30.0)
    data = SimpleNamespace(detected=flat, slice=lambda i: slice(0, 80), facts=facts)
    model, _ = load_model(find_weights(None))
    told = {}
    for said, fps in ((0.0, 30.0), (60.0, 60.0)):
        cfg = SimpleNamespace(EVALUATE=SimpleNamespace(FPS=said))
        assert rate_of(data, cfg) == fps
        told[fps] = network_method(model, data, device=torch.device("cpu"), step=8, fps=rate_of(data, cfg))(0)
        wanted = Smoother.from_checkpoint(fps=fps)(x)
        np.testing.assert_allclose(told[fps].reshape(wanted.shape), wanted, atol=1e-4)
    assert not np.allclose(told[30.0], told[60.0], atol=1e-4)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 7, W - 1, W, W + 1, 90])
def test_unit_and_origin_do_not_matter(smoother, frames, dims):
    x = recording(frames, 4, dims)
    smoothed = smoother(x)
    assert smoothed.shape == x.shape and np.isfinite(smoothed).all()
    np.testing.assert_allclose(smoother(1000 * x + 70_000), 1000 * smoothed + 70_000, rtol=0, atol=0.01)


def test_its_own_step_is_taken_unless_another_is_asked_for(smoother):
    x = recording(90)
    assert np.array_equal(smoother(x), smoother(x, step=4))
    assert not np.array_equal(smoother(x), smoother(x, step=1))


@pytest.mark.parametrize("taper", ["triangle", "late-hann"])
@pytest.mark.parametrize("frames", [W - 1, W, W + 1, 21, 60])
def test_a_stream_gives_what_a_whole_recording_gives(tmp_path, taper, frames):
    smoother = Smoother.from_checkpoint(checkpoint_of(tmp_path, taper))
    x = recording(frames)
    x[10:13, 1] = np.nan
    x[30::7, 2] = np.nan  # often in the last frame of a window
    x[40:45] = np.nan
    for delay in (W - 1, W, W + 2):
        np.testing.assert_allclose(smoother(x, delay=delay), smoother(x), atol=1e-4)
    np.testing.assert_allclose(smoother(x, delay=W - 1, step=1), smoother(x, step=1), atol=1e-4)
    assert np.array_equal(np.isnan(smoother(x)), np.isnan(x))


@pytest.mark.parametrize("away", [(1, 20), (9, 30), (W - 1, 40), (W, 40), (W - 4, W + 3), (W - 4, W), (W - 2, W + 1)])
def test_who_leaves_within_the_first_window_comes_out_alike_live_and_whole(smoother, away):
    """For good or for a while: a stream cannot know which when the first window ends."""
    x = recording(50)
    x[slice(*away)] = np.nan
    for delay in (W - 1, W + 2):
        np.testing.assert_allclose(smoother(x, delay=delay), smoother(x), atol=1e-4)


def test_who_leaves_a_stream_early_is_smoothed_as_a_short_clip(smoother):
    """Not as somebody who comes to rest, as long as nobody is in sight."""
    stream = smoother.stream(W - 1, tracks=True)
    x = recording(9, seed=3)
    came = [stream.push({"a": x[t]} if t < len(x) else {}) for t in range(40)][W - 1 :]
    np.testing.assert_allclose([frame["a"] for frame in came[: len(x)]], smoother(x), atol=1e-4)


@pytest.mark.parametrize("tracks", [True, False])
def test_a_stream_without_delay_may_end_with_nobody_in_sight(smoother, tracks):
    stream = smoother.stream(0, tracks=tracks)
    frame = recording(1)[0]
    for _ in range(3):
        stream.push({"a": frame} if tracks else frame)
    stream.push({} if tracks else None)
    assert stream.flush() == []


@pytest.mark.parametrize("frames", [1, 2, W])
def test_one_joint_at_rest_is_all_that_is_seen(frames):
    """With the weights that come along: what rounding leaves of joints that are not there was all that moved."""
    smoother = Smoother.from_checkpoint()
    for seed in range(20):
        x = np.full((frames, 4, 2), np.nan)
        x[:, seed % 4] = np.random.default_rng(seed).normal(size=2) * 10.0 ** (seed % 7 - 3)
        stream = smoother.stream(3)
        live = [stream.push(frame) for frame in x][3:] + stream.flush()
        for smoothed in (np.stack(live), smoother(x)):
            np.testing.assert_array_equal(np.isnan(smoothed), np.isnan(x))
            np.testing.assert_allclose(smoothed, x, rtol=1e-4)


def test_people_of_a_stream_do_not_know_of_each_other(smoother):
    one, two = recording(40, seed=1), recording(40, seed=2) * 50
    both, alone = smoother.stream(5, tracks=True), smoother.stream(5, tracks=True)
    together = [both.push({"a": a, "b": b}) for a, b in zip(one, two, strict=True)]
    single = [alone.push({"a": a}) for a in one]
    for out, expected in zip(together[5:], single[5:], strict=True):
        np.testing.assert_allclose(out["a"], expected["a"], atol=1e-5)


def test_strength_goes_from_the_input_through_what_was_trained_to_smoother(checkpoint):
    x = recording(200) + np.random.default_rng(5).normal(size=(200, 5, 3))
    rough = []
    for strength in (0, 0.5, 1, 2, 4):
        smoothed = Smoother.from_checkpoint(checkpoint, strength=strength)(x)
        rough.append(np.abs(np.diff(smoothed, n=2, axis=0)).mean())
        if strength == 0:
            np.testing.assert_allclose(smoothed, x)
    assert all(more > less for more, less in pairwise(rough))
    with pytest.raises(SmoothNetError, match="strengths from 0 to 4"):
        Smoother.from_checkpoint(checkpoint, strength=4.5)


def test_a_normalisation_around_it_is_refused(checkpoint):
    with pytest.raises(SmoothNetError, match="frees itself"):
        Smoother.from_checkpoint(checkpoint, normalize="body")


def test_short_clips_are_smoothed_with_all_their_noise_in_sight(smoother):
    """Padded with a frame that rests, most of the window would say that there is no noise."""
    x = recording(9, seed=3) + np.random.default_rng(4).normal(size=(9, 5, 3))
    mirrored = np.concatenate([x, 2 * x[-1] - x[-2 : -(W - 9) - 2 : -1]])
    np.testing.assert_allclose(smoother(x), smoother(mirrored)[:9], atol=1e-5)


def test_an_exported_one_gives_the_same_whole_and_live(checkpoint, smoother, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "general.onnx"
    assert export_checkpoint(checkpoint, path, tolerance=1e-5)["difference"] < 1e-5
    exported = Smoother.from_checkpoint(path)
    assert (exported.window, exported.network.step) == (W, 4)
    x = recording(70)
    x[10:12, 3] = np.nan
    np.testing.assert_allclose(exported(x), smoother(x), atol=1e-4)
    np.testing.assert_allclose(exported(x, delay=3), smoother(x, delay=3), atol=1e-4)
    told = Smoother.from_checkpoint(path, fps=60), Smoother.from_checkpoint(checkpoint, fps=60)
    np.testing.assert_allclose(told[0](x), told[1](x), atol=1e-4)
    assert np.nanmax(np.abs(told[1](x) - smoother(x))) > 1e-3
    stronger = Smoother.from_checkpoint(path, strength=2), Smoother.from_checkpoint(checkpoint, strength=2)
    np.testing.assert_allclose(stronger[0](x), stronger[1](x), atol=1e-4)


@pytest.mark.parametrize("delay", [0, 5, W - 1, W, W + 2])
def test_many_people_get_what_each_gets_alone_however_the_work_is_spread(smoother, delay):
    """More than go through the network at once, with gaps, some from the start and some later."""
    people = {i: recording(45, seed=i) for i in range(60)}
    for i in range(0, 60, 7):
        people[i][18:20, 1] = np.nan
        people[i][:i] = np.nan
    stream = smoother.stream(delay, tracks=True)
    came = [stream.push({i: x[t] for i, x in people.items()}) for t in range(45)][delay:] + stream.flush()
    for i in (0, 1, 14, 28, 56, 59):
        expected = smoother(people[i], delay=delay)
        if delay >= W - 1:
            np.testing.assert_allclose(expected, smoother(people[i]), atol=1e-4)
        for t, frame in enumerate(came):
            np.testing.assert_allclose(frame.get(i, np.full((5, 3), np.nan)), expected[t], atol=1e-5)


def test_more_delay_or_a_taper_with_a_lead_spreads_the_work_over_the_pushes(smoother, tmp_path, monkeypatch):
    """Of a window every push takes a few steps, and none takes all."""
    late = Smoother.from_checkpoint(checkpoint_of(tmp_path, "late-hann"))
    taken = []
    advance = Work.advance

    def counted(self, steps=None):
        before = self.left
        advance(self, steps)
        taken[-1] += before - self.left

    monkeypatch.setattr(Work, "advance", counted)
    most = {}
    for name, network, delay in (("longest", smoother, W + 2), ("late", late, W - 1), ("none", smoother, W - 1)):
        stream = network.stream(delay)
        taken.clear()
        seen = recording(80)
        seen[:, 1] = np.nan  # a joint that an estimator never finds
        for frame in seen:
            taken.append(0)
            stream.push(frame)
        most[name] = max(taken[W:])
        assert sum(taken[W:]) > 0
    assert most["longest"] <= 2 and most["late"] <= 3 < most["none"]
    with pytest.raises(SmoothNetError, match=r"delay must be from 0 to 18 frames \(window 16\), not 19"):
        smoother.stream(W + 3)


def test_the_frame_rate_of_a_recording_reaches_the_network_by_every_way(checkpoint, smoother, tmp_path):
    x = recording(50)
    told = Smoother.from_checkpoint(checkpoint, fps=60)
    assert np.abs(told(x) - smoother(x)).max() > 1e-3
    np.testing.assert_array_equal(smoother.at(60)(x), told(x))
    assert told.at(30) is told and smoother.at(None) is smoother
    np.testing.assert_allclose(told(x, delay=W - 1), told(x), atol=1e-4)
    settings = SmoothingOptions(checkpoint=str(checkpoint))
    np.savez(tmp_path / "rated.npz", keypoints=x, fps=60.0)
    np.savez(tmp_path / "unrated.npz", keypoints=x)
    smoothing = Smoothing(settings)
    for name, expected in (("rated", told), ("unrated", smoother), ("rated", told)):
        np.testing.assert_allclose(smoothing(smoothing.read(tmp_path / f"{name}.npz"))[0][0], expected(x), atol=1e-5)
    by_hand = Smoothing(SmoothingOptions(checkpoint=str(checkpoint), fps=60.0))
    np.testing.assert_allclose(by_hand.points(x), told(x), atol=1e-5)
    stream = by_hand.stream()
    came = [stream.push(frame) for frame in x][stream.delay :] + stream.flush()
    np.testing.assert_allclose(np.stack(came), told(x), atol=1e-4)


def test_labelled_data_tell_their_frame_rate(checkpoint, smoother):
    xarray = pytest.importorskip("xarray")
    x = recording(50)
    for attrs, expected in (({"fps": 60}, Smoother.from_checkpoint(checkpoint, fps=60)), ({}, smoother)):
        data = xarray.DataArray(x, dims=("time", "keypoints", "space"), attrs=attrs)
        np.testing.assert_allclose(smoother(data).values, expected(x), atol=1e-5)


def test_a_stream_keeps_its_frame_rate_whatever_else_is_smoothed(checkpoint, tmp_path):
    x = recording(50)
    np.savez(tmp_path / "rated.npz", keypoints=x, fps=120.0)
    smoothing = Smoothing(SmoothingOptions(checkpoint=str(checkpoint)))
    alone, beside = smoothing.stream(), smoothing.stream()
    expected = [alone.push(frame) for frame in x]
    for t, frame in enumerate(x):
        if t == 20:
            smoothing(smoothing.read(tmp_path / "rated.npz"))
        came = beside.push(frame)
        assert (came is None and expected[t] is None) or np.array_equal(came, expected[t])


def test_a_network_moves_to_its_device_once_for_all_frame_rates(monkeypatch):
    loaded = []

    class Device:
        type = "cuda"

    def load(*_):
        network = Smoother.from_checkpoint().network
        network.device = Device()
        loaded.append(network)
        return network

    monkeypatch.setattr("lib.models.load._load_torch", load)
    monkeypatch.setattr("lib.inference.smoother.PAYS", 0)
    smoother = Smoother.from_checkpoint(device="auto")
    for fps in (30, 60, 30):
        told = smoother.at(fps)
        told(recording(60, joints=5))
        assert told.network is loaded[0] and len(loaded) == 1
