# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Augmentation of training windows: each channel of each window is a signal, and is changed on its own.

The network never learns which joint or axis a channel is, so a mirrored, reversed, larger or faster signal
is as good an example as the recorded one. MOTION and SPEED change the truth alone and put the recorded error
(detected - groundtruth) back on: motion faster and wider than the dataset's, under a real estimator's errors.
Without them, weights trained on slow exercises flatten running and jumping.
"""

from __future__ import annotations

import torch
from yacs.config import CfgNode


def is_on(settings: CfgNode) -> bool:
    """Whether the AUGMENT part of the configuration asks for any change."""
    return settings.SCALE != 1 or any(settings[key] for key in ("FLIP", "REVERSE", "MOTION", "SPEED"))


def augment(
    x: torch.Tensor,
    truth: torch.Tensor,
    settings: CfgNode,
    generator: torch.Generator,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Changed copies of a batch of windows.

    All changes are about the mean of the channel of x over the window, which stays what it was: in normalised
    windows it stays 0. They are drawn for every channel of every window independently, in this order:

    - SPEED: with this probability the truth becomes `faster` truth, at a factor from 1 to SPEED_MAX;
    - MOTION: with this probability the truth, not the error, is multiplied by 1 to MOTION_MAX;
    - SCALE: truth and error are multiplied by a factor from 1 / SCALE to SCALE (1: never);
    - FLIP: with this probability truth and error change their sign;
    - REVERSE: with this probability truth and error run backwards.

    Factors are log-uniform. Windows with frames that do not count keep their time axis: no SPEED, no REVERSE.

    Args:
        x: (B, C, W) float, detected. truth: (B, C, W), ground truth in the same unit.
        settings: the AUGMENT part of the configuration.
        generator: where all random numbers come from; on the CPU, whatever the device of x.
        mask: (B, W) bool, frames that count; None: all.

    Returns:
        x and truth, (B, C, W); the arguments are left alone.
    """

    def draw() -> torch.Tensor:
        return torch.rand(*x.shape[:2], 1, generator=generator).to(x.device, x.dtype)

    def factor(chance: float, low: float, high: float) -> torch.Tensor:
        # Both numbers are drawn in any case: a setting must not shift the draws of the others.
        on, power = draw() < chance, draw()
        return torch.where(on, low * (high / low) ** power, 1.0)

    offset = x.mean(dim=-1, keepdim=True)
    error, truth = x - truth, truth - offset
    whole = 1.0 if mask is None else mask.all(dim=-1)[:, None, None].to(x.dtype)

    speed = factor(settings.SPEED, 1.0, settings.SPEED_MAX)
    if settings.SPEED and x.shape[-1] > 1:  # in one frame nothing moves
        truth = faster(truth, 1 + (speed - 1) * whole)
    truth = truth * factor(settings.MOTION, 1.0, settings.MOTION_MAX)
    both = factor(1.0, 1 / settings.SCALE, settings.SCALE)
    both = torch.where(draw() < settings.FLIP, -both, both)
    error, truth = error * both, truth * both
    backwards = draw() < settings.REVERSE * whole
    error, truth = (torch.where(backwards, v.flip(-1), v) for v in (error, truth))

    shift = offset - (truth + error).mean(dim=-1, keepdim=True)
    truth = truth + shift
    return truth + error, truth


def faster(signal: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
    """Read signals at `speed` frames per frame, linearly interpolated.

    A window has no frames behind its end; there the signal goes on as its own point reflection about its last
    value (again and again if need be), which keeps position and velocity continuous.

    Args:
        signal: (..., W) with W >= 2. speed: broadcastable (..., 1), at least 1.
    """
    last = signal.shape[-1] - 1
    at = torch.arange(last + 1, device=signal.device, dtype=signal.dtype) * speed
    laps = (torch.ceil(at / last) - 1).clamp(min=0)  # reflections before this time
    odd = laps % 2 == 1
    at = torch.where(odd, (laps + 1) * last - at, at - laps * last).clamp(0, last)
    i = at.floor().long().clamp(max=max(last - 1, 0))
    at, i = torch.broadcast_tensors(at - i, i)
    value = torch.lerp(signal.gather(-1, i), signal.gather(-1, i + 1), at)
    first, end = signal[..., :1], signal[..., -1:]
    return torch.where(odd, (laps - 1) * (end - first) + 2 * end - value, laps * (end - first) + value)
