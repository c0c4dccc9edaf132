# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""An ONNX file is a program by a stranger: only what our own exporter writes is run."""

import numpy as np
import pytest
import torch

from lib.commands.arguments import run_main
from lib.commands.smooth import main
from lib.models.export import export_checkpoint
from lib.models.load import load_network
from lib.models.onnx_file import read_onnx
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, INT64, DOUBLE, BOOL = (getattr(onnx.TensorProto, name) for name in ("FLOAT", "INT64", "DOUBLE", "BOOL"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    model = SmoothNet(8, hidden_size=8, res_hidden_size=4, num_blocks=1)
    torch.save({"state_dict": model.state_dict(), "normalize": "body", "epoch": 7}, folder / "c.pth.tar")
    export_checkpoint(folder / "c.pth.tar", folder / "model.onnx")
    return folder / "model.onnx"


def test_an_exported_model_is_read(exported):
    file = read_onnx(exported)
    assert (file.kind, file.window, file.metadata["normalize"]) == ("smoothnet", 8, "body")
    assert load_network(exported).window == 8


def endless_loop(model):
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["more"], ["more_out"])],
        "body",
        [
            onnx.helper.make_tensor_value_info("i", INT64, []),
            onnx.helper.make_tensor_value_info("more", BOOL, []),
        ],
        [onnx.helper.make_tensor_value_info("more_out", BOOL, [])],
    )
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["", ""], [], body=body))


def hidden_branch(model):
    """A graph inside an operator that is known itself."""
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", inner))


def external(model):
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="offset", value="0")
    weight.external_data.add(key="location", value="/etc/passwd")


def external_constant(model):
    """Weights in another file, in a constant and not among the weights."""
    value = onnx.helper.make_tensor("v", FLOAT, [1], [0.0])
    value.data_location = onnx.TensorProto.EXTERNAL
    node = onnx.helper.make_node("Add", ["windows", "windows"], ["z"])
    node.attribute.append(onnx.helper.make_attribute("value", value))
    model.graph.node.append(node)


def function(model):
    made = onnx.helper.make_function("own", "F", ["x"], ["y"], [onnx.helper.make_node("Add", ["x", "x"], ["y"])], [])
    model.functions.append(made)


def opset(version, domain=""):
    def change(model):
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))

    return change


def end(which, element=FLOAT, shape=("n", "c", 8)):
    def change(model):
        value = getattr(model.graph, which)[0]
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, element, shape))

    return change


def more(which):
    def change(model):
        value = onnx.helper.make_tensor_value_info("further", FLOAT, ["n", "c", 8])
        getattr(model.graph, which).append(value)

    return change


def says(key, value):
    def change(model):
        kept = [entry for entry in model.metadata_props if entry.key != key]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        if value is not None:
            model.metadata_props.add(key=key, value=value)

    return change


def renamed(domain):
    def change(model):
        model.graph.node[0].domain = domain

    return change


def weights_of(value):
    def change(model):
        for weight in model.graph.initializer:
            if weight.data_type == FLOAT:
                array = onnx.numpy_helper.to_array(weight)
                weight.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, value), weight.name))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weights_of(np.nan), "values up to nan .* its weights are damaged"),
        (weights_of(1e30), "values up to (inf|nan) .* its weights are damaged"),
        (endless_loop, "operator 'Loop'"),
        (hidden_branch, "holds what exported models do not"),
        (external, "weights in another file"),
        (external_constant, "weights in another file"),
        (function, "functions of its own"),
        (opset(7), "operators of ai.onnx 7"),
        (opset(1, "com.microsoft"), "operators of com.microsoft"),
        (renamed("com.microsoft"), "operator"),
        (end("input", DOUBLE), "no float32 of 3 axes"),
        (end("input", INT64), "no float32 of 3 axes"),
        (end("input", FLOAT, ["n", 8]), "no float32 of 3 axes"),
        (end("input", FLOAT, ["n", "c", 9]), "windows of 9 frames, its metadata says 8"),
        (end("output", FLOAT, ["n", "c", 5]), "windows of 5 frames"),
        (end("output", DOUBLE), "no float32"),
        (more("input"), "2 inputs and 1 outputs"),
        (more("output"), "1 inputs and 2 outputs"),
        (says("window_size", None), "does not say its window_size"),
        (says("window_size", "many"), "does not say its window_size"),
        (says("window_size", "16"), "windows of 8 frames, its metadata says 16"),
        (says("kind", "else"), "unknown kind"),
        (says("kind", "general"), "inputs"),
        (says("normalize", "odd"), "unknown normalisation"),
    ],
)
def test_what_the_exporter_does_not_write_is_refused_without_running_it(exported, tmp_path, change, words, capsys):
    model = onnx.load(exported)
    change(model)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SmoothNetError, match=words) as error:
        load_network(tmp_path / "m.onnx")
    assert "m.onnx" in str(error.value)
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 3, 2)))
    words = [tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--checkpoint", tmp_path / "m.onnx"]
    assert run_main(main, [str(word) for word in words]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "b.npy").exists()


@pytest.mark.parametrize("cut", [0, 1, 5, 100, -1])
def test_damaged_files_are_refused(exported, tmp_path, cut):
    (tmp_path / "m.onnx").write_bytes(exported.read_bytes()[:cut])
    with pytest.raises(SmoothNetError, match=r"m\.onnx"):
        load_network(tmp_path / "m.onnx")


def test_random_bytes_are_refused(exported, tmp_path):
    content, rng = bytearray(exported.read_bytes()), np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(content)
        for place in rng.integers(len(changed), size=3):
            changed[place] = rng.integers(256)
        (tmp_path / "m.onnx").write_bytes(changed)
        try:
            read_onnx(tmp_path / "m.onnx")
        except SmoothNetError as error:
            assert "m.onnx" in str(error)
