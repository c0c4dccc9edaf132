# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""TEST CODE: a stand-in for the vendor's torch_sdaa. It runs on the cpu and says nothing about the hardware.

It registers a PrivateUse1 device called "sdaa" whose tensors hold a cpu tensor and run every operation on it,
so that the real scripts can be run with `--device sdaa` where there is no such device. It is stricter than it
has to be, to catch in tests what might fail on a card:

- operations that mix cpu and sdaa tensors raise (0-dimensional cpu tensors excepted), indices included;
- float64 and what is said to be missing on the device (SVD, determinants, eigenvalues) raise;
- sdaa tensors cannot be pickled: checkpoints have to hold cpu tensors;
- the device has random numbers of its own, apart from the cpu's;
- tensors on sdaa:N all say sdaa:0, since the autograd engine knows one index of a device written in Python;
- an allocation larger than SDAA_STANDIN_MEMORY bytes (if set) raises "out of memory".

Needs torch.utils.backend_registration._setup_privateuseone_for_python_backend, that is a recent PyTorch.
"""

from __future__ import annotations

import os
import re
import types
import weakref

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_flatten, tree_map

print("-" * 30)
print("torch_sdaa STAND-IN for tests")
print("-" * 30)

DEVICE_COUNT = 4
TOTAL_MEMORY = 16 * 2**30
FORBIDDEN = re.compile("svd|linalg_det|slogdet|linalg_eig|linalg_qr|lstsq|pinv")
COPIES = ("aten::copy_", "aten::_to_copy", "aten::_copy_from", "aten::_copy_from_and_resize")

current = 0
allocated = peak = 0
transfers = 0  # tensors that went between the cpu and the device, numbers read from it included
alive: set[int] = set()  # data pointers of the storages counted in `allocated`


class SdaaTensor(torch.Tensor):
    """A tensor that says it is on sdaa:0 and holds its values in a cpu tensor, `held`."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        if held.dtype in (torch.float64, torch.complex128):
            raise RuntimeError("sdaa does not support float64 (stand-in)")
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device("sdaa", 0),
        )
        tensor.held = held
        count_memory(held)
        return tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        if torch.is_inference_mode_enabled():  # a wrapper cannot be a view of one from outside that mode
            with torch.inference_mode(False):
                return run(function, args, kwargs or {})
        return run(function, args, kwargs or {})

    def __reduce_ex__(self, protocol):
        raise RuntimeError("an sdaa tensor was about to be pickled: copy it to the cpu first (stand-in)")

    def __repr__(self):
        return f"SdaaTensor({self.held!r}, device={self.device})"


def count_memory(held: torch.Tensor) -> None:
    global allocated, peak
    storage = held.untyped_storage()
    size, address = storage.nbytes(), storage.data_ptr()
    limit = int(os.environ.get("SDAA_STANDIN_MEMORY", TOTAL_MEMORY))
    if size > limit:
        raise RuntimeError(f"SDAA out of memory: tried to allocate {size} bytes of {limit} (stand-in)")
    if address in alive or not size:
        return
    alive.add(address)
    allocated += size
    peak = max(peak, allocated)
    weakref.finalize(storage, release, address, size)


def release(address: int, size: int) -> None:
    global allocated
    alive.discard(address)
    allocated -= size


def run(function, args, kwargs):
    """Run one aten operation on the held cpu tensors and wrap what comes out."""
    global transfers
    name = function._schema.name
    if FORBIDDEN.search(name):
        raise NotImplementedError(f"sdaa has no {name} (stand-in)")
    inputs = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    wrappers = [x for x in inputs if isinstance(x, SdaaTensor)]
    places = {x.device.type for x in inputs if isinstance(x, SdaaTensor) or x.dim()}
    if len(places) > 1 and name not in COPIES:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, found {sorted(places)} in {name} (stand-in)"
        )
    target = wrappers[0].device if wrappers else None
    to = torch.device(kwargs["device"]) if kwargs.get("device") is not None else target
    transfers += name == "aten::_local_scalar_dense" or (name in COPIES and (len(places) > 1 or {to.type} != places))
    if kwargs.get("device") is not None:
        target = torch.device(kwargs["device"])
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    if name == "aten::copy_":
        target = args[0].device
    by_id = {id(x.held): x for x in wrappers}
    unwrapped = tree_map(lambda x: x.held if isinstance(x, SdaaTensor) else x, (args, kwargs))
    outputs = with_device_generator(function, *unwrapped)
    if name == "aten::_to_copy" and target.type == "cpu" and outputs is args[0].held:
        outputs = outputs.clone()

    def wrap(x):
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) in by_id:  # changed in place
            wrapper = by_id[id(x)]
            if wrapper.shape != x.shape:
                raise NotImplementedError(f"{name} changes a shape in place (stand-in)")
            return wrapper
        if any(x is y for y in inputs) or target is None or target.type == "cpu":
            return x
        return SdaaTensor(x)

    return tree_map(wrap, outputs)


def with_device_generator(function, args, kwargs):
    """Run a cpu operation; if it draws random numbers, from the device's generator instead of the cpu's."""
    if torch.Tag.nondeterministic_seeded not in function.tags or kwargs.get("generator") is not None:
        return function(*args, **kwargs)
    cpu_state = torch.get_rng_state()
    torch.set_rng_state(rng_states[current])
    try:
        return function(*args, **kwargs)
    finally:
        rng_states[current] = torch.get_rng_state()
        torch.set_rng_state(cpu_state)


def seeded_state(seed: int) -> torch.Tensor:
    return torch.Generator().manual_seed(seed + 1).get_state()  # + 1: not the cpu's numbers


rng_states = [seeded_state(0) for _ in range(DEVICE_COUNT)]


def index_of(device=None) -> int:
    if device is None:
        return current
    if isinstance(device, int):
        index = device
    else:
        index = torch.device(device).index
        index = current if index is None else index
    if not 0 <= index < DEVICE_COUNT:
        raise RuntimeError(f"invalid sdaa device {device} (stand-in)")
    return index


def set_device(device) -> None:
    global current
    current = index_of(device)


def manual_seed_all(seed: int) -> None:
    rng_states[:] = [seeded_state(seed) for _ in range(DEVICE_COUNT)]


def manual_seed(seed: int) -> None:
    rng_states[current] = seeded_state(seed)


def set_rng_state(state: torch.Tensor, device=None) -> None:
    rng_states[index_of(device)] = state.clone()


def reset_max_memory_allocated(device=None) -> None:
    global peak
    peak = allocated


class GradScaler(torch.amp.GradScaler):
    """PyTorch's scaler without its one float64 operation on the device."""

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        super().__init__("sdaa", init_scale, growth_factor, backoff_factor, growth_interval, enabled)

    def unscale_(self, optimizer):
        if not self._enabled:
            return
        state = self._per_optimizer_states[id(optimizer)]
        found = torch.zeros((), dtype=torch.float32, device=self._scale.device)
        state["found_inf_per_device"] = self._unscale_grads_(optimizer, self._scale.reciprocal(), found, False)
        state["stage"] = torch.amp.grad_scaler.OptState.UNSCALED


module = types.ModuleType("torch.sdaa")
module.is_available = lambda: True
module.is_initialized = lambda: True
module._is_in_bad_fork = lambda: False
module.device_count = lambda: DEVICE_COUNT
module.set_device = set_device
module.current_device = lambda: current
module.synchronize = lambda device=None: None
module.get_device_name = lambda device=None: "stand-in for tests"
module.get_device_properties = lambda device=None: types.SimpleNamespace(total_memory=TOTAL_MEMORY)
module.mem_get_info = lambda device=None: (TOTAL_MEMORY - allocated, TOTAL_MEMORY)
module.manual_seed = manual_seed
module.manual_seed_all = manual_seed_all
module.get_rng_state = lambda device=None: rng_states[index_of(device)].clone()
module.set_rng_state = set_rng_state
module.get_rng_state_all = lambda: [state.clone() for state in rng_states]
module.empty_cache = lambda: None
module.memory_allocated = lambda device=None: allocated
module.max_memory_allocated = lambda device=None: peak
module.reset_max_memory_allocated = reset_max_memory_allocated
module.is_bf16_supported = lambda: True
module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
module.amp = types.SimpleNamespace(GradScaler=GradScaler)

backend_registration._setup_privateuseone_for_python_backend("sdaa", backend_module=module)

# Factories and copies from the cpu reach the device through its dispatch key; all else through SdaaTensor.
everything = torch.library.Library("_", "IMPL")
everything.fallback(
    lambda function, *args, **kwargs: SdaaTensor.__torch_dispatch__(function, (), args, kwargs), "PrivateUse1"
)
everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")

# These would resize an empty tensor in place, which a wrapper cannot follow.
factories = torch.library.Library("aten", "IMPL")
for overload in (
    "arange",
    "arange.start",
    "arange.start_step",
    "randperm",
    "randperm.generator",
    "linspace",
    "eye",
):
    packet, _, name = overload.partition(".")
    function = getattr(getattr(torch.ops.aten, packet), name or "default")
    rule = lambda *args, function=function, **kwargs: run(function, args, kwargs)  # noqa: E731
    factories.impl(overload, rule, "PrivateUse1")


def copy_from(source, target, non_blocking=False):
    """What torch.tensor(..., device="sdaa") ends in; it comes with the Python dispatch key switched off."""
    target.held.copy_(source.held if isinstance(source, SdaaTensor) else source)
    return target


factories.impl("_copy_from", copy_from, "PrivateUse1")

torch.Tensor.pin_memory = lambda self, device=None: self.clone()

LOW_PRECISION = ("linear", "matmul", "mm", "bmm", "addmm", "baddbmm")
FULL_PRECISION = ("l1_loss", "mse_loss", "smooth_l1_loss", "exp", "log", "softmax.int", "sum", "norm.Scalar")
autocast_key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
autocast_rules = torch.library.Library("aten", "IMPL")


def register_autocast(operation: str, full: bool) -> None:
    packet, _, overload = operation.partition(".")
    function = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def rule(*args, **kwargs):
        dtype = torch.float32 if full else torch.get_autocast_dtype("sdaa")
        cast = lambda x: x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x  # noqa: E731
        with torch._C._ExcludeDispatchKeyGuard(autocast_key):
            args, kwargs = tree_map(cast, (args, kwargs))
            return function(*args, **kwargs)

    autocast_rules.impl(operation, rule, "AutocastPrivateUse1")


for operation in LOW_PRECISION + FULL_PRECISION:
    register_autocast(operation, operation in FULL_PRECISION)


def register_distributed() -> None:
    """The backend "tccl" for torch.distributed: gloo on the held cpu tensors."""
    import torch.distributed as dist

    if dist.is_available():
        create = lambda store, rank, size, timeout: dist.ProcessGroupGloo(store, rank, size, timeout)  # noqa: E731
        dist.Backend.register_backend("tccl", create, devices=["cpu", "sdaa"])


register_distributed()
