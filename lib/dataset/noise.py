# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What pose estimators do to motion: an error model for training and for tests.

Pure functions. Windows are (N, K, D, W) float32: N windows, K joints, D coordinates, W frames. `size` is (N,), the
size of the body in each window (RMS distance of its joints from their centroid; half a metre for an adult), and
all errors are measured in it, so that a model does not depend on the unit. Times are in frames.
All randomness comes from the generator that the caller hands in.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.gaps import bridge_windows

Array = np.ndarray
Generator = np.random.Generator


@dataclass(frozen=True)
class ErrorModel:
    """How often each error occurs (share of the windows, 0 to 1) and how large it is.

    The base of every window is a random mix of white noise, fast and slow AR(1) noise; the other errors come on top,
    each in its share of the windows, independently. Sizes are in units of the body's, pairs are ranges.
    """

    level: tuple[float, float] = (0.0006, 0.3)  # standard deviation of a coordinate, log-uniform
    clean: float = 0.06  # windows without any base noise
    fast_tau: tuple[float, float] = (1.0, 5.0)  # time constant of AR(1) noise
    slow_tau: tuple[float, float] = (4.0, 30.0)
    heavy_tails: float = 0.15  # white noise from Student's t with 2.2 to 5 degrees of freedom
    joint_spread: float = 0.5  # standard deviation of the log of a joint's factor
    bad_axis: float = 0.25  # one coordinate (as depth is) 1.5 to 4 times as noisy
    bad_joints: float = 0.2  # some joints 2 to 8 times as noisy, all the time or for some frames (low confidence)
    with_speed: float = 0.12  # noise grows with the joint's speed (motion blur)
    envelope: float = 0.15  # noise comes and goes
    shift: float = 0.35  # AR(1) shift common to all joints (root, camera), tau 1 to 20
    wobble: float = 0.25  # AR(1) factor of the body's size about its centroid, tau 2 to 25
    correlated: float = 0.15  # noise in a few patterns over the body rather than joint by joint
    tremble: float = 0.1  # periodic error of 2 to 24 frames; in half of them the same for all joints, of 2 to 5 frames
    vibration: float = 0.06  # of the camera, 6 to 15 times a second; only where the frame rate is known
    vibration_size: tuple[float, float] = (0.004, 0.1)
    time_jitter: float = 0.05  # frames taken up to 0.5 frames early or late
    bursts: float = 0.4  # joints thrown off for 1 to 9 frames
    burst_size: tuple[float, float] = (0.05, 0.8)
    body_bursts: float = 0.06  # the whole body thrown off for 1 to 4 frames
    mistaken: float = 0.05  # another pose altogether for 1 to 12 frames, again and again: turned, mirrored, flattened
    jumps: float = 0.1  # joints in another place (.03 to .3) for 4 to 28 frames, as a second hypothesis
    swaps: float = 0.15  # joints exchanged in pairs for 1 to 12 frames: two joints, or in a third up to all of them
    frozen: float = 0.15  # joints hold a value for 2 to 12 frames
    repeated: float = 0.04  # the whole body only new in every 2nd to 4th frame
    stutter: float = 0.06  # the whole body shown again for 1 to 3 frames, now and then
    filtered: float = 0.08  # the estimator low-passes by itself, exponentially with .3 to 2 frames
    gaps: float = 0.2  # joints or the whole body missing for 1 to 12 frames, bridged by straight lines
    rounded: float = 0.15  # coordinates on a grid
    grid: tuple[float, float] = (0.001, 0.03)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                if not (len(value) == 2 and 0 < value[0] <= value[1] < float("inf")):
                    raise SmoothNetError(f"{field.name} of the errors must be a range of positive numbers, not {value}")
            elif not (0 <= value < float("inf") and (value <= 1 or field.name == "joint_spread")):
                raise SmoothNetError(f"{field.name} of the error model must be between 0 and 1, not {value}")


def add_errors(
    clean: Array, size: Array, rng: Generator, model: ErrorModel | None = None, fps: Array | None = None
) -> Array:
    """Windows as an estimator would see them.

    Args:
        clean: (N, K, D, W) float32, the true motion.
        size: (N,), the body's size in each window, in the unit of `clean`.
        rng: source of every draw.
        model: what errors there are; None: all, as ErrorModel has them.
        fps: (N,) frames per second, 0 where unknown; None: unknown everywhere.

    Returns:
        (N, K, D, W) float32.
    """
    model = ErrorModel() if model is None else model
    n, joints, _, _ = clean.shape
    unit = _each(size.astype(np.float32))

    def some(share: float) -> Array:
        return np.less(rng.random(n), share)

    clean = jitter_time(clean, some(model.time_jitter), rng)
    level = log_uniform(rng, model.level, n) * ~some(model.clean)
    noise = base_noise(clean.shape, rng, model, some(model.heavy_tails))
    noise = correlate(noise, some(model.correlated), rng)
    noise *= np.exp(model.joint_spread * rng.standard_normal((n, joints, 1, 1), dtype=np.float32))
    noise *= bad_axis_factors(clean.shape, some(model.bad_axis), rng)
    noise *= bad_joint_factors(clean.shape, some(model.bad_joints), rng)
    noise *= speed_factors(clean, some(model.with_speed))
    noise *= envelope_factors(clean.shape, some(model.envelope), rng)
    noisy = clean + noise * _each(level) * unit
    strength = level * log_uniform(rng, (0.2, 3.0), n)
    noisy += common_shift(clean.shape, some(model.shift), rng) * _each(strength) * unit
    noisy += wobble(noisy, some(model.wobble), level * log_uniform(rng, (0.2, 2.0), n), rng)
    noisy += tremble(clean.shape, some(model.tremble), rng) * _each(log_uniform(rng, (0.002, 0.05), n)) * unit
    rate = np.zeros(n) if fps is None else fps
    shaken = vibration(clean.shape, some(model.vibration), rate, rng)
    noisy += shaken * _each(log_uniform(rng, model.vibration_size, n)) * unit
    noisy += bursts(clean.shape, some(model.bursts), model.burst_size, rng) * unit
    noisy += body_bursts(clean.shape, some(model.body_bursts), (0.2, 3.0), rng) * unit
    noisy += jumps(clean.shape, some(model.jumps), (0.03, 0.3), rng) * unit
    noisy = mistake(noisy, unit, some(model.mistaken), rng)
    noisy = swap(noisy, some(model.swaps), rng)
    noisy = freeze(noisy, some(model.frozen), rng)
    noisy = repeat_frames(noisy, some(model.repeated), rng)
    noisy = stutter(noisy, some(model.stutter), rng)
    noisy = low_pass(noisy, some(model.filtered), rng)
    noisy = bridge(noisy, some(model.gaps), rng)
    noisy = round_to(noisy, log_uniform(rng, model.grid, n) * size * some(model.rounded))
    return noisy.astype(np.float32)


def _each(values: Array) -> Array:
    """(N,) to be multiplied with windows."""
    return values[:, None, None, None]


def log_uniform(rng: Generator, limits: tuple[float, float], count: int) -> Array:
    """(count,) float32, the logarithm uniform between the limits."""
    return np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]), count)).astype(np.float32)


def ar1(shape: tuple[int, ...], tau: Array, rng: Generator) -> Array:
    """Stationary AR(1) noise of variance 1 along the last axis: correlation exp(-1 / tau) from frame to frame.

    Args:
        shape: (N, ..., W).
        tau: (N,), time constants in frames.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    pole = np.exp(-1 / tau).astype(np.float32).reshape(-1, *[1] * (len(shape) - 2))
    drive = np.sqrt(1 - pole**2)
    for frame in range(1, shape[-1]):
        noise[..., frame] = pole * noise[..., frame - 1] + drive * noise[..., frame]
    return noise


def base_noise(shape: tuple[int, ...], rng: Generator, model: ErrorModel, heavy: Array) -> Array:
    """Noise of variance 1 for every window: a random mix of white (heavy-tailed where `heavy`), fast, slow AR(1)."""
    n = shape[0]
    shares = rng.dirichlet([0.6, 0.4, 0.4], n).astype(np.float32)  # of the variance; often one kind alone
    white, fast, slow = np.sqrt(shares).T[:, :, None, None, None]
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise[heavy] = student(noise[heavy].shape, rng.uniform(2.2, 5.0, int(heavy.sum())), rng)
    noise *= white
    noise += fast * ar1(shape, rng.uniform(*model.fast_tau, n), rng)
    noise += slow * ar1(shape, rng.uniform(*model.slow_tau, n), rng)
    return noise


def student(shape: tuple[int, ...], degrees: Array, rng: Generator) -> Array:
    """Heavy-tailed white noise of variance 1: Student's t with (N,) degrees of freedom above 2; the same for all
    coordinates of a joint and frame, which go wrong together."""
    n, joints, _, frames = shape
    degrees = degrees[:, None, None, None]
    chi = 2 * rng.standard_gamma(np.broadcast_to(degrees / 2, (n, joints, 1, frames)))
    scale = np.sqrt((degrees - 2) / np.maximum(chi, 1e-3))
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def bad_axis_factors(shape: tuple[int, ...], chosen: Array, rng: Generator) -> Array:
    """(N, 1, D, 1): 1.5 to 4 for one coordinate of the chosen windows, else 1."""
    n, _, dims, _ = shape
    bad = (rng.integers(dims, size=n)[:, None] == np.arange(dims)) & chosen[:, None]
    return np.where(bad, log_uniform(rng, (1.5, 4.0), n)[:, None], np.float32(1))[:, None, :, None]


def bad_joint_factors(shape: tuple[int, ...], chosen: Array, rng: Generator) -> Array:
    """(N, K, 1, W): 2 to 8 for some joints of the chosen windows, for a part of the frames or all, else 1."""
    n, joints, _, frames = shape
    bad = event_mask((n, joints, frames), chosen, rng, lengths=(6, 2 * frames), events=2)
    factor = log_uniform(rng, (2.0, 8.0), n * joints).reshape(n, joints, 1)
    return np.where(bad, factor, np.float32(1))[:, :, None]


def speed_factors(clean: Array, chosen: Array) -> Array:
    """(N, K, 1, W): speed of the joint over the mean speed of the window, between .3 and 5; 1 where not chosen."""
    speed = np.linalg.norm(np.gradient(clean, axis=-1), axis=2, keepdims=True)
    mean = speed.mean(axis=(1, 3), keepdims=True)
    factor = np.clip(speed / (mean + (mean == 0)), 0.3, 5)
    return np.where(chosen[:, None, None, None], factor, np.float32(1))


def envelope_factors(shape: tuple[int, ...], chosen: Array, rng: Generator) -> Array:
    """(N, 1, 1, W): a smooth random factor between about .1 and 4, 1 where not chosen."""
    n, _, _, frames = shape
    course = np.exp(ar1((n, 1, 1, frames), rng.uniform(5, 30, n), rng))
    return np.where(chosen[:, None, None, None], course, np.float32(1))


def common_shift(shape: tuple[int, ...], chosen: Array, rng: Generator) -> Array:
    """(N, 1, D, W): AR(1) noise of variance 1 that all joints share, 0 where not chosen."""
    n, _, dims, frames = shape
    return ar1((n, 1, dims, frames), rng.uniform(1, 20, n), rng) * chosen[:, None, None, None]


def wobble(windows: Array, chosen: Array, amount: Array, rng: Generator) -> Array:
    """The error of a body whose size wobbles about its centroid by (N,) `amount`, AR(1) in time; 0 if not chosen."""
    n, frames = len(windows), windows.shape[-1]
    factor = ar1((n, 1, 1, frames), rng.uniform(2, 25, n), rng) * (amount * chosen)[:, None, None, None]
    return factor * (windows - windows.mean(axis=1, keepdims=True))


def correlate(noise: Array, chosen: Array, rng: Generator) -> Array:
    """Replace most of the noise of the chosen windows by 1 to 4 courses that every joint takes part in, more or less.

    The variance of the noise stays what it was, on average over the joints.
    """
    n, joints, _, _ = noise.shape
    count = rng.integers(1, 5, (n, 1))
    parts = rng.standard_normal((n, joints, 4), dtype=np.float32) * (np.arange(4) < count)[:, None]
    courses = noise[:, rng.integers(joints, size=4)]
    own = rng.uniform(0.2, 0.8, (n, 1, 1, 1)).astype(np.float32)
    shared = np.einsum("njm,nmdw->njdw", parts / np.sqrt(count)[:, None].astype(np.float32), courses)
    return np.where(_each(chosen), own * noise + np.sqrt(1 - own**2) * shared, noise)


def tremble(shape: tuple[int, ...], chosen: Array, rng: Generator) -> Array:
    """A periodic error: of 2 to 24 frames, of its own size and phase for every channel, or the same for all joints.

    The latter has 2 to 5 frames: where nobody knows the frame rate, a body that sways more slowly is one that hops.
    """
    n, joints, dims, frames = shape
    size = rng.standard_normal((n, joints, dims, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, joints, dims, 1))
    together = _each(rng.random(n) < 0.5)
    period = np.where(together, _each(log_uniform(rng, (2, 5), n)), _each(log_uniform(rng, (2, 24), n)))
    cycle = 2 * np.pi * np.arange(frames) / period
    size, phase = np.where(together, size[:, :1], size), np.where(together, phase[:, :1], phase)
    return (np.sin(cycle + phase) * size * _each(chosen)).astype(np.float32)


def vibration(shape: tuple[int, ...], chosen: Array, fps: Array, rng: Generator) -> Array:
    """(N, 1, D, W): a swaying of all joints, 6 to 15 times a second, that comes and goes; 0 where not chosen, and where
    the frame rate is unknown or too low to show it."""
    n, _, dims, frames = shape
    hertz = log_uniform(rng, (6.0, 15.0), n)
    seen = chosen & (fps > 2 * hertz)
    cycle = 2 * np.pi * _each(hertz / np.maximum(fps, 1)) * np.arange(frames)
    size = rng.standard_normal((n, 1, dims, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, 1, dims, 1))
    course = np.where(_each(rng.random(n) < 0.5), 1.0, np.abs(ar1((n, 1, 1, frames), rng.uniform(8, 40, n), rng)))
    return (np.sin(cycle + phase) * size * course * _each(seen)).astype(np.float32)


def jumps(shape: tuple[int, ...], chosen: Array, sizes: tuple[float, float], rng: Generator) -> Array:
    """Joints in another place for 4 to 28 frames."""
    n, joints, dims, frames = shape
    mask = event_mask((n, joints, frames), chosen, rng, lengths=(4, 28), events=2)
    place = rng.standard_normal((n, joints, dims, 1), dtype=np.float32) / np.float32(dims**0.5)
    return place * _each(log_uniform(rng, sizes, n)) * mask[:, :, None]


def event_mask(
    shape: tuple[int, int, int], chosen: Array, rng: Generator, lengths: tuple[int, int], events: int = 3
) -> Array:
    """(N, K, W) bool: 1 to `events` runs of frames, each of 1 or of several joints, in the chosen windows.

    lengths: shortest and longest run; short ones are likelier (the logarithm is uniform). Runs may begin before or
    end after the window.
    """
    n, joints, frames = shape
    mask = np.zeros(shape, bool)
    time = np.arange(frames)
    count = rng.integers(1, events + 1, n)
    for event in range(events):
        length = np.floor(log_uniform(rng, (lengths[0], lengths[1] + 0.999), n)).astype(int)
        start = np.floor(rng.uniform(1 - length, frames)).astype(int)
        frame = (time >= start[:, None]) & (time < (start + length)[:, None])
        several = rng.random((n, joints)) < np.where(rng.random(n) < 0.25, rng.uniform(0, 0.6, n), 0)[:, None]
        several[np.arange(n), rng.integers(joints, size=n)] = True
        mask |= several[:, :, None] & frame[:, None] & (chosen & (event < count))[:, None, None]
    return mask


def bursts(shape: tuple[int, ...], chosen: Array, sizes: tuple[float, float], rng: Generator) -> Array:
    """Joints thrown off for 1 to 9 frames: an offset that stays, plus one that flickers."""
    n, joints, _, frames = shape
    mask = event_mask((n, joints, frames), chosen, rng, lengths=(1, 9))
    return _thrown(shape, sizes, rng) * mask[:, :, None]


def body_bursts(shape: tuple[int, ...], chosen: Array, sizes: tuple[float, float], rng: Generator) -> Array:
    """The whole body thrown off for 1 to 4 frames, as when another person is taken for this one."""
    n, joints, _, frames = shape
    mask = event_mask((n, 1, frames), chosen, rng, lengths=(1, 4), events=1)
    together = _thrown((n, 1, *shape[2:]), sizes, rng)
    return np.repeat(together * mask[:, :, None], joints, axis=1)


def _thrown(shape: tuple[int, ...], sizes: tuple[float, float], rng: Generator) -> Array:
    n, joints, dims, _ = shape
    place = rng.standard_normal((n, joints, dims, 1), dtype=np.float32)
    flicker = rng.standard_normal(shape, dtype=np.float32) * rng.random((n, 1, 1, 1), dtype=np.float32)
    return (place + flicker) * log_uniform(rng, sizes, n)[:, None, None, None] / np.float32(dims**0.5)


def mistake(windows: Array, unit: Array, chosen: Array, rng: Generator) -> Array:
    """Another pose altogether for 1 to 12 frames, up to four times a window and the same each time.

    As when an estimator wavers between two readings of an image: the body, or some of its joints, mirrored, flattened
    or shrunk along each axis, in half of the windows turned as well, about a joint that stays, in half of them about
    a place beside it.

    unit: (N, 1, 1, 1), the body's size.
    """
    n, joints, dims, frames = windows.shape
    mask = event_mask((n, 1, frames), chosen, rng, lengths=(1, 12), events=4)
    some = rng.random((n, joints)) < np.where(rng.random(n) < 0.5, 1, rng.uniform(0.3, 0.9, n))[:, None]
    turn = np.linalg.qr(rng.standard_normal((n, dims, dims)))[0]
    turn = np.where(rng.random((n, 1, 1)) < 0.5, turn, np.eye(dims)) * rng.uniform(-1.2, 1.2, (n, 1, dims))
    stays = windows[np.arange(n), rng.integers(joints, size=n)][:, None]
    elsewhere = rng.standard_normal((n, 1, dims, 1)) * _each(log_uniform(rng, (0.03, 1.0), n)) / dims**0.5
    elsewhere = (elsewhere * _each(np.less(rng.random(n), 0.5)) * unit).astype(np.float32)
    other = np.einsum("nde,njew->njdw", turn.astype(np.float32), windows - stays) + stays + elsewhere
    return np.where((mask & some[:, :, None])[:, :, None], other, windows)


def swap(windows: Array, chosen: Array, rng: Generator) -> Array:
    """Two joints exchanged for 1 to 12 frames; in a third of the windows further pairs with them, up to all joints, as
    where left is taken for right. Windows of one joint stay as they are."""
    n, joints, _, frames = windows.shape
    if joints < 2:
        return windows
    order = np.argsort(rng.random((n, joints)), axis=1)
    pairs = np.where(rng.random(n) < 1 / 3, rng.integers(1, joints // 2 + 1, n), 1)
    partner = np.tile(np.arange(joints), (n, 1))
    for pair in range(joints // 2):
        exchanged = pairs > pair
        a, b = order[exchanged, 2 * pair], order[exchanged, 2 * pair + 1]
        partner[exchanged, a], partner[exchanged, b] = b, a
    mask = event_mask((n, 1, frames), chosen, rng, lengths=(1, 12), events=2)
    return np.where(mask[:, :, None], np.take_along_axis(windows, partner[:, :, None, None], axis=1), windows)


def freeze(windows: Array, chosen: Array, rng: Generator) -> Array:
    """Joints hold the value they had before the run began for 2 to 12 frames."""
    n, joints, _, frames = windows.shape
    mask = event_mask((n, joints, frames), chosen, rng, lengths=(2, 12))
    kept = np.maximum.accumulate(np.where(mask, 0, np.arange(frames)), axis=-1)
    return np.take_along_axis(windows, kept[:, :, None], axis=-1)


def repeat_frames(windows: Array, chosen: Array, rng: Generator) -> Array:
    """Every 2nd to 4th frame of the chosen windows shown again until the next, as from a slower camera."""
    n, _, _, frames = windows.shape
    every, phase = rng.integers(2, 5, (n, 1)), rng.integers(0, 4, (n, 1))
    time = np.arange(frames) + phase
    source = np.maximum(time - time % every - phase, 0)
    source = np.where(chosen[:, None], source, np.arange(frames))
    return np.take_along_axis(windows, source[:, None, None], axis=-1)


def stutter(windows: Array, chosen: Array, rng: Generator) -> Array:
    """The whole body shown again for 1 to 3 frames, up to six times a window."""
    n, _, _, frames = windows.shape
    mask = event_mask((n, 1, frames), chosen, rng, lengths=(1, 3), events=6)
    kept = np.maximum.accumulate(np.where(mask, 0, np.arange(frames)), axis=-1)
    return np.take_along_axis(windows, kept[:, :, None], axis=-1)


def low_pass(windows: Array, chosen: Array, rng: Generator) -> Array:
    """Exponential smoothing with a time constant of .3 to 2 frames: it lags, from the first frame on."""
    keep = np.exp(-1 / log_uniform(rng, (0.3, 2.0), len(windows)))[:, None, None]
    out = windows.copy()
    pace = (windows[..., 4] - windows[..., 0]) / 4
    out[..., 0] -= keep / (1 - keep) * pace  # where it would be after such motion before
    for frame in range(1, windows.shape[-1]):
        out[..., frame] = keep * out[..., frame - 1] + (1 - keep) * windows[..., frame]
    return np.where(_each(chosen), out, windows)


def bridge(windows: Array, chosen: Array, rng: Generator) -> Array:
    """Runs of 1 to 12, some of up to 28, frames replaced by a straight line between their neighbours, held at the
    window's ends."""
    n, joints, _, frames = windows.shape
    whole = rng.random(n) < 0.25
    mask = event_mask((n, joints, frames), chosen & ~whole, rng, lengths=(1, 12))
    mask |= event_mask((n, joints, frames), chosen & (rng.random(n) < 0.15), rng, lengths=(10, 28), events=1)
    mask |= event_mask((n, 1, frames), chosen & whole, rng, lengths=(1, 12), events=1)
    return bridge_windows(windows, mask)


def extend(windows: Array, length: Array, hold: Array) -> Array:
    """Windows of short recordings: only the first `length` frames are real.

    Args:
        windows: (N, K, D, W).
        length: (N,) integers from 2 to W.
        hold: (N,) bool: the rest repeats the last real frame; otherwise it goes on as the point reflection of what
            was before (as numpy.pad with mode "reflect" and reflect_type "odd"), with the same speed.
    """
    frames = windows.shape[-1]
    last = length[:, None] - 1
    turns, place = np.divmod(np.arange(frames), last)
    odd = turns % 2 == 1
    index = np.where(hold[:, None], np.minimum(np.arange(frames), last), np.where(odd, last - place, place))
    taken = np.take_along_axis(windows, index[:, None, None], axis=-1)
    start = windows[..., :1]
    end = np.take_along_axis(windows, last[:, None, None], axis=-1)
    turns, odd = turns[:, None, None].astype(windows.dtype), odd[:, None, None]
    reflected = np.where(odd, 2 * end - taken + (turns - 1) * (end - start), taken + turns * (end - start))
    return np.where(_each(hold), taken, reflected)


def round_to(windows: Array, grid: Array) -> Array:
    """Coordinates rounded to multiples of the (N,) grid; grid 0 leaves a window alone."""
    grid = grid.astype(np.float32)[:, None, None, None]
    step = grid + (grid == 0)
    return np.where(grid > 0, np.round(windows / step) * step, windows)


def jitter_time(clean: Array, chosen: Array, rng: Generator) -> Array:
    """Frames taken up to half a frame early or late, by linear interpolation."""
    n, _, _, frames = clean.shape
    late = rng.uniform(-0.5, 0.5, (n, frames)) * rng.random((n, 1)) * chosen[:, None]
    time = np.clip(np.arange(frames) + late, 0, frames - 1)
    first = np.minimum(time.astype(int), frames - 2)
    share = (time - first).astype(np.float32)[:, None, None]
    index = first[:, None, None]
    return (1 - share) * np.take_along_axis(clean, index, -1) + share * np.take_along_axis(clean, index + 1, -1)
