"""Write a checkpoint as an ONNX model, which runs without torch.

The graph is put together node by node: the network has only three kinds of them, and this needs the package
onnx alone, whatever the version of torch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .checkpoints import load_model
from .kinds import kind_of
from .smoothnet import BLOCK_SLOPE, ENCODER_SLOPE, SmoothNet

OPSET = 13  # old enough for every runtime in use
IR_VERSION = 7  # the file format that came with it


def onnx_model(model: SmoothNet, metadata: dict[str, Any]) -> Any:
    """The network as an onnx.ModelProto: windows (N, C, W) float32 -> smoothed (N, C, W), N and C free.

    Args:
        metadata: what is written beside the graph, as text; the opset is added.

    Raises:
        SmoothNetError: onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ModuleNotFoundError as error:
        raise SmoothNetError("exporting needs the package onnx: pip install onnx") from error
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
    exported = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="SmoothNet")
    texts = {key: str(value) for key, value in {**metadata, "opset": OPSET}.items()}
    helper.set_model_props(exported, texts)
    onnx.checker.check_model(exported, full_check=True)
    return exported


def export_checkpoint(
    checkpoint: str | Path, output: str | Path, window_size: int | None = None, tolerance: float | None = None
) -> dict[str, Any]:
    """Write the network of a checkpoint to `output` (.onnx).

    The normalisation depends on which channels form a joint and stays outside the graph; its name is in the
    metadata, and lib.inference applies it.

    Args:
        window_size: the window the checkpoint must have, if given.
        tolerance: if given, the model is compared with torch, and written only if `verify_export` finds no more.

    Returns:
        The metadata: window_size, output_size, hidden_size, res_hidden_size, num_blocks, normalize, epoch,
        opset; and the difference found, if asked for.

    Raises:
        SmoothNetError: as load_model; onnx is not installed; the file cannot be written; a larger difference.
    """
    output = Path(output)
    if output.suffix.lower() != ".onnx":
        raise SmoothNetError(f"the exported model {output} must end in .onnx, which is how it is recognised")
    model, known = load_model(checkpoint, window_size)
    if not isinstance(model, SmoothNet):
        raise SmoothNetError(f"{checkpoint} is of the kind {kind_of(model)[0]}, which cannot be exported")
    sizes = ("window_size", "output_size", "hidden_size", "res_hidden_size", "num_blocks")
    metadata = {**{name: getattr(model, name) for name in sizes}, **known}
    content = onnx_model(model, metadata).SerializeToString()
    metadata["opset"] = OPSET
    if tolerance is not None:
        with tempfile.TemporaryDirectory() as folder:
            candidate = Path(folder, "candidate.onnx")
            candidate.write_bytes(content)
            metadata["difference"] = difference = verify_export(checkpoint, candidate)
        if not difference <= tolerance:
            raise SmoothNetError(
                f"{output} was not written: it would differ from {checkpoint} by {difference:.1e} "
                f"of the largest output, more than {tolerance:.0e}"
            )
    with atomic_write(output) as file:
        file.write(content)
    return metadata


def verify_export(checkpoint: str | Path, exported: str | Path, seed: int = 0) -> float:
    """Largest difference between torch's and onnxruntime's output on random windows of several sizes.

    Relative to the largest output, so that it does not depend on the unit.

    Raises:
        SmoothNetError: a file cannot be read; onnxruntime is not installed.
    """
    from .network import load_network

    reference, candidate = load_network(checkpoint), load_network(exported)
    generator = np.random.default_rng(seed)
    worst = 0.0
    for n, channels in ((1, 1), (3, 99), (64, 51)):
        windows = generator.standard_normal((n, channels, reference.window)).astype(np.float32)
        expected = reference.run(windows)
        worst = max(worst, float(np.abs(candidate.run(windows) - expected).max() / np.abs(expected).max()))
    return worst
