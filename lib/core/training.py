"""Training: batch, forward, backward, step, log, save, evaluate; one plain loop.

What is random in a step (the order of windows, dropout) follows from the seed, the epoch and the step alone. A
checkpoint that holds these numbers, the weights and the optimiser is therefore all that an exact resume needs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn
from tqdm import tqdm
from yacs.config import CfgNode

from ..dataset.augment import augment, is_on
from ..dataset.poses import PoseData
from ..dataset.windows import TrainingWindows, derive_seed, epoch_batches, epoch_order, training_windows
from ..models.normalize import normalize
from ..models.smoothnet import SmoothNet
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.dllogger import IterationLog
from ..utils.errors import SmoothNetError
from ..utils.files import write_json, write_text
from . import evaluation
from .checkpoints import read_checkpoint, save_checkpoint
from .config import as_plain
from .loss import smoothnet_loss
from .objective import TrainingObjective
from .plots import plot_history
from .report import result_row

log = logging.getLogger(__name__)

LAST, BEST = "checkpoint.pth.tar", "best.pth.tar"
OUT_OF_MEMORY = (
    "set TRAIN.MICRO_BATCH, windows that go through the network at once (--opts TRAIN.MICRO_BATCH 128; the result "
    "stays the same), keep the frames in host memory (TRAIN.DATA_DEVICE cpu), or lower --batch_size"
)


@dataclass
class Position:
    """Where a run is: finished epochs, batches done in the current one, iterations and float16 overflows so far."""

    epoch: int = 0
    batch: int = 0
    iteration: int = 0
    overflows: int = 0


def build_model(cfg: CfgNode) -> SmoothNet:
    """A fresh network; its weights are drawn on the CPU, so they are the same for every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.SEED_VALUE)
        return SmoothNet(
            window_size=cfg.MODEL.SLIDE_WINDOW_SIZE,
            hidden_size=cfg.MODEL.HIDDEN_SIZE,
            res_hidden_size=cfg.MODEL.RES_HIDDEN_SIZE,
            num_blocks=cfg.MODEL.NUM_BLOCK,
            dropout=cfg.MODEL.DROPOUT,
        )


def make_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """Adam with amsgrad and no weight decay, as published."""
    return torch.optim.Adam(model.parameters(), lr=cfg.TRAIN.LR, amsgrad=True)


def train(
    cfg: CfgNode,
    train_sets: list[PoseData],
    test_sets: list[PoseData],
    run: Path,
    device: torch.device,
    *,
    world: World = World(),  # noqa: B008  (frozen)
    body: Any = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
    echo: TextIO | None = None,
) -> bool:
    """Train and leave everything in the run folder.

    Args:
        cfg: the resolved settings.
        train_sets, test_sets: the datasets, in the order of the names.
        run: folder for checkpoints (epoch_N.pth.tar, checkpoint.pth.tar, best.pth.tar), metrics.json, TensorBoard.
        world: the processes that train together, each on its own part of every batch; rank 0 writes the files.
        body: SMPL, for evaluating smpl datasets.
        stop: asked after each step; True ends the run there with a checkpoint.
        progress: show a progress bar.
        echo: where the ModelZoo's log lines go besides dllogger_rank<N>.log.

    Returns:
        True if the run came to its end, False if `stop` ended it.

    Raises:
        SmoothNetError: the loss is not finite; nothing to train on; an unusable checkpoint.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes seconds to import, and only training needs it

    sets = [training_windows(data, cfg.MODEL.SLIDE_WINDOW_SIZE, cfg.TRAIN.SAMPLING) for data in train_sets]
    sets = place(sets, cfg.TRAIN.DATA_DEVICE, device)
    model = build_model(cfg).to(device)
    optimizer = make_optimizer(model, cfg)
    dtype = devices.autocast_dtype(device, cfg.TRAIN.AUTOCAST_DTYPE) if cfg.TRAIN.AUTOCAST else None
    scaled = dtype == torch.float16 and cfg.TRAIN.GRAD_SCALE > 0
    scaler = devices.make_grad_scaler(device, scaled, cfg.TRAIN.GRAD_SCALE or 1.0)
    position, history, best, epoch_loss = Position(), [], math.nan, (0.0, 0)
    resumed = find_resume(cfg.TRAIN.RESUME, run)
    if resumed is not None:
        position, history, best, epoch_loss = restore(resumed, model, optimizer, scaler, cfg, world)
    batches = epoch_batches([len(s) for s in sets], cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.SAMPLING == "legacy", world.size)
    objective = world.wrap(make_objective(model, cfg, sets, device))
    describe(cfg, model, sets, batches, world, dtype)
    shares = [world.share(data.offsets.diff().tolist()) for data in test_sets]
    baselines = [
        [evaluation.without_poses(r) for r in evaluation.evaluate_sequences(
            data, {"input": evaluation.input_method(data)}, root_relative=cfg.EVALUATE.ROOT_RELATIVE,
            body=body, sequences=share,
        )] if cfg.TRAIN.VALIDATE else [] for data, share in zip(test_sets, shares, strict=True)
    ]  # fmt: skip

    def save(*names: str) -> None:
        content = {
            "epoch": position.epoch,
            "batch": position.batch,
            "iteration": position.iteration,
            "overflows": position.overflows,
            "windows_per_step": cfg.TRAIN.BATCH_SIZE * world.size,
            "state_dict": model.state_dict(),
            "performance": history[-1].get("performance") if history else None,
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "best": best,
            "history": history,
            "epoch_loss": epoch_loss,
            "normalize": cfg.MODEL.NORMALIZE,
            "config": as_plain(cfg),
        }
        for name in names:
            save_checkpoint(run / name, content)

    writer = SummaryWriter(str(run / "tensorboard")) if world.main else None
    lines = IterationLog(run, world.rank, echo)
    profile = start_profiler(cfg, device, world.rank) if cfg.TRAIN.PROFILER else None
    finished = True
    try:
        while position.epoch < cfg.TRAIN.EPOCH and not _steps_done(cfg, position):
            orders = [epoch_order(len(s), cfg.SEED_VALUE, position.epoch, d) for d, s in enumerate(sets)]
            for group in optimizer.param_groups:
                group["lr"] = cfg.TRAIN.LR * cfg.TRAIN.LRDECAY**position.epoch
            meter = Meter(cfg.TRAIN.LOG_EVERY if device.type != "cpu" else 1, lines, *epoch_loss)
            bar = tqdm(
                total=len(batches),
                initial=position.batch,
                desc=f"epoch {position.epoch + 1}/{cfg.TRAIN.EPOCH}",
                unit="batch",
                disable=None if progress and world.main else True,  # None: off where stderr is no terminal
                leave=False,
            )
            model.train()
            while position.batch < len(batches):
                d, part = batches[position.batch]
                joint = orders[d][part]  # the windows of all processes
                order = joint[world.rank :: world.size]
                weight = len(order) * world.size / len(joint)  # DDP's mean over processes becomes one over windows
                seed = derive_seed(cfg.SEED_VALUE, position.epoch, position.batch, 1 + world.rank)
                batch = load_batch(sets[d], order, cfg, device, seed)
                loss = train_step(objective, optimizer, scaler, batch, device, dtype, seed, weight, position)
                position.batch += 1
                position.iteration += 1
                if meter.add(loss, len(order), position) and world.main:
                    bar.set_postfix_str(f"loss {meter.loss:.5f}, {meter.rate:.0f} windows/s", refresh=False)
                    writer.add_scalar("train/loss", meter.loss, position.iteration)
                bar.update()
                if profile is not None:
                    profile.step()
                if world.any(stop()):
                    finished = False
                    break
                if _steps_done(cfg, position):
                    break
            bar.close()
            meter.read(position)
            parts = world.gather((meter.total, meter.windows))
            epoch_loss = sum(total for total, _ in parts), sum(windows for _, windows in parts)
            if not finished:
                if world.main:
                    save(LAST)
                break
            rows = validate(model, test_sets, shares, baselines, cfg, device, body, world, lines, position)
            mean = epoch_loss[0] / max(epoch_loss[1], 1)
            if position.batch == len(batches):
                position.epoch, position.batch, epoch_loss = position.epoch + 1, 0, (0.0, 0)
            if world.main:
                entry = {"epoch": position.epoch, "iteration": position.iteration, "loss": mean}
                entry["lr"] = optimizer.param_groups[0]["lr"]
                entry["overflows"] = position.overflows
                if rows:
                    entry["results"] = rows
                    entry["performance"] = performance(rows)
                for row in rows:
                    for key, value in row["metrics"].items():
                        writer.add_scalar(f"{row['dataset']}_{row['estimator']}/{key}", value, position.epoch)
                writer.add_scalar("train/epoch_loss", mean, position.epoch)
                history.append(entry)
                log.info(
                    "epoch %d: loss %.6f, lr %.3g, %.0f windows/s%s%s",
                    position.epoch, mean, entry["lr"], meter.rate * world.size, _brief(rows),
                    f", {position.overflows} overflowed steps so far" if position.overflows else "",
                )  # fmt: skip
                names = [LAST] if position.batch else [LAST, f"epoch_{position.epoch}.pth.tar"]
                if better(entry.get("performance"), best):
                    best = entry["performance"]
                    names.append(BEST)
                save(*names)
                write_json(run / "metrics.json", {"results": rows, "history": history})
            if world.from_main(gives_up(history, cfg.TRAIN.EARLY_STOP)):
                log.info("no better result in the last %d epochs: the run ends here", cfg.TRAIN.EARLY_STOP)
                break
    finally:
        lines.close()
        if profile is not None:
            profile.stop()
        if world.main:
            writer.close()
            if history:
                plot_history(history, run / "curves.png")
    return finished


def make_objective(
    model: SmoothNet, cfg: CfgNode, sets: list[TrainingWindows], device: torch.device
) -> TrainingObjective:
    """The network with its loss; large batches are cut to pieces that fit the device's memory."""
    channels = max(s.detected.shape[1] for s in sets)
    micro_batch = cfg.TRAIN.MICRO_BATCH or fitting_micro_batch(model, channels, cfg.TRAIN.BATCH_SIZE, device)
    compiled = torch.compile(model, backend=devices.compile_backend(device)) if cfg.TRAIN.COMPILE else None
    return TrainingObjective(model, cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL, micro_batch, compiled)


def fitting_micro_batch(model: SmoothNet, channels: int, batch_size: int, device: torch.device) -> int:
    """Windows whose activations take about half of the device's free memory; 0 if the whole batch fits or unknown."""
    free = devices.memory_free(device)
    if free is None:
        return 0
    inner = 4 * model.hidden_size + 4 * model.res_hidden_size  # before and after dropout and activation, each
    values = channels * (4 * model.window_size + 2 * model.hidden_size + model.num_blocks * inner)
    fitting = max(free // 2 // (4 * values), 1)
    return 0 if fitting >= batch_size else int(fitting)


def start_profiler(cfg: CfgNode, device: torch.device, rank: int) -> torch.profiler.profile:
    """Profile steps 3 to 7; writes trace_rank<N>.json (for chrome://tracing) and a table to TRAIN.PROFILER_PATH."""
    folder = Path(cfg.TRAIN.PROFILER_PATH)

    def write(profile: torch.profiler.profile) -> None:
        profile.export_chrome_trace(str(folder / f"trace_rank{rank}.json"))
        write_text(folder / f"operators_rank{rank}.txt", profile.key_averages().table(row_limit=40) + "\n")

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SmoothNetError(
            f"cannot create {folder} for the profile: {error.strerror}; see --profiler_path"
        ) from error
    profile = torch.profiler.profile(
        activities=devices.profiler_activities(device),
        schedule=torch.profiler.schedule(wait=1, warmup=1, active=5, repeat=1),
        on_trace_ready=write,
    )
    profile.start()
    return profile


Batch = tuple[torch.Tensor, torch.Tensor, "torch.Tensor | None"]  # input, truth, mask of the frames that count


def load_batch(windows: TrainingWindows, order: torch.Tensor, cfg: CfgNode, device: torch.device, seed: int) -> Batch:
    """The windows numbered `order`, on the device, normalised as MODEL.NORMALIZE says, augmented as AUGMENT says."""
    x, truth, mask = (None if t is None else devices.to_device(t, device) for t in windows.batch(order))
    if cfg.MODEL.NORMALIZE != "none":
        x, offset, scale = normalize(x, windows.dims)
        truth = (truth - offset) / (scale + (scale == 0))  # 0: nothing moves in the window
    if is_on(cfg.AUGMENT):
        generator = torch.Generator().manual_seed(derive_seed(seed, 2))  # apart from the dropout masks of this step
        x, truth = augment(x, truth, cfg.AUGMENT, generator, mask)
    return x, truth, mask


def train_step(
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    batch: Batch,
    device: torch.device,
    dtype: torch.dtype | None,
    seed: int,
    weight: float,
    position: Position,
) -> torch.Tensor:
    """One iteration; returns the loss, on the device.

    Args:
        objective: TrainingObjective, alone or in DistributedDataParallel.
        scaler: for float16; it skips steps whose gradients overflow, which position.overflows counts.
        dtype: of the matrix products, None for float32. Loss and weights are float32 always.
        seed: of the dropout masks.
        weight: of this process's loss in the mean over processes.
    """
    devices.manual_seed(device, seed)
    optimizer.zero_grad(set_to_none=True)
    scale = scaler.get_scale()
    factor = scaler.scale(torch.ones((), device=device)) if dtype == torch.float16 else None
    with devices.autocast(device, dtype is not None, dtype):
        loss, _, _ = objective(*batch, seed, factor)
    scaler.scale(loss * weight).backward()
    loss = loss.detach()
    if device.type == "cpu":
        check_finite(float(loss), position)
    scaler.step(optimizer)
    scaler.update()
    position.overflows += scaler.get_scale() < scale
    return loss


def check_finite(loss: float, position: Position) -> None:
    """Raise if the loss at `position` cannot be trained on."""
    if not math.isfinite(loss):
        raise SmoothNetError(
            f"the loss became {loss} at epoch {position.epoch + 1}, step {position.batch + 1}; the last good "
            "checkpoint is kept; lower the learning rate (--lr) or look at the data of that epoch"
        )


class Meter:
    """Mean loss and speed of an epoch, reading losses from the device only every `every` iterations."""

    def __init__(self, every: int, lines: IterationLog, total: float = 0.0, windows: int = 0):
        self.every, self.lines = every, lines
        self.pending: list[tuple[torch.Tensor, int]] = []
        self.total, self.windows, self.loss = total, windows, math.nan
        self.before = windows  # seen before a resume, which the speed leaves out
        self.start = self.last_read = time.perf_counter()

    def add(self, loss: torch.Tensor, windows: int, position: Position) -> bool:
        """Note one iteration; True when the losses were read."""
        self.pending.append((loss, windows))
        if len(self.pending) < self.every:
            return False
        self.read(position)
        return True

    def read(self, position: Position) -> None:
        """Read the pending losses; raises SmoothNetError for the first that is not finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, _ in self.pending]).cpu().tolist()
        now = time.perf_counter()
        rate = sum(windows for _, windows in self.pending) / max(now - self.last_read, 1e-9)
        self.last_read = now
        for i, (loss, (_, windows)) in enumerate(zip(losses, self.pending, strict=True)):
            batch = position.batch - len(losses) + i
            check_finite(loss, Position(position.epoch, batch))
            self.lines.log(position.epoch, batch, **{"train.loss": loss, "train.ips": rate})
            self.total += loss * windows
            self.windows += windows
        self.loss = losses[-1]
        self.pending.clear()

    @property
    def rate(self) -> float:
        return (self.windows - self.before) / max(time.perf_counter() - self.start, 1e-9)


def place(sets: list[TrainingWindows], where: str, device: torch.device) -> list[TrainingWindows]:
    """Put the frames on the device if asked for, or if they take less than half of its free memory."""
    if where == "cpu" or device.type == "cpu":
        return sets
    size = sum(s.detected.nbytes + s.groundtruth.nbytes for s in sets)
    free = devices.memory_free(device)
    if where == "auto" and free is not None and size > free / 2:
        log.info("the frames (%.1f GB) stay in host memory: the device has %.1f GB free", size / 1e9, free / 1e9)
        return sets
    return [s.to(device) for s in sets]


def find_resume(setting: str, run: Path) -> Path | None:
    """The checkpoint that TRAIN.RESUME means: a path, or `auto` for the run folder's last one if there is one."""
    if not setting:
        return None
    path = run / LAST if setting == "auto" else Path(setting)
    if setting == "auto" and not path.exists():
        log.info("nothing to resume in %s: a fresh start", run)
        return None
    return path


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: Any, cfg: CfgNode, world: World
) -> tuple[Position, list[dict[str, Any]], float, tuple[float, int]]:
    """Load a checkpoint of ours into the model and the optimiser.

    Raises:
        SmoothNetError: it is not one that training wrote, or of another network.
    """
    checkpoint = read_checkpoint(path)
    if "iteration" not in checkpoint or not checkpoint.get("optimizer"):
        raise SmoothNetError(f"{path} cannot be resumed: it holds weights but not the state of a run")
    if checkpoint.get("normalize", "none") != cfg.MODEL.NORMALIZE:
        raise SmoothNetError(
            f"{path} was trained with MODEL.NORMALIZE {checkpoint.get('normalize')}, not {cfg.MODEL.NORMALIZE}"
        )
    try:
        model.load_state_dict(checkpoint["state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        if checkpoint.get("scaler") and scaler.state_dict():  # both with float16, else there is nothing to restore
            scaler.load_state_dict(checkpoint["scaler"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SmoothNetError(f"{path} does not fit the network of this run: {reason}") from error
    position = Position(
        checkpoint["epoch"], checkpoint["batch"], checkpoint["iteration"], checkpoint.get("overflows", 0)
    )
    windows = checkpoint.get("windows_per_step", cfg.TRAIN.BATCH_SIZE * world.size)
    if position.batch and windows != cfg.TRAIN.BATCH_SIZE * world.size:
        raise SmoothNetError(
            f"{path} was written within an epoch of {windows} windows a step (batch size x processes), so it cannot "
            f"be resumed with {cfg.TRAIN.BATCH_SIZE} x {world.size}; use the same, or resume from an epoch_N.pth.tar"
        )
    log.info("resumed from %s: epoch %d, step %d", path, position.epoch + 1, position.batch + 1)
    epoch_loss = tuple(checkpoint["epoch_loss"]) if world.main else (0.0, 0)  # a sum over the processes
    return position, checkpoint["history"], checkpoint["best"], epoch_loss


def validate(
    model: SmoothNet,
    test_sets: list[PoseData],
    shares: list[list[int]],
    baselines: list[list[evaluation.SequenceResult]],
    cfg: CfgNode,
    device: torch.device,
    body: Any,
    world: World,
    lines: IterationLog,
    position: Position,
) -> list[dict[str, Any]]:
    """Evaluate the network on every test set; the input's figures come from `baselines`, computed once.

    Every process evaluates its share of the sequences and writes its val.loss (the training loss, of smoothed whole
    sequences) to `lines`. The rows are rank 0's; other processes, and runs without validation, get an empty list.
    """
    if not baselines or not cfg.TRAIN.VALIDATE:
        return []
    model.eval()
    rows, losses, timer = [], [], evaluation.Timer()

    def with_loss(method: evaluation.Method, data: PoseData) -> evaluation.Method:
        def smooth(i: int) -> Any:
            y = method(i)
            loss, _, _ = smoothnet_loss(
                torch.from_numpy(y).T[None], data.groundtruth[data.slice(i)].T[None], cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL
            )
            losses.append((float(loss), len(y)))
            return y

        return smooth

    for data, share, baseline in zip(test_sets, shares, baselines, strict=True):
        method = evaluation.network_method(
            model,
            data,
            device=device,
            step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
            normalize=cfg.MODEL.NORMALIZE,
            timer=timer,
        )
        results = evaluation.evaluate_sequences(
            data,
            {"smoothnet": with_loss(method, data)},
            root_relative=cfg.EVALUATE.ROOT_RELATIVE,
            body=body,
            sequences=share,
        )
        mine = [evaluation.with_values(base, result.values) for base, result in zip(baseline, results, strict=True)]
        everyone = [result for part in world.gather(mine) for result in part]
        if world.main:
            rows.append(result_row(data, cfg.MODEL.SLIDE_WINDOW_SIZE, "", evaluation.summarise(everyone)))
    frames = sum(count for _, count in losses)
    if frames:
        loss = sum(loss * count for loss, count in losses) / frames
        check_finite(loss, position)  # the last step of the epoch may have ruined the weights
        values = {"val.loss": loss, "val.ips": frames / max(timer.seconds, 1e-9)}
        lines.log(position.epoch, position.batch - 1, **values)
    return rows


def performance(rows: list[dict[str, Any]]) -> float:
    """One number for "best": the mean over datasets of the output's MPJPE, or of 1 - PCK@0.05; lower is better."""
    values = []
    for row in rows:
        metrics = row["metrics"]
        values.append(metrics["smoothnet_mpjpe"] if "smoothnet_mpjpe" in metrics else 1 - metrics["smoothnet_pck_005"])
    return sum(values) / len(values)


def better(value: float | None, best: float) -> bool:
    return value is not None and not math.isnan(value) and (math.isnan(best) or value < best)


def gives_up(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` evaluations (0: never) brought nothing better than those before."""
    values = [entry["performance"] for entry in history if not math.isnan(entry.get("performance", math.nan))]
    return 0 < patience < len(values) and min(values[:-patience]) <= min(values[-patience:])


def _steps_done(cfg: CfgNode, position: Position) -> bool:
    return 0 <= cfg.TRAIN.STEP <= position.iteration


def _brief(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        for metric in ("mpjpe", "accel", "pck_005"):
            if f"smoothnet_{metric}" in row["metrics"]:
                parts.append(
                    f"{metric} {row['metrics'][f'input_{metric}']:.4g} -> {row['metrics'][f'smoothnet_{metric}']:.4g}"
                )
    return ", " + ", ".join(parts) if parts else ""


def describe(
    cfg: CfgNode,
    model: SmoothNet,
    sets: list[TrainingWindows],
    batches: list[tuple[int, slice]],
    world: World,
    dtype: torch.dtype | None,
) -> None:
    """Log the plan before the work starts."""
    from ..models.smoothnet import count_parameters, multiply_adds

    channels = sets[0].detected.shape[1]
    log.info(
        "network: %d parameters, %d multiply-adds per channel and window, %.1f M per frame at step 1",
        count_parameters(model), multiply_adds(model), multiply_adds(model) * channels / 1e6,
    )  # fmt: skip
    log.info(
        "plan: %d windows of %d frames, %d batches of %d an epoch, %d epochs, %d %s, %s",
        sum(len(s) for s in sets), cfg.MODEL.SLIDE_WINDOW_SIZE, len(batches), cfg.TRAIN.BATCH_SIZE * world.size,
        cfg.TRAIN.EPOCH, world.size, "process" if world.size == 1 else "processes",
        "float32" if dtype is None else f"products in {str(dtype).removeprefix('torch.')}",
    )  # fmt: skip
