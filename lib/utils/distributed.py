# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Several processes, one per device, as torchrun starts them. With one process it all does nothing."""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from .device import distributed_backend
from .errors import SmoothNetError

T = TypeVar("T")
SILENCE = 30  # seconds after which a machine that acknowledges nothing any more counts as gone
UNREACHABLE = re.compile(
    "connection timed out|(no route to|host is|network is).*(host|down|unreachable)", re.IGNORECASE
)
WAITED = re.compile("timed out|timeout", re.IGNORECASE)
COMMUNICATION = re.compile("gloo|[nt]ccl|connection (closed|reset|refused|timed out)|broken pipe", re.IGNORECASE)


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
    except RuntimeError as error:  # what every backend raises when a process is gone or silent
        raise _lost_contact(error) from error


@contextmanager
def explain_lost_contact() -> Iterator[None]:
    """Turn an error that says that the other processes cannot be reached into a SmoothNetError.

    For what talks to them out of sight, such as the backward pass; other errors go through.
    """
    try:
        yield
    except RuntimeError as error:
        together = dist.is_available() and dist.is_initialized()
        if not together or not (isinstance(error, dist.DistError) or COMMUNICATION.search(str(error))):
            raise
        raise _lost_contact(error) from error


def _lost_contact(error: RuntimeError) -> SmoothNetError:
    text = " ".join(str(error).split())
    if UNREACHABLE.search(text):
        return SmoothNetError("the other processes cannot be reached any more: a machine or the network is down")
    if WAITED.search(text):
        return SmoothNetError("waited TRAIN.TIMEOUT seconds for the other processes: one hangs, or needs more time")
    return SmoothNetError("lost the other processes, one of which has ended; its error says why")


def join(device: torch.device, timeout: float) -> World:
    """Meet the other processes that torchrun started; call it after select_device, which sets the device.

    Args:
        timeout: seconds after which a process that does not answer counts as hanging. One that ends is noticed at
            once, a machine that is cut off after SILENCE.

    Raises:
        SmoothNetError: the others cannot be reached, or PyTorch lacks the backend.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World()
    if size > int(os.environ.get("LOCAL_WORLD_SIZE", size)) and "GLOO_SOCKET_IFNAME" not in os.environ:
        interface = interface_towards(os.environ.get("MASTER_ADDR", ""))
        if interface:  # otherwise gloo takes that of the host's name, which often is the loopback's
            os.environ["GLOO_SOCKET_IFNAME"] = interface
    backend = distributed_backend(device)
    limit = timedelta(seconds=timeout)
    try:
        # the group in host memory has to speak first: a device's backend ends the process without a sentence
        dist.init_process_group(backend, timeout=limit if backend == "gloo" else 2 * limit)
        host = None if backend == "gloo" else dist.new_group(backend="gloo", timeout=limit)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SmoothNetError(
            f"process {launched_rank()} of {size} cannot join the others with {backend}: {reason}"
        ) from error
    notice_silence(SILENCE)
    return World(dist.get_rank(), size, host)


def notice_silence(seconds: int) -> None:
    """Let the kernel end the open TCP connections of this process once nothing is acknowledged for so long.

    PyTorch leaves them as they are, so that a cable that is pulled out would be noticed after TRAIN.TIMEOUT only. A
    process that hangs is not silent: its kernel answers. Where there is no /proc (not Linux) nothing changes.
    """
    options = {"TCP_KEEPIDLE": seconds // 3, "TCP_KEEPINTVL": seconds // 6, "TCP_USER_TIMEOUT": 1000 * seconds}
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with suppress(OSError):  # it is closed already, or listens and has no other end
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            connection = socket.socket(fileno=int(name))
            try:
                if connection.family not in (socket.AF_INET, socket.AF_INET6) or not connection.getpeername():
                    continue
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in options.items():
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
            finally:
                connection.detach()  # it stays PyTorch's


def interface_towards(address: str) -> str | None:
    """Name of the network interface through which an IPv4 address is reached; None where that cannot be told."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        return None
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without an address
                answer = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()))  # SIOCGIFADDR
                if socket.inet_ntoa(answer[20:24]) == own:
                    return name
    return None


def end_among_others(status: int) -> None:
    """End this process at once with this status, if it has joined others; all it writes must be written.

    On the way out of the interpreter the threads of its process group may abort it, also after a run that went well:
    one that gives back the last tensor it sent asks for the interpreter's lock, which is gone by then, and after an
    error they still wait for the others.
    """
    if dist.is_available() and dist.is_initialized():
        if status == 0:  # after an error the others may never answer
            dist.destroy_process_group()
        sys.stderr.flush()
        os._exit(status)
