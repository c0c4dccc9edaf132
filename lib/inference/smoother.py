# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth a recording that is there as a whole; the door to streams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..models.network import Network, as_numpy, load_network
from ..models.normalize import NORMALIZATIONS
from ..utils.errors import SmoothNetError
from ..utils.gaps import MAX_GAP, segments, shown_points
from ..weights import find_weights
from .overlap import blank_missing, smooth_with_gaps
from .stream import NOT_FINITE, Stream

AUTO = {"body": "body", "none": "metres"}  # trained with -> what frees it of the unit of the input


class Smoother:
    """A trained network that smooths points in any unit and of any number of joints.

    Examples:
        >>> smoother = Smoother.from_checkpoint()
        >>> smoothed = smoother(points)  # (frames, joints, dims), NaN where a point is missing

    Args:
        network: from load_network.
        normalize: what happens around the network.
            "auto" (default): networks trained with MODEL.NORMALIZE body get just that. All others, among
            them the published ones, were trained on metres: every window is centred channel by channel and
            scaled to a body of half a metre (RMS distance of the joints from their centroid), which is what a
            standing adult measures. Either way smooth(a x + b) = a smooth(x) + b for a > 0.
            "body", "metres": force one of the two. "none": the numbers go in as they are, as in an evaluation
            of the published networks; the input must then be what the network was trained on.
            Networks that free themselves of unit and origin, such as the default one, take "auto" alone.
        strength: 0 gives the input back, 1 what the network says; in between, what lies in between. Above 1 the
            general network smooths more, up to 4; others have no more.

    Attributes:
        window: W, frames the network sees at once.
        normalize: "body", "metres" or "none", with "auto" decided; "own" where the network does it itself.
        progress: called with the number of frames whenever so many have been smoothed; None by default.

    Raises:
        SmoothNetError: an unknown normalisation, or a strength that the network does not have.
    """

    def __init__(self, network: Network, normalize: str = "auto", strength: float = 1.0):
        if normalize not in ("auto", *NORMALIZATIONS):
            raise SmoothNetError(f"normalize must be one of auto, {', '.join(NORMALIZATIONS)}, not {normalize!r}")
        if not 0 <= strength <= network.strongest:
            raise SmoothNetError(
                f"this network has strengths from 0 to {network.strongest:g}, not {strength:g}; to smooth more, choose "
                "another --method or --checkpoint"
            )
        if network.people is not None and normalize != "auto":
            raise SmoothNetError(
                f"this network frees itself of unit and origin; leave normalize at auto, not {normalize}"
            )
        self.network = network
        self.strength = strength
        self.progress: Callable[[int], None] | None = None
        self.window = network.window
        self.normalize = normalize
        if normalize == "auto":
            self.normalize = AUTO[network.normalize] if network.people is None else "own"

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path | None = None,
        device: str = "cpu",
        window: int | None = None,
        normalize: str = "auto",
        strength: float = 1.0,
    ) -> Smoother:
        """Load a network; its window and sizes follow from the file.

        Args:
            path: a checkpoint (.pth.tar) or an exported model (.onnx, runs without torch), or a folder with
                files called checkpoint_<window>.pth.tar; None: the weights that come with the project.
            device: cpu, cuda, cuda:0, sdaa, auto.
            window: W. Chooses the file where path does not name one; otherwise it must be the file's own.
            normalize, strength: see Smoother.

        Raises:
            SmoothNetError: no such file, not a SmoothNet, another window, no such device, a package is
                missing.
        """
        return cls(load_network(find_weights(path, window), device, window), normalize, strength)

    def __call__(
        self,
        points: Any,
        step: int | None = None,
        delay: int | None = None,
        dims: int | None = None,
        max_gap: int = MAX_GAP,
    ) -> Any:
        """Smooth one recording: the mean over all windows that cover a frame.

        Args:
            points: (T, K, D), or (T, C) with C = K x dims, of one person; array or tensor, NaN where a point
                is missing. Any T: recordings shorter than W are padded with their last frame and cropped.
            step: frames between the starts of windows; larger is faster and a little less smooth. None: the network's
                own, at which it loses nothing: 1 for SmoothNet, more for networks whose windows are tapered.
            delay: None uses all windows; D from 0 to W - 1 gives what a stream with this delay would.
            dims: coordinates per joint of (T, C) points. Left out: 3 if C is a multiple of 3, else 2 if it
                is even, else 1. It decides which channels form a joint, and so the size of the body.
            max_gap: frames without any point that are bridged; longer gaps split the recording. The module
                overlap says what happens to missing points.

        Returns:
            The same shape, type, dtype and device; NaN where the input was missing. Whole numbers become
            float64.

        Raises:
            SmoothNetError: other shapes or a step, delay or dims that cannot be; the network gives what is no number.
        """
        array, restore = as_numpy(points)
        shape = array.shape
        array = _points(array, dims)
        if step is not None and step < 1:
            raise SmoothNetError(f"step must be at least 1 frame, not {step}")
        if delay is None:
            return restore(self._smooth(array, step or self.network.step, max_gap).reshape(shape))
        if step not in (None, 1):
            raise SmoothNetError("a delay needs step 1: a stream runs the network once per frame")
        stream = self.stream(delay, max_gap=max_gap)
        frames = [stream.push(frame) for frame in array][delay:] + stream.flush()
        return restore(np.stack(frames).astype(array.dtype).reshape(shape) if len(array) else array.copy())

    def for_rotations(self) -> Smoother:
        """The smoother for the 6 numbers of rotations, which have no unit to be freed of.

        Networks trained without a normalisation were used on them as they are; the others normalise them too.
        """
        if self.network.normalize != "none" or self.network.people is not None:
            return self
        smoother = Smoother(self.network, "none", self.strength)
        smoother.progress = self._smoothed
        return smoother

    def stream(
        self,
        delay: int | None = None,
        tracks: bool | Collection[Hashable] | None = None,
        max_gap: int = MAX_GAP,
    ) -> Stream:
        """Start smoothing frames as they come; see Stream. The delay is W - 1 frames if not given."""
        delay = self.window - 1 if delay is None else delay
        network, taper = partial(self._people, 1), self.network.taper
        reflect = self.network.people is not None
        return Stream(network, self.window, delay, tracks, max_gap, self.strength, taper, reflect)

    def _smoothed(self, frames: int) -> None:
        if self.progress is not None:
            self.progress(frames)

    def _people(self, step: int, windows: np.ndarray, shown: np.ndarray | None) -> np.ndarray:
        """The network as overlap.People, of windows that start every `step` frames."""
        self._smoothed(step * len(windows))
        return self.network.smooth(windows, shown, self.normalize, self.strength)

    def _smooth(self, points: np.ndarray, step: int, max_gap: int) -> np.ndarray:
        """(T, K, D) -> (T, K, D), segment by segment."""
        smoothed = np.full(points.shape, np.nan, points.dtype)
        for part in segments(points, max_gap):
            segment = blank_missing(points[part])
            # The network computes in float32: as far as possible leave out of it where the person stands.
            origin = np.zeros(points.shape[2])
            if self.normalize != "none":
                origin = segment[0][shown_points(segment[0])].mean(axis=0)
            segment = (segment - origin).astype(np.float32)
            whole = self.network.model is not None and np.isfinite(segment).all() and len(segment) >= self.window
            smooth = self._smooth_whole if whole else self._smooth_gaps
            result = smooth(segment, step)
            if not (np.isfinite(result) == np.isfinite(segment)).all():
                raise SmoothNetError(NOT_FINITE)
            smoothed[part] = result + origin
            if self.strength < 1:
                smoothed[part] = points[part] + self.strength * (smoothed[part] - points[part])
        return smoothed

    def _smooth_gaps(self, segment: np.ndarray, step: int) -> np.ndarray:
        taper, reflect = self.network.taper, self.network.people is not None
        return smooth_with_gaps(partial(self._people, step), segment, self.window, step, taper, reflect)

    def _smooth_whole(self, segment: np.ndarray, step: int) -> np.ndarray:
        """The same for a segment without gaps, with all of it done by torch on the device."""
        import torch

        from ..models.kinds import channel_network
        from ..models.windows import smooth_sequence

        length, joints, dims = segment.shape
        with torch.inference_mode():
            frames = torch.from_numpy(segment.reshape(length, joints * dims)).to(self.network.device)
            smooth = channel_network(self.network.model, self.normalize, dims, strength=self.strength)
            taper = self.network.taper
            weights = None if taper is None else torch.tensor(taper, dtype=frames.dtype, device=frames.device)

            def network(windows: torch.Tensor) -> torch.Tensor:
                self._smoothed(step * len(windows))
                return smooth(windows)

            weigh = None if weights is None else (lambda starts: weights)
            smoothed = smooth_sequence(network, frames, self.window, step, weigh=weigh)
            return smoothed.cpu().numpy().reshape(segment.shape)


def _points(array: np.ndarray, dims: int | None) -> np.ndarray:
    """Points as (T, K, D)."""
    if array.ndim == 3 and dims in (None, array.shape[2]):
        return array
    if array.ndim != 2:
        given = "" if dims is None else f" with dims={dims}"
        raise SmoothNetError(
            f"points must be (frames, joints, dims) or (frames, channels), not {array.shape}{given}; "
            "smooth one person at a time"
        )
    channels = array.shape[1]
    if dims is None:
        dims = next(d for d in (3, 2, 1) if channels % d == 0)
    if dims < 1 or channels % dims:
        raise SmoothNetError(f"{channels} channels cannot be joints with {dims} coordinates each; check dims")
    return array.reshape(len(array), channels // dims, dims)
