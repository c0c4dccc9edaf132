# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Export to ONNX: the same numbers, sizes left free, metadata, and use without torch."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, command

from lib.inference import Smoother
from lib.models.checkpoints import read_checkpoint, save_checkpoint
from lib.models.export import OPSET, export_checkpoint, verify_export
from lib.models.load import load_network
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SIZES = {"window_size": 8, "output_size": 8, "hidden_size": 16, "res_hidden_size": 4, "num_blocks": 2}


@pytest.fixture(scope="module", params=["body", "none"])
def exported(request, tmp_path_factory):
    """(checkpoint, model.onnx, the network)"""
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    model = SmoothNet(**SIZES).eval()
    content = {"state_dict": model.state_dict(), "normalize": request.param, "epoch": 7}
    torch.save(content, folder / "c.pth.tar")
    export_checkpoint(folder / "c.pth.tar", folder / "model.onnx")
    return folder / "c.pth.tar", folder / "model.onnx", model


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 99, 8), (5, 51, 8), (0, 3, 8)])
def test_onnxruntime_gives_torchs_output_for_any_batch_and_channels(exported, shape):
    import onnxruntime

    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    session = onnxruntime.InferenceSession(str(exported[1]), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"windows": windows})
    with torch.inference_mode():
        np.testing.assert_allclose(output, exported[2](torch.from_numpy(windows)), atol=1e-5)


def test_verify_sees_a_difference(exported, tmp_path):
    assert verify_export(*exported[:2]) < 1e-5
    changed = onnx.load(exported[1])
    weight = next(w for w in changed.graph.initializer if w.name == "decoder.bias")
    array = onnx.numpy_helper.to_array(weight) + 1e-3
    weight.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float32), weight.name))
    onnx.save(changed, tmp_path / "changed.onnx")
    assert verify_export(exported[0], tmp_path / "changed.onnx") > 1e-5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("nan", "values up to nan"),
        ("huge", "values up to .*e"),
        ("fewer frames", "has windows of 5 frames"),
        ("one window", "cannot smooth windows of 8 frames"),
    ],
)
def test_a_model_that_cannot_smooth_is_refused_when_it_is_loaded(exported, tmp_path, change, words):
    model = onnx.load(exported[1])
    weights = {w.name: w for w in model.graph.initializer}
    array = onnx.numpy_helper.to_array(weights["decoder.bias"]).copy()
    if change == "fewer frames":
        for name in ("decoder.weight", "decoder.bias"):
            cut = onnx.numpy_helper.to_array(weights[name])[..., :5].copy()
            weights[name].CopyFrom(onnx.numpy_helper.from_array(cut, name))
        model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 5
    elif change == "one window":
        dimension = model.graph.input[0].type.tensor_type.shape.dim[0]
        dimension.Clear()
        dimension.dim_value = 1
    else:
        array[0] = {"nan": np.nan, "huge": 1e20}[change]
        weights["decoder.bias"].CopyFrom(onnx.numpy_helper.from_array(array, "decoder.bias"))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(SmoothNetError, match=words) as error:
        load_network(tmp_path / "m.onnx")
    assert "m.onnx" in str(error.value)


def test_a_model_that_differs_is_not_written(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.models.export.BLOCK_SLOPE", 0.3)  # a mistake in the graph
    with pytest.raises(SmoothNetError, match=r"m\.onnx was not written: it would differ from .* more than 1e-05"):
        export_checkpoint(exported[0], tmp_path / "m.onnx", tolerance=1e-5)
    assert not list(tmp_path.iterdir())


def test_the_metadata_say_what_is_needed(exported):
    model = onnx.load(exported[1])
    known = {entry.key: entry.value for entry in model.metadata_props}
    kind = torch.load(exported[0], weights_only=True)["normalize"]
    expected = {**SIZES, "normalize": kind, "epoch": 7, "opset": OPSET}
    assert known == {key: str(value) for key, value in expected.items()}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]


def test_smoother_and_stream_take_the_exported_model(exported):
    from_torch, from_onnx = (Smoother.from_checkpoint(path) for path in exported[:2])
    assert (from_torch.window, from_torch.normalize) == (from_onnx.window, from_onnx.normalize)
    x = np.random.default_rng(1).normal(size=(30, 4, 3)).cumsum(axis=0)
    np.testing.assert_allclose(from_onnx(x), from_torch(x), atol=1e-5)
    np.testing.assert_allclose(from_onnx(x, step=4), from_torch(x, step=4), atol=1e-5)
    np.testing.assert_allclose(from_onnx(x[:5]), from_torch(x[:5]), atol=1e-5)
    x[4:6] = np.nan
    np.testing.assert_allclose(from_onnx(x, delay=3), from_torch(x, delay=3), atol=1e-5)


@pytest.mark.parametrize(
    ("device", "asked"),
    [
        ("cuda", "CUDAExecutionProvider"),
        ("cuda:1", ("CUDAExecutionProvider", {"device_id": "1"})),
        ("cuda:x", None),
        ("cpu:1", None),
    ],
)
def test_the_card_that_is_named_is_the_one_that_runs(exported, monkeypatch, device, asked):
    import onnxruntime

    session, given = onnxruntime.InferenceSession, []

    def begin(content, providers):
        given.extend(providers)
        return session(content, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", begin)
    if asked is None:
        with pytest.raises(SmoothNetError, match=f"on {device}"):
            load_network(exported[1], device)
    else:
        load_network(exported[1], device)
        assert given == [asked]


def test_it_runs_where_torch_cannot_be_imported(exported, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    code = (
        "import sys, numpy; from lib.inference import Smoother; "
        f"smoother = Smoother.from_checkpoint({str(exported[1])!r}); "
        "x = numpy.random.default_rng(0).normal(size=(20, 4, 3)); "
        "print(smoother(x).shape, smoother(x, delay=3).shape, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "(20, 4, 3) (20, 4, 3) False", done.stderr


def test_the_script_exports_and_verifies(exported, tmp_path):
    script = ["export_smoothnet.py", "--checkpoint", exported[0]]
    done = command(*script, "-o", "m.onnx", "--verify", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "window_size 8" in done.stdout and "largest difference" in done.stdout
    assert (tmp_path / "m.onnx").read_bytes() == exported[1].read_bytes()
    (tmp_path / "m.onnx").write_text("mine")
    done = command(*script, "-o", "m.onnx", cwd=tmp_path)
    assert done.returncode == 2 and "m.onnx exists" in done.stderr and (tmp_path / "m.onnx").read_text() == "mine"
    assert command(*script, "-o", "m.onnx", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "m.onnx").read_bytes() == exported[1].read_bytes()
    done = command(*script, "-o", "m.bin", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "m.bin must end in .onnx" in done.stderr


def test_other_onnx_files_are_refused(exported, tmp_path):
    model = onnx.load(exported[1])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(SmoothNetError, match="export it again"):
        Smoother.from_checkpoint(tmp_path / "foreign.onnx")
    (tmp_path / "broken.onnx").write_bytes(exported[1].read_bytes()[:100])
    with pytest.raises(SmoothNetError, match="not a readable ONNX model"):
        Smoother.from_checkpoint(tmp_path / "broken.onnx")
    with pytest.raises(SmoothNetError, match="does not exist"):
        Smoother.from_checkpoint(tmp_path / "none.onnx")
    with pytest.raises(SmoothNetError, match="window of 8 frames, but 32"):
        Smoother.from_checkpoint(exported[1], window=32)
    with pytest.raises(SmoothNetError, match="use the device cpu"):
        Smoother.from_checkpoint(exported[1], device="sdaa")


def test_how_windows_overlap_goes_along(tmp_path):
    """A SmoothNet of ours with a taper and a step smooths in the same way in every form."""
    model = {"name": "smoothnet", "taper": "hann", "step": 4}
    save_checkpoint(tmp_path / "c.pth.tar", {"state_dict": SmoothNet(16, None, 16, 8, 1).state_dict(), "model": model})
    save_checkpoint(tmp_path / "c.safetensors", read_checkpoint(tmp_path / "c.pth.tar"))
    export_checkpoint(tmp_path / "c.pth.tar", tmp_path / "c.onnx")
    points = np.random.default_rng(0).standard_normal((90, 5, 3)).cumsum(0)
    expected = Smoother.from_checkpoint(tmp_path / "c.pth.tar")
    assert expected.network.step == 4
    smoothed = expected(points)
    for name in ("c.safetensors", "c.onnx"):
        np.testing.assert_allclose(Smoother.from_checkpoint(tmp_path / name)(points), smoothed, atol=1e-5)
    save_checkpoint(tmp_path / "p.pth.tar", {**read_checkpoint(tmp_path / "c.pth.tar"), "model": {"name": "smoothnet"}})
    published = Smoother.from_checkpoint(tmp_path / "p.pth.tar")
    assert published.network.step == 1 and published.network.taper is None
    assert np.abs(published(points) - smoothed).max() > 1e-4
