# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The networks in numpy give what those in torch give, and smoothing imports no torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT

from lib.models import plain
from lib.models.checkpoints import load_model, save_checkpoint
from lib.models.general import GeneralSmoother
from lib.models.kinds import description
from lib.models.load import load_network
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError
from lib.weights import FOLDER, find_weights

SHIPPED = sorted(FOLDER.glob("*/*.safetensors"))


def with_large_weights(model):
    """So that every part of it matters."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def windows_of(window, n, joints, dims, seed):
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(n, joints, dims, window)).cumsum(-1) * 0.1
    return (walk + 0.05 * rng.normal(size=walk.shape)).astype(np.float32)


def general_networks():
    torch.manual_seed(0)
    small = with_large_weights(GeneralSmoother(16, 24, 16, 2, knots=7, taper="triangle", step=3))
    return [small, *(load_model(path)[0] for path in SHIPPED if path.parent.name == "general")]


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize(("n", "joints", "dims"), [(1, 1, 1), (2, 1, 3), (3, 33, 3), (7, 17, 2), (1, 500, 2)])
def test_the_general_network_is_that_of_torch(number, n, joints, dims):
    model = general_networks()[number]
    run = plain.load_general({"model": description(model), "state_dict": plain_state(model)}).people
    windows = windows_of(model.window_size, n, joints, dims, joints)
    shown = (np.random.default_rng(1).random((n, joints)) < 0.7).astype(np.float32)
    shown[0] = 0  # nobody at all
    cases = ((None, 1.0, 0.0), (None, 2.5, 60.0), (None, 0.4, 15.0), (shown, 1.0, 0.0), (shown, 4.0, 1e6))
    for seen, strength, fps in cases:
        x = windows if seen is None else windows * seen[:, :, None, None]
        tensors = torch.from_numpy(x), None if seen is None else torch.from_numpy(seen)
        with torch.inference_mode():
            expected = model(*tensors, strength, fps).numpy()
        found = run(x, seen, strength, fps)
        assert found.dtype == np.float32 and found.shape == x.shape
        there = slice(None) if seen is None else seen > 0
        np.testing.assert_allclose(found[there], expected[there], rtol=0, atol=1e-5 * np.abs(expected).max())


def test_wild_joints_count_as_little_as_in_torch():
    model = general_networks()[1]
    run = plain.load_general({"model": description(model), "state_dict": plain_state(model)}).people
    windows = windows_of(model.window_size, 5, 9, 3, 0)
    windows[::2, 4] += 20 * np.random.default_rng(2).standard_normal(windows[::2, 4].shape)
    windows[2, 7] += 1000 * np.random.default_rng(3).standard_normal(windows[2, 7].shape)
    shown = np.ones((5, 9), np.float32)
    shown[1:, 3] = 0
    others = np.array([0, 1, 2, 5, 6, 8])
    for seen in (None, shown):
        with torch.inference_mode():
            expected = model(torch.from_numpy(windows), None if seen is None else torch.from_numpy(seen)).numpy()
        np.testing.assert_allclose(run(windows, seen, 1.0, 0.0)[:, others], expected[:, others], rtol=0, atol=2e-5)


@pytest.mark.parametrize("unit", [1e-4, 1e-3, 1e3])
def test_an_axis_in_another_unit_is_treated_as_in_torch(unit):
    model = general_networks()[1]
    run = plain.load_general({"model": description(model), "state_dict": plain_state(model)}).people
    windows = windows_of(model.window_size, 4, 9, 3, 0)
    units = np.array([[1], [1], [unit]], np.float32)
    windows[::2] *= units  # of every second person
    with torch.inference_mode():
        expected = model(torch.from_numpy(windows)).numpy()
    difference = run(windows, None, 1.0, 0.0) - expected
    difference[::2] /= units
    assert np.abs(difference).max() < 2e-5


def plain_state(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def test_windows_in_which_nothing_moves_come_back_as_they_are():
    model = general_networks()[0]
    run = plain.load_general({"model": description(model), "state_dict": plain_state(model)}).people
    windows = np.full((2, 3, 2, 16), 7.0, np.float32)
    np.testing.assert_allclose(run(windows, None, 1.0, 0.0), windows)
    np.testing.assert_allclose(run(windows * 0, None, 1.0, 30.0), 0)


@pytest.mark.parametrize("sizes", [(8, 16, 8, 2), (32, 128, 64, 3), (9, 16, 1, 0)])
@pytest.mark.parametrize(("n", "channels"), [(1, 1), (5, 51), (3, 2000)])
def test_smoothnet_is_that_of_torch(sizes, n, channels):
    torch.manual_seed(1)
    model = SmoothNet(sizes[0], None, *sizes[1:]).eval()
    windows = windows_of(sizes[0], n, channels, 1, 2)[:, :, 0]
    found = plain.load_smoothnet({"state_dict": plain_state(model)}).run(windows)
    with torch.inference_mode():
        expected = model(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_network_that_comes_along_runs_without_torch_and_as_in_torch(path):
    network, (model, known) = load_network(path), load_model(path)
    assert network.model is None and network.normalize == known["normalize"] and network.window == model.window_size
    windows = windows_of(network.window, 3, 17, 3, 4)
    flat = windows.reshape(3, 51, -1)
    with torch.inference_mode():
        expected = model(torch.from_numpy(windows if network.people else flat)).numpy().reshape(windows.shape)
    found = network.people(windows, None, 1.0, 0.0) if network.people else network.run(flat).reshape(windows.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_torch_checkpoint_goes_the_same_way(tmp_path):
    model = general_networks()[0]
    content = {"state_dict": model.state_dict(), "model": description(model), "normalize": "none", "epoch": 3}
    for name in ("c.pth.tar", "c.safetensors"):
        save_checkpoint(tmp_path / name, content)
    one, other = (load_network(tmp_path / name) for name in ("c.pth.tar", "c.safetensors"))
    windows = windows_of(16, 2, 4, 3, 5)
    assert np.array_equal(one.smooth(windows), other.smooth(windows)) and one.model is None
    assert (one.step, one.strongest) == (other.step, other.strongest) == (3, 4.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"knots": 99}, "knots must be between 2 and the window"),
        ({"window_size": 4}, "at least 8 frames"),
        ({"step": 17}, "step must be from 1 to the window"),
        ({"taper": "square"}, "unknown taper"),
        ({"hidden_size": 25}, "is of the shape"),
        ({"num_blocks": 3}, "missing"),
        ({"num_blocks": 1}, "should be missing"),
        ({"window_size": 10**7}, "window_size must be a whole number from 1 to"),
        ({"window_size": 2000}, "at most 1024"),
        ({"hidden_size": 0}, "hidden_size must be a whole number"),
        ({"colour": 1}, "not the settings of a general smoother"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_refused(change, words):
    model = general_networks()[0]
    content = {"model": {**description(model), **change}, "state_dict": plain_state(model)}
    with pytest.raises(SmoothNetError, match=words):
        plain.load_general(content)


WITHOUT = """
import sys
sys.modules["torch"] = sys.modules["scipy.signal"] = sys.modules["yaml"] = None  # importing them fails
import numpy as np
from lib.commands import main
import lib
points = np.random.default_rng(0).normal(size=(230, 5, 3)).cumsum(0)
np.save("in.npy", points)
assert main(["smooth", "in.npy", "-o", "out.npy"]) == 0
assert main(["smooth", "in.npy", "-o", "auto.npy", "--device", "auto", "--checkpoint", "uiprmd_kinect_3D"]) == 0
del sys.modules["yaml"]  # which comes with yacs; smoothing needs neither
assert main(["visualize", "--input", "in.npy", "--format", "html", "-o", "pictures"]) == 0
assert main(["smooth", "--formats"]) == 0
assert main(["smooth", "in.npy", "-o", "x.npy", "--device", "cuda"]) == 2
assert main(["train"]) == 2 and main(["eval", "--checkpoint", "general"]) == 2
np.testing.assert_array_equal(lib.smooth(points), np.load("out.npy"))
assert lib.Smoother.from_pretrained().stream(0).push(points[0]).shape == (5, 3)
"""


def test_smoothing_streaming_and_drawing_need_no_torch(tmp_path):
    """And training says in one sentence what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert [line for line in said if line.startswith("error: --device cuda needs PyTorch: pip install torch")]
    assert len([line for line in said if line.startswith("error: this needs the package torch")]) == 2
    assert (tmp_path / "pictures/in.html").stat().st_size > 10_000


def test_the_default_weights_are_found_whatever_their_window(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.weights.FOLDER", tmp_path)
    (tmp_path / "general").mkdir()
    (tmp_path / "general/checkpoint_48.safetensors").touch()
    assert find_weights(None).name == "checkpoint_48.safetensors"
    assert find_weights("data/checkpoints/general/checkpoint_48.pth.tar") == find_weights("general")
    (tmp_path / "general/checkpoint_32.safetensors").touch()
    assert find_weights(None).name == "checkpoint_32.safetensors" and find_weights(None, 48).stem == "checkpoint_48"
    with pytest.raises(SmoothNetError, match=r"general have no checkpoint_7\.safetensors; there are checkpoint_32"):
        find_weights(None, 7)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/model.safetensors").touch()
    assert find_weights(tmp_path / "mine").name == "model.safetensors"
