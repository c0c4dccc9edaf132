# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write a checkpoint as an ONNX model, which runs without torch.

SmoothNet's graph is put together node by node: the network has only three kinds of them, and this needs the package
onnx alone, whatever the version of torch. The general smoother's is traced by torch's exporter.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write, taken, temporary
from ..utils.signals import ending_cleanly
from .checkpoints import load_model
from .general import GeneralSmoother
from .kinds import kind_of
from .smoothnet import BLOCK_SLOPE, ENCODER_SLOPE, SmoothNet

SIZES = ("window_size", "output_size", "hidden_size", "res_hidden_size", "num_blocks")
GENERAL_OPSET = 17
OPSET = 13  # old enough for every runtime in use
IR_VERSION = 7  # the file format that came with it


def smoothnet_graph(model: SmoothNet, onnx: Any) -> Any:
    """SmoothNet as an onnx.ModelProto: windows (N, C, W) float32 -> smoothed (N, C, W), N and C free."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    weights: list[Any] = []

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def linear(x: str, layer: Any, name: str) -> str:
        for part, value in (("weight", layer.weight.T), ("bias", layer.bias)):
            array = np.ascontiguousarray(value.detach().cpu().numpy(), dtype=np.float32)
            weights.append(numpy_helper.from_array(array, f"{name}.{part}"))
        return node("Add", node("MatMul", x, f"{name}.weight"), f"{name}.bias")

    x = node("LeakyRelu", linear("windows", model.encoder[0], "encoder.0"), alpha=ENCODER_SLOPE)
    for i, block in enumerate(model.res_blocks):
        y = linear(x, block.linear1, f"res_blocks.{i}.linear1")
        y = linear(node("LeakyRelu", y, alpha=BLOCK_SLOPE), block.linear2, f"res_blocks.{i}.linear2")
        x = node("Add", x, node("LeakyRelu", y, alpha=BLOCK_SLOPE))
    linear(x, model.decoder, "decoder")
    nodes[-1].output[0] = "smoothed"

    def tensor(name: str, frames: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["windows", "channels", frames])

    graph = helper.make_graph(
        nodes,
        "SmoothNet",
        [tensor("windows", model.window_size)],
        [tensor("smoothed", model.output_size)],
        weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="SmoothNet")


def general_graph(model: GeneralSmoother, onnx: Any) -> Any:
    """The general smoother: windows (N, K, D, W), shown (N, K), strength () and fps () float32, 0 where unknown ->
    smoothed; N, K and D free."""
    import torch

    axes = {0: "windows", 1: "joints", 2: "dims"}
    content: Any = io.BytesIO()
    example = torch.randn(2, 3, 2, model.window_size, generator=torch.Generator().manual_seed(0))
    # PyTorch 2.4 has this exporter alone, and no word for it.
    which: dict[str, Any] = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter needs no further package, and torch says it is old
        torch.onnx.export(
            model,
            (example, torch.ones(2, 3), torch.tensor(1.0), torch.tensor(0.0)),
            content,
            input_names=["windows", "shown", "strength", "fps"],
            output_names=["smoothed"],
            dynamic_axes={"windows": axes, "shown": {0: "windows", 1: "joints"}, "smoothed": axes},
            opset_version=GENERAL_OPSET,
            **which,
        )
    exported = onnx.load_model_from_string(content.getvalue())
    exported.producer_name = "SmoothNet"
    return exported


# kind -> how its graph is made, its opset, and what the file says of it beside what is known of the checkpoint
EXPORTERS: Mapping[str, tuple[Callable[[Any, Any], Any], int, Callable[[Any], dict[str, Any]]]] = {
    "smoothnet": (smoothnet_graph, OPSET, lambda model: {name: getattr(model, name) for name in SIZES}),
    "general": (
        general_graph,
        GENERAL_OPSET,
        lambda model: {
            **model.settings,
            "kind": "general",
            "strongest": kind_of(model)[1].strongest,
        },
    ),
}


def onnx_model(model: Any, known: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The network as an onnx.ModelProto, and what is written beside its graph.

    Args:
        known: of the checkpoint, see load_model: epoch, normalize, taper, step.

    Raises:
        SmoothNetError: onnx is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise SmoothNetError("exporting needs the package onnx: pip install onnx") from error
    make_graph, opset, describe = EXPORTERS[kind_of(model)[0]]
    exported = make_graph(model, onnx)
    metadata = {**describe(model), "opset": opset}
    metadata |= {key: value for key, value in known.items() if key not in ("taper", "step")}
    if known.get("taper") is not None:
        metadata |= {"taper": " ".join(f"{weight:.9g}" for weight in known["taper"]), "step": known["step"]}
    onnx.helper.set_model_props(exported, {key: str(value) for key, value in metadata.items()})
    onnx.checker.check_model(exported, full_check=True)
    return exported, metadata


def export_checkpoint(
    checkpoint: str | Path,
    output: str | Path,
    window_size: int | None = None,
    tolerance: float | None = None,
    replace: bool = True,
) -> dict[str, Any]:
    """Write the network of a checkpoint to `output` (.onnx).

    The normalisation depends on which channels form a joint and stays outside the graph; its name is in the
    metadata, and lib/models/network.py applies it.

    Args:
        window_size: the window the checkpoint must have, if given.
        tolerance: if given, the model is compared with torch, and written only if `verify_export` finds no more.
        replace: whether a file that is there may be replaced.

    Returns:
        The metadata of the file: what its kind says of itself (see EXPORTERS), opset, normalize and epoch; and the
        difference found, if asked for.

    Raises:
        SmoothNetError: as load_model; onnx is not installed; the file cannot be written or exists; a larger difference.
    """
    output = Path(output)
    if output.suffix.lower() != ".onnx":
        raise SmoothNetError(f"the output {output} must end in .onnx, which is how an exported model is recognised")
    if not replace and os.path.lexists(output):
        raise taken(output)
    model, known = load_model(checkpoint, window_size)
    exported, metadata = onnx_model(model, known)
    content = exported.SerializeToString()
    if tolerance is not None:
        with ending_cleanly(), temporary(tempfile.mkdtemp) as folder:
            candidate = Path(folder, "candidate.onnx")
            candidate.write_bytes(content)
            metadata["difference"] = difference = verify_export(checkpoint, candidate)
        if not difference <= tolerance:
            raise SmoothNetError(
                f"{output} was not written: it would differ from {checkpoint} by {difference:.1e} "
                f"of the largest output, more than {tolerance:.0e}"
            )
    with atomic_write(output, replace=replace) as file:
        file.write(content)
    return metadata


def verify_export(checkpoint: str | Path, exported: str | Path, seed: int = 0) -> float:
    """Largest difference between torch's and onnxruntime's output on random windows of several sizes.

    Relative to the largest output, so that it does not depend on the unit.

    Raises:
        SmoothNetError: a file cannot be read; onnxruntime is not installed.
    """
    from .load import load_network

    reference, candidate = load_network(checkpoint), load_network(exported)
    generator = np.random.default_rng(seed)
    worst = 0.0
    for n, joints, dims in ((1, 1, 1), (3, 33, 3), (64, 25, 2)):
        windows = generator.standard_normal((n, joints, dims, reference.window)).astype(np.float32)
        for strength in {1.0, reference.strongest}:
            expected = reference.smooth(windows, None, "none", strength)
            found = candidate.smooth(windows, None, "none", strength)
            worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst
