# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Weights as safetensors, with what else is known of the network in the header; read and written with numpy alone.

The format (github.com/huggingface/safetensors): 8 bytes, the length of the header, little-endian; the header, JSON,
name -> {"dtype", "shape", "data_offsets"}, with text -> text under "__metadata__"; then the numbers, one array after
the other, row by row. The metadata here: kind, normalize, epoch, the settings that do not follow from the weights'
shapes (see `GeneralSmoother`), and, for people, decoder_sigma (see `publishable`) and the settings of the training, as
JSON, under config.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write, read_bounded

SUFFIX = ".safetensors"
LARGEST = 2**30  # bytes of a file
LARGEST_HEADER = 2**20
MOST_ARRAYS = 10_000
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
TEXTS = ("kind", "normalize", "taper", "config", "format", "decoder_sigma")  # metadata that are no numbers


def is_safetensors(path: str | Path) -> bool:
    """Whether a file is taken for one, by its name."""
    return Path(path).suffix.lower() == SUFFIX


def read_safetensors(path: str | Path) -> dict[str, Any]:
    """The content of a file as that of a checkpoint: "state_dict" (float32 arrays), "model", "normalize", "epoch".

    Raises:
        SmoothNetError: the file cannot be read, is damaged, or holds anything but finite floats.
    """
    raw = read_bounded(path, LARGEST, "no weights of ours are")
    try:
        header, data = _split(raw)
        metadata = _metadata(header.pop("__metadata__", {}))
        state = _arrays(header, data)
    except SmoothNetError as error:
        raise SmoothNetError(f"{path} is no usable safetensors file: {error}; copy or download it again") from error
    except (ValueError, RecursionError, UnicodeDecodeError) as error:
        raise SmoothNetError(f"{path} is not a readable safetensors file; copy or download it again") from error
    known: dict[str, Any] = {"normalize": metadata.pop("normalize", "none"), "epoch": metadata.pop("epoch", 0)}
    kind = metadata.pop("kind", "smoothnet")
    for name in ("config", "format", "decoder_sigma"):
        metadata.pop(name, None)
    return {**known, "model": {"name": kind, **metadata}, "state_dict": state}


def _split(raw: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(LARGEST_HEADER, len(raw) - 8):
        raise SmoothNetError("it has no header")
    header = json.loads(raw[8 : 8 + length].decode("utf-8"))
    if not isinstance(header, dict) or len(header) > MOST_ARRAYS:
        raise SmoothNetError("its header is no table of arrays")
    return header, memoryview(raw)[8 + length :]


def _metadata(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise SmoothNetError("its metadata are not text")
    known: dict[str, Any] = {}
    for key, value in given.items():
        if key not in TEXTS and not (value.isascii() and value.isdigit() and len(value) < 10):
            raise SmoothNetError(f"its {key[:40]} is no whole number but {value[:40]!r}")
        known[key] = value if key in TEXTS else int(value)
    return known


def _arrays(header: dict[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """The arrays, which must follow each other without gaps, as the format says."""
    places, state = [], {}
    for name, entry in header.items():
        try:
            dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
            whole = all(type(number) is int and number >= 0 for number in (*shape, first, last))
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole or len(shape) > 8:
            raise SmoothNetError(f"its {name[:80]!r} is no array")
        if dtype not in DTYPES:
            raise SmoothNetError(f"its {name[:80]!r} has the type {str(dtype)[:20]}; {', '.join(DTYPES)} are read")
        kind = np.dtype(DTYPES[dtype])
        if last - first != math.prod(shape) * kind.itemsize or last > len(data):
            raise SmoothNetError(f"its {name[:80]!r} has another size than its shape")
        places.append((first, last))
        array = np.frombuffer(data[first:last], kind).astype(np.float32).reshape(shape)
        if not np.isfinite(array).all():
            raise SmoothNetError(f"it has NaN or infinite weights in {name[:80]}")
        state[name] = array
    ends = [0, *(last for _, last in sorted(places))]
    if [first for first, _ in sorted(places)] != ends[:-1] or ends[-1] != len(data):
        raise SmoothNetError("its arrays do not fill it")
    return state


def write_safetensors(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write what `read_safetensors` reads: the content of a checkpoint whose "state_dict" holds arrays.

    Raises:
        SmoothNetError: it cannot be written.
    """
    settings = dict(content.get("model", {}))
    known = {"kind": settings.pop("name", "smoothnet"), "normalize": "none", "epoch": 0, **settings}
    known |= {key: content[key] for key in ("normalize", "epoch", "decoder_sigma") if content.get(key)}
    if "config" in content:
        known["config"] = json.dumps(content["config"], sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {key: str(value) for key, value in known.items()}}
    parts, place = [], 0
    for name, value in sorted(content["state_dict"].items()):
        array = np.ascontiguousarray(value, "<f4")
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        parts.append(array.tobytes())
        place += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers lie aligned
    with atomic_write(path) as file:
        file.write(b"".join([len(text).to_bytes(8, "little"), text, *parts]))
