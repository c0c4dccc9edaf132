"""Training: batch, forward, backward, step, log, save, evaluate; one plain loop.

What is random in a step (the order of windows, dropout) follows from the seed, the epoch and the step alone. A
checkpoint that holds these numbers, the weights and the optimiser is therefore all that an exact resume needs.
"""

from __future__ import annotations

import logging
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
from .curves import plot_history
from .loss import Counts, value_counts
from .meter import Meter, check_finite
from .objective import TrainingObjective
from .state import BEST, LAST, Position, TrainingState, find_resume, restore
from .validation import better, gives_up, input_scores, performance, validate

log = logging.getLogger(__name__)
OUT_OF_MEMORY = (
    "set TRAIN.MICRO_BATCH, windows that go through the network at once (--opts TRAIN.MICRO_BATCH 128; the result "
    "stays the same), keep the frames in host memory (TRAIN.DATA_DEVICE cpu), or lower --batch_size"
)


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
    batches = epoch_batches([len(s) for s in sets], cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.SAMPLING == "legacy", world.size)
    dtype = devices.autocast_dtype(device, cfg.TRAIN.AUTOCAST_DTYPE) if cfg.TRAIN.AUTOCAST else None
    model = build_model(cfg).to(device)
    scaled = dtype == torch.float16 and cfg.TRAIN.GRAD_SCALE > 0
    scaler = devices.make_grad_scaler(device, scaled, cfg.TRAIN.GRAD_SCALE or 1.0)
    state = TrainingState(model, make_optimizer(model, cfg), scaler)
    resumed = find_resume(cfg.TRAIN.RESUME, run)
    if resumed is not None:
        restore(state, resumed, cfg, world)
    objective = world.wrap(make_objective(model, cfg, sets, device))
    describe(cfg, model, sets, batches, world, dtype)
    shares = [world.share(data.offsets.diff().tolist()) for data in test_sets]
    baselines = input_scores(test_sets, shares, cfg, body) if cfg.TRAIN.VALIDATE else []

    writer = SummaryWriter(str(run / "tensorboard")) if world.main else None
    lines = IterationLog(run, world.rank, echo)
    profile = start_profiler(cfg, device, world.rank) if cfg.TRAIN.PROFILER else None
    job = Job(cfg, device, dtype, world, objective, sets, batches, lines, writer, profile, stop, progress)
    try:
        while state.position.epoch < cfg.TRAIN.EPOCH and not _steps_done(cfg, state.position):
            meter, stopped = train_epoch(job, state)
            if stopped:
                if world.main:
                    state.save(run, [LAST], cfg, world)
                return False
            rows = validate(model, test_sets, shares, baselines, cfg, device, body, world, lines, state.position)
            close_epoch(job, state, run, rows, meter.rate * world.size)
            if world.from_main(gives_up(state.history, cfg.TRAIN.EARLY_STOP)):
                log.info("no better result in the last %d epochs: the run ends here", cfg.TRAIN.EARLY_STOP)
                break
    finally:
        lines.close()
        if profile is not None:
            profile.stop()
        if writer is not None:
            writer.close()
            if state.history:
                plot_history(state.history, run / "curves.png")
    return True


@dataclass(frozen=True)
class Job:
    """What stays the same while a run goes on; see train."""

    cfg: CfgNode
    device: torch.device
    dtype: torch.dtype | None  # of the matrix products, None for float32
    world: World
    objective: nn.Module
    sets: list[TrainingWindows]
    batches: list[tuple[int, slice]]  # of an epoch: which dataset, which part of its order
    lines: IterationLog
    writer: Any  # TensorBoard's, on rank 0
    profile: Any
    stop: Callable[[], bool]
    progress: bool


def train_epoch(job: Job, state: TrainingState) -> tuple[Meter, bool]:
    """The rest of the current epoch, or as far as TRAIN.STEP goes; (its meter, whether `stop` ended it)."""
    cfg, world, position = job.cfg, job.world, state.position
    orders = [
        epoch_order(len(s), cfg.SEED_VALUE, position.epoch, d).to(s.starts.device) for d, s in enumerate(job.sets)
    ]
    lr = cfg.TRAIN.LR * cfg.TRAIN.LRDECAY**position.epoch
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    meter = Meter(cfg.TRAIN.LOG_EVERY if job.device.type != "cpu" else 1, job.lines, lr, *state.epoch_loss)
    bar = tqdm(
        total=len(job.batches),
        initial=position.batch,
        desc=f"epoch {position.epoch + 1}/{cfg.TRAIN.EPOCH}",
        unit="batch",
        disable=None if job.progress and world.main else True,  # None: off where stderr is no terminal
        leave=False,
    )
    stopped = False
    state.model.train()
    while position.batch < len(job.batches) and not stopped:
        d, part = job.batches[position.batch]
        joint = orders[d][part]  # the windows of all processes
        order = joint[world.rank :: world.size]
        windows = job.sets[d]
        seed = derive_seed(cfg.SEED_VALUE, position.epoch, position.batch, 1 + world.rank)
        batch = load_batch(windows, order, cfg, job.device, seed)
        # DDP takes the mean over processes; so divided, it is the mean over the windows of all
        pos, accel = value_counts(len(joint), windows.detected.shape[1], windows.window, windows.mask(joint))
        loss = train_step(job, state, batch, seed, (pos / world.size, accel / world.size))
        position.batch += 1
        position.iteration += 1
        if meter.add(loss, len(order), len(joint) / world.size, position) and world.main:
            bar.set_postfix_str(f"loss {meter.loss:.5f}, {meter.rate:.0f} windows/s", refresh=False)
            job.writer.add_scalar("train/loss", meter.loss, position.iteration)
        bar.update()
        if job.profile is not None:
            job.profile.step()
        stopped = world.any(job.stop())
        if _steps_done(cfg, position):
            break
    bar.close()
    meter.read(position)
    parts = world.gather((meter.total, meter.windows))
    state.epoch_loss = sum(total for total, _ in parts), sum(windows for _, windows in parts)
    return meter, stopped


def close_epoch(job: Job, state: TrainingState, run: Path, rows: list[dict[str, Any]], rate: float) -> None:
    """Note the epoch's loss and results (`rows`), write its checkpoints, and move on to the next epoch."""
    position = state.position
    mean = state.epoch_loss[0] / max(state.epoch_loss[1], 1)
    whole = position.batch == len(job.batches)
    if whole:
        position.epoch, position.batch, state.epoch_loss = position.epoch + 1, 0, (0.0, 0)
    if not job.world.main:
        return
    lr = state.optimizer.param_groups[0]["lr"]
    entry = {"epoch": position.epoch, "iteration": position.iteration, "loss": mean, "lr": lr}
    entry["overflows"] = position.overflows
    if rows:
        entry["results"] = rows
        entry["performance"] = performance(rows)
    for row in rows:
        for key, value in row["metrics"].items():
            job.writer.add_scalar(f"{row['dataset']}_{row['estimator']}/{key}", value, position.epoch)
    job.writer.add_scalar("train/epoch_loss", mean, position.epoch)
    state.history.append(entry)
    log.info(
        "epoch %d: loss %.6f, lr %.3g, %.0f windows/s%s%s",
        position.epoch, mean, lr, rate, _brief(rows),
        f", {position.overflows} overflowed steps so far" if position.overflows else "",
    )  # fmt: skip
    names = [LAST, f"epoch_{position.epoch}.pth.tar"] if whole else [LAST]
    if better(entry.get("performance"), state.best):
        state.best = entry["performance"]
        names.append(BEST)
    state.save(run, names, job.cfg, job.world)
    write_json(run / "metrics.json", {"results": rows, "history": state.history})


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


def train_step(job: Job, state: TrainingState, batch: Batch, seed: int, counts: Counts) -> torch.Tensor:
    """One iteration; returns the loss, on the device. Loss and weights are float32 whatever the products are.

    Args:
        seed: of the dropout masks.
        counts: what the sums over this process's windows are divided by.
    """
    scaler = state.scaler  # for float16; it skips steps whose gradients overflow
    devices.manual_seed(job.device, seed)
    state.optimizer.zero_grad(set_to_none=True)
    scale = scaler.get_scale()
    factor = scaler.scale(torch.ones((), device=job.device)) if job.dtype == torch.float16 else None
    with devices.autocast(job.device, job.dtype):
        loss, _, _ = job.objective(*batch, seed, factor, counts)
    scaler.scale(loss).backward()
    loss = loss.detach()
    if job.device.type == "cpu":
        check_finite(float(loss), state.position)
    scaler.step(state.optimizer)
    scaler.update()
    state.position.overflows += scaler.get_scale() < scale
    return loss


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
