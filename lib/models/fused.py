# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The network's forward and backward pass on the CPU, written out by hand.

Autograd keeps every activation of a batch and walks over memory once for each small operation; on a CPU that
and the drawing of dropout masks take longer than the matrix products. Here
- rows (one channel of one window) go through forward and backward in chunks that fit the processor's caches,
  and only one chunk for each thread is alive; chunks share nothing but the weights, so each thread works on
  its own chunk with single-threaded operations, and nothing waits at a barrier within a chunk;
- dropout and LeakyReLU are one multiplication: LeakyReLU(keep * z) = z * factor with factor = keep (z > 0) or
  slope x keep, and the same factor serves the backward pass; 1 / (1 - p) is part of the (scaled) weights;
- bias and that factor ride on the matrix products where those are oneDNN's; torch.mm's add to a sum in one pass. Which
  are faster depends on the processor and the shapes: `fastest_products` tries both;
- a 64-bit random number makes 8 decisions if 256 p is whole, else 4: the probability of dropping is p rounded
  to a multiple of 2^-16, so exact to 2^-17. Each chunk has its own stream (SFC64 of the step's seed and the
  chunk's number): masks depend on neither threads nor order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import Barrier
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .smoothnet import BLOCK_SLOPE, ENCODER_SLOPE, SmoothNet

FUSED_DTYPES = (torch.float32, torch.bfloat16)
TRIAL_WORK = 3e9  # multiply-adds of a batch's forward pass from which a trial of the products pays: .1 s
CHUNK_ROWS = 1024  # rows in a chunk: its activations are some 25 MB at H = 512, R = 128, B = 5

# (windows, outputs (n, C, output_size)) -> gradient of the loss by the outputs, same shape
OutputGradient = Callable[[slice, torch.Tensor], torch.Tensor]

_leaky_backward = torch.ops.aten.leaky_relu_backward.grad_input


@cache
def onednn(dtype: torch.dtype) -> bool:
    """Whether PyTorch's fused oneDNN product, not a public function, is there for `dtype` and does what it should.

    Asked for each type by itself and outside autocast, which would change the type of what it is compared with: a
    processor may have the product for float32 and none for bfloat16.
    """
    try:
        with torch.autocast("cpu", enabled=False), torch.no_grad():
            op = torch.ops.mkldnn._linear_pointwise
            x, w, other = (t.to(dtype) for t in (torch.rand(3, 5).t(), torch.rand(4, 3), torch.rand(5, 4)))
            plain = x.float() @ w.float().t()
            found = op(x, w, None, "none", [], ""), op.binary(x, other, w.t().contiguous().t(), None, "mul")
            near = 4 * torch.finfo(dtype).eps
            return all(
                y.dtype == dtype and torch.allclose(y.float(), expected, rtol=near, atol=near)
                for y, expected in zip(found, (plain, plain * other.float()), strict=True)
            )
    except (AttributeError, RuntimeError, TypeError):
        return False


@cache
def _packs(dtype: torch.dtype) -> bool:
    """Whether oneDNN's product takes weights that lie in its own order, by a function of PyTorch that is not public."""
    try:
        with torch.autocast("cpu", enabled=False), torch.no_grad():
            x, w, b = (torch.rand(size).to(dtype) for size in ((5, 3), (4, 3), (4,)))
            y = linear(x, torch.ops.mkldnn._reorder_linear_weight(w, 5), b, slope=BLOCK_SLOPE)
            near = 4 * torch.finfo(dtype).eps
            return torch.allclose(y.float(), linear(x, w, b, slope=BLOCK_SLOPE).float(), rtol=near, atol=near)
    except (AttributeError, RuntimeError, TypeError):
        return False


def packed(w: torch.Tensor, rows: int) -> torch.Tensor:
    """Weights (O, I) as oneDNN's product of so many rows wants them, for `linear` only; without it, as they are.

    Otherwise each product would bring them into that order: up to 8 % of a chunk of smoothing.
    """
    return torch.ops.mkldnn._reorder_linear_weight(w, rows) if onednn(w.dtype) and _packs(w.dtype) else w


def linear(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None = None,
    times: torch.Tensor | None = None,
    slope: float | None = None,
) -> torch.Tensor:
    """(x w^T + b) * times, or its LeakyReLU, in one pass if possible: (N, I), (O, I) -> (N, O)."""
    if not onednn(x.dtype):
        return _plain_linear(x, w, b, times, slope)
    op = torch.ops.mkldnn._linear_pointwise
    if times is not None:
        return op.binary(x, times, w, b, "mul")
    if slope is not None:
        return op(x, w, b, "leaky_relu", [slope], "")
    return op(x, w, b, "none", [], "")


def _plain_linear(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None = None,
    times: torch.Tensor | None = None,
    slope: float | None = None,
) -> torch.Tensor:
    y = torch.mm(x, w.t()) if b is None else torch.addmm(b, x, w.t())
    if slope is not None:
        F.leaky_relu_(y, slope)
    return y if times is None else y.mul_(times)


def _add_linear(total: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> None:
    total += linear(x, w)


def _plain_add(total: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> None:
    if total.dtype == x.dtype:
        total.addmm_(x, w.t())
    else:
        total += torch.mm(x, w.t())


@dataclass(frozen=True)
class Products:
    """A way to do the matrix products: `linear`, see there, and `add`: total += x w^T."""

    linear: Callable[..., torch.Tensor]
    add: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]


ONEDNN, MM = "oneDNN", "torch.mm"
PRODUCTS: Mapping[str, Products] = {ONEDNN: Products(linear, _add_linear), MM: Products(_plain_linear, _plain_add)}


class Dropout:
    """Draws 1 (keep) or 0 (drop) for units, from the stream of one chunk."""

    def __init__(self, p: float, seed: int, chunk: int):
        self.p = p
        self.bits = np.random.SFC64(np.random.SeedSequence((seed, chunk)))

    def keep(self, rows: int, units: int, dtype: torch.dtype) -> torch.Tensor:
        """(rows, units) of 0 and 1 in `dtype`."""
        if self.p == 0:
            return torch.ones(rows, units, dtype=dtype)
        result, count = torch.empty(rows, units, dtype=dtype), rows * units
        if float(self.p * 256).is_integer():
            drawn, threshold = self.bits.random_raw(-(-count // 8)).view(np.uint8), int(self.p * 256)
        else:
            drawn, threshold = (
                self.bits.random_raw(-(-count // 4)).view(np.int16),
                round(self.p * 65536) - 32768,
            )
        kept = torch.from_numpy(drawn)[:count].view(rows, units)
        return result.copy_(
            torch.ge(kept, threshold, out=kept)
        )  # comparing in place and then widening is the faster way


class Weights:
    """The parameters as the chunks use them: in the type of the products, times dropout's 1 / (1 - p)."""

    def __init__(self, model: SmoothNet, dtype: torch.dtype, products: str = ONEDNN):
        self.products = PRODUCTS[products]
        self.p = model.dropout if model.training else 0.0
        self.scale = 1 / (1 - self.p)
        self.dtype = dtype
        encoder, decoder = model.encoder[0], model.decoder
        self.encoder = self._of(encoder, 1.0)
        self.blocks = [
            (*self._of(block.linear1, self.scale), *self._of(block.linear2, self.scale)) for block in model.res_blocks
        ]
        self.decoder = self._of(decoder, 1.0)

    def pack(self, rows: int) -> None:
        """Have them ready for products of so many rows, and for nothing else."""
        self.encoder = packed(self.encoder[0], rows), self.encoder[1]
        self.blocks = [(packed(w1, rows), b1, packed(w2, rows), b2) for w1, b1, w2, b2 in self.blocks]
        self.decoder = packed(self.decoder[0], rows), self.decoder[1]

    def _of(self, layer: Any, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        return (layer.weight * scale).to(self.dtype), (layer.bias * scale).to(self.dtype)


class Gradients:
    """Sums of parameter gradients over chunks, float32; (in, out) where the product likes that better."""

    def __init__(self, weights: Weights):
        def zeros(w: torch.Tensor, b: torch.Tensor, turned: bool) -> list[torch.Tensor]:
            shape = w.t().shape if turned else w.shape
            return [torch.zeros(shape, dtype=torch.float32), torch.zeros(b.shape, dtype=torch.float32)]

        self.scale = weights.scale
        self.products = weights.products
        self.encoder = zeros(*weights.encoder, True)
        self.blocks = [(zeros(w1, b1, False), zeros(w2, b2, True)) for w1, b1, w2, b2 in weights.blocks]
        self.decoder = zeros(*weights.decoder, False)

    def add(self, sums: list[torch.Tensor], rows: torch.Tensor, columns: torch.Tensor, out: torch.Tensor) -> None:
        """Add rows^T columns to sums[0], and the sum of `out` (one of the two) to sums[1]."""
        self.products.add(sums[0], rows.t(), columns.t())
        sums[1] += out.sum(0, dtype=torch.float32)

    def collect(self) -> list[torch.Tensor]:
        """In the order of SmoothNet.parameters()."""
        result = [self.encoder[0].t(), self.encoder[1]]
        for (w1, b1), (w2, b2) in self.blocks:
            result += [w1 * self.scale, b1 * self.scale, w2.t() * self.scale, b2 * self.scale]
        return [tensor.contiguous() for tensor in (*result, *self.decoder)]


def _chunk(
    weights: Weights,
    x: torch.Tensor,
    dropout: Dropout,
    output_gradient: Callable[[torch.Tensor], torch.Tensor],
    gradients: Gradients,
) -> None:
    """Forward and backward of (N, W) rows; adds to `gradients`."""
    rows = len(x)
    linear, add = weights.products.linear, weights.products.add
    x = x.to(weights.dtype)
    h = linear(x, *weights.encoder, slope=ENCODER_SLOPE)
    saved = []
    for w1, b1, w2, b2 in weights.blocks:
        factor1 = dropout.keep(rows, len(w1), weights.dtype)
        a = F.leaky_relu_(linear(h, w1, b1, times=factor1), BLOCK_SLOPE)
        _leaky_backward(factor1, a, BLOCK_SLOPE, True, grad_input=factor1)
        z = linear(a, w2, b2)
        factor2 = dropout.keep(rows, len(w2), weights.dtype)
        _leaky_backward(factor2, z, BLOCK_SLOPE, False, grad_input=factor2)
        saved.append((h, factor1, a, factor2))
        h = torch.addcmul(h, z, factor2, out=z)
    g = output_gradient(linear(h, *weights.decoder)).to(weights.dtype)

    gradients.add(gradients.decoder, g, h, g)
    dh = linear(g, weights.decoder[0].t())
    for (w1, _, w2, _), sums in zip(reversed(weights.blocks), reversed(gradients.blocks), strict=True):
        h, factor1, a, dz = saved.pop()
        dz *= dh
        gradients.add(sums[1], a, dz, dz)
        da = linear(dz, w2.t(), times=factor1)
        gradients.add(sums[0], da, h, da)
        add(dh, da, w1.t())
    _leaky_backward(dh, h, ENCODER_SLOPE, True, grad_input=dh)
    gradients.add(gradients.encoder, x, dh, dh)


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what a chunk frees for the next one: page faults would take long.

    glibc gives memory back when more than twice the largest mapped block (up to 32 MB) that was ever freed is
    free.
    """
    torch.empty(30 << 20, dtype=torch.uint8)


@cache
def _threads(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads whose own operations are single-threaded. A forked process gets its own."""
    pool = ThreadPoolExecutor(threads, "smoothnet", initializer=torch.set_num_threads, initargs=(1,))
    started = Barrier(threads)
    for task in [pool.submit(started.wait) for _ in range(threads)]:
        task.result()
    return pool


def thread_pool(threads: int) -> ThreadPoolExecutor:
    """So many threads whose own operations are single-threaded; the same ones every time."""
    before = torch.get_num_threads()
    pool = _threads(threads, os.getpid())
    torch.set_num_threads(before)  # new threads set the number for those that start after them, too
    return pool


def inference(model: SmoothNet) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network for evaluation and smoothing: (n, C, W) -> (n, C, output_size), without gradients.

    On the CPU its products go through oneDNN where that is there, each thread on its own rows; everywhere
    else, and where gradients are wanted or dropout is on, this is the network itself. Weights are read when they
    are first needed: ask anew after changing them.
    """
    ready: dict[tuple[torch.dtype, bool], Weights] = {}  # by type of the products, and whether there are many rows

    @torch.no_grad()
    def piece(weights: Weights, x: torch.Tensor, out: torch.Tensor) -> None:
        h = linear(x.t().contiguous().to(weights.dtype), *weights.encoder, slope=ENCODER_SLOPE)
        for w1, b1, w2, b2 in weights.blocks:
            h += linear(linear(h, w1, b1, slope=BLOCK_SLOPE), w2, b2, slope=BLOCK_SLOPE)
        out.copy_(linear(h, *weights.decoder).t())

    def run(x: torch.Tensor) -> torch.Tensor:
        dtype = products_dtype()
        simple = type(model) is SmoothNet and not model.training and x.dtype == torch.float32
        plain = torch.is_grad_enabled() or dtype not in FUSED_DTYPES or not onednn(dtype)
        if plain or not simple or x.device.type != "cpu":
            return model(x)
        many = x.shape[0] * x.shape[1] >= CHUNK_ROWS
        if (dtype, many) not in ready:
            ready[dtype, many] = Weights(model, dtype)
            if many:
                ready[dtype, many].pack(CHUNK_ROWS)
        keep_freed_memory()
        # Frame by frame, as windows are gathered from a sequence and summed up to one: those are copies of blocks,
        # and the turning of rows and columns is done on chunks in the processor's cache.
        rows = x.movedim(-1, 0).reshape(x.shape[-1], -1)
        with torch.inference_mode(False):  # which is each thread's own, and theirs are not in it
            out = torch.empty(model.output_size, rows.shape[1])
        parts = list(zip(rows.split(CHUNK_ROWS, 1), out.split(CHUNK_ROWS, 1), strict=True))
        weights, threads = ready[dtype, many], min(torch.get_num_threads(), len(parts))
        if threads == 1:
            for part in parts:
                piece(weights, *part)
        else:
            list(thread_pool(torch.get_num_threads()).map(lambda part: piece(weights, *part), parts))
        return out.view(-1, *x.shape[:-1]).movedim(0, -1)

    return run


def products_dtype() -> torch.dtype:
    """The type of the matrix products on the CPU: autocast's, or float32."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def fused_gradients(
    model: SmoothNet,
    x: torch.Tensor,
    output_gradient: OutputGradient,
    *,
    windows: int = 0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    products: str = ONEDNN,
) -> list[torch.Tensor]:
    """Gradients of a loss by the parameters of `model`, chunk by chunk.

    Args:
        model: on the CPU, float32; its `training` and `dropout` decide about dropout.
        x: (B, C, W) float32, contiguous.
        output_gradient: called once for each chunk, in several threads; see OutputGradient.
        windows: windows in a chunk; 0: chosen for the caches.
        seed: of the dropout masks.
        dtype: of the matrix products and activations, float32 or bfloat16.
        products: who does the products, a key of PRODUCTS; see fastest_products.

    Returns:
        float32 tensors in the order of model.parameters().
    """
    count, channels, frames = x.shape
    threads = torch.get_num_threads()
    windows = windows or max(1, CHUNK_ROWS // channels)
    weights = Weights(model, dtype, products)
    starts = range(0, count, windows)
    threads = min(threads, len(starts))
    sums = [Gradients(weights) for _ in range(threads)]

    @torch.no_grad()
    def work(thread: int) -> None:
        for number in range(thread, len(starts), threads):
            span = slice(starts[number], min(starts[number] + windows, count))

            def chunk_gradient(output: torch.Tensor, span: slice = span) -> torch.Tensor:
                return output_gradient(span, output.view(-1, channels, model.output_size)).view(-1, model.output_size)

            dropout = Dropout(weights.p, seed, number)
            _chunk(weights, x[span].view(-1, frames), dropout, chunk_gradient, sums[thread])

    keep_freed_memory()
    if threads == 1:
        work(0)
    else:
        pool = thread_pool(threads)
        for task in [pool.submit(work, thread) for thread in range(threads)]:
            task.result()
    first, *others = [s.collect() for s in sums]
    for other in others:
        for total, part in zip(first, other, strict=True):
            total += part
    return first


def fastest_products(model: nn.Module, batch: int, channels: int, dtype: torch.dtype, turns: int = 4) -> str:
    """The key of PRODUCTS that trains the network fastest on this processor, by a trial with both in turns.

    They differ in rounding, so a run asks once and keeps to the answer. oneDNN where it is no question of speed: in
    bfloat16, where the work is too small for a trial to pay, where torch.mm is not faster by 2 %.

    Args:
        batch, channels: windows in a batch and channels in a window.
        dtype: of the products.
        turns: how often each is timed (CPU time; the fastest counts). The first do not count.
    """
    if type(model) is not SmoothNet or dtype != torch.float32 or not onednn(dtype):
        return ONEDNN
    rows = min(batch, max(1, CHUNK_ROWS // channels)) * channels  # of a chunk, see fused_gradients
    work = batch * channels * sum(weight.numel() for weight in model.parameters() if weight.ndim == 2)
    if work < TRIAL_WORK:
        return ONEDNN
    keep_freed_memory()
    x = torch.arange(rows * model.window_size).sin().view(rows, -1)  # draws nothing from the run's generators
    fastest = dict.fromkeys(PRODUCTS, float("inf"))

    @torch.no_grad()
    def trial() -> None:
        for turn in range(turns + 1):
            for name in PRODUCTS:
                weights = Weights(model, dtype, name)
                start = time.thread_time()
                _chunk(weights, x, Dropout(weights.p, 0, 0), lambda output: output, Gradients(weights))
                if turn:
                    fastest[name] = min(fastest[name], time.thread_time() - start)

    thread_pool(torch.get_num_threads()).submit(trial).result()  # whose operations are single-threaded, as a chunk's
    return MM if fastest[MM] < 0.98 * fastest[ONEDNN] else ONEDNN
