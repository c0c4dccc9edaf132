# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How fast everything is, and how near to what the matrix products alone take.

    python benchmarks/run.py [--quick] [--json out.json] [--only training,inference]
    python benchmarks/run.py --compare [--quick] [--json out.json]

Every part runs in a process of its own, so that peak memory is that part's. Other programs may be running, so what is
compared is measured in turns, in one process; times are medians, on the clock and of the processor. Ratios are of
processor time on one thread (OMP_NUM_THREADS=1), where it is all there is; on several threads, of time on the clock.
"""

from __future__ import annotations

import argparse
import gc
import json
import linecache
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib.config import load_config
from lib.dataset.facts import Facts
from lib.dataset.poses import PoseData, write_poses
from lib.dataset.windows import TrainingWindows
from lib.evaluation import metrics
from lib.evaluation.procrustes import procrustes_align
from lib.inference.smoother import Smoother
from lib.models import fused
from lib.models.network import Network
from lib.models.smoothnet import SmoothNet
from lib.models.windows import overlap_sum, smooth_sequence
from lib.training.loss import smoothnet_loss
from lib.training.objective import TrainingObjective
from lib.utils import device as devices
from lib.utils.errors import SmoothNetError
from lib.utils.files import write_json

HIDDEN, RES_HIDDEN, BLOCKS, DROPOUT = 512, 128, 5, 0.25  # configs/h36m_fcn_3D.yaml
CPU = torch.device("cpu")
CHANNELS = 51  # 17 joints x 3
IMPORTS = time.process_time()  # that this process has spent so far
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")  # on instruction sets
Row = dict[str, object]


class Spent(NamedTuple):
    """Seconds on the clock, and those of all threads of this process on a processor."""

    wall: float
    cpu: float

    @property
    def counted(self) -> float:
        """What ratios are made of."""
        return self.cpu if torch.get_num_threads() == 1 else self.wall

    def times(self, factor: float) -> Spent:
        return Spent(self.wall * factor, self.cpu * factor)


def spent_on(call: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def row(what: str, size: str, spent: Spent, **more: object) -> Row:
    """One line of the table; `more`: note, peak, x_products, x_torch_mm."""
    return {"what": what, "size": size, **spent._asdict(), **more}


def in_turns(calls: dict[str, Callable[[], object]], repeats: int, warm_up: bool = True) -> dict[str, Spent]:
    """Median times of each call; the calls take turns, and the first round only warms up."""
    times: dict[str, list[Spent]] = {name: [] for name in calls}
    for i in range(repeats + warm_up):
        for name, call in calls.items():
            spent = spent_on(call)
            if i or not warm_up:
                times[name].append(spent)
    return {name: Spent(*map(statistics.median, zip(*values, strict=True))) for name, values in times.items()}


@cache
def products_types() -> dict[str, torch.dtype | None]:
    """Name -> type of the products that --autocast may choose on this processor; None is float32."""
    types: dict[str, torch.dtype | None] = {"float32": None}
    if devices.autocast_dtype(CPU) == torch.bfloat16:
        types["bfloat16"] = torch.bfloat16
    return types


def network(window: int, dropout: float = 0.0) -> SmoothNet:
    torch.manual_seed(0)
    return SmoothNet(window, None, HIDDEN, RES_HIDDEN, BLOCKS, dropout)


def products(window: int, chunk: int, product: Callable[..., torch.Tensor], train: bool) -> Callable[[int], None]:
    """All matrix products of so many rows, `chunk` at a time, and nothing else; product(x, w) is x w^T."""
    sizes = (HIDDEN, window), (window, HIDDEN), (RES_HIDDEN, HIDDEN), (HIDDEN, RES_HIDDEN)
    encoder, decoder, w1, w2 = (torch.ones(size) for size in sizes)
    if product is fused.linear and not train:  # weights that stay may lie as it likes them
        encoder, decoder, w1, w2 = (fused.packed(weights, chunk) for weights in (encoder, decoder, w1, w2))
    block = torch.ones(4, chunk, HIDDEN)

    @torch.no_grad()
    def run(rows: int) -> None:
        for first in range(0, rows, chunk):
            count = min(chunk, rows - first)
            widths = (window, HIDDEN, RES_HIDDEN, window)
            x, h, a, g = (part.view(-1)[: count * n].view(count, n) for part, n in zip(block, widths, strict=True))
            product(x, encoder)
            for _ in range(BLOCKS):
                product(h, w1)
                product(a, w2)
            product(h, decoder)
            if not train:
                continue
            product(g.t(), h.t())
            product(g, decoder.t())
            for _ in range(BLOCKS):
                product(a.t(), h.t())
                product(h, w2.t())
                product(a.t(), h.t())
                product(a, w1.t())
            product(x.t(), h.t())

    return run


def limits(window: int, train: bool) -> dict[str, Callable[[int], None]]:
    """Two ways to do the bare products of so many rows: torch.mm as it comes, and oneDNN, each thread on its own."""
    threads = torch.get_num_threads()
    fused.keep_freed_memory()  # as training and smoothing do
    torch_mm = products(window, fused.CHUNK_ROWS * threads, lambda x, w: torch.mm(x, w.t()), train)
    shares = [products(window, fused.CHUNK_ROWS, fused.linear, train) for _ in range(threads)]

    def onednn(rows: int) -> None:
        if threads == 1:
            return shares[0](rows)
        pool = fused.thread_pool(threads)
        for task in [pool.submit(share, rows // threads) for share in shares]:
            task.result()

    return {"torch.mm": torch_mm, "oneDNN": onednn}


def against(spent: Spent, bounds: dict[str, Spent]) -> dict[str, float]:
    """The columns of a time over that of the faster kind of products, and over that of torch.mm."""
    least = min(bound.counted for bound in bounds.values())
    return {"x_products": spent.counted / least, "x_torch_mm": spent.counted / bounds["torch.mm"].counted}


def against_limits(calls: dict[str, Callable[[], object]], window: int, rows: int, train: bool, repeats: int):
    """Times of the calls, and their columns against the products, all measured in turns."""
    bare = {name: partial(call, rows) for name, call in limits(window, train).items()}
    times = in_turns({**bare, **calls}, repeats)
    bounds = {name: times[name] for name in bare}
    return {name: times[name] for name in calls}, {name: against(times[name], bounds) for name in calls}


# the parts, each a generator of rows


def training(window: int, batch: int, repeats: int):
    """One training step (loss, gradients, Adam); plain autograd beside it where memory allows."""
    x, truth = torch.randn(batch, CHANNELS, window), torch.randn(batch, CHANNELS, window)
    model = network(window, DROPOUT)
    chosen = fused.fastest_products(model, batch, CHANNELS, torch.float32)  # as training does
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), products=chosen)
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)

    def step(dtype: torch.dtype | None) -> None:
        optimizer.zero_grad()
        with devices.autocast(CPU, dtype):
            loss = objective(x, truth, seed=1)[0]
        loss.backward()
        optimizer.step()

    calls = {name: partial(step, dtype) for name, dtype in products_types().items()}
    times, ratios = against_limits(calls, window, batch * CHANNELS, True, repeats)
    peak = peak_memory()
    for name in calls:
        yield row(f"training step, {name}", f"W {window}, batch {batch}", times[name], **ratios[name], peak=peak)


class ByLine(TorchDispatchMode):
    """Least CPU time that each line of the hand-written pass has spent in PyTorch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.turn: dict[int, float] = defaultdict(float)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        start = time.thread_time()
        result = function(*args, **(kwargs or {}))
        used = time.thread_time() - start
        frame = sys._getframe(1)
        while frame is not None and frame.f_code is not fused._chunk.__code__:
            frame = frame.f_back
        if frame is not None:
            self.turn[frame.f_lineno] += used
        return result


class TimedBits:
    """A generator whose time counts by itself: it is numpy's."""

    def __init__(self, bits: np.random.SFC64) -> None:
        self.bits, self.seconds = bits, 0.0

    def random_raw(self, size: int) -> np.ndarray:
        start = time.thread_time()
        drawn = self.bits.random_raw(size)
        self.seconds += time.thread_time() - start
        return drawn


def profile(repeats: int):
    """A chunk of a training step line by line, by the products that training would choose; the least of the turns."""
    torch.set_num_threads(1)
    fused.keep_freed_memory()
    model = network(32, DROPOUT)
    rows = fused.CHUNK_ROWS // CHANNELS * CHANNELS
    chosen = fused.fastest_products(model, 1024, CHANNELS, torch.float32)
    weights = fused.Weights(model, torch.float32, chosen)
    sums = fused.Gradients(weights)
    x, least, turns = torch.randn(rows, 32), {}, []
    bare = {name: partial(call, rows) for name, call in limits(32, True).items()}
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), products=chosen)
    chunks = 12  # of a step
    windows = torch.randn(2, chunks * rows // CHANNELS, CHANNELS, 32)

    @torch.no_grad()
    def chunk(bits: Callable[[Any], Any]) -> fused.Dropout:
        dropout = fused.Dropout(weights.p, 0, 0)
        dropout.bits = bits(dropout.bits)
        fused._chunk(weights, x, dropout, lambda output: output, sums)
        return dropout

    def step() -> None:
        optimizer.zero_grad()
        objective(*windows, seed=1)[0].backward()
        optimizer.step()

    calls = {**bare, "chunk": lambda: chunk(lambda bits: bits), "step": step, "adam": optimizer.step}
    in_turns(calls, 1)
    faults = []
    for _ in range(repeats):
        turns.append(in_turns(calls, 1, warm_up=False))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        chunk(lambda bits: bits)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        with ByLine() as lines:
            drawn = chunk(TimedBits).bits.seconds
        for line, seconds in {**lines.turn, 0: drawn}.items():
            least[line] = min(seconds, least.get(line, seconds))
    times = {name: min((turn[name] for turn in turns), key=lambda spent: spent.cpu) for name in calls}
    label, whole = f"{rows} rows", times["chunk"].cpu

    def share(what: str, seconds: float) -> Row:
        return row(what, label, Spent(seconds, seconds), note=f"{seconds / whole:.1%} of the chunk")

    ratios = against(times["chunk"], {name: times[name] for name in bare})
    note = f"{statistics.median(faults):.0f} page faults"
    yield row(f"a chunk, products by {chosen}", label, times["chunk"], **ratios, note=note)
    for line, seconds in sorted(least.items(), key=lambda item: -item[1]):
        code = linecache.getline(fused.__file__, line).strip() if line else "dropout.keep: numpy's random bits"
        yield share(f"`{code}`", seconds)
    yield share("the rest: Python, memory", whole - sum(least.values()))
    note = f"{chunks * whole / times['step'].cpu:.1%} of it in its {chunks} chunks"
    yield row("a whole step", f"{chunks * rows} rows", times["step"], note=note)
    yield row("Adam's step, once a batch", f"{sum(p.numel() for p in model.parameters())} weights", times["adam"])


def autograd(window: int, batch: int, repeats: int):
    """The same step by plain autograd over the whole batch, for comparison."""
    x, truth = torch.randn(batch, CHANNELS, window), torch.randn(batch, CHANNELS, window)
    model = network(window, DROPOUT)
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), fused=False)
    calls = {"plain": lambda: objective(x, truth)[0].backward()}
    times, ratios = against_limits(calls, window, batch * CHANNELS, True, repeats)
    yield row("the same by plain autograd", f"W {window}, batch {batch}", times["plain"], **ratios["plain"])


def assembly(frames: int, batch: int, repeats: int):
    """Gathering a batch from the block of frames."""
    block = torch.randn(frames, CHANNELS)
    sets = TrainingWindows(block, block.clone(), torch.arange(frames - 32), None, 32, 3)
    order = torch.randperm(len(sets))[:batch]
    fused.keep_freed_memory()  # as training does
    spent = in_turns({"batch": lambda: sets.batch(order)}, repeats)["batch"]
    yield row("batch assembly", f"W 32, batch {batch} of {frames} frames", spent)


def write_dataset(base: Path, sequences: int, frames: int) -> None:
    """Random poses in the layout of h36m fcn 3D."""
    rng = np.random.default_rng(0)
    lengths = np.diff(np.linspace(0, frames, sequences + 1).astype(int))
    names = [[f"S{i}/{t:06d}.jpg" for t in range(length)] for i, length in enumerate(lengths)]
    poses = [rng.standard_normal((length, CHANNELS), np.float32) for length in lengths]
    write_poses(base, "h36m", "fcn", "3D", "train", names, poses, poses, compress=False)


START_UP = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from lib.training import loop as training
from lib.dataset.poses import load_poses
from lib.dataset.windows import epoch_order, training_windows
sets = training_windows(load_poses(sys.argv[2], "h36m", "fcn", "3D", "train"), 32)
sets.batch(epoch_order(len(sets), 4321, 0)[:1024])
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def start_up(sequences: int, frames: int):
    """Import, load, first batch, in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as base:
        write_dataset(Path(base), sequences, frames)
        times, peaks = [], []
        for _ in range(3):
            start, before = time.perf_counter(), os.times()
            root = str(Path(__file__).resolve().parents[1])
            command = [sys.executable, "-c", START_UP, root, base]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            times.append(Spent(time.perf_counter() - start, used))
            peaks.append(int(answer.splitlines()[-1]) / 1024)
    size = 2 * frames * CHANNELS * 4 / 2**20
    note = f"poses are {size:.0f} MB as float32; peak is {max(peaks) / size:.2f} times that"
    what, label = "start-up: import, load, first batch", f"{sequences} sequences, {frames} frames"
    yield row(what, label, Spent(*map(statistics.median, zip(*times, strict=True))), peak=max(peaks), note=note)


def poses_of(detected: torch.Tensor, truth: torch.Tensor, lengths: list[int]) -> PoseData:
    """A dataset like h36m's of (frames, 51) poses in metres."""
    return PoseData(
        facts=Facts("benchmark", "3D", (0,), 17),
        estimator="none", phase="test", detected=detected, groundtruth=truth,
        offsets=torch.tensor([0, *lengths]).cumsum(0), valid=torch.ones(len(truth), dtype=torch.bool),
        scale=torch.full((len(lengths), 3), 1000.0), shift=torch.zeros(len(lengths), 3),
        names=[f"{i}" for i in range(len(lengths))],
    )  # fmt: skip


def evaluate(sequences: int, frames: int):
    """A whole evaluation against its products, of which every tenth call's are done beside it."""
    from lib.evaluation import evaluate as e

    block = torch.randn(frames, CHANNELS)
    lengths = np.diff(np.linspace(0, frames, sequences + 1).astype(int)).tolist()
    data = poses_of(block + 0.1 * torch.randn_like(block), block, lengths)
    model, bare = network(32).eval(), limits(32, False)
    calls: list[tuple[int, Spent]] = []  # rows, and what the network spent on them
    beside: list[tuple[int, dict[str, Spent]]] = []
    original = e.channel_network

    def timed(*arguments: object, **more: object) -> Callable[[torch.Tensor], torch.Tensor]:
        run = original(*arguments, **more)

        def call(x: torch.Tensor) -> torch.Tensor:
            answer, rows = [], x.shape[0] * x.shape[1]
            calls.append((rows, spent_on(lambda: answer.append(run(x)))))
            if len(calls) % 10 == 1:
                beside.append((rows, {name: spent_on(partial(products, rows)) for name, products in bare.items()}))
            return answer[0]

        return call

    for products in bare.values():
        products(fused.CHUNK_ROWS)
    e.channel_network = timed
    whole = spent_on(lambda: e.evaluate(load_config(), model, "none", [data], CPU))
    e.channel_network = original
    rows = sum(rows for rows, _ in calls)
    scale = rows / sum(rows for rows, _ in beside)
    bounds = {name: total([spent[name] for _, spent in beside]).times(scale) for name in bare}
    extra = total([spent for _, each in beside for spent in each.values()])
    own = Spent(whole.wall - extra.wall, whole.cpu - extra.cpu)
    inside = total([spent for _, spent in calls])
    least = min(bound.cpu for bound in bounds.values())
    note = (
        f"{own.counted / inside.counted - 1:.1%} of the network's time is spent outside of it; with imports "
        f"({IMPORTS:.1f} s CPU) {(own.cpu + IMPORTS) / least:.2f} x products in CPU time"
    )
    label = f"W 32, {sequences} sequences, {frames} frames"
    yield row("evaluation at step 1", label, own, **against(own, bounds), note=note)


def total(times: list[Spent]) -> Spent:
    return Spent(*map(sum, zip(*times, strict=True)))


def overlap(repeats: int):
    """The sum over windows, laid out as the network returns them, against a copy of them, on one thread."""
    torch.set_num_threads(1)
    fused.keep_freed_memory()  # as training and smoothing do
    for window, step in ((8, 1), (32, 1), (64, 1), (32, 8)):
        n = 8192 // CHANNELS
        block = torch.randn(window, n, CHANNELS)
        windows, other = block.permute(1, 2, 0), torch.empty_like(block)
        turns = {
            "sum": lambda w=windows, s=step: [overlap_sum(w, s) for _ in range(20)],
            "copy": lambda b=block, o=other: [o.copy_(b) for _ in range(20)],
        }
        times = {name: spent.times(1 / 20) for name, spent in in_turns(turns, repeats).items()}
        speed = {name: 8 * windows.numel() / spent.counted / 1e9 for name, spent in times.items()}
        note = f"{speed['sum']:.1f} GB/s; copying them {speed['copy']:.1f} GB/s"
        yield row("sum over overlapping windows", f"W {window}, step {step}, {n} windows", times["sum"], note=note)


def procrustes(frames: int, repeats: int):
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((frames, 17, 3)).astype(np.float32) * np.float32([1, 0.4, 0.2])
    predicted = truth + 0.1 * rng.standard_normal(truth.shape).astype(np.float32)
    product = np.matmul(predicted.transpose(0, 2, 1), truth).astype(np.float64)
    calls = {
        "align": lambda: procrustes_align(predicted, truth),
        "svd": lambda: np.linalg.svd(product),
        "pampjpe": lambda: metrics.pampjpe(predicted, truth),
    }
    times = in_turns(calls, repeats)
    each = {name: 1e6 * spent.cpu / frames for name, spent in times.items()}
    note = f"CPU time: {each['align']:.2f} us a frame to align; numpy's SVDs alone {each['svd']:.2f}"
    yield row("PA-MPJPE", f"{frames} frames, 17 joints", times["pampjpe"], note=note)


def inference(frames: int, steps: tuple[int, ...], repeats: int):
    """Offline smoothing of one recording."""
    x = torch.randn(frames, CHANNELS)
    model = network(32).eval()
    for step in steps:

        def smooth(dtype: torch.dtype | None, step: int = step) -> None:
            with torch.inference_mode(), devices.autocast(CPU, dtype):
                smooth_sequence(fused.inference(model), x, 32, step)

        calls = {name: partial(smooth, dtype) for name, dtype in products_types().items()}
        rows = len(range(0, frames - 31, step)) * CHANNELS
        times, ratios = against_limits(calls, 32, rows, False, repeats)
        for name in calls:
            note = f"{frames / times[name].counted:.0f} frames/s"
            yield row(f"smoothing, {name}", f"W 32, step {step}, 17 joints", times[name], note=note, **ratios[name])


def streaming(frames: int):
    """Time of a push, frame by frame."""
    model = network(32).eval()

    @torch.inference_mode()
    def run(windows: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(np.ascontiguousarray(windows, np.float32))).numpy()

    poses = np.random.default_rng(0).standard_normal((frames, 17, 3))
    stream, times = Smoother(Network(run, 32, "body")).stream(delay=2), []
    for pose in poses:
        times.append(spent_on(partial(stream.push, pose)))
    p50, p99 = np.percentile(times[32:], [50, 99], 0)
    yield row("streaming, one push", "W 32, 17 joints", Spent(*p50.tolist()), note=f"p99 {1000 * p99[0]:.2f} ms")


def accelerator(kind: str, batch: int, steps: int):
    """Training steps with the data on the device; the loss is read once, at the end."""
    device = devices.select_device(kind)
    frames = 1_559_752
    block = torch.randn(frames, CHANNELS)
    sets = TrainingWindows(block, block.clone(), torch.arange(frames - 32), None, 32, 3).to(device)
    order = torch.randperm(len(sets)).to(device)
    ways = (("float32", None, False), ("bfloat16", torch.bfloat16, False), ("compiled", torch.bfloat16, True))
    for name, dtype, compiled in ways:
        model = network(32, DROPOUT).to(device)
        call = devices.compiled(model, device) if compiled else None
        objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), network=call)
        optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
        devices.reset_peak_memory(device)

        for i in range(steps + 5):
            if i == 5:  # warm by now
                devices.synchronize(device)
                wall, cpu = time.perf_counter(), time.process_time()
            x, truth, mask = sets.batch(order[i * batch : (i + 1) * batch])
            optimizer.zero_grad()
            with devices.autocast(device, dtype):
                loss = objective(x, truth, mask)[0]
            loss.backward()
            optimizer.step()
        devices.synchronize(device)
        spent = Spent(time.perf_counter() - wall, time.process_time() - cpu).times(1 / steps)
        note = f"an epoch of {len(sets)} windows: {spent.wall * -(-len(sets) // batch):.2f} s"
        peak = (devices.peak_memory(device) or 0) / 2**20
        yield row(f"{kind} training step, {name}", f"W 32, batch {batch}", spent, note=note, peak=peak)


def compare(batch: int, sequences: int, frames: int, repeats: int):
    """The plain loop of benchmarks/reference.py beside ours on one thread, and whether they say the same."""
    from benchmarks import reference
    from lib.evaluation.evaluate import evaluate

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = np.diff(np.linspace(0, frames, sequences + 1).astype(int)).tolist()

    def motion(length: int) -> np.ndarray:  # float64, metres
        return rng.uniform(-1, 1, CHANNELS) + 0.3 * np.sin(np.arange(length)[:, None] / rng.uniform(5, 30, CHANNELS))

    def line(what: str, size: str, times: dict[str, Spent], difference: float, **more: object) -> Row:
        plain = times["reference"]
        extra = {"reference": plain._asdict(), "ratio": plain.cpu / times["ours"].cpu, "difference": difference}
        return row(what, size, times["ours"], **extra, **more)

    # training: loading and a step; one long sequence, as in Human3.6M
    long = 2600
    truth = [motion(long)]
    detected = [truth[0] + 0.02 * rng.standard_normal(truth[0].shape)]
    blocks = [torch.tensor(poses[0]).float() for poses in (detected, truth)]
    sets = TrainingWindows(*blocks, torch.arange(long - 31), None, 32, 3)
    order = torch.from_numpy(rng.permutation(long - 31)[:batch])
    items = [(0, int(start)) for start in order]
    fused.keep_freed_memory()  # as training does
    loaded = reference.load_batch(detected, truth, items, 32)
    x, y, _ = sets.batch(order)
    differs = float((loaded["x"].permute(0, 2, 1) - x).abs().max() / x.abs().max())
    loads = {
        "ours": lambda: sets.batch(order),
        "reference": lambda: reference.load_batch(detected, truth, items, 32),
    }
    times = {name: spent.times(1 / batch) for name, spent in in_turns(loads, repeats).items()}
    yield line("loading a sample", f"W 32, L {long}", times, differs)

    def trained(dropout: float) -> dict[str, Callable[[], float]]:
        """A step of each kind, on networks of the same weights of their own."""
        models = {name: network(32, dropout) for name in ("ours", "reference")}
        rate = {name: torch.optim.Adam(model.parameters(), 1e-3, amsgrad=True) for name, model in models.items()}
        chosen = fused.fastest_products(models["ours"], batch, CHANNELS, torch.float32)
        objective = TrainingObjective(models["ours"], smoothnet_loss(1.0, 0.1), products=chosen)

        def ours() -> float:
            rate["ours"].zero_grad()
            loss = objective(x, y, seed=1)[0]
            loss.backward()
            rate["ours"].step()
            return float(loss)

        return {
            "ours": ours,
            "reference": lambda: reference.train_step(models["reference"], rate["reference"], loaded),
        }

    exact = trained(0.0)  # their masks differ
    losses = [(exact["ours"](), exact["reference"]()) for _ in range(3)]
    differs = max(abs(a / b - 1) for a, b in losses)
    bare = {name: partial(call, batch * CHANNELS) for name, call in limits(32, True).items()}
    times = in_turns({**bare, **trained(DROPOUT)}, repeats)
    yield line("training step", f"W 32, batch {batch}", times, differs,
               **against(times["ours"], {name: times[name] for name in bare}))  # fmt: skip

    # evaluation, with its figures
    model = network(32).eval()
    truth = [motion(length) for length in lengths]
    detected = [poses + 0.02 * rng.standard_normal(poses.shape) for poses in truth]
    data = poses_of(*(torch.tensor(np.concatenate(poses)).float() for poses in (detected, truth)), lengths)
    cfg = load_config()
    figures: dict[str, dict[str, float]] = {}
    calls = {
        "ours": lambda: figures.update(ours=evaluate(cfg, model, "none", [data], CPU)[0][0]["metrics"]),
        "reference": lambda: figures.update(reference=reference.evaluate(model, detected, truth, 32)),
    }
    rows = (frames - 31 * sequences) * CHANNELS
    bare = {name: partial(call, rows) for name, call in limits(32, False).items()}
    times = in_turns({**bare, **calls}, repeats, warm_up=False)
    differs = max(abs(figures["ours"][name] / value - 1) for name, value in figures["reference"].items())
    yield line("whole evaluation", f"W 32, {sequences} sequences, {frames} frames", times, differs,
               **against(times["ours"], {name: times[name] for name in bare}))  # fmt: skip

    # smoothing alone
    recording, smoothed = data.detected[: frames // 4], {}

    def ours() -> None:
        with torch.inference_mode():
            smoothed["ours"] = smooth_sequence(fused.inference(model), recording, 32)

    calls = {"ours": ours, "reference": lambda: smoothed.update(reference=reference.smooth(model, recording, 32))}
    bare = {name: partial(call, (len(recording) - 31) * CHANNELS) for name, call in limits(32, False).items()}
    times = in_turns({**bare, **calls}, repeats, warm_up=False)
    differs = float((smoothed["ours"] - smoothed["reference"]).abs().max() / smoothed["reference"].abs().max())
    yield line("smoothing at step 1", f"W 32, {len(recording)} frames", times, differs,
               **against(times["ours"], {name: times[name] for name in bare}))  # fmt: skip


def parts(quick: bool):
    """(name, function, arguments) of everything to measure; "compare" only where asked for."""
    yield "compare", compare, (64, 6, 384, 1) if quick else (1024, 60, 3824, 3)
    for window in (32,) if quick else (8, 16, 32, 64):
        for batch in (256,) if quick else (1024, 4000):
            yield "training", training, (window, batch, 2 if quick else 5)
    yield "profile", profile, (3 if quick else 20,)
    yield "training", autograd, (32, 64 if quick else 1024, 1 if quick else 2)
    for batch in (1024,) if quick else (1024, 4000):
        yield "assembly", assembly, (200_000 if quick else 1_559_752, batch, 5)
    yield "start-up", start_up, (60, 150_000) if quick else (600, 1_500_000)
    for sizes in ((2, 1500),) if quick else ((10, 20_000), (50, 100_000)):
        yield "evaluation", evaluate, sizes
    yield "overlap", overlap, (5,)
    yield "procrustes", procrustes, (10_000 if quick else 100_000, 3)
    yield "inference", inference, (1000, (1, 8), 2) if quick else (5000, (1, 4, 8, 16, 32), 5)
    yield "streaming", streaming, (300 if quick else 3000,)
    for kind in ("cuda", "sdaa"):
        if there(kind):
            yield "accelerator", accelerator, (kind, 4000, 20 if quick else 200)


def there(kind: str) -> bool:
    try:
        devices.select_device(kind)
    except SmoothNetError:
        return False
    return True


def peak_memory() -> float:
    """Most memory this process has held, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def run_part(number: int, quick: bool) -> list[Row]:
    """One part; called in a process of its own."""
    _, function, arguments = list(parts(quick))[number]
    gc.disable()
    rows = list(function(*arguments))
    for line in rows:
        line.setdefault("peak", peak_memory())
    return rows


def processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def flags() -> list[str]:
    return (_cpuinfo("flags") or _cpuinfo("Features")).split()


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        return ""


def duration(seconds: float) -> str:
    unit, name = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    return f"{seconds * unit:.3g} {name}"


def cells(line: Row) -> list[str]:
    ratio = [f"{line[key]:.2f}" if key in line else "" for key in ("x_products", "x_torch_mm")]
    peak = f"{line['peak']:.0f} MB" if line.get("peak") else ""
    what, size, note = (str(line.get(key, "")) for key in ("what", "size", "note"))
    return [what, size, duration(line["wall"]), duration(line["cpu"]), *ratio, peak, note]


def cells_of_comparison(line: Row) -> list[str]:
    times = [duration(which[clock]) for clock in ("cpu", "wall") for which in (line["reference"], line)]
    x_products = f"{line['x_products']:.2f}" if "x_products" in line else ""
    return [line["what"], line["size"], *times, f"{line['ratio']:.2f}", x_products, f"{line['difference']:.0e}"]


HEADER = ["what", "size", "wall", "CPU", "x products", "x torch.mm", "peak", "note"]
HEADER_OF_COMPARISON = ["what", "size", "reference CPU", "ours CPU", "reference wall", "ours wall",
                        "reference / ours, CPU", "ours x products", "results differ by"]  # fmt: skip


def machine(threads: int) -> str:
    """What the figures depend on."""
    known = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve"}
    has = " ".join(flag for flag in flags() if flag in known) or "unknown"
    limited = " ".join(f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ)
    return (
        f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}. Instruction sets: the processor has {has}, "
        f"PyTorch uses {torch.backends.cpu.get_cpu_capability()}, limited by {limited or 'nothing'}. "
        f"{threads} thread{'s' * (threads > 1)}, ratios of {'CPU' if threads == 1 else 'wall'} time."
    )


def load() -> str:
    """Programs that wanted a processor, in the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--json", help="also write the rows to this file")
    parser.add_argument("--only", default="", help="comma list of training, profile, assembly, start-up, evaluation, "
                        "overlap, procrustes, inference, streaming, accelerator")  # fmt: skip
    parser.add_argument("--compare", action="store_true",
                        help="the plain loop of benchmarks/reference.py beside ours, on one thread")  # fmt: skip
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.part is not None:
        print(json.dumps(run_part(args.part, args.quick)))
        return 0
    about = machine(1 if args.compare else torch.get_num_threads())
    before = load()
    print(f"{about} Load at the start {before}.\n")
    header, to_cells = (HEADER_OF_COMPARISON, cells_of_comparison) if args.compare else (HEADER, cells)
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|", flush=True)
    rows, failed = [], False
    for number, (name, function, arguments) in enumerate(parts(args.quick)):
        if (name == "compare") != args.compare or (args.only and name not in args.only.split(",")):
            continue
        command = [sys.executable, __file__, "--part", str(number), *(["--quick"] if args.quick else [])]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            failed = True
            print(f"{function.__name__}{arguments} failed:\n{answer.stderr}", file=sys.stderr)
            continue
        for line in json.loads(answer.stdout.splitlines()[-1]):
            rows.append(line)
            print("| " + " | ".join(to_cells(line)) + " |", flush=True)
    print(f"\nLoad at the end {load()}.")
    if args.json:
        write_json(args.json, {"machine": about, "load": [before, load()], "quick": args.quick, "rows": rows})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
