# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The made errors of benchmarks/accuracy.py: 23 kinds, and the cases of each on motion, at frame rates, in 2D or 3D.

An error is a function (rng, truth (T, K, D), fps, level, clip) -> the estimate. Sizes are shares of the body's, see
body_size; `level` is the standard deviation of the main part, a coordinate. These are written apart from what networks
train with.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from benchmarks.motion import PARTS, Clip, body_size

Kind = Callable[[np.random.Generator, np.ndarray, float, float, Clip], np.ndarray]


def _ar(rng: np.random.Generator, shape: tuple[int, ...], fps: float, seconds: float) -> np.ndarray:
    """Unit AR(1) noise along axis 0 that forgets in `seconds`."""
    a = np.exp(-1 / (seconds * fps))
    drive = rng.standard_normal(shape) * np.sqrt(1 - a * a)
    drive[0] /= np.sqrt(1 - a * a)
    return lfilter([1], [1, -a], drive, axis=0)


def _spells(
    rng: np.random.Generator, frames: int, joints: int, fps: float, rate: float, seconds: tuple[float, float]
) -> list[tuple[int, slice]]:
    """Times at which something befalls a joint: (joint, frames), `rate` a joint and second, so long each."""
    spells = []
    for joint in range(joints):
        for start in rng.integers(1, max(2, frames), rng.poisson(rate * frames / fps)):
            spells.append((joint, slice(start, start + max(1, round(rng.uniform(*seconds) * fps)))))
    return spells


def white(rng, truth, fps, level, clip):
    return truth + level * body_size(truth) * rng.standard_normal(truth.shape)


def ar_fast(rng, truth, fps, level, clip):
    return truth + level * body_size(truth) * _ar(rng, truth.shape, fps, 0.07)


def ar_slow(rng, truth, fps, level, clip):
    return truth + level * body_size(truth) * _ar(rng, truth.shape, fps, 0.4)


def mixed(rng, truth, fps, level, clip):
    parts = rng.standard_normal(truth.shape), _ar(rng, truth.shape, fps, 0.1), _ar(rng, truth.shape, fps, 0.5)
    share = rng.dirichlet(np.ones(3)) ** 0.5
    joint = rng.lognormal(0, 0.4, (truth.shape[1], 1))
    return truth + level * body_size(truth) * joint * sum(s * p for s, p in zip(share, parts, strict=True))


def bursts(rng, truth, fps, level, clip):
    """A joint is somewhere else for 1 to 7 frames at 30 fps."""
    out = white(rng, truth, fps, level, clip)
    for joint, when in _spells(rng, len(truth), truth.shape[1], fps, 0.25, (0.02, 0.25)):
        out[when, joint] += 0.3 * body_size(truth) * (rng.standard_normal(truth.shape[2]))
    return out


def spikes(rng, truth, fps, level, clip):
    """Single frames of single joints are far off."""
    out = mixed(rng, truth, fps, level, clip)
    hit = rng.random(truth.shape[:2]) < 0.02
    return out + hit[..., None] * rng.standard_normal(truth.shape) * 0.6 * body_size(truth)


def swaps(rng, truth, fps, level, clip):
    """Left and right limbs are taken for each other for a moment."""
    out = mixed(rng, truth, fps, level, clip)
    for pair, when in _spells(rng, len(truth), len(clip.sides), fps, 0.2, (0.02, 0.2)):
        _exchange(out, when, clip.sides[pair : pair + 1])
    return out


def _exchange(points: np.ndarray, when: slice, sides: np.ndarray) -> None:
    """Left and right points of these frames in each other's place."""
    for left, right in sides:
        points[when, left], points[when, right] = points[when, right].copy(), points[when, left].copy()


def frozen(rng, truth, fps, level, clip):
    """A joint stays where it was for 0.1 to 0.4 s."""
    out = white(rng, truth, fps, level, clip)
    for joint, when in _spells(rng, len(truth), truth.shape[1], fps, 0.25, (0.1, 0.4)):
        out[when, joint] = out[when.start - 1, joint]
    return out


def stutter(rng, truth, fps, level, clip):
    """The whole pose comes twice or three times: frames that the estimator missed."""
    out = mixed(rng, truth, fps, level, clip)
    for _, when in _spells(rng, len(truth), 1, fps, 1.5, (0.03, 0.1)):
        out[when] = out[when.start - 1]
    return out


def gaps(rng, truth, fps, level, clip):
    """Points lost for 0.1 to 0.5 s that the estimator bridged by straight lines."""
    out = ar_fast(rng, truth, fps, level, clip)
    for joint, when in _spells(rng, len(truth) - 1, truth.shape[1], fps, 0.2, (0.1, 0.5)):
        end = min(when.stop, len(truth) - 1)
        share = np.linspace(0, 1, end - when.start + 2)[1:-1, None]
        out[when.start : end, joint] = (1 - share) * out[when.start - 1, joint] + share * out[end, joint]
    return out


def missing(rng, truth, fps, level, clip):
    """Points are NaN for up to 0.3 s; only what is shown counts."""
    out = white(rng, truth, fps, level, clip)
    for joint, when in _spells(rng, len(truth), truth.shape[1], fps, 0.3, (0.02, 0.3)):
        out[when, joint] = np.nan
    return out


def rounding(rng, truth, fps, level, clip):
    """Coordinates on a grid of `level`, such as the cells of a heat map, and a little jitter."""
    grid = level * body_size(truth)
    return grid * np.round((truth + 0.3 * grid * rng.standard_normal(truth.shape)) / grid)


def heavy_tails(rng, truth, fps, level, clip):
    """Student t with two degrees of freedom, correlated over 2 frames."""
    size = body_size(truth)
    noise = np.clip(level * rng.standard_t(2.0, truth.shape), -1, 1)
    return truth + size * lfilter([0.8, 0.5], [1], noise, axis=0)


def shift(rng, truth, fps, level, clip):
    """The whole body is misplaced, as a jittering root or camera does; each joint jitters less."""
    common = 0.6 * rng.standard_normal((len(truth), 1, truth.shape[2]))
    common += _ar(rng, (len(truth), 1, truth.shape[2]), fps, 0.3)
    return truth + level * body_size(truth) * (common + 0.4 * rng.standard_normal(truth.shape))


def wobble(rng, truth, fps, level, clip):
    """The body's size is misjudged by some per cent that change slowly."""
    centre = truth.mean(axis=1, keepdims=True)
    scale = 1 + level * (_ar(rng, (len(truth), 1, 1), fps, 0.3) + 0.5 * rng.standard_normal((len(truth), 1, 1)))
    return centre + scale * (truth - centre) + 0.5 * level * body_size(truth) * rng.standard_normal(truth.shape)


def correlated(rng, truth, fps, level, clip):
    """Errors run down the limbs: a joint has its parent's error and some of its own."""
    own = _ar(rng, truth.shape, fps, 0.05) + 0.5 * rng.standard_normal(truth.shape)
    error = np.zeros_like(own)
    for joint, parent in enumerate(clip.parents):
        error[:, joint] = own[:, joint] + (0.9 * error[:, parent] if 0 <= parent < joint else 0)
    return truth + 0.5 * level * body_size(truth) * error


def smoothed(rng, truth, fps, level, clip):
    """The estimator smooths by itself, causally: its errors are slow and it lags by a frame or two."""
    a = np.exp(-1 / (0.04 * fps))
    noisy = mixed(rng, truth, fps, 2 * level, clip)
    return lfilter([1 - a], [1, -a], noisy, axis=0, zi=a * noisy[:1])[0]


def blur(rng, truth, fps, level, clip):
    """Errors grow with a joint's speed."""
    speed = np.linalg.norm(np.gradient(truth, axis=0), axis=-1, keepdims=True) * fps / body_size(truth)
    return truth + level * body_size(truth) * (0.4 + 0.25 * speed) * rng.standard_normal(truth.shape)


def depth(rng, truth, fps, level, clip):
    """One axis is three times as bad as the others, and slow."""
    error = 0.6 * rng.standard_normal(truth.shape)
    error[..., -1] += 2.5 * _ar(rng, truth.shape[:2], fps, 0.15)
    return truth + level * body_size(truth) * error


def hypotheses(rng, truth, fps, level, clip):
    """A limb jumps between two readings that last for 0.2 to 0.8 s."""
    out = ar_fast(rng, truth, fps, level, clip)
    for joint, when in _spells(rng, len(truth), truth.shape[1], fps, 0.12, (0.2, 0.8)):
        offset = 0.12 * body_size(truth) * rng.standard_normal(truth.shape[2])
        for child, parent in enumerate(clip.parents):
            if child == joint or parent == joint:
                out[when, child] += offset
    return out


def vibration(rng, truth, fps, level, clip):
    """The camera shakes at 5 to 7 Hz."""
    time_ = np.arange(len(truth))[:, None, None] / fps
    phase = rng.uniform(0, 2 * np.pi, (1, 1, truth.shape[2]))
    shake = np.sqrt(2) * np.sin(2 * np.pi * rng.uniform(5, 7) * time_ + phase)
    return truth + level * body_size(truth) * (shake + 0.4 * rng.standard_normal(truth.shape))


def flips(rng, truth, fps, level, clip):
    """The whole person is taken for one seen from the other side: every left joint for its right one, up to 0.3 s."""
    out = mixed(rng, truth, fps, level, clip)
    for _, when in _spells(rng, len(truth), 1, fps, 0.6, (0.02, 0.3)):
        _exchange(out, when, clip.sides)
    return out


def misread(rng, truth, fps, level, clip):
    """For up to 0.4 s another pose altogether: one of the same recording, mirrored or not, of another size."""
    out = mixed(rng, truth, fps, level, clip)
    for _, when in _spells(rng, len(truth), 1, fps, 0.4, (0.02, 0.4)):
        pose = truth[rng.integers(len(truth))]
        pose = (pose - pose[:1]) * rng.uniform(0.6, 1.2)
        pose[:, 0] *= rng.choice((-1, 1))
        noise = level * body_size(truth) * rng.standard_normal(out[when].shape)
        out[when] = truth[when][:, :1] + pose + noise
    return out


# ---------------------------------------------------------------- cases
@dataclass(frozen=True)
class Case:
    """One row of the made errors: a kind at a level, on some motion, at a frame rate, in 2D or 3D."""

    kind: Kind
    level: float
    fps: int
    dims: int
    fast: bool

    @property
    def name(self) -> str:
        speed = "fast" if self.fast else "slow"
        return f"{self.kind.__name__} {100 * self.level:g} % {self.fps} fps {self.dims}D {speed}"


# (level, fps, dims, fast): the settings part and the report part take other ones of these for each kind.
CONDITIONS = (
    (0.02, 30, 3, False),
    (0.05, 30, 3, True),
    (0.03, 60, 3, True),
    (0.02, 30, 2, True),
    (0.10, 30, 3, False),
    (0.04, 15, 3, False),
    (0.03, 120, 3, True),
    (0.06, 60, 2, False),
    (0.006, 30, 3, True),
    (0.03, 15, 2, True),
)
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "settings": (white, ar_fast, ar_slow, mixed, bursts, frozen, gaps, rounding, shift),
    "report": (
        white, ar_fast, ar_slow, mixed, bursts, frozen, gaps, rounding, shift,
        spikes, swaps, stutter, missing, heavy_tails, wobble, correlated, smoothed, blur, depth, hypotheses, vibration,
        flips, misread,
    ),
}  # fmt: skip


def cases(part: str, quick: bool = False) -> list[Case]:
    """Three conditions a kind in the report, four in the settings part; in turns, so that each is met by each."""
    each = 4 if part == "settings" else 3
    found = []
    for number, kind in enumerate(KINDS[part]):
        for k in range(each):
            level, fps, dims, fast = CONDITIONS[(each * number + k + 5 * PARTS.index(part)) % len(CONDITIONS)]
            if part == "report":
                level *= 1.3
            found.append(Case(kind, level, fps, dims, fast))
    return found[:: len(found) // 8] if quick else found


def seeded(*parts: object) -> np.random.Generator:
    """The same generator for the same words and numbers, on every machine."""
    return np.random.default_rng([zlib.crc32(repr(part).encode()) for part in parts])


def truths(clips: Sequence[Clip], case: Case, part: str, seconds: float) -> list[tuple[Clip, np.ndarray]]:
    """The motion of a case: up to two generated and three recorded pieces, absolute or relative to the first joint."""
    rng = seeded(case.name, part)
    fit = [clip for clip in clips if clip.fps > 0.97 * case.fps and clip.fast == case.fast]
    chosen: list[Clip] = []
    for kind, count in ((True, 2), (False, 3)):
        some = [clip for clip in fit if clip.name.startswith("generated") is kind]
        chosen += [some[i] for i in rng.permutation(len(some))[:count]]
    pieces = []
    for clip in chosen:
        last = len(clip.points) / clip.fps - seconds
        points = clip.at(case.fps, rng.uniform(0, last) if last > 0 else 0.0, seconds)
        if len(points) < 8:
            continue
        if rng.random() < 0.5:
            points = points - points[:, :1]
        pieces.append((clip, camera(rng, points) if case.dims == 2 else points))
    return pieces


def camera(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """(T, K, 3) mm -> (T, K, 2) pixels: a resting pinhole camera at chest height from any side, 4 to 8 m away."""
    angle, focal = rng.uniform(0, 2 * np.pi), rng.uniform(900, 1500)
    points = points - (points.min(axis=(0, 1)) + points.max(axis=(0, 1))) / 2
    across = points[..., 0] * np.cos(angle) + points[..., 2] * np.sin(angle)
    along = points[..., 2] * np.cos(angle) - points[..., 0] * np.sin(angle)
    away = rng.uniform(4000, 8000) + max(0.0, -along.min() - 2500)
    return np.stack([960 + focal * across / (away + along), 540 - focal * points[..., 1] / (away + along)], axis=-1)
