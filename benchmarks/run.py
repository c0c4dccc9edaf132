# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How fast everything is, and how near to what the matrix products alone take.

    python benchmarks/run.py [--quick] [--json out.json] [--only training,inference]

Every part runs in a process of its own, so that peak memory is that part's. Times are medians; what is
compared is measured in turns, in one process, because other programs may be running.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

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
Row = dict[str, object]


def row(what: str, size: str, seconds: float | None, **more: object) -> Row:
    """One line of the table; `more`: note, products (seconds), torch_mm (seconds)."""
    return {"what": what, "size": size, "seconds": seconds, **more}


def in_turns(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, and the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if i:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


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


def products(window: int, rows: int, chunk: int, product: Callable[..., torch.Tensor], train: bool) -> None:
    """All matrix products of `rows` rows, `chunk` at a time, and nothing else; product(x, w) is x w^T."""
    encoder, decoder = torch.ones(HIDDEN, window), torch.ones(window, HIDDEN)
    w1, w2 = torch.ones(RES_HIDDEN, HIDDEN), torch.ones(HIDDEN, RES_HIDDEN)
    block = torch.ones(4, chunk, HIDDEN)
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


def limits(window: int, rows: int, train: bool) -> dict[str, Callable[[], None]]:
    """Two ways to do the bare products: torch.mm as it comes, and oneDNN with one chunk for each thread."""
    threads = torch.get_num_threads()

    @torch.no_grad()
    def torch_mm() -> None:
        products(window, rows, 2048, lambda x, w: torch.mm(x, w.t()), train)

    @torch.no_grad()
    def share() -> None:
        products(window, rows // threads, fused.CHUNK_ROWS, fused.linear, train)

    def in_threads() -> None:
        pool = fused.thread_pool(threads)
        for task in [pool.submit(share) for _ in range(threads)]:
            task.result()

    return {"torch.mm": torch_mm, "oneDNN": in_threads}


def against_limits(calls: dict[str, Callable[[], object]], window: int, rows: int, train: bool, repeats: int):
    """Times of the calls and, measured in turns with them, of torch.mm and of the faster kind of products."""
    times = in_turns({**limits(window, rows, train), **calls}, repeats)
    return times, {"products": min(times["torch.mm"], times["oneDNN"]), "torch_mm": times["torch.mm"]}


# the parts, each a generator of rows


def training(window: int, batch: int, repeats: int):
    """One training step (loss, gradients, Adam); plain autograd beside it where memory allows."""
    x, truth = torch.randn(batch, CHANNELS, window), torch.randn(batch, CHANNELS, window)
    model = network(window, DROPOUT)
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1))
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)

    def step(dtype: torch.dtype | None) -> None:
        optimizer.zero_grad()
        with devices.autocast(CPU, dtype):
            loss = objective(x, truth, seed=1)[0]
        loss.backward()
        optimizer.step()

    calls = {name: partial(step, dtype) for name, dtype in products_types().items()}
    times, bounds = against_limits(calls, window, batch * CHANNELS, True, repeats)
    peak = peak_memory()
    for name in calls:
        yield row(f"training step, {name}", f"W {window}, batch {batch}", times[name], **bounds, peak=peak)


def autograd(window: int, batch: int, repeats: int):
    """The same step by plain autograd over the whole batch, for comparison."""
    x, truth = torch.randn(batch, CHANNELS, window), torch.randn(batch, CHANNELS, window)
    model = network(window, DROPOUT)
    objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), fused=False)
    calls = {"plain": lambda: objective(x, truth)[0].backward()}
    times, bounds = against_limits(calls, window, batch * CHANNELS, True, repeats)
    yield row("the same by plain autograd", f"W {window}, batch {batch}", times["plain"], **bounds)


def assembly(frames: int, batch: int, repeats: int):
    """Gathering a batch from the block of frames."""
    block = torch.randn(frames, CHANNELS)
    sets = TrainingWindows(block, block.clone(), torch.arange(frames - 32), None, 32, 3)
    order = torch.randperm(len(sets))[:batch]
    fused.keep_freed_memory()  # as training does
    seconds = in_turns({"batch": lambda: sets.batch(order)}, repeats)["batch"]
    yield row("batch assembly", f"W 32, batch {batch} of {frames} frames", seconds)


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
            start = time.perf_counter()
            root = str(Path(__file__).resolve().parents[1])
            command = [sys.executable, "-c", START_UP, root, base]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times.append(time.perf_counter() - start)
            peaks.append(int(answer.splitlines()[-1]) / 1024)
    size = 2 * frames * CHANNELS * 4 / 2**20
    note = f"poses are {size:.0f} MB as float32; peak is {max(peaks) / size:.2f} times that"
    what, label = "start-up: import, load, first batch", f"{sequences} sequences, {frames} frames"
    yield row(what, label, statistics.median(times), peak=max(peaks), note=note)


def evaluate(sequences: int, frames: int):
    """An evaluation with its table, and the time outside the network: overlap mean, metrics, table."""
    from lib.evaluation import evaluate as e

    block = torch.randn(frames, CHANNELS)
    data = PoseData(
        facts=Facts("benchmark", "3D", (), 17),
        estimator="none", phase="test", detected=block + 0.1 * torch.randn_like(block), groundtruth=block,
        offsets=torch.linspace(0, frames, sequences + 1).long(), valid=torch.ones(frames, dtype=torch.bool),
        scale=torch.full((sequences, 3), 1000.0), shift=torch.zeros(sequences, 3),
        names=[f"{i}" for i in range(sequences)],
    )  # fmt: skip
    model, spent = network(32).eval(), []
    cfg = load_config()
    original = e.channel_network

    def timed(*arguments: object) -> Callable[[torch.Tensor], torch.Tensor]:
        run = original(*arguments)

        def call(x: torch.Tensor) -> torch.Tensor:
            start = time.perf_counter()
            y = run(x)
            spent.append(time.perf_counter() - start)
            return y

        return call

    e.channel_network = timed
    start = time.perf_counter()
    e.evaluate(cfg, model, "none", [data], torch.device("cpu"))
    total = time.perf_counter() - start
    e.channel_network = original
    share = f"{(total - sum(spent)) / sum(spent):.1%} of the network's time is spent outside of it"
    yield row("evaluation at step 1", f"W 32, {sequences} sequences, {frames} frames", total, note=share)


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
        times = {name: seconds / 20 for name, seconds in in_turns(turns, repeats).items()}
        speed = {name: 8 * windows.numel() / seconds / 1e9 for name, seconds in times.items()}
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
    times = {name: 1e6 * seconds / frames for name, seconds in in_turns(calls, repeats).items()}
    note = f"{times['align']:.2f} us a frame to align; numpy's SVDs alone {times['svd']:.2f}"
    yield row("PA-MPJPE", f"{frames} frames, 17 joints", times["pampjpe"] * frames / 1e6, note=note)


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
        times, bounds = against_limits(calls, 32, rows, False, repeats)
        for name in calls:
            note = f"{frames / times[name]:.0f} frames/s"
            yield row(f"smoothing, {name}", f"W 32, step {step}, 17 joints", times[name], note=note, **bounds)


def streaming(frames: int):
    """Time of a push, frame by frame."""
    model = network(32).eval()

    @torch.inference_mode()
    def run(windows: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(np.ascontiguousarray(windows, np.float32))).numpy()

    poses = np.random.default_rng(0).standard_normal((frames, 17, 3))
    stream, times = Smoother(Network(run, 32, "body")).stream(delay=2), []
    for pose in poses:
        start = time.perf_counter()
        stream.push(pose)
        times.append(time.perf_counter() - start)
    p50, p99 = np.percentile(times[32:], [50, 99])
    yield row("streaming, one push", "W 32, 17 joints", float(p50), note=f"p99 {1000 * p99:.2f} ms")


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
        call = torch.compile(model, backend=devices.compile_backend(device)) if compiled else None
        objective = TrainingObjective(model, smoothnet_loss(1.0, 0.1), network=call)
        optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
        devices.reset_peak_memory(device)

        for i in range(steps + 5):
            if i == 5:  # warm by now
                devices.synchronize(device)
                start = time.perf_counter()
            x, truth, mask = sets.batch(order[i * batch : (i + 1) * batch])
            optimizer.zero_grad()
            with devices.autocast(device, dtype):
                loss = objective(x, truth, mask)[0]
            loss.backward()
            optimizer.step()
        devices.synchronize(device)
        seconds = (time.perf_counter() - start) / steps
        note = f"an epoch of {len(sets)} windows: {seconds * -(-len(sets) // batch):.2f} s"
        peak = (devices.peak_memory(device) or 0) / 2**20
        yield row(f"{kind} training step, {name}", f"W 32, batch {batch}", seconds, note=note, peak=peak)


def parts(quick: bool):
    """(name, function, arguments) of everything to measure."""
    for window in (32,) if quick else (8, 16, 32, 64):
        for batch in (256,) if quick else (1024, 4000):
            yield "training", training, (window, batch, 2 if quick else 5)
    yield "training", autograd, (32, 64 if quick else 1024, 1 if quick else 2)
    for batch in (1024,) if quick else (1024, 4000):
        yield "assembly", assembly, (200_000 if quick else 1_559_752, batch, 5)
    yield "start-up", start_up, (60, 150_000) if quick else (600, 1_500_000)
    for sizes in ((2, 1500),) if quick else ((10, 20_000), (240, 540_000)):
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
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    unit, name = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    return f"{seconds * unit:.3g} {name}"


def cells(line: Row) -> list[str]:
    ratio = [f"{line['seconds'] / line[key]:.2f}" if key in line else "" for key in ("products", "torch_mm")]
    peak = f"{line['peak']:.0f} MB" if line.get("peak") else ""
    what, size, note = (str(line.get(key, "")) for key in ("what", "size", "note"))
    return [what, size, duration(line["seconds"]), *ratio, peak, note]


HEADER = ["what", "size", "time", "x products", "x torch.mm", "peak", "note"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--json", help="also write the rows to this file")
    parser.add_argument("--only", default="", help="comma list of training, assembly, start-up, evaluation, "
                        "overlap, procrustes, inference, streaming, accelerator")  # fmt: skip
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.part is not None:
        print(json.dumps(run_part(args.part, args.quick)))
        return 0
    threads, level = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    machine = f"{processor()}, {level}, {os.cpu_count()} cores, torch {torch.__version__}, {threads} threads"
    print(machine + "\n")
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|", flush=True)
    rows, failed = [], False
    for number, (name, function, arguments) in enumerate(parts(args.quick)):
        if args.only and name not in args.only.split(","):
            continue
        command = [sys.executable, __file__, "--part", str(number), *(["--quick"] if args.quick else [])]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            failed = True
            print(f"{function.__name__}{arguments} failed:\n{answer.stderr}", file=sys.stderr)
            continue
        for line in json.loads(answer.stdout.splitlines()[-1]):
            rows.append(line)
            print("| " + " | ".join(cells(line)) + " |", flush=True)
    if args.json:
        write_json(args.json, {"machine": machine, "quick": args.quick, "rows": rows})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
