# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What `import smoothnet` gives, and the page that describes it."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT

import lib
from lib.inference import Smoother
from lib.models.safetensors_file import read_safetensors, write_safetensors
from lib.utils.errors import SmoothNetError
from lib.weights import find_weights


def walk(frames=60, joints=5, dims=3, seed=0):
    return np.random.default_rng(seed).normal(size=(frames, joints, dims)).cumsum(axis=0)


PAGE = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/api.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", PAGE, ids=[code.splitlines()[2].split(" = ")[0] for code in PAGE])
def test_the_code_of_the_page_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "smoothnet", lib)
    names = {"points": walk(), "output": tmp_path / "out.trc"}
    exec(compile(code, "docs/api.md", "exec"), names)
    assert (tmp_path / "out.trc").exists() or np.stack(names["smoothed"]).shape == names["points"].shape


def test_importing_it_is_quick_and_imports_little():
    code = "import sys, lib; lib.__version__; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "torch", "tqdm", "argparse"} & set(done.stdout.split())
    code = (
        "import sys, time, lib; lib.smooth, lib.Smoother, lib.read; print(time.process_time(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, torch_too = done.stdout.split()
    assert torch_too == "False" and float(seconds) < 1.5  # a fifth of it on an idle machine


def test_every_name_is_there_and_others_are_not():
    assert set(lib.__all__) <= set(dir(lib)) and all(getattr(lib, name) for name in lib.__all__)
    assert lib.Smoother is Smoother and lib.SmoothNetError is SmoothNetError
    with pytest.raises(AttributeError, match="no attribute 'smoothe'"):
        lib.smoothe  # noqa: B018


def test_points_are_smoothed_as_a_smoother_does_it():
    x = walk().astype(np.float32)
    x[10:12, 2] = np.nan
    smoothed = lib.smooth(x)
    np.testing.assert_allclose(smoothed, Smoother.from_checkpoint()(x), atol=1e-5)
    assert smoothed.dtype == np.float32 and np.array_equal(np.isnan(smoothed), np.isnan(x))
    flat = lib.smooth(torch.from_numpy(x).reshape(60, 15), dims=3)
    assert isinstance(flat, torch.Tensor) and flat.dtype == torch.float32
    np.testing.assert_allclose(flat.numpy().reshape(x.shape), smoothed, atol=1e-5)
    np.testing.assert_array_equal(lib.smooth(x, strength=0), x)


def test_the_frame_rate_decides_where_a_filter_counts_in_hertz():
    x = walk()
    slow, fast = lib.smooth(x, fps=30, method="rts", cutoff=3), lib.smooth(x, fps=120, method="rts", cutoff=3)
    assert np.abs(np.diff(fast, 2, axis=0)).mean() < 0.5 * np.abs(np.diff(slow, 2, axis=0)).mean()
    x[30, 1] += 500
    cleaned = lib.smooth(x, fps=30, outliers="hampel")
    assert np.abs(cleaned[30, 1] - cleaned[29, 1]).max() < 10


def test_weights_that_were_written_anew_are_read_anew(tmp_path):
    """As in a notebook, beside a training that goes on."""
    x = walk()
    for checkpoint in (tmp_path / "model.safetensors", tmp_path):
        for kind, window in (("general", 32), ("uiprmd_kinect_3D", 8)):
            write_safetensors(tmp_path / "model.safetensors", read_safetensors(find_weights(kind, window)))
            expected = Smoother.from_checkpoint(checkpoint)(x)
            np.testing.assert_allclose(lib.smooth(x, checkpoint=checkpoint), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "magic"),
        ({"strength": -1}, "strength"),
        ({"dims": 2}, "dims=2"),
        ({"min_score": 0.5}, "min_score needs a recording"),
        ({"checkpoint": "nowhere"}, "nowhere does not exist"),
        ({"delay": 99}, "delay must be from 0"),
        ({"delay": 4.0}, "delay must be a whole number of frames, not 4.0"),
        ({"delay": "4"}, "--delay must be a whole number of frames, not '4'"),
        ({"strength": "2"}, "--strength must be a number, not '2'"),
        ({"strength": None}, "--strength must be a number, not None"),
        ({"fps": np.array([30.0])}, r"--fps must be a number, not array\(\[30"),
        ({"cutoff": "6", "method": "rts"}, "--cutoff must be a number, not '6'"),
        ({"method": ["rts"]}, r"--method must be a word, not \['rts'\]"),
        ({"max_gap": None}, "--max_gap must be a number"),
        ({"dims": [3]}, r"--dims must be a whole number of coordinates, not \[3\]"),
        ({"checkpoint": 5}, "--checkpoint must be the name of a file or folder, not 5"),
        ({"checkpoint": "README.md"}, "README.md is no checkpoint that weights alone can be read from"),
    ],
)
def test_mistakes_are_named(options, words):
    with pytest.raises(SmoothNetError, match=words):
        lib.smooth(walk(), **options)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (None, r"points must be \(frames, joints, dims\)"),
        (3.0, r"points must be \(frames, joints, dims\)"),
        (torch.ones(40, 3, 2) * 1j, "must be real numbers in a dense array or tensor, not torch.complex64"),
        (torch.ones(40, 3, 2).to_sparse(), "torch.sparse_coo"),
    ],
)
def test_what_holds_no_points_is_refused(points, words):
    for smooth in (lib.smooth, Smoother.from_checkpoint()):
        with pytest.raises(SmoothNetError, match=words):
            smooth(points)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Smoother.from_checkpoint(strength="2"), "strength must be a number, not '2'"),
        (lambda: Smoother.from_checkpoint(fps=float("nan")), "a frame rate must be a positive number"),
        (lambda: Smoother.from_checkpoint(fps=-30), "a frame rate must be a positive number"),
        (lambda: Smoother.from_checkpoint(window="32"), "window must be a whole number of frames, not '32'"),
        (lambda: Smoother.from_checkpoint(5), "the checkpoint must be the name of a file or folder, not 5"),
        (lambda: Smoother.from_pretrained(5), "the name of weights must be the name of a file or folder, not 5"),
        (lambda: Smoother("weights.safetensors"), r"to load one, Smoother\.from_checkpoint"),
        (lambda: Smoother.from_checkpoint()(walk(), step=1.5), "step must be a whole number of frames, not 1.5"),
        (lambda: Smoother.from_checkpoint()(walk(), delay=2.0), "delay must be a whole number of frames, not 2.0"),
        (lambda: Smoother.from_checkpoint()(walk(), max_gap=-1), "max_gap must be 0 frames or more, not -1"),
        (lambda: Smoother.from_checkpoint()(walk(), max_gap="0.5s"), "max_gap must be a whole number of frames"),
    ],
)
def test_mistakes_of_a_smoother_are_named(make, words):
    with pytest.raises(SmoothNetError, match=words):
        make()


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("method", ["network", "rts"])
def test_what_is_masked_is_missing(method, dtype):
    x = np.ma.MaskedArray(np.round(20 * walk()).astype(dtype))
    x[20:25, 1] = np.ma.masked
    x.data[20:25, 1] = 9999
    smoothed = lib.smooth(x, method=method)
    np.testing.assert_array_equal(smoothed.mask, x.mask)
    plain = x.astype(np.result_type(dtype, np.float32)).filled(np.nan)
    np.testing.assert_array_equal(smoothed.filled(np.nan), lib.smooth(plain, method=method))


@pytest.mark.parametrize("method", ["network", "rts"])
def test_points_without_coordinates_are_refused(method):
    with pytest.raises(SmoothNetError, match=r"not \(5, 3, 0\)"):
        lib.smooth(np.zeros((5, 3, 0)), method=method)


def test_numbers_of_frames_may_be_numpys():
    x = walk()
    x[20:26, 1] = np.nan
    np.testing.assert_array_equal(lib.smooth(x, max_gap=np.int64(5)), lib.smooth(x, max_gap=5))
    np.testing.assert_array_equal(lib.smooth(x, delay=np.int32(4)), lib.smooth(x, delay=4))


def test_a_file_is_read_smoothed_and_written(tmp_path):
    recording = lib.read(ROOT / "data/samples/sports2d_blazepose.npz")
    smoothed = lib.smooth(recording, min_score=0.1)
    lib.write(recording, smoothed, tmp_path / "out.npz")
    written = lib.read(tmp_path / "out.npz")
    for track, values in zip(written.tracks, smoothed, strict=True):
        there = np.isfinite(values)
        np.testing.assert_allclose(track.points[there], values[there], rtol=1e-5)


def test_pretrained_weights_come_from_a_folder_or_the_hub(tmp_path, monkeypatch):
    content = read_safetensors(find_weights("uiprmd_kinect_3D", 8))
    write_safetensors(tmp_path / "model.safetensors", content)
    assert Smoother.from_pretrained(tmp_path).window == 8
    asked = []

    class Hub:
        @staticmethod
        def snapshot_download(*words, **options):
            asked.append((words, options))
            if words[0] == "no/such":
                raise OSError("404 not found")
            return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub)
    x = walk()
    smoother = Smoother.from_pretrained("someone/weights", revision="v1", strength=0.5)
    np.testing.assert_allclose(smoother(x), x + 0.5 * (Smoother.from_pretrained(tmp_path)(x) - x))
    assert asked == [(("someone/weights",), {"revision": "v1", "allow_patterns": ["*.safetensors"]})]
    with pytest.raises(SmoothNetError, match="cannot download no/such: 404"):
        Smoother.from_pretrained("no/such")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SmoothNetError, match="pip install huggingface_hub"):
        Smoother.from_pretrained("someone/weights")
    assert Smoother.from_pretrained().window == Smoother.from_checkpoint().window


def test_torch_hub_gives_the_smoother_and_the_network():
    network = torch.hub.load(str(ROOT), "network", "uiprmd_kinect_3D", 8, source="local")
    assert network(torch.zeros(1, 3, 8)).shape == (1, 3, 8) and not network.training
    smoother = torch.hub.load(str(ROOT), "smoother", source="local", strength=2.0)
    assert smoother(walk()).shape == (60, 5, 3) and smoother.strength == 2


def test_the_cards_of_the_weights_have_the_header_of_the_hub():
    for card in (ROOT / "lib/weights").glob("*/README.md"):
        head = re.match(r"---\n(.*?)\n---\n", card.read_text(), re.DOTALL)
        assert head, card
        lines = dict(line.split(": ", 1) for line in head[1].splitlines() if ": " in line)
        assert lines["license"] == "bsd-3-clause" and lines["library_name"] == "smoothnet"
