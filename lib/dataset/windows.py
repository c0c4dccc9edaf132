"""Windows over sequences: which there are, how a batch of them is gathered, and the way back to a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..utils.errors import SmoothNetError
from .poses import PoseData

CHUNK_ROWS = 8192  # (window, channel) rows that go through the network at once when smoothing


@dataclass
class TrainingWindows:
    """The windows of one dataset that training draws from.

    Attributes:
        detected, groundtruth: (frames, channels) float32; sequences shorter than W follow at the end, edge-padded.
        starts: (windows,) int64, first frame of each window.
        frame_valid: (frames,) bool, False on padding and NaN frames; None when every window is whole.
        window: W.
        dims: coordinates per joint.
    """

    detected: torch.Tensor
    groundtruth: torch.Tensor
    starts: torch.Tensor
    frame_valid: torch.Tensor | None
    window: int
    dims: int

    def __len__(self) -> int:
        return len(self.starts)

    def to(self, device: torch.device) -> TrainingWindows:
        """The same windows with everything on `device`."""
        return TrainingWindows(
            self.detected.to(device),
            self.groundtruth.to(device),
            self.starts.to(device),
            None if self.frame_valid is None else self.frame_valid.to(device),
            self.window,
            self.dims,
        )

    def batch(self, order: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Input and truth (B, C, W), and the mask (B, W) of frames that count, for the windows numbered `order`.

        Nothing waits for a device if `order` is where the windows are.
        """
        starts = self.starts[order]
        x, truth = (gather(frames, starts, self.window) for frames in (self.detected, self.groundtruth))
        return x, truth, self.mask(order)

    def mask(self, order: torch.Tensor) -> torch.Tensor | None:
        """(B, W) bool, the frames that count in the windows numbered `order`; None when all do."""
        if self.frame_valid is None:
            return None
        return self.frame_valid.unfold(0, self.window, 1)[self.starts[order]]


def gather(frames: torch.Tensor, starts: torch.Tensor, window: int) -> torch.Tensor:
    """(frames, C) and (B,) starts -> (B, C, W) windows."""
    channels = frames.shape[1]
    whole = frames.as_strided((len(frames) - window + 1, window * channels), (channels, 1))  # a row is a window
    return whole.index_select(0, starts).view(-1, window, channels).transpose(1, 2)


def training_windows(data: PoseData, window: int, sampling: str = "uniform") -> TrainingWindows:
    """Find the windows to train on; none holds a NaN frame.

    uniform: every window of every sequence, sum(L - W + 1). legacy: the official index, which never draws a sequence's
    last window and, for most datasets, fills up to one item per frame with windows of the last sequence.
    Sequences shorter than W give one edge-padded window whose padding the loss leaves out.

    Raises:
        SmoothNetError: there is nothing to train on.
    """
    lengths = np.diff(data.offsets.numpy())
    invalid = np.concatenate([[0], np.cumsum(~data.valid.numpy())])  # NaN frames before frame i
    starts, padded = [], []
    frames = data.frames
    for i, length in enumerate(lengths):
        first = int(data.offsets[i])
        if length < window:
            rows = data.slice(i)
            if data.valid[rows].any():
                padded.append(rows)
                starts.append(np.array([frames]))
                frames += window
            continue
        count = length - window + (sampling == "uniform")
        candidates = np.arange(first, first + max(count, 1))  # a sequence of W frames has one window either way
        starts.append(candidates[invalid[candidates + window] == invalid[candidates]])
    found = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    if len(found) == 0:
        raise SmoothNetError(f"{data.label} has no window of {window} frames without NaN; use a smaller window")
    if sampling == "legacy" and data.facts.legacy_index == "frames":
        last = next(candidates for candidates in reversed(starts) if len(candidates))
        surplus = max(data.frames - len(found), 0)
        found = np.concatenate([found, np.resize(last, surplus)])

    detected, truth, frame_valid = data.detected, data.groundtruth, None
    if padded:
        frame_valid = torch.cat([data.valid, *(_pad_flags(data.valid[rows], window) for rows in padded)])
        detected = torch.cat([detected, *(pad_sequence(detected[rows], window) for rows in padded)])
        truth = torch.cat([truth, *(pad_sequence(truth[rows], window) for rows in padded)])
    return TrainingWindows(detected, truth, torch.from_numpy(found), frame_valid, window, data.facts.dims)


def pad_sequence(x: torch.Tensor, window: int) -> torch.Tensor:
    """(L, C) with L < W -> (W, C), the last frame repeated."""
    return torch.cat([x, x[-1:].expand(window - len(x), -1)])


def _pad_flags(valid: torch.Tensor, window: int) -> torch.Tensor:
    return torch.cat([valid, torch.zeros(window - len(valid), dtype=torch.bool)])


def derive_seed(*parts: int) -> int:
    """One well-mixed 63-bit seed from several numbers, so that the randomness of a step follows from where it is."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def epoch_order(count: int, seed: int, epoch: int, dataset: int = 0) -> torch.Tensor:
    """The order in which one epoch draws the windows of one dataset: a permutation of range(count)."""
    generator = torch.Generator().manual_seed(derive_seed(seed, epoch, dataset, 0))
    return torch.randperm(count, generator=generator)


def epoch_batches(
    counts: list[int], batch_size: int, legacy: bool = False, processes: int = 1
) -> list[tuple[int, slice]]:
    """The batches of one epoch as (dataset, part of its order), alternating between the datasets.

    Every window comes once; with `legacy` the epoch ends with the smallest dataset, as in the official code.

    Args:
        counts: windows of each dataset.
        batch_size: windows per batch and process; a batch here is that of all processes together.
        processes: so many windows at least are in every batch; a smaller rest joins the batch before it.

    Raises:
        SmoothNetError: a dataset has fewer windows than there are processes.
    """
    size = batch_size * processes
    parts = []
    for count in counts:
        if count < processes:
            raise SmoothNetError(f"{processes} processes cannot share {count} windows; start fewer")
        starts = list(range(0, count - processes + 1, size))
        parts.append([slice(a, b) for a, b in zip(starts, [*starts[1:], count], strict=True)])
    rounds = min(map(len, parts)) if legacy else max(map(len, parts))
    return [(d, part[k]) for k in range(rounds) for d, part in enumerate(parts) if k < len(part)]


def window_starts(length: int, window: int, step: int) -> list[int]:
    """First frames of the windows over a sequence: every `step` frames, and one that ends with the last frame."""
    starts = list(range(0, length - window + 1, step))
    if starts[-1] != length - window:
        starts.append(length - window)
    return starts


def overlap_sum(windows: torch.Tensor, step: int) -> torch.Tensor:
    """The sum of windows that start every `step` frames.

    One pass over memory: with the frame of a window as the first axis and zeros behind each row, the values that
    fall on the same frame lie a constant distance apart, and one sum over a strided view takes them all.

    Args:
        windows: (n, C, W); fastest where W is the axis of the largest stride.

    Returns:
        ((n - 1) x step + W, C).
    """
    n, channels, window = windows.shape
    cover = -(-window // step)  # windows that cover a frame; a frame is number i x step + b
    columns = n + cover - 1
    values = torch.empty(cover * step, columns, channels, device=windows.device)
    values[:window, :n] = windows.permute(2, 0, 1)
    values[window:, :n] = 0
    values[:, n:] = 0
    row = columns * channels
    skewed = values.as_strided((cover, step, columns, channels), (step * row - channels, row, channels, 1))
    return skewed.sum(0).transpose(0, 1).reshape(columns * step, channels)[: (n - 1) * step + window]


def _runs(starts: list[int], step: int, size: int) -> Iterator[list[int]]:
    """Cut starts into runs of at most `size` that are `step` apart."""
    regular = len(starts) - (len(starts) > 1 and starts[-1] - starts[-2] != step)
    for i in range(0, regular, size):
        yield starts[i : min(i + size, regular)]
    if regular < len(starts):
        yield starts[regular:]


def smooth_sequence(
    network: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    window: int,
    step: int = 1,
    rows: int = CHUNK_ROWS,
) -> torch.Tensor:
    """Smooth one sequence: the uniform mean over all windows that cover a frame.

    Args:
        network: (n, C, W), a view of x, -> (n, C, W).
        x: (L, C) float32 without NaN. Sequences shorter than W are edge-padded and cropped.
        window, step: W, and frames between the starts of windows; the last window always ends with the sequence.
        rows: (window, channel) pairs per call of the network, which bounds the memory.

    Returns:
        (L, C) float32 on the device of x.
    """
    length, channels = x.shape
    if length == 0:
        return x.clone()
    if length < window:
        return smooth_sequence(network, pad_sequence(x, window), window, step, rows)[:length]
    step = min(step, window)  # so that every frame is covered
    total = torch.zeros(length, channels, device=x.device)
    views = x.unfold(0, window, 1)  # (L - W + 1, C, W)
    starts = window_starts(length, window, step)
    for run in _runs(starts, step, max(1, rows // channels)):
        windows = views[run[0] : run[-1] + 1 : step]
        total[run[0] : run[-1] + window] += overlap_sum(network(windows), step)
    changes = torch.zeros(length + 1)  # in the number of windows that cover a frame
    changes[starts] += 1
    changes[torch.tensor(starts) + window] -= 1
    return total / changes[:-1, None].cumsum(0).to(x.device)
