# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The networks in numpy: what smooths where torch is not installed, and live. Equal to general.py and smoothnet.py.

Everything lies transposed: units first, and last the rows, which are the channels of all windows. So every layer is
one matrix product W @ x, all that goes frame by frame or unit by unit runs over contiguous memory, and what is kept of
one chunk of rows fits the processor's cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

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
    SCALARS,
    SLOPE,
    STRONGEST,
    TINY,
    WILD_NOISE,
    WILD_SHARE,
    check_settings,
    constants,
    general_settings,
    rate_features,
    solve_fit,
    window_overlap,
    window_taper,
    with_rate,
)
from .network import Begin, ByJoint, Network, Steps, Work, part_of

ENCODER_SLOPE = 0.1  # of SmoothNet's LeakyReLU after the encoder
BLOCK_SLOPE = 0.2  # of those in the residual blocks
CONTEXTS = 3  # what a channel is told before each block: of its joint, of its axis, of the body
MEMBERS = len(BANK) + len(FITS)
NOTHING = 1e-30  # fixed numbers below it are left out
GENERAL_ROWS, SMOOTHNET_ROWS = 700, 1024  # rows of a chunk: what is fastest with 2 MiB of cache

State = Mapping[str, np.ndarray]


class Scratch(threading.local):
    """Memory that calls of one thread share, by name: fresh memory would cost as much as what is done in it."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def take(self, name: str, *shape: int) -> np.ndarray:
        """Float32 of this shape, with whatever it holds."""
        size = math.prod(shape)
        kept = self.kept.get(name)
        if kept is None or len(kept) < size:
            kept = self.kept[name] = np.empty(size, np.float32)
        return kept[:size].reshape(shape)


scratch = Scratch()


def leaky(x: np.ndarray, slope: float, spare: np.ndarray | None = None) -> np.ndarray:
    """LeakyReLU in place; `spare` is memory of the same shape."""
    return np.maximum(x, np.multiply(x, np.float32(slope), out=spare), out=x)


def check_state(state: State, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights of other names or shapes.

    Raises:
        SmoothNetError: names one of them.
    """
    for name in (*shapes, *state):
        found, wanted = getattr(state.get(name), "shape", None), shapes.get(name)
        if found != wanted:
            there, meant = ("missing" if shape is None else f"of the shape {shape}" for shape in (found, wanted))
            raise SmoothNetError(f"{name[:80]} is {there}, where it should be {meant}")


# ---------------------------------------------------------------- SmoothNet


def architecture(state: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a SmoothNet's weights were made with, as keyword arguments for it (dropout leaves no trace).

    Args:
        state: name -> array or tensor.

    Raises:
        SmoothNetError: the keys or shapes are not those of a SmoothNet, or it returns less than its window.
    """
    try:
        hidden_size, window_size = state["encoder.0.weight"].shape
        output_size = state["decoder.weight"].shape[0]
        num_blocks = len({key.split(".")[1] for key in state if key.startswith("res_blocks.")})
        res_hidden_size = state["res_blocks.0.linear1.weight"].shape[0] if num_blocks else 1
    except KeyError as error:
        raise SmoothNetError(f"these are not the weights of a SmoothNet (no usable {error})") from error
    except (ValueError, AttributeError, IndexError) as error:
        raise SmoothNetError(f"these are not the weights of a SmoothNet (a layer is no matrix: {error})") from error
    return {
        "window_size": window_size,
        "output_size": output_size,
        "hidden_size": hidden_size,
        "res_hidden_size": res_hidden_size,
        "num_blocks": num_blocks,
    }


def check_whole(sizes: Mapping[str, int]) -> None:
    """Refuse a SmoothNet that returns less than its window."""
    if sizes["output_size"] != sizes["window_size"]:
        raise SmoothNetError(
            f"returns {sizes['output_size']} of {sizes['window_size']} frames; only whole windows can be used"
        )


def smoothnet_shapes(sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a SmoothNet's weights."""
    window, hidden, inner = sizes["window_size"], sizes["hidden_size"], sizes["res_hidden_size"]
    layers = {"encoder.0": (hidden, window), "decoder": (sizes["output_size"], hidden)}
    for i in range(sizes["num_blocks"]):
        layers |= {f"res_blocks.{i}.linear1": (inner, hidden), f"res_blocks.{i}.linear2": (hidden, inner)}
    return _with_biases(layers)


def _with_biases(layers: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape for name, shape in layers.items()} | {
        f"{name}.bias": shape[:1] for name, shape in layers.items()
    }


def smoothnet(state: State) -> Callable[[np.ndarray], np.ndarray]:
    """SmoothNet: (n, C, W) windows -> (n, C, W) float32."""
    blocks = architecture(state)["num_blocks"]
    inner = [f"res_blocks.{i}.linear{k}" for i in range(blocks) for k in (1, 2)]
    layers = [(state[f"{name}.weight"], state[f"{name}.bias"][:, None]) for name in ("encoder.0", *inner, "decoder")]
    first, *middle, last = layers
    window, hidden = len(last[0]), len(first[0])

    def linear(layer: tuple[np.ndarray, np.ndarray], x: np.ndarray, out: np.ndarray, slope: float = 1.0) -> np.ndarray:
        np.matmul(layer[0], x, out=out)
        out += layer[1]
        return out if slope == 1 else leaky(out, slope, scratch.take("leaky", *out.shape))

    def chunk(x: np.ndarray) -> np.ndarray:
        """(W, rows) -> (W, rows)."""
        rows = x.shape[1]
        y, change = (scratch.take(name, hidden, rows) for name in ("hidden", "change"))
        linear(first, x, y, ENCODER_SLOPE)
        for one, two in zip(middle[::2], middle[1::2], strict=True):
            z = linear(one, y, scratch.take("inner", len(one[0]), rows), BLOCK_SLOPE)
            y += linear(two, z, change, BLOCK_SLOPE)
        return linear(last, y, scratch.take("last", window, rows))

    def run(windows: np.ndarray) -> np.ndarray:
        n, channels, _ = windows.shape
        smoothed = np.empty((window, n, channels), np.float32)
        size = max(1, SMOOTHNET_ROWS // channels)
        for i in range(0, n, size):
            part = windows[i : i + size].transpose(2, 0, 1).astype(np.float32, order="C").reshape(window, -1)
            smoothed[:, i : i + size] = chunk(part).reshape(window, -1, channels)
        return smoothed.transpose(1, 2, 0)

    return run


# ---------------------------------------------------------------- the general smoother


@dataclass(frozen=True)
class GeneralWeights:
    """A general smoother's weights, float32, and its fixed matrices, as they are multiplied from the left.

    A layer is its weight with its bias as a last column: what it is multiplied with has a last row of ones.

    Attributes:
        blocks: of each: the joint's context, the axis' above the body's; the layers down and up.
        mixture: (knots, members, H + 1).
        bank: of each source (W, members, W).
        fits: of each fit (sums over time^0, time^1, .. of trust, W, W).
        between_knots: (W, knots).
        lean: (members, 1).
    """

    window: int
    encoder: np.ndarray
    blocks: list[tuple[np.ndarray, ...]]
    trust: np.ndarray
    correction: np.ndarray
    mixture: np.ndarray
    bank: tuple[np.ndarray, ...]
    fits: tuple[np.ndarray, ...]
    between_knots: np.ndarray
    high_pass: np.ndarray
    lean: np.ndarray


def general_shapes(settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a general smoother's weights."""
    window, hidden, inner = (settings[name] for name in ("window_size", "hidden_size", "res_hidden_size"))
    layers = {
        "encoder": (hidden, 3 * window + SCALARS),
        "mixture": (MEMBERS * settings["knots"], hidden),
        "trust": (window, hidden),
        "correction": (window, hidden),
    }
    contexts: dict[str, tuple[int, ...]] = {}
    for i in range(settings["num_blocks"]):
        layers |= {f"down.{i}": (inner, hidden), f"up.{i}": (hidden, inner)}
        contexts |= {f"contexts.{i}.{c}.weight": (hidden, hidden) for c in range(CONTEXTS)}
    return {**_with_biases(layers), **contexts, "rate.weight": (hidden, RATE_FEATURES)}


def general(state: State, settings: Mapping[str, Any]) -> tuple[ByJoint, Begin]:
    """The general smoother, see GeneralSmoother.forward: as a whole, and step by step."""
    weights, rate = _general_weights(state, settings), state["rate.weight"]

    @lru_cache(maxsize=8)
    def at(fps: float) -> GeneralWeights:
        encoder = weights.encoder.copy()
        encoder[:, -1] += rate @ np.array(rate_features(fps), np.float32)  # the same for all: a part of the bias
        return replace(weights, encoder=encoder)

    def chunks(
        windows: np.ndarray, shown: np.ndarray | None, strength: float, fps: float, kept: Scratch | None
    ) -> Iterator[Steps]:
        size = max(1, GENERAL_ROWS // (windows.shape[1] * windows.shape[2]))
        for i in range(0, len(windows), size):
            # rows in the order (D, n, K): means over the coordinates and the joints then run over whole rows
            part = windows[i : i + size].astype(np.float32, copy=False).transpose(3, 2, 0, 1)
            seen = None if shown is None else shown[i : i + size].astype(np.float32, copy=False)
            yield _smooth_chunk(at(fps), part, seen, strength, kept or Scratch())

    def run(windows: np.ndarray, shown: np.ndarray | None, strength: float, fps: float) -> np.ndarray:
        n, joints, dims, window = windows.shape
        smoothed = np.empty((window, n, joints, dims), np.float32)
        done = 0
        for steps in chunks(windows, shown, strength, fps, scratch):
            part = Work(len(weights.blocks) + 2, steps).frames(0, window)
            smoothed[:, done : done + part.shape[1]] = part
            done += part.shape[1]
        return smoothed.transpose(1, 2, 3, 0)

    def begin(windows: np.ndarray, shown: np.ndarray | None, strength: float, fps: float, whole: bool) -> Work:
        parts = list(chunks(windows, shown, strength, fps, None))
        halves = (0, weights.window // 2, weights.window) if whole else ()

        def way() -> Steps:
            ready = []
            for steps in parts:
                frames = yield from steps
                yield
                if whole:
                    done = []
                    for first, last in pairwise(halves):
                        done.append(frames(first, last))
                        yield
                    frames = part_of(np.concatenate(done))
                ready.append(frames)
            return lambda first, last: np.concatenate([frames(first, last) for frames in ready], axis=1)

        return Work(len(parts) * (len(weights.blocks) + (4 if whole else 2)) + 1, way())

    return run, begin


def _general_weights(state: State, settings: Mapping[str, Any]) -> GeneralWeights:
    window, knots = settings["window_size"], settings["knots"]

    def layer(name: str) -> np.ndarray:
        return np.concatenate([state[f"{name}.weight"], state[f"{name}.bias"][:, None]], axis=1)

    fixed = {
        name: np.where(np.abs(value) < NOTHING, 0, value).astype(np.float32)  # numbers below the normal ones are slow
        for name, value in constants(window, knots).items()
    }
    sources = (fixed[f"of_{source}"].T.reshape(-1, window, window) for source in ("window", "trusted", "median"))
    return GeneralWeights(
        window,
        encoder=layer("encoder"),
        blocks=[
            (
                state[f"contexts.{i}.0.weight"],
                np.concatenate([state[f"contexts.{i}.{c}.weight"] for c in (1, 2)]),
                layer(f"down.{i}"),
                layer(f"up.{i}"),
            )
            for i in range(settings["num_blocks"])
        ],
        trust=layer("trust"),
        correction=layer("correction"),
        mixture=np.ascontiguousarray(layer("mixture").reshape(MEMBERS, knots, -1).transpose(1, 0, 2)),
        bank=tuple(np.ascontiguousarray(matrices.transpose(1, 0, 2)) for matrices in sources),
        fits=tuple(
            np.ascontiguousarray(moments.T[: (2 * order + 1) * window]).reshape(-1, window, window)
            for (order, _), moments in zip(FITS, fixed["fit_moments"], strict=True)
        ),
        between_knots=np.ascontiguousarray(fixed["between_knots"].T),
        high_pass=np.ascontiguousarray(fixed["high_pass"].T),
        lean=fixed["lean"],
    )


def _smooth_chunk(
    w: GeneralWeights, windows: np.ndarray, shown: np.ndarray | None, strength: float, kept: Scratch
) -> Steps:
    """(W, D, n, K) windows, smoothed; shown (n, K). What is needed across steps lies in `kept`."""
    window, dims, n, joints = windows.shape
    rows = dims * n * joints
    share = _shares(shown, joints)
    x = kept.take("x", *windows.shape)
    x[:] = windows
    offset = np.add.reduce(x, axis=0)
    offset *= np.float32(1 / window)
    x -= offset
    x, unit, features, share = _features(w, x, offset, share)

    hidden = len(w.encoder)
    with_one = kept.take("h", hidden + 1, rows)
    with_one[hidden] = 1
    h = np.matmul(w.encoder, features, out=with_one[:hidden])
    leaky(h, SLOPE, scratch.take("context", hidden, rows))
    for of_joint, of_axis_body, down, up in w.blocks:
        yield
        spare, context = (scratch.take(name, hidden, rows) for name in ("spare", "context"))
        split = h.reshape(hidden, dims, n, joints)
        axis = _weighted(split, share)  # (H, D, n)
        joint = _total(split)  # (H, n, K)
        joint *= np.float32(1 / dims)
        both = (of_axis_body @ axis.reshape(hidden, -1)).reshape(2 * hidden, dims, n)
        told, of_body = both[:hidden], _total(both[hidden:])
        of_body *= np.float32(1 / dims)
        told += of_body[:, None]
        joint = of_joint @ joint.reshape(hidden, -1)
        np.add(joint.reshape(hidden, 1, n, joints), told[..., None], out=spare.reshape(split.shape))
        h += leaky(spare, SLOPE, context)
        inner = scratch.take("inner", len(down) + 1, rows)
        inner[-1] = 1
        leaky(np.matmul(down, with_one, out=inner[:-1]), SLOPE, context[: len(down)] if len(down) <= hidden else None)
        h += np.matmul(up, inner, out=spare)
    yield

    trust = np.matmul(w.trust, with_one, out=kept.take("trust", window, rows))
    _sigmoid(trust)
    trust += np.float32(1e-3)
    trusted_x = np.multiply(trust, x, out=kept.take("trusted_x", window, rows))
    fill = _fit(w.fits[FILL], trust, trusted_x, slice(None))
    filled = np.subtract(x, fill, out=kept.take("filled", window, rows))
    filled *= np.minimum(trust, np.float32(1))
    filled += fill
    sources = x, filled, _running_median(x)

    def frames(first: int, last: int) -> np.ndarray:
        """(last - first, n, K, D): these frames of the windows."""
        part, count = slice(first, last), last - first
        weights = _mixture(w, with_one, part, max(strength - 1, 0))
        i = 0
        for matrices, source in zip(w.bank, sources, strict=True):
            matrices = matrices[part]
            version = scratch.take("version", count, matrices.shape[1], rows)
            np.matmul(matrices.reshape(-1, window), source, out=version.reshape(-1, rows))
            weights[:, i : i + matrices.shape[1]] *= version
            i += matrices.shape[1]
        for number, moments in enumerate(w.fits):
            weights[:, i + number] *= fill[part] if number == FILL else _fit(moments, trust, trusted_x, part)
        smoothed = w.correction[part] @ with_one
        smoothed += np.add.reduce(weights, axis=1)
        if strength < 1:
            smoothed -= x[part]
            smoothed *= np.float32(strength)
            smoothed += x[part]
        result = smoothed.reshape(count, dims, n, joints)
        result *= unit
        result += offset
        return result.transpose(0, 2, 3, 1)

    return frames


def _mixture(w: GeneralWeights, h: np.ndarray, part: slice, beyond: float) -> np.ndarray:
    """(frames, members, rows): how much each member counts in some frames of the window; `beyond` 1 is the strength."""
    between = w.between_knots[part]
    apart, ends = len(w.mixture) - 1, w.window - 1  # frame f lies at knot f * apart / ends
    knots = slice(part.start * apart // ends, -(-(part.stop - 1) * apart // ends) + 1)
    matrices = w.mixture[knots]
    count, members, _ = matrices.shape
    logits = scratch.take("logits", count, members, h.shape[1])
    np.matmul(matrices.reshape(count * members, -1), h, out=logits.reshape(count * members, -1))
    if beyond:
        logits += np.float32(beyond) * w.lean
    logits -= np.maximum.reduce(logits, axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= np.add.reduce(logits, axis=1, keepdims=True)
    weights = scratch.take("weights", len(between), members, h.shape[1])
    np.matmul(between[:, knots], logits.reshape(count, -1), out=weights.reshape(len(between), -1))
    return weights


def _fit(moments: np.ndarray, trust: np.ndarray, trusted_x: np.ndarray, part: slice) -> np.ndarray:
    """(frames, rows): a local fit at some frames of the window; see bank.local_fit."""
    window, rows = trust.shape
    order = len(moments) // 2
    matrices = moments[:, part]
    of_x = np.ascontiguousarray(matrices[: order + 1]).reshape(-1, window) @ trusted_x
    of_trust = np.ascontiguousarray(matrices).reshape(-1, window) @ trust
    return solve_fit(of_trust.reshape(2 * order + 1, -1, rows), of_x.reshape(order + 1, -1, rows))


def _shares(shown: np.ndarray | None, joints: int) -> np.ndarray:
    """(n or 1, K): the joints' shares in means over the body."""
    if shown is None:
        return np.full((1, joints), 1 / joints, np.float32)
    return shown / np.maximum(shown.sum(1, keepdims=True), np.float32(1))


def _weighted(x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(..., n, K) -> (..., n): the mean over the joints."""
    if len(share) == 1:
        return (x.reshape(-1, x.shape[-1]) @ share[0]).reshape(x.shape[:-1])
    return (x * share).sum(-1)


def _total(x: np.ndarray) -> np.ndarray:
    """(H, D, ...) -> (H, ...): the sum over the coordinates, which are few."""
    total = x[:, 0].copy()
    for d in range(1, x.shape[1]):
        total += x[:, d]
    return total


def _features(
    w: GeneralWeights, x: np.ndarray, offset: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The window in units of its noise (W, rows), that unit (D or 1, n, K), the features with ones below (F + 1, rows),
    and the joints' shares in means over the body, of which wild ones have little (see bank.WILD_NOISE).

    Args:
        x: (W, D, n, K), mean 0 over the frames; overwritten.
        offset: (D, n, K), that mean.
        share: see _shares.
    """
    window, dims, n, joints = x.shape
    place = (offset - _weighted(offset, share)[..., None]) * (share > 0)
    reach = np.maximum(np.maximum.reduce(np.abs(x), axis=0), np.abs(place)).max(2)  # (D, n)
    peak = reach.max(0)[:, None] + np.float32(TINY)
    x /= peak
    place /= peak
    reach /= peak[:, 0]

    series = scratch.take("features", 3 * window + SCALARS + 1, dims * n * joints)
    series[2 * window] = series[3 * window - 1] = 0
    series[-1] = 1
    flat = x.reshape(window, -1)
    bend = series[2 * window + 1 : 3 * window - 1]
    step = flat[1:] - flat[:-1]
    np.subtract(step[1:], step[:-1], out=bend)
    size_of_bend = np.abs(bend)
    low, high = (window - 3) // 2, (window - 2) // 2
    mean_bend = np.add.reduce(size_of_bend, axis=0)
    size_of_bend.sort(axis=0)
    noise = (size_of_bend[low] + size_of_bend[high]) * np.float32(0.5 / MEDIAN_OF_NORMAL)
    noise = noise.reshape(dims, n, joints)
    of_joint = np.add.reduce(noise, axis=0) * np.float32(1 / dims)  # (n, K)
    share = _without_wild(share, of_joint, np.add.reduce(place * place, axis=0))
    raised = _raised(_weighted(noise, share), reach)
    if raised is not None:
        x *= raised
        place *= raised
        bend.reshape(window - 2, *noise.shape)[:] *= raised
        mean_bend *= np.broadcast_to(raised, noise.shape).reshape(-1)
        noise *= raised
        of_joint = np.add.reduce(noise, axis=0) * np.float32(1 / dims)
    centred = x + place
    centred -= _weighted(centred, share)[..., None]
    size, motion = (_mean_square(points, share) for points in (centred, x))  # (n, 1)
    size = np.sqrt(size + (size < np.float32(1e-6) * motion) * motion + np.float32(TINY))
    of_body = _weighted(of_joint, share)[:, None] + np.float32(NOISE_FLOOR) * size
    unit = np.float32(0.9) * of_joint + np.float32(0.1) * of_body
    x /= unit
    bend.reshape(window - 2, dims, n, joints)[:] /= unit

    scalars = series[3 * window : -1].reshape(SCALARS, dims, n, joints)
    tenth = np.float32(0.01)
    np.add(noise / unit, tenth, out=scalars[0])
    np.add(mean_bend.reshape(noise.shape) / (unit * np.float32(window - 2)), tenth, out=scalars[1])
    np.add(np.einsum("wr,wr->r", flat, flat).reshape(noise.shape) / np.float32(window), tenth, out=scalars[2])
    scalars[3] = unit / of_body
    scalars[4] = of_body / size
    np.log(scalars, out=scalars)

    series[:window] = flat
    np.matmul(w.high_pass, flat, out=series[window : 2 * window])
    _asinh(series[: 3 * window])
    unit = unit * peak
    return flat, unit[None] if raised is None else unit / raised, series, share


def _raised(noise: np.ndarray, reach: np.ndarray) -> np.ndarray | None:
    """(D, n, 1) by which the axes are raised, from their noise and how far they reach (D, n); None where none is."""
    raised = np.minimum(
        noise.max(axis=0) / np.maximum(np.float32(APART) * noise, np.float32(TINY)),
        reach.max(axis=0) / np.maximum(reach, np.float32(TINY)),
    )
    if (raised <= 1).all():
        return None
    return np.clip(raised, np.float32(1), np.float32(MOST_RAISED))[..., None]


def _without_wild(share: np.ndarray, noise: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The shares (n or 1, K) with little for joints whose noise (n, K) is wild; far: squares of their distances."""
    geometric = []
    for values in (noise, far):
        floor = np.float32(NEARLY_NONE) * _weighted(values, share)[:, None] + np.float32(TINY)
        geometric.append(np.exp(_weighted(np.log(values + floor), share))[:, None])
    most = np.maximum(np.float32(WILD_NOISE) * geometric[0], np.float32(WILD_SHARE) * np.sqrt(geometric[1]))
    if (noise <= most).all():
        return share
    share = share * np.minimum(most / np.maximum(noise, np.float32(TINY)), np.float32(1)) ** 4
    return share / np.maximum(share.sum(1, keepdims=True), np.float32(TINY))


def _mean_square(points: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(W, D, n, K) -> (n, 1): mean over frames and joints of the squared length."""
    squares = np.add.reduce((points * points).reshape(-1, *points.shape[2:]), axis=0)
    return _weighted(squares, share)[:, None] / np.float32(len(points))


def _asinh(x: np.ndarray) -> None:
    """In place; np.arcsinh has no vector instructions."""
    size = np.abs(x)
    root = x * x
    root += np.float32(1)
    np.sqrt(root, out=root)
    root += size
    np.copysign(np.log(root, out=root), x, out=x)


def _sigmoid(x: np.ndarray) -> None:
    """In place."""
    np.negative(x, out=x)
    np.minimum(x, np.float32(80), out=x)  # beyond it exp has no float32, and the sigmoid is 0 long before
    np.exp(x, out=x)
    x += np.float32(1)
    np.divide(np.float32(1), x, out=x)


def _running_median(x: np.ndarray) -> np.ndarray:
    """Median of 5 frames along the first axis, the ends repeated; see general.running_median."""
    window = len(x)
    padded = np.concatenate([x[:1], x[:1], x, x[-1:], x[-1:]])
    a, b, c, d, e = (padded[i : i + window] for i in range(5))
    low = np.maximum(np.minimum(a, b), np.minimum(d, e))
    high = np.minimum(np.maximum(a, b), np.maximum(d, e))
    return np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), c))


# ---------------------------------------------------------------- the kinds


def load_smoothnet(content: Mapping[str, Any]) -> Network:
    """SmoothNet from a checkpoint's content."""
    sizes = architecture(content["state_dict"])
    check_whole(sizes)
    check_state(content["state_dict"], smoothnet_shapes(sizes))
    taper, step = window_overlap(content, sizes["window_size"])
    run = smoothnet(content["state_dict"])
    return Network(run, sizes["window_size"], content.get("normalize", "none"), taper=taper, step=step)


def load_general(content: Mapping[str, Any]) -> Network:
    """The general smoother from a checkpoint's content."""
    try:
        settings = check_settings(**general_settings(content))
    except TypeError as error:
        raise SmoothNetError(f"these are not the settings of a general smoother: {error}") from error
    state = with_rate(content["state_dict"], lambda shape: np.zeros(shape, np.float32))
    check_state(state, general_shapes(settings))
    people, begin = general(state, settings)
    return Network(
        lambda windows: people(windows[:, :, None], None, 1.0, 0.0)[:, :, 0],
        settings["window_size"],
        content.get("normalize", "none"),
        people=people,
        begin=begin,
        taper=window_taper(settings["window_size"], settings["taper"]),
        step=settings["step"],
        strongest=STRONGEST,
    )


# kind -> content of a checkpoint, its "state_dict" of float32 arrays -> the network; a kind without a row needs torch
PLAIN: Mapping[str, Callable[[Mapping[str, Any]], Network]] = {"smoothnet": load_smoothnet, "general": load_general}


def named_in(checkpoint: Mapping[str, Any]) -> str:
    """The kind that a checkpoint names: {"model": {"name": ..., settings}}; without it, as in older ones, SmoothNet."""
    model = checkpoint.get("model", "smoothnet")
    return model.get("name", "smoothnet") if isinstance(model, Mapping) else model
