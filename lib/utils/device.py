# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Every decision that depends on the device: sdaa, cuda or cpu. A new kind of device is a row of DEVICES.

Nothing else in the project names a device type or imports torch_sdaa. The sdaa parts follow the vendor's
documentation of torch_sdaa (a PrivateUse1 backend) for PyTorch 2.0 to 2.7.1.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from .errors import SmoothNetError

logger = logging.getLogger(__name__)

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
GIB = 2**30
BFLOAT16_PAYS = 1.5  # times as long as in float32, at most


@dataclass(frozen=True)
class Kind:
    """One kind of device, whose functions are in torch.<its name>.

    Attributes:
        distributed, compiler: its backends for torch.distributed and torch.compile.
        activities: names in torch.profiler.ProfilerActivity, of which the first that there is records it.
        plugin: the package whose import registers it with PyTorch, where PyTorch does not know it by itself.
        autocast: device -> the type of matrix products that pays under autocast, and why it is none, if so.
    """

    distributed: str
    compiler: str
    activities: tuple[str, ...] = ()
    plugin: str = ""
    autocast: Callable[[torch.device], tuple[torch.dtype | None, str]] = lambda device: (torch.bfloat16, "")


def _cuda_autocast(device: torch.device) -> tuple[torch.dtype | None, str]:
    return (torch.float16 if torch.cuda.get_device_capability(device) < (8, 0) else torch.bfloat16), ""


def _cpu_autocast(device: torch.device) -> tuple[torch.dtype | None, str]:
    reason = _slow_bfloat16()
    return (None if reason else torch.bfloat16), reason


DEVICES = {  # auto takes the first that is there; with the vendor's cuda migration torch.cuda claims to be, on sdaa
    "sdaa": Kind("tccl", "teco_inductor", ("SDAA", "PrivateUse1"), "torch_sdaa", lambda device: (torch.float16, "")),
    "cuda": Kind("nccl", "inductor", ("CUDA",), autocast=_cuda_autocast),
    "cpu": Kind("gloo", "inductor", autocast=_cpu_autocast),
}


@cache
def _import_plugin(name: str) -> str | None:
    """Import a package that registers a device with PyTorch; the reason as text if that fails.

    Once per process and only when asked for: the import takes time and prints a banner, which goes to stderr
    so that it cannot end up in the middle of a result on stdout.
    """
    try:
        with redirect_stdout(sys.stderr):
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return f"{name} is not installed; it comes with the vendor's Docker image"
        return f"importing {name} failed with {type(error).__name__}: {error}"
    except Exception as error:  # a broken installation raises OSError (missing libraries) and other things
        return f"importing {name} failed with {type(error).__name__}: {error}"
    return None


def _module(device: torch.device) -> Any:
    """The namespace of a device: torch.cpu, torch.cuda or torch.sdaa."""
    return getattr(torch, device.type)


def _count(kind: str) -> tuple[int, str]:
    """Number of devices of one kind, and why there is none."""
    if kind == "cpu":
        return 1, ""
    if DEVICES[kind].plugin:
        reason = _import_plugin(DEVICES[kind].plugin)
        if reason is not None:
            return 0, reason
    try:
        module = getattr(torch, kind)
        count = module.device_count() if module.is_available() else 0
    except Exception as error:  # drivers report their absence in many ways
        return 0, f"looking for cards failed with {type(error).__name__}: {error}"
    if count:
        return count, ""
    if kind == "cuda" and torch.version.cuda is None and torch.version.hip is None:
        return 0, f"this PyTorch ({torch.__version__}) was built without cuda"
    return 0, "no card was found; check the driver and that the card is passed into the container"


def split_device_name(name: str) -> tuple[str, int | None]:
    """The kind and the index of a device name: "sdaa:1" -> ("sdaa", 1), "auto" -> ("auto", None).

    Raises:
        SmoothNetError: `name` is none of auto, cpu, cuda[:N], sdaa[:N].
    """
    kind, colon, index = str(name).strip().lower().partition(":")
    numbered = kind in DEVICES and kind != "cpu"
    if (kind not in DEVICES and kind != "auto") or (colon and not (numbered and re.fullmatch(r"[0-9]{1,9}", index))):
        known = ", ".join(kind if kind == "cpu" else f"{kind}, {kind}:N" for kind in DEVICES)
        raise SmoothNetError(f"--device {name!r} is not one of {known}, auto")
    return kind, int(index) if colon else None


def select_device(name: str, local_rank: int = 0) -> torch.device:
    """The device called `name`, checked to be there and made the current one.

    Args:
        name: "sdaa", "sdaa:1", "cuda", "cuda:0", "cpu", or "auto": the first of sdaa, cuda, cpu there is.
        local_rank: number of this process on its machine; the device's index if `name` has none.

    Raises:
        SmoothNetError: a device named explicitly is not there. There is no fallback to another kind.
    """
    kind, index = split_device_name(name)
    if index is not None and local_rank > 0:
        raise SmoothNetError(f"--device {name} names one device but several processes run; write --device {kind}")
    if kind == "auto":
        kind = next(kind for kind in DEVICES if _count(kind)[0])
        for other in itertools.takewhile(lambda other: other != kind, DEVICES):
            if DEVICES[other].plugin and importlib.util.find_spec(DEVICES[other].plugin) is not None:
                logger.warning("%s is left out: %s", other, _count(other)[1])
    if kind == "cpu":
        return torch.device("cpu")
    count, reason = _count(kind)
    if not count:
        raise SmoothNetError(f"--device {name}: {reason}")
    index = local_rank if index is None else index
    if index >= count:
        raise SmoothNetError(f"--device {name}: there is no {kind}:{index}, only {kind}:0 to {kind}:{count - 1}")
    device = torch.device(kind, index)
    _module(device).set_device(device)
    return device


def describe_device(device: torch.device) -> str:
    """Name and memory, for people: "cuda:0 (NVIDIA H200, 139.8 GiB)"."""
    if device.type == "cpu":
        name = platform.processor() or platform.machine()
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
        threads = f", {torch.get_num_threads()} threads"
    else:
        module = _module(device)
        name = module.get_device_name(device.index) if hasattr(module, "get_device_name") else device.type
        total = getattr(module.get_device_properties(device.index), "total_memory", None)
        threads = ""
    memory = "" if total is None else f", {total / GIB:.1f} GiB"
    return f"{device} ({name}{threads}{memory})"


def apply_cudnn(device: torch.device, enabled: bool, benchmark: bool, deterministic: bool) -> bool:
    """Set cudnn's switches where the device computes with it; False where it has none."""
    if device.type != "cuda":
        return False
    cudnn = torch.backends.cudnn
    cudnn.enabled, cudnn.benchmark, cudnn.deterministic = enabled, benchmark, deterministic
    return True


def autocast_dtype(device: torch.device, requested: str = "auto") -> torch.dtype | None:
    """The type that matrix products use under autocast; None where nothing but float32 pays, which is logged.

    "auto" is float16 on sdaa (bfloat16 is emulated there and clipped to +-65407), bfloat16 on cuda devices that have it
    (compute capability 8), float16 on older ones, and on the cpu bfloat16 where the processor multiplies it fast.
    "float16" and "bfloat16" are obeyed.
    """
    if requested != "auto":
        if requested not in DTYPES:
            raise SmoothNetError(f"TRAIN.AUTOCAST_DTYPE must be auto, float16 or bfloat16, not {requested!r}")
        return DTYPES[requested]
    dtype, reason = DEVICES[device.type].autocast(device)
    if dtype is None:
        logger.warning("autocast: float32 is used on the %s, since %s", device.type, reason)
    return dtype


@cache
def _slow_bfloat16() -> str:
    """Why bfloat16 products do not pay on this processor; empty where they do.

    Flags alone do not tell: PyTorch calls bfloat16 supported on every processor with AVX-512, but those without its
    bfloat16 instructions take five times as long as in float32. So products of the usual size are timed, with a
    threshold that lies far from what was seen on either kind (0.4 to 0.8, and 5).
    """
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if supported is None or not supported():
        return "this processor has no bfloat16 instructions that PyTorch uses"
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    with torch.autocast("cpu", enabled=False), torch.no_grad():
        x, w = torch.ones(1024, 512), torch.ones(128, 512)
        for _ in range(7):
            for dtype, times in seconds.items():
                a, b = x.to(dtype), w.to(dtype)
                start = time.perf_counter()
                torch.nn.functional.linear(a, b)
                times.append(time.perf_counter() - start)
    ratio = min(seconds[torch.bfloat16]) / min(seconds[torch.float32])
    return f"bfloat16 products take {ratio:.1f} times as long on this processor" if ratio > BFLOAT16_PAYS else ""


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager:
    """Mixed precision, if any, for what runs inside, by the device's name: autocast("cuda") does nothing on sdaa."""
    return nullcontext() if dtype is None else torch.autocast(device_type=device.type, dtype=dtype)


def make_grad_scaler(device: torch.device, enabled: bool, init_scale: float = 65536.0) -> Any:
    """A gradient scaler, which float16 needs; with `enabled` false it passes everything through.

    It has scale, unscale_, step, update, get_scale, state_dict and load_state_dict.
    """
    amp = getattr(_module(device), "amp", None) if DEVICES[device.type].plugin else None
    if amp is not None and hasattr(amp, "GradScaler"):
        return amp.GradScaler(init_scale=init_scale, enabled=enabled)
    return torch.amp.GradScaler(device.type, init_scale=init_scale, enabled=enabled)


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A cpu tensor on the device, copied from page-locked memory so that the host does not wait for it."""
    if tensor.device.type == device.type:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def synchronize(device: torch.device) -> None:
    """Wait until everything queued on the device is done. Call it before reading a clock."""
    if device.type != "cpu":
        _module(device).synchronize()


def manual_seed(device: torch.device, seed: int) -> None:
    """Seed the cpu's and this device's global generators: dropout draws from the device's."""
    torch.manual_seed(seed)
    if device.type != "cpu":
        _module(device).manual_seed(seed)


def rng_state(device: torch.device) -> torch.Tensor:
    """State of the generator that dropout on this device draws from, a uint8 tensor on the cpu."""
    if device.type == "cpu":
        return torch.get_rng_state()
    return _module(device).get_rng_state(device.index).cpu()


def set_rng_state(device: torch.device, state: torch.Tensor) -> None:
    """Put back what rng_state returned on a device of the same type."""
    state = state.cpu()
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        _module(device).set_rng_state(state, device.index)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that tensors held on the device since reset_peak_memory; None for the cpu, uncounted."""
    counter = getattr(_module(device), "max_memory_allocated", None) if device.type != "cpu" else None
    return None if counter is None else int(counter(device.index))


def reset_peak_memory(device: torch.device) -> None:
    """Start counting peak_memory anew."""
    if device.type != "cpu":
        module = _module(device)
        for name in ("reset_peak_memory_stats", "reset_max_memory_allocated"):  # sdaa may lack the first
            if hasattr(module, name):
                getattr(module, name)(device.index)
                return


def memory_free(device: torch.device) -> int | None:
    """Bytes that are free on the device; None for the cpu and where it cannot be asked."""
    query = getattr(_module(device), "mem_get_info", None) if device.type != "cpu" else None
    return None if query is None else int(query(device.index)[0])


def distributed_backend(device: torch.device) -> str:
    """The torch.distributed backend of a device; always named, since a default would not know sdaa's."""
    return DEVICES[device.type].distributed


def compile_backend(device: torch.device) -> str:
    """The torch.compile backend of a device."""
    return DEVICES[device.type].compiler


def compiled(model: torch.nn.Module, device: torch.device) -> Callable[..., torch.Tensor]:
    """The network, compiled for a device when it is first called.

    Raises:
        SmoothNetError: by the call, if it cannot be compiled, as without a C++ compiler.
    """
    network = torch.compile(model, backend=compile_backend(device))

    def call(*args: Any, **kwargs: Any) -> torch.Tensor:
        try:
            return network(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(getattr(error, "inner_exception", error)).split())[:200]
            raise SmoothNetError(
                f"{device} cannot compile the network ({reason}); train without TRAIN.COMPILE"
            ) from error

    return call


def profiler_activities(device: torch.device) -> list[torch.profiler.ProfilerActivity]:
    """What torch.profiler records: the host, and the device's own activity."""
    known = torch.profiler.ProfilerActivity
    own = [getattr(known, name) for name in DEVICES[device.type].activities if hasattr(known, name)]
    return [known.CPU, *own[:1]]


@contextmanager
def explain_out_of_memory(device: torch.device, advice: str) -> Iterator[None]:
    """Turn an error that says that memory ran out into a SmoothNetError with `advice`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise SmoothNetError(f"{device} ran out of memory: {advice}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's or the host's memory ran out."""
    kinds = (MemoryError, getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError))
    text = str(error).lower()
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )
