"""Several processes, one per device, as torchrun starts them. With one process it all does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from .device import distributed_backend
from .errors import SmoothNetError

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)  # for processes that hang; one that dies ends the others at once


def local_rank() -> int:
    """Number of this process on its machine: 0 without torchrun."""
    return int(os.environ.get("LOCAL_RANK", 0))


def launched_rank() -> int:
    """Number of this process among all, before they have joined: 0 without torchrun."""
    return int(os.environ.get("RANK", 0))


@dataclass(frozen=True)
class World:
    """The processes that work together.

    Attributes:
        rank, size: number of this process, and how many there are.
        host: group for objects and flags in host memory; the device's backend need not know cpu tensors.
    """

    rank: int = 0
    size: int = 1
    host: Any = None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over the processes; it starts from rank 0's weights."""
        return module if self.size == 1 else nn.parallel.DistributedDataParallel(module)

    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank, on rank 0; an empty list elsewhere."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.main else None
        with _contact():
            dist.gather_object(value, values, dst=0, group=self.host)
        return values or []

    def from_main(self, value: T) -> T:
        """Rank 0's value, in every process."""
        if self.size == 1:
            return value
        box = [value]
        with _contact():
            dist.broadcast_object_list(box, src=0, group=self.host)
        return box[0]

    def any(self, flag: bool) -> bool:
        """Whether any process says True; all learn the same answer."""
        if self.size == 1:
            return flag
        answer = torch.tensor([int(flag)])
        with _contact():
            dist.all_reduce(answer, op=dist.ReduceOp.MAX, group=self.host)
        return bool(answer.item())

    def share(self, lengths: Sequence[int]) -> list[int]:
        """The sequences that this process evaluates, ascending: each is one process's, loads are even.

        Args:
            lengths: frames of each sequence. The longest go first, each to the process with the least so far.
        """
        loads = [0] * self.size
        mine = []
        for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            rank = loads.index(min(loads))
            loads[rank] += int(lengths[i])
            if rank == self.rank:
                mine.append(i)
        return sorted(mine)


@contextmanager
def _contact() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what every backend raises when a process is gone
        raise SmoothNetError(
            f"process {dist.get_rank()} lost the others, one of which has ended; its error says why"
        ) from error


def join(device: torch.device) -> World:
    """Meet the other processes that torchrun started; call it after select_device, which sets the device.

    Raises:
        SmoothNetError: the others cannot be reached, or PyTorch lacks the backend.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World()
    backend = distributed_backend(device)
    try:
        dist.init_process_group(backend, timeout=TIMEOUT)
        host = None if backend == "gloo" else dist.new_group(backend="gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SmoothNetError(
            f"process {launched_rank()} of {size} cannot join the others with {backend}: {reason}"
        ) from error
    return World(dist.get_rank(), size, host)


def leave() -> None:
    """Part from the other processes at the end of a run that went well."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
