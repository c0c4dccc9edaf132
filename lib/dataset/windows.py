# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Windows over sequences: which there are, in which order training draws them, and how a batch of them is gathered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..utils.errors import SmoothNetError
from .poses import PoseData


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

    uniform: every window of every sequence, sum(L - W + 1). legacy: the official index, which leaves out a sequence's
    last window and, for most datasets, fills up to one item per frame from the last sequence: from its last window
    on, then its windows from the first one, again and again.
    Sequences shorter than W give one edge-padded window whose padding the loss leaves out.

    Raises:
        SmoothNetError: there is nothing to train on.
    """
    invalid = np.concatenate([[0], np.cumsum(~data.valid.numpy())])  # NaN frames before frame i
    drawn: list[np.ndarray] = []  # of each sequence
    every, own = np.zeros(0, np.int64), 0  # windows of the last sequence that has any, and how many of them are drawn
    padded: list[slice] = []
    frames = data.frames
    for rows in map(data.slice, range(data.sequences)):
        if rows.stop - rows.start >= window:
            candidates = np.arange(rows.start, rows.stop - window + 1)
            candidates = candidates[invalid[candidates + window] == invalid[candidates]]
            # A sequence of W frames has one window either way.
            end = rows.stop - window + 1 if sampling == "uniform" else max(rows.stop - window, rows.start + 1)
        elif data.valid[rows].any():
            padded.append(rows)
            candidates, frames = np.array([frames]), frames + window
            end = frames
        else:
            continue
        drawn.append(candidates[candidates < end])
        if len(candidates):
            every, own = candidates, len(drawn[-1])
    found = np.concatenate([*drawn, np.zeros(0, np.int64)])
    if sampling == "legacy" and data.facts.legacy_index == "frames" and len(every):
        found = np.append(found, every[(own + np.arange(max(data.frames - len(found), 0))) % len(every)])
    if len(found) == 0:
        raise SmoothNetError(f"{data.label} has no window of {window} frames without NaN; use a smaller window")

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
