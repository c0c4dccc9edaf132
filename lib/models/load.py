# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From a file of weights to a network that runs: in numpy, in torch on a device, or an exported model in onnxruntime.

On the CPU the networks of plain.py run, also where torch is installed: benchmarks/run.py compares the two. Torch is
imported for what was written with it (.pth.tar), for kinds that have no form in numpy, and for other devices.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .network import Network
from .onnx_file import read_onnx
from .plain import PLAIN, named_in
from .safetensors_file import is_safetensors, read_safetensors
from .trial import check_answer, check_known


def load_network(path: str | Path, device: str = "cpu", window: int | None = None) -> Network:
    """Load weights: .onnx for onnxruntime; .safetensors, which needs numpy alone; anything else as a torch checkpoint.

    Args:
        device: cpu; auto, which stays on the cpu until there is much to do, see `Network.elsewhere`; any other of
            select_device, which needs torch.

    Raises:
        SmoothNetError: as checkpoints.load_model; a model that was not exported here; a package is
            missing.
    """
    path, device = Path(path), str(device).strip().lower()
    if not path.is_file():
        raise SmoothNetError(f"the checkpoint {path} does not exist")
    if path.suffix.lower() == ".onnx":
        return _load_onnx(path, device, window)
    if device not in ("cpu", "auto"):
        _need_torch(f"--device {device} needs PyTorch")
        return _load_torch(path, device, window)
    if is_safetensors(path):
        content = read_safetensors(path)
    else:
        _need_torch(f"PyTorch is needed to read {path}, which it wrote; or convert the file to .safetensors or .onnx")
        from .checkpoints import arrays_of, read_checkpoint

        content = read_checkpoint(path)
    if named_in(content) not in PLAIN:
        _need_torch(f"{path} holds a network that needs PyTorch")
        return _load_torch(path, device, window)
    try:
        network = _load_plain(content if is_safetensors(path) else arrays_of(content), window)
    except SmoothNetError as error:
        raise SmoothNetError(f"the checkpoint {path}: {error}") from error
    if device == "auto" and importlib.util.find_spec("torch") is not None:
        network.elsewhere = cache(partial(_load_torch, path, device, window))
    return network


def _need_torch(why: str) -> None:
    """Say what needs torch where it is not installed."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SmoothNetError(f"{why}: pip install torch (see pytorch.org for your device)") from error


def _load_plain(content: Mapping[str, Any], window: int | None) -> Network:
    """The network of a checkpoint's content, in numpy."""
    for name, value in content["state_dict"].items():
        if not np.isfinite(value).all():
            raise SmoothNetError(f"it has NaN or infinite weights in {name}")
    network = PLAIN[named_in(content)](content)
    check_known(network.normalize, network.window, window)
    check_answer(network.run, network.window)
    return network


def _load_torch(path: Path, device: str, window: int | None) -> Network:
    import torch

    from ..utils.device import select_device
    from .checkpoints import load_model
    from .kinds import channel_network, kind_of, window_of

    model, metadata = load_model(path, window)
    place = select_device(device)
    model = model.to(place)
    kind = kind_of(model)[1]
    smooth = channel_network(model, "none", 1)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(place)

    def run(windows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return smooth(tensor(windows)).cpu().numpy()

    def people(windows: np.ndarray, shown: np.ndarray | None, strength: float, fps: float) -> np.ndarray:
        n, joints, dims, frames = windows.shape
        with torch.inference_mode():
            flat = tensor(windows.reshape(n, joints * dims, frames))
            network = channel_network(model, "none", dims, None if shown is None else tensor(shown), strength, fps)
            return network(flat).cpu().numpy().reshape(windows.shape)

    return Network(
        run,
        window_of(model),
        metadata["normalize"],
        model,
        place,
        people=people if kind.by_joint else None,
        taper=metadata["taper"],
        step=metadata["step"],
        strongest=kind.strongest,
    )


def _load_onnx(path: Path, device: str, window: int | None) -> Network:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise SmoothNetError(f"onnxruntime is needed to run {path}: pip install onnxruntime") from error
    wanted = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider"]}
    wanted["auto"] = wanted["cuda"] + wanted["cpu"]
    kind, _, card = device.partition(":")
    providers: list[Any] = [name for name in wanted.get(kind, []) if name in onnxruntime.get_available_providers()]
    if card and kind == "cuda" and card.isdecimal():
        providers = [(name, {"device_id": card}) for name in providers]
    elif card:
        providers = []
    if not providers:
        raise SmoothNetError(f"this onnxruntime cannot run {path} on {device}; use the device cpu")
    file = read_onnx(path)
    metadata, size = file.metadata, file.window
    try:
        session = onnxruntime.InferenceSession(file.content, providers=providers)
    except Exception as error:  # onnxruntime has its own exceptions for every kind of damage
        reason = " ".join(str(error).split())[:200]
        raise SmoothNetError(f"{path} is not a readable ONNX model ({reason}); export it again") from error
    normalize = metadata.get("normalize", "")
    if normalize not in ("none", "body"):
        raise SmoothNetError(f"{path} names an unknown normalisation {normalize!r}; export it again")
    if window not in (None, size):
        raise SmoothNetError(f"{path} has a window of {size} frames, but {window} was asked for")

    def answer(*inputs: np.ndarray) -> np.ndarray:
        arrays = (np.ascontiguousarray(array, dtype=np.float32) for array in inputs)
        return session.run(None, dict(zip(names, arrays, strict=True)))[0]

    names = [given.name for given in session.get_inputs()]

    def people(windows: np.ndarray, shown: np.ndarray | None, strength: float, fps: float) -> np.ndarray:
        shown = np.ones(windows.shape[:2]) if shown is None else shown
        return answer(*(windows, shown, np.array(strength), np.array(fps))[: len(names)])  # older ones ask no fps

    seen_whole = file.kind == "general"  # all joints of a person at once

    def run(windows: np.ndarray) -> np.ndarray:
        return people(windows[:, :, None], None, 1.0, 0.0)[:, :, 0] if seen_whole else answer(windows)

    try:
        check_answer(run, size)
    except SmoothNetError as error:
        raise SmoothNetError(f"{path}: {error}") from error
    except Exception as error:  # other inputs, types, operators: found out on the first run
        reason = " ".join(str(error).split())[:200]
        raise SmoothNetError(f"{path} cannot smooth windows of {size} frames ({reason}); export it again") from error
    if not seen_whole and "taper" not in metadata:
        return Network(run, size, normalize)
    try:
        taper = np.array([float(number) for number in metadata["taper"].split()])
        step, strongest = int(metadata["step"]), float(metadata.get("strongest", 1))
        if taper.shape != (size,) or not (taper > 0).all() or not 1 <= step <= size or not 1 <= strongest < np.inf:
            raise ValueError("they do not fit the window")
    except (KeyError, ValueError) as error:
        raise SmoothNetError(f"{path} does not say how its windows overlap ({error}); export it again") from error
    by_joint = people if seen_whole else None
    return Network(run, size, normalize, people=by_joint, taper=taper, step=step, strongest=strongest)
