# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Checkpoints: ours, the published ones and mmpose's, read without running anything they contain."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.unpickle import refuse_bomb
from .bank import window_overlap
from .kinds import channel_network, find_kind, kind_of, window_of
from .plain import named_in
from .safetensors_file import is_safetensors, read_safetensors, write_safetensors
from .trial import PROBE_DIMS, check_answer, check_known


def _numpy_scalars() -> Any:
    """Let torch's restricted unpickler read numpy scalars, which published checkpoints hold as `performance`."""

    def scalar_of(module: str) -> Any:
        """What stands for `scalar` of this module: numpy's own takes dtypes of any kind."""

        def scalar(dtype: Any, content: Any) -> Any:
            if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf" or not isinstance(content, bytes):
                raise pickle.UnpicklingError("a numpy scalar of an unexpected kind")
            return np.frombuffer(content, dtype.str, 1)[0]

        scalar.__module__, scalar.__qualname__ = module, "scalar"
        return scalar

    names = [
        *map(scalar_of, ("numpy.core.multiarray", "numpy._core.multiarray")),  # before NumPy 2 and since
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    ]
    if hasattr(torch.serialization, "safe_globals"):
        return torch.serialization.safe_globals(names)
    torch.serialization.add_safe_globals(names)  # PyTorch 2.4 knows them for the whole process or not at all
    return nullcontext()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint, or safetensors, onto the CPU as a dict with at least "state_dict".

    Accepts {"state_dict": ...} (ours, the published ones, mmpose's), a bare state_dict, and keys that begin with
    "module." as DataParallel writes them. Only tensors, numbers, text and plain containers are read.

    Raises:
        SmoothNetError: missing, damaged, or holding anything else.
    """
    path = Path(path)
    if path.is_dir():
        raise SmoothNetError(f"the checkpoint {path} is a folder; name a file in it")
    if not path.is_file():
        raise SmoothNetError(f"the checkpoint {path} does not exist")
    if is_safetensors(path):
        content = read_safetensors(path)
        return content | {"state_dict": {key: torch.from_numpy(value) for key, value in content["state_dict"].items()}}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                for member in file.infolist():
                    refuse_bomb(member, f"{member.filename} in the checkpoint {path}")
        with _numpy_scalars(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # what PyTorch finds odd in a foreign file is refused below, in one sentence
            content = torch.load(path, map_location="cpu", weights_only=True)
    except SmoothNetError:
        raise
    except (pickle.UnpicklingError, LookupError) as error:  # LookupError: a text file
        named = str(error).partition("GLOBAL ")[2].split()
        if not named:  # PyTorch's text tells to read the file without its guard
            raise SmoothNetError(
                f"{path} is no checkpoint that weights alone can be read from; name a .pth.tar or .safetensors file"
            ) from error
        raise SmoothNetError(
            f"the checkpoint {path} was refused: it asks for {named[0]}; only weights are read from it"
        ) from error
    except Exception as error:  # a damaged file fails in any way at all
        reason = " ".join(str(error).split()) or "it ends too early"
        raise SmoothNetError(
            f"{path} is not a readable checkpoint ({reason[:200]}); copy or download it again"
        ) from error
    bare = isinstance(content, Mapping) and all(isinstance(value, torch.Tensor) for value in content.values())
    if bare and content:
        content = {"state_dict": content}
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        raise SmoothNetError(f"{path} is not a SmoothNet checkpoint: it has no state_dict")
    state = {str(key).removeprefix("module."): value for key, value in content["state_dict"].items()}
    size = path.stat().st_size
    for key, value in state.items():  # a view of one number can pretend to be a matrix of any size
        if isinstance(value, torch.Tensor) and (
            value.layout != torch.strided
            or value.device.type != "cpu"
            or value.is_complex()
            or value.numel() * value.element_size() > size
        ):
            raise SmoothNetError(
                f"the checkpoint {path} was refused: its {key} is no plain array of real numbers in the file"
            )
    return {**content, "state_dict": state}


def arrays_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint with its weights as float32 arrays.

    Raises:
        SmoothNetError: one of them is no tensor.
    """
    state = content["state_dict"]
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise SmoothNetError(f"its {key} is no tensor")
    return {**content, "state_dict": {key: value.detach().float().numpy() for key, value in state.items()}}


def load_model(path: str | Path, window_size: int | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a checkpoint, of whatever kind it names, on the CPU and ready for inference.

    Args:
        window_size: the window that was asked for; None takes the checkpoint's.

    Returns:
        the network and what else is known: "epoch" (0 if unknown), "normalize" ("none" or "body"), and "taper" and
        "step", see window_overlap.

    Raises:
        SmoothNetError: as read_checkpoint; an unknown kind; weights that are not of it, or that smooth nothing (see
            check_answer); another window than the one asked for.
    """
    checkpoint = read_checkpoint(path)
    normalize, epoch = checkpoint.get("normalize", "none"), checkpoint.get("epoch")
    try:
        model = find_kind(named_in(checkpoint)).load(checkpoint).eval()
        size = window_of(model)
        check_known(normalize, size, window_size)
        for name, value in model.state_dict().items():
            if not torch.isfinite(value).all():
                raise SmoothNetError(f"it has NaN or infinite weights in {name}")
        # A SmoothNet does not know: evaluation, whatever the weights, is that of the published ones.
        taper, step = window_overlap(checkpoint, size)
        if kind_of(model)[1].by_joint:
            taper, step = kind_of(model)[1].taper(model), kind_of(model)[1].step(model)
        with torch.no_grad():
            run = channel_network(model, "none", PROBE_DIMS)
            check_answer(lambda windows: run(torch.from_numpy(windows)).numpy(), size)
    except SmoothNetError as error:
        raise SmoothNetError(f"the checkpoint {path}: {error}") from error
    epoch = epoch if isinstance(epoch, int) else 0
    return model, {"epoch": epoch, "normalize": normalize, "taper": taper, "step": step}


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint, all or nothing: readers see the old file or the whole new one. Its tensors go to the CPU.

    A name that ends in .safetensors gets that, with the weights and what goes with them; see write_safetensors.
    """
    if is_safetensors(path):
        write_safetensors(path, arrays_of(_on_cpu(dict(content))))
        return
    with atomic_write(path) as file:
        try:
            torch.save(_on_cpu(dict(content)), file)
        except RuntimeError as error:  # PyTorch's end of a file whose disk was full before
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(item) for key, item in value.items()}
    return type(value)(map(_on_cpu, value)) if type(value) in (list, tuple) else value


def publishable(checkpoint: Mapping[str, Any], sigma: float = 0.0) -> dict[str, Any]:
    """What others need of a training checkpoint: weights and settings without the optimiser, a tenth of the size.

    Args:
        sigma: frames; above 0, a Gaussian low-pass over the window (its weights normalised at the ends) follows the
            decoder. It is linear, so it becomes part of the decoder's weights: same keys, shapes and cost.

    Raises:
        SmoothNetError: a low-pass for a network without such a decoder.
    """
    state = dict(checkpoint["state_dict"])
    if sigma > 0:
        if "decoder.weight" not in state:
            raise SmoothNetError("a Gaussian goes into the decoder of a SmoothNet, which this network is not")
        frames = torch.arange(state["decoder.weight"].shape[0], dtype=torch.float64)
        gauss = torch.exp(-0.5 * ((frames[:, None] - frames) / sigma) ** 2)
        gauss /= gauss.sum(1, keepdim=True)
        for key in ("decoder.weight", "decoder.bias"):
            state[key] = (gauss @ state[key].double()).float()
    kept = {key: checkpoint[key] for key in ("epoch", "normalize", "model") if key in checkpoint}
    if "config" in checkpoint:
        kept["config"] = _without_folders(checkpoint["config"])
    return {**kept, "state_dict": state, "decoder_sigma": sigma or checkpoint.get("decoder_sigma", 0.0)}


def _without_folders(settings: Any) -> Any:
    """The settings with the names of files, but not where they lie on somebody's machine."""
    if isinstance(settings, Mapping):
        return {key: _without_folders(value) for key, value in settings.items()}
    if isinstance(settings, str) and "/" in settings:
        return ",".join(Path(part).name for part in settings.split(","))
    return settings
