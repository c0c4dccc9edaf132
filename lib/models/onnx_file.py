# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What an ONNX file holds, read from its bytes before any runtime sees it.

An ONNX file is a program: it may loop for ever, read weights from any file, or answer with another shape. One that
was exported here is a list of a few known operators on weights of its own, and nothing else is run. The file is
protobuf; the field numbers are those of onnx.proto3. No package is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.errors import SmoothNetError
from ..utils.files import read_bounded

FLOAT, EXTERNAL = 1, 1  # TensorProto.DataType, TensorProto.DataLocation
OPSETS = range(13, 18)  # what lib/models/export.py writes
MOST_NODES = 20_000
LARGEST = 2**30  # bytes of a file

# Operators that the exported graphs are made of, by the kind that the file names in its metadata.
OPERATORS: Mapping[str, frozenset[str]] = {
    "smoothnet": frozenset({"Add", "LeakyRelu", "MatMul"}),
    "general": frozenset({
        "Abs", "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Exp", "Expand",
        "Gather", "Greater", "Identity", "LeakyRelu", "Less", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pad", "Pow",
        "Reciprocal", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Sign", "Slice",
        "Softmax", "Sqrt", "Squeeze", "Sub", "TopK", "Transpose", "Unsqueeze", "Where",
    }),
}  # fmt: skip
# Of each kind: the rank of its inputs in their order, and of its output; the window is the last axis of the first.
RANKS: Mapping[str, tuple[tuple[int, ...], int]] = {"smoothnet": ((3,), 3), "general": ((4, 2, 0, 0), 4)}


@dataclass(frozen=True)
class OnnxFile:
    """A checked file: its bytes, which stand alone, the kind of network, and what it says of itself."""

    content: bytes
    kind: str
    window: int
    metadata: dict[str, str]


def read_onnx(path: Path) -> OnnxFile:
    """Read a model that lib.models.export wrote.

    Raises:
        SmoothNetError: the file cannot be read, is no such model, or holds what none of them does.
    """
    content = read_bounded(path, LARGEST, "no exported model is")
    try:
        return _check(content)
    except SmoothNetError as error:
        raise SmoothNetError(f"{path} was refused: {error}; export it again") from error
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise SmoothNetError(f"{path} is not a readable ONNX model; export it again") from error


def _check(content: bytes) -> OnnxFile:
    model = _message(content)  # ModelProto
    metadata = {}
    for entry in model.get(14, []):
        pair = _message(entry)
        metadata[_text(pair, 1)] = _text(pair, 2)
    kind = metadata.get("kind", "smoothnet")
    if kind not in OPERATORS:
        raise SmoothNetError(f"it names an unknown kind of network, {kind!r}")
    if model.get(25) or model.get(20):  # functions, training_info
        raise SmoothNetError("it defines functions of its own")
    for entry in model.get(8, []):  # opset_import
        opset = _message(entry)
        domain, version = _text(opset, 1), _number(opset, 2)
        if domain not in ("", "ai.onnx") or version not in OPSETS:
            raise SmoothNetError(f"it needs operators of {domain or 'ai.onnx'} {version}")
    graph = _message(_only(model, 7, "graph"))
    _check_graph(graph, OPERATORS[kind])
    return OnnxFile(content, kind, _check_ends(graph, kind, metadata), metadata)


def _check_graph(graph: dict[int, list[Any]], operators: frozenset[str]) -> None:
    """Only known operators, without graphs inside them, and no tensor that is kept elsewhere."""
    nodes = graph.get(1, [])
    if len(nodes) > MOST_NODES:
        raise SmoothNetError(f"it has {len(nodes)} operators")
    if graph.get(15):  # sparse_initializer
        raise SmoothNetError("it has sparse weights")
    for tensor in graph.get(5, []):
        _check_tensor(_message(tensor))
    for entry in nodes:
        node = _message(entry)
        name, domain = _text(node, 4), _text(node, 7)
        if domain or name not in operators:
            raise SmoothNetError(f"it has the operator {name[:40]!r}, which exported models do not")
        for attribute in map(_message, node.get(5, [])):
            if any(attribute.get(field) for field in (6, 11, 22, 23)):  # graphs and sparse tensors
                raise SmoothNetError(f"its operator {name} holds what exported models do not")
            for tensor in (*attribute.get(5, []), *attribute.get(10, [])):
                _check_tensor(_message(tensor))


def _check_tensor(tensor: dict[int, list[Any]]) -> None:
    if tensor.get(13) or _number(tensor, 14) == EXTERNAL:
        raise SmoothNetError("it keeps weights in another file")


def _check_ends(graph: dict[int, list[Any]], kind: str, metadata: dict[str, str]) -> int:
    """Inputs and output of the right rank and type; gives the window."""
    inputs, output = RANKS[kind]
    weights = {_text(_message(tensor), 8) for tensor in graph.get(5, [])}
    given = [value for value in map(_message, graph.get(11, [])) if _text(value, 1) not in weights]
    results = [_message(value) for value in graph.get(12, [])]
    if kind == "general" and len(given) == len(inputs) - 1:  # exported before networks were told the frame rate
        inputs = inputs[:-1]
    if len(given) != len(inputs) or len(results) != 1:
        raise SmoothNetError(f"it has {len(given)} inputs and {len(results)} outputs, not {len(inputs)} and 1")
    try:
        window = int(metadata["window_size"])
    except (KeyError, ValueError):
        raise SmoothNetError("it does not say its window_size") from None
    for place, (value, rank) in enumerate(zip([*given, *results], [*inputs, output], strict=True)):
        name, (element, shape) = _text(value, 1), _tensor_type(value)
        if element != FLOAT or len(shape) != rank:
            raise SmoothNetError(f"its {name!r} is no float32 of {rank} axes")
        if rank == inputs[0] and place in (0, len(inputs)) and shape[-1] != window:
            raise SmoothNetError(f"its {name!r} has windows of {shape[-1]} frames, its metadata says {window}")
    return window


def _tensor_type(value: dict[int, list[Any]]) -> tuple[int, list[int | None]]:
    """Element type and shape of a ValueInfoProto; None where an axis is free."""
    tensor = _message(_only(_message(_only(value, 2, "type")), 1, "tensor type"))
    dimensions = [_message(entry) for entry in _message(_only(tensor, 2, "shape")).get(1, [])]
    return _number(tensor, 1), [_number(dimension, 1) if dimension.get(1) else None for dimension in dimensions]


# ---------------------------------------------------------------- protobuf


def _message(content: Any) -> dict[int, list[Any]]:
    """A message as field number -> its values: bytes of what has a length, else the number."""
    if not isinstance(content, bytes):
        raise ValueError("a message was expected")
    fields: dict[int, list[Any]] = {}
    for number, value in _fields(content):
        fields.setdefault(number, []).append(value)
    return fields


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    value: int | bytes
    while place < len(content):
        key, place = _varint(content, place)
        wire = key & 7
        if wire == 0:
            value, place = _varint(content, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            value, place = content[place : place + length], place + length
        elif wire == 2:
            length, place = _varint(content, place)
            value, place = content[place : place + length], place + length
        else:
            raise ValueError(f"wire type {wire}")
        if place > len(content):
            raise ValueError("it ends too early")
        yield key >> 3, value


def _varint(content: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError("a number without an end")


def _only(fields: dict[int, list[Any]], number: int, what: str) -> bytes:
    values = fields.get(number, [])
    if len(values) != 1 or not isinstance(values[0], bytes):
        raise SmoothNetError(f"it has {len(values)} times a {what}, not once")
    return values[0]


def _text(fields: dict[int, list[Any]], number: int) -> str:
    value = fields.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise ValueError("a text was expected")
    return value.decode("utf-8")


def _number(fields: dict[int, list[Any]], number: int) -> int:
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise ValueError("a number was expected")
    return value
