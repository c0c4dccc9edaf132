# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The general smoother: one set of weights that may be put behind any estimator of joint positions.

It sees all channels of one person at once, any number of joints and of coordinates, in any unit, and computes
smooth(a x + b) = a smooth(x) + b for a > 0 and a translation b. It never invents values: every frame of the
result is a weighted mean of smoothed versions of the window, plus a small correction in units of the noise.

1. Scale. What the median second difference says of the noise, per joint; the body's size as in normalize.py.
2. Features of a channel in these units; encoder; residual blocks, before each of which the channel is told the
   mean over the joint's coordinates, over the joints' same coordinate, and over the whole body. The frame rate,
   where it is known, is a feature as well: what shakes ten times a second is no motion of a person.
3. Heads: how far each frame can be trusted; for each frame the weights of a mixture; the correction.
4. The bank that is mixed: smoothers of the window itself, of the window with its untrusted frames replaced by
   a local fit through the trusted ones, and of its running median.

The fixed smoothers are those of an integrated random walk seen with white noise, Rauch-Tung-Striebel with a
diffuse start: the minimiser of |x - y|^2 + lambda |D y|^2, which is (I + lambda D'D)^-1 x, with D the third
differences (constant acceleration) or second ones (constant velocity). See Kimeldorf and Wahba 1970, and
Whittaker 1922 for the penalised form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..utils.errors import SmoothNetError
from .bank import (
    APART,
    BANK,
    FILL,
    FITS,
    MEDIAN_OF_NORMAL,
    MOST_RAISED,
    NEARLY_NONE,
    NOISE_FLOOR,
    RATE_FEATURES,
    RATES,
    SCALARS,
    SLOPE,
    TINY,
    USUAL_RATE,
    WILD_NOISE,
    WILD_SHARE,
    check_settings,
    constants,
    general_settings,
    local_fit,
    window_taper,
    with_rate,
)

CONTEXTS = ("joint", "axis", "body")


class GeneralSmoother(nn.Module):
    """(N, K, D, W) windows of N people in, the same smoothed out.

    Args:
        window_size: W, frames per window.
        hidden_size, res_hidden_size, num_blocks: width of the trunk, of its blocks, and their number.
        knots: in how many frames of the window the mixture's weights are decided; linear in between.
        taper, step: how windows are laid over a recording unless the user says otherwise, see window_taper; they do
            not change the network, but belong to its weights.
    """

    of_window: torch.Tensor  # the constants, see bank.constants
    of_trusted: torch.Tensor
    of_median: torch.Tensor
    fit_moments: torch.Tensor
    between_knots: torch.Tensor
    high_pass: torch.Tensor
    lean: torch.Tensor

    def __init__(
        self,
        window_size: int = 32,
        hidden_size: int = 128,
        res_hidden_size: int = 96,
        num_blocks: int = 3,
        knots: int = 16,
        taper: str = "late-hann",
        step: int = 8,
    ):
        super().__init__()
        self.settings = check_settings(window_size, hidden_size, res_hidden_size, num_blocks, knots, taper, step)
        self.taper = window_taper(window_size, taper)
        self.step = step
        self.window_size = window_size
        self.knots = knots
        self.members = len(BANK) + len(FITS)
        for name, value in constants(window_size, knots).items():
            self.register_buffer(name, torch.from_numpy(value).float(), persistent=False)
        self.encoder = nn.Linear(3 * window_size + SCALARS, hidden_size)
        self.rate = nn.Linear(RATE_FEATURES, hidden_size, bias=False)
        self.contexts = nn.ModuleList(
            nn.ModuleList(nn.Linear(hidden_size, hidden_size, bias=False) for _ in CONTEXTS) for _ in range(num_blocks)
        )
        self.down = nn.ModuleList(nn.Linear(hidden_size, res_hidden_size) for _ in range(num_blocks))
        self.up = nn.ModuleList(nn.Linear(res_hidden_size, hidden_size) for _ in range(num_blocks))
        self.mixture = nn.Linear(hidden_size, self.members * knots)
        self.trust = nn.Linear(hidden_size, window_size)
        self.correction = nn.Linear(hidden_size, window_size)
        self._initialise()

    def _initialise(self) -> None:
        for layer in (*self.contexts.modules(), *self.up):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.3 / layer.in_features**0.5)
        for layer in (self.mixture, self.trust, self.correction):
            nn.init.normal_(layer.weight, std=0.1 / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.trust.bias, 3.0)
        nn.init.normal_(self.rate.weight, std=0.1)

    def forward(
        self,
        windows: torch.Tensor,
        shown: torch.Tensor | None = None,
        strength: torch.Tensor | float = 1.0,
        fps: torch.Tensor | float = 0.0,
    ) -> torch.Tensor:
        """Smooth windows.

        Args:
            windows: (N, K, D, W) floats without NaN: N windows, K joints, D coordinates, W frames, any unit.
            shown: (N, K) of 0 and 1: joints that have values at all; the others are left out of every mean, and
                what comes back for them means nothing. None: all.
            strength: 0 gives the input back, 1 what was trained; in between the result is interpolated. Above 1
                the logits of the mixture lean towards the smoother members of the bank (see `member_roughness`):
                every further 1 divides a member's weight by as much as the member lets through of white noise's
                second differences.
            fps: frames per second, of all windows or (N,); 0: unknown.

        Returns:
            (N, K, D, W), the unit of the input.
        """
        n, joints, dims, _ = windows.shape
        strength = torch.as_tensor(strength, dtype=windows.dtype, device=windows.device)
        weight = torch.ones_like(windows[:, :, :1, :1]) if shown is None else shown.reshape(n, joints, 1, 1)
        weight = weight / torch.clamp(weight.sum(1, keepdim=True), min=1.0)  # shares of the joints in means
        offset = windows.mean(-1, keepdim=True)
        x, unit, features, weight = self._features(windows - offset, offset, weight)

        h = F.leaky_relu(self.encoder(features) + self.rate(rate_features(fps, windows)), SLOPE)
        context: Any
        for context, down, up in zip(self.contexts, self.down, self.up, strict=True):
            of_axis = (h * weight).sum(1, keepdim=True)
            told = context[0](h.mean(2, keepdim=True)) + context[1](of_axis) + context[2](of_axis.mean(2, keepdim=True))
            h = h + F.leaky_relu(told, SLOPE)
            h = h + up(F.leaky_relu(down(h), SLOPE))

        logits = self.mixture(h).reshape(n, joints, dims, self.members, self.knots)
        logits = logits + torch.relu(strength - 1.0) * self.lean
        # Means of weights between two knots are weights again: they stay positive and their sum stays 1.
        weights = torch.softmax(logits, dim=-2) @ self.between_knots
        smoothed = (weights * self._bank(x, torch.sigmoid(self.trust(h)))).sum(-2) + self.correction(h)
        return (x + torch.clamp(strength, 0.0, 1.0) * (smoothed - x)) * unit + offset

    def _features(
        self, x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The window in units of its noise, that unit (N, K, D, 1), the features of every channel, and the weights, of
        which joints with wild noise have little.

        Args:
            x: (N, K, D, W), mean 0 over the frames.
            offset: (N, K, D, 1), that mean.
            weight: (N, K, 1, 1), sum 1 over the joints (0 where nothing is shown).
        """
        place = (offset - (offset * weight).sum(1, keepdim=True)) * (weight > 0)
        reach = torch.maximum(
            x.abs().amax((1, 3), keepdim=True), place.abs().amax((1, 3), keepdim=True)
        )  # of each axis
        peak = reach.amax(2, keepdim=True) + TINY
        x, place, reach = x / peak, place / peak, reach / peak  # squares stay in range, whatever the unit

        bend = (x[..., 2:] - x[..., 1:-1]) - (x[..., 1:-1] - x[..., :-2])
        ordered = torch.sort(bend.abs(), dim=-1).values
        middle = (self.window_size - 2) // 2
        median = ordered[..., (self.window_size - 3) // 2 : middle + 1].mean(-1, keepdim=True)
        noise = median / MEDIAN_OF_NORMAL  # of a channel
        of_joint = noise.mean(2, keepdim=True)
        weight = without_wild(weight, of_joint, (place**2).sum(2, keepdim=True))
        raised = raised_axes((noise * weight).sum(1, keepdim=True), reach)
        x, place, bend, noise = x * raised, place * raised, bend * raised, noise * raised
        of_joint = noise.mean(2, keepdim=True)

        # The body's size as in normalize.py: RMS distance of the joints from their centroid.
        centred = x + place
        centred = centred - (centred * weight).sum(1, keepdim=True)
        size = ((centred**2).sum(2, keepdim=True).mean(-1, keepdim=True) * weight).sum(1, keepdim=True)
        motion = ((x**2).sum(2, keepdim=True).mean(-1, keepdim=True) * weight).sum(1, keepdim=True)
        size = torch.sqrt(size + (size < 1e-6 * motion) * motion + TINY)

        of_body = (of_joint * weight).sum(1, keepdim=True) + NOISE_FLOOR * size
        unit = 0.9 * of_joint + 0.1 * of_body
        x, bend = x / unit, bend / unit
        scalars = torch.cat(
            [
                torch.log(noise / unit + 0.01),
                torch.log(bend.abs().mean(-1, keepdim=True) + 0.01),
                torch.log((x**2).mean(-1, keepdim=True) + 0.01),
                torch.log(unit / of_body).expand(noise.shape),
                torch.log(of_body / size).expand(noise.shape),
            ],
            dim=-1,
        )
        rough = x @ self.high_pass
        series = torch.cat([x, rough, F.pad(bend, (1, 1))], dim=-1)
        return x, unit * peak / raised, torch.cat([asinh(series), scalars], dim=-1), weight

    def _bank(self, x: torch.Tensor, trust: torch.Tensor) -> torch.Tensor:
        """Every member's version of the window, (N, K, D, members, W)."""
        trust = trust + 1e-3  # where nothing can be trusted, everything is trusted alike
        fits = [local_fit(x, trust, moments, order) for (order, _), moments in zip(FITS, self.fit_moments, strict=True)]
        filled = fits[FILL] + trust.clamp(max=1.0) * (x - fits[FILL])
        smoothed = [
            source @ matrices
            for source, matrices in zip(
                (x, filled, running_median(x)), (self.of_window, self.of_trusted, self.of_median), strict=True
            )
        ]
        return torch.cat(smoothed + fits, dim=-1).reshape(*x.shape[:3], self.members, self.window_size)


def without_wild(weight: torch.Tensor, noise: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
    """The weights (N, K, 1, 1) with little for joints whose noise is wild, see bank.WILD_NOISE.

    Args:
        noise, far: (N, K, 1, 1), the joints' noise, and the squares of their distances from the middle of the body.
    """

    def geometric(values: torch.Tensor) -> torch.Tensor:
        floor = NEARLY_NONE * (values * weight).sum(1, keepdim=True) + TINY
        return torch.exp((torch.log(values + floor) * weight).sum(1, keepdim=True))

    most = torch.maximum(WILD_NOISE * geometric(noise), WILD_SHARE * torch.sqrt(geometric(far)))
    weight = weight * torch.clamp(most / torch.clamp(noise, min=TINY), max=1.0) ** 4
    return weight / torch.clamp(weight.sum(1, keepdim=True), min=TINY)


def raised_axes(noise: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """What the axes are multiplied with for the network, from their noise and how far they reach, all (N, 1, D, 1); see
    bank.APART."""
    raised = torch.minimum(
        noise.amax(2, keepdim=True) / torch.clamp(APART * noise, min=TINY),
        reach.amax(2, keepdim=True) / torch.clamp(reach, min=TINY),
    )
    return torch.clamp(raised, 1.0, MOST_RAISED)


def rate_features(fps: torch.Tensor | float, windows: torch.Tensor) -> torch.Tensor:
    """As bank.rate_features, for fps of one or of N windows: (1 or N, 1, 1, 2)."""
    rate = torch.as_tensor(fps, dtype=windows.dtype, device=windows.device).reshape(-1, 1, 1, 1)
    known = (rate > 0).to(windows.dtype)
    octaves = torch.log(torch.clamp(rate, *RATES) / USUAL_RATE) / math.log(2)
    return torch.cat([known, known * octaves], dim=-1)


def asinh(x: torch.Tensor) -> torch.Tensor:
    """torch.asinh in operations that every exporter knows."""
    return torch.sign(x) * torch.log(x.abs() + torch.sqrt(x * x + 1))


def running_median(x: torch.Tensor) -> torch.Tensor:
    """Median of 5 frames along the last axis, the ends repeated; by comparisons, which every runtime has."""
    padded = torch.cat([x[..., :1], x[..., :1], x, x[..., -1:], x[..., -1:]], dim=-1)
    a, b, c, d, e = (padded[..., i : i + x.shape[-1]] for i in range(5))
    # Of five values the median is the median of three: of the third, of the larger of the two pairs' smaller
    # values, and of the smaller of the pairs' larger values.
    low = torch.maximum(torch.minimum(a, b), torch.minimum(d, e))
    high = torch.minimum(torch.maximum(a, b), torch.maximum(d, e))
    return torch.maximum(torch.minimum(low, high), torch.minimum(torch.maximum(low, high), c))


def build(settings: Any) -> GeneralSmoother:
    """A fresh network of the sizes in MODEL."""
    return GeneralSmoother(
        settings.SLIDE_WINDOW_SIZE, settings.HIDDEN_SIZE, settings.RES_HIDDEN_SIZE, settings.NUM_BLOCK, settings.KNOTS
    )


def on_channels(
    model: GeneralSmoother,
    normalize: str,
    dims: int,
    shown: torch.Tensor | None = None,
    strength: float = 1.0,
    fps: float = 0.0,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """(n, C, W) windows, joint by joint -> the same, smoothed. It needs no normalisation but its own."""

    def smooth(windows: torch.Tensor) -> torch.Tensor:
        n, channels, frames = windows.shape
        return model(windows.reshape(n, channels // dims, dims, frames), shown, strength, fps).reshape(windows.shape)

    return smooth


def multiply_adds(model: GeneralSmoother) -> int:
    """Of the matrix products for one channel of one window; the context's, which joints share, counted whole."""
    layers = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    fits = sum(3 * order + 2 for order, _ in FITS) * model.window_size**2
    bank = (len(BANK) + 1) * model.window_size**2  # and the high-pass
    mixing = model.members * model.window_size * (model.knots + 1)
    return layers + fits + bank + mixing


def load_general(checkpoint: Mapping[str, Any]) -> GeneralSmoother:
    """The network of a checkpoint's content ("model" and "state_dict"), ready for inference.

    Raises:
        SmoothNetError: it is not the general smoother's.
    """
    try:
        model = GeneralSmoother(**general_settings(checkpoint))
        model.load_state_dict(with_rate(checkpoint["state_dict"], torch.zeros))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SmoothNetError(f"these are not the weights of a general smoother: {reason}") from error
    return model.eval()
