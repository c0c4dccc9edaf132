# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth a recording that is there as a whole; the door to streams."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..filters.table import check_fps
from ..models.load import load_network
from ..models.network import Network, Work
from ..models.normalize import NORMALIZATIONS, with_normalization
from ..models.windows import smooth_blocks, smooth_sequence
from ..utils.arguments import as_numpy, check_number, check_path, check_whole
from ..utils.blocks import Frames, by_frames
from ..utils.errors import SmoothNetError
from ..utils.gaps import MAX_GAP, check_max_gap, refuse_far, shown_points, uncut
from ..weights import find_weights
from .labelled import is_labelled, smooth_labelled
from .overlap import Flat, blank_missing, chosen_windows, smooth_with_gaps, tapered
from .stream import NOT_FINITE, Stream

PAYS = 300_000  # (window, channel) rows that take as long as importing torch does; then "auto" looks for a device
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
        fps: frames per second of what is smoothed, which the general network makes use of; None: unknown.

    Attributes:
        window: W, frames the network sees at once.
        normalize: "body", "metres" or "none", with "auto" decided; "own" where the network does it itself.
        progress: called with the number of frames whenever so many have been smoothed; None by default.
        threads: how many run the network of a long recording at the same time, on the CPU and without torch; 1 by
            default. What comes out does not depend on it.

    Raises:
        SmoothNetError: no network, an unknown normalisation, a strength that the network does not have, or a frame rate
            that is none.
    """

    def __init__(
        self, network: Network, normalize: str = "auto", strength: float = 1.0, fps: float | None = None
    ) -> None:
        if not isinstance(network, Network):
            raise SmoothNetError("a Smoother takes a loaded network; to load one, Smoother.from_checkpoint(path)")
        check_number("strength", strength)
        check_fps(fps)
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
        self.fps = fps
        self.progress: Callable[[int], None] | None = None
        self.threads = 1
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
        fps: float | None = None,
    ) -> Smoother:
        """Load a network; its window and sizes follow from the file.

        Args:
            path: weights as .safetensors, an exported model (.onnx), or a checkpoint (.pth.tar, read with torch), or
                a folder of them, see find_weights; None: the weights that come with the project.
            device: cpu, which needs numpy alone; cuda, cuda:0, sdaa, with torch; auto: cpu, and for long work the
                device that there is.
            window: W. Chooses the file where path does not name one; otherwise it must be the file's own.
            normalize, strength, fps: see Smoother.

        Raises:
            SmoothNetError: no such file, not a SmoothNet, another window, no such device, a package is
                missing.
        """
        check_path("the checkpoint", path)
        check_whole("window", window)
        return cls(load_network(find_weights(path, window), device, window), normalize, strength, fps)

    @classmethod
    def from_pretrained(
        cls, name: str | Path | None = None, *, revision: str | None = None, window: int | None = None, **options: Any
    ) -> Smoother:
        """Load weights from a folder, or from a repository of the Hugging Face Hub.

        Args:
            name: a folder with model.safetensors or checkpoint_<window>.safetensors; else "owner/name", which is
                downloaded once and kept in the cache of huggingface_hub; None: the weights that come along.
            revision: branch, tag or commit of the repository.
            window: W, where there are several.
            options: device, normalize, strength, fps of from_checkpoint.

        Raises:
            SmoothNetError: as from_checkpoint; huggingface_hub is not installed, or finds no such repository.
        """
        path = name
        check_path("the name of weights", name)
        if name is not None and not Path(name).exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
            path = _download(str(name), revision)
        return cls.from_checkpoint(path, window=window, **options)

    def __call__(
        self,
        points: Any,
        step: int | None = None,
        delay: int | None = None,
        dims: int | None = None,
        max_gap: int = MAX_GAP,
        min_score: float | None = None,
    ) -> Any:
        """Smooth one recording: the mean over all windows that cover a frame.

        Args:
            points: (T, K, D), or (T, C) with C = K x dims, of one person; array or tensor, NaN where a point
                is missing. Any T: recordings shorter than W are padded (see overlap.pad_window) and cropped.
                Or an xarray.DataArray, an xarray.Dataset or a pandas.DataFrame, of any number of individuals, by the
                names of its axes: see the module labelled.
            step: frames between the starts of windows; larger is faster and a little less smooth. None: the network's
                own, at which it loses nothing: 1 for SmoothNet, more for networks whose windows are tapered.
            delay: None uses all windows; D gives what a stream with this delay would, from W - 1 on the same.
            dims: coordinates per joint of (T, C) points. Left out: 3 if C is a multiple of 3, else 2 if it
                is even, else 1. It decides which channels form a joint, and so the size of the body.
            max_gap: frames without any point that are bridged; longer gaps split the recording. The module
                overlap says what happens to missing points. Gaps of single joints are bridged however long they are,
                where files and Recordings cut the joint's track at those longer than this.
            min_score: of data that have scores: points with a lower one are missing; None: none are.

        Returns:
            The same shape, type, dtype and device; NaN where the input was missing. Whole numbers become
            float64.

        Raises:
            SmoothNetError: other shapes or a step, delay or dims that cannot be; the network gives what is no number.
        """
        if is_labelled(points):
            how: dict[str, Any] = {"step": step, "delay": delay, "dims": dims, "max_gap": max_gap}
            return smooth_labelled(points, _Asked(self, how), min_score, {"strength": self.strength, **how})
        if min_score is not None:
            raise SmoothNetError("an array has no scores for min_score; make NaN what is missing")
        array, restore = as_numpy(points)
        shape = array.shape
        array = as_points(array, dims)
        refuse_far(array)
        for argument, value in (("step", step), ("delay", delay)):
            check_whole(argument, value)
        check_max_gap(max_gap)
        if step is not None and step < 1:
            raise SmoothNetError(f"step must be at least 1 frame, not {step}")
        if delay is None:
            return restore(self._smooth(array, step or self.network.step, max_gap).reshape(shape))
        if step not in (None, 1):
            raise SmoothNetError("a delay needs step 1, or none: a stream then chooses when to run the network")
        stream = self.stream(delay, max_gap=max_gap, step=step)
        frames = [stream.push(frame) for frame in array][delay:] + stream.flush()
        return restore(np.stack(frames).astype(array.dtype).reshape(shape) if len(array) else array.copy())

    def spread(
        self, points: np.ndarray, smoothed: np.ndarray, step: int | None = None, max_gap: int = MAX_GAP
    ) -> np.ndarray:
        """How much the windows that cover a frame disagree: a second pass of the network.

        Args:
            points: (T, K, D), NaN where missing.
            smoothed: what smoothing them gave, with this step and max_gap.

        Returns:
            (T, K) float64, the standard deviation of the windows of a frame, a coordinate; NaN where missing.
        """
        variance = np.full(points.shape, np.nan)
        taper, reflect = self.network.taper, self.network.people is not None
        step = step or self.network.step
        for begin, end in uncut(shown_points(points).any(axis=1), max_gap):
            part = slice(begin, end)
            segment = blank_missing(points[part])
            origin = np.zeros(points.shape[2])
            if self.normalize != "none":
                origin = segment[0][shown_points(segment[0])].mean(axis=0)
            mean = (smoothed[part] - origin).astype(np.float32)
            segment = (segment - origin).astype(np.float32)
            run = partial(self._people, step)
            for first, block in smooth_with_gaps(run, segment, self.window, step, taper, reflect, mean=mean):
                variance[part][first : first + len(block)] = block
        return np.sqrt(variance.mean(axis=-1))

    def at(self, fps: float | None) -> Smoother:
        """The same for recordings of `fps` frames a second; itself if that is None, or it was made for a frame rate."""
        if fps is None or self.fps is not None:
            return self
        smoother = copy(self)
        smoother.fps = fps
        return smoother

    def for_rotations(self) -> Smoother:
        """The smoother for the 6 numbers of rotations, which have no unit to be freed of.

        Networks trained without a normalisation were used on them as they are; the others normalise them too.
        """
        if self.network.normalize != "none" or self.network.people is not None:
            return self
        smoother = Smoother(self.network, "none", self.strength, self.fps)
        smoother.progress, smoother.threads = self._smoothed, self.threads
        return smoother

    def stream(
        self,
        delay: int | None = None,
        tracks: bool | Collection[Hashable] | None = None,
        max_gap: int = MAX_GAP,
        step: int | None = None,
    ) -> Stream:
        """Start smoothing frames as they come; see Stream.

        Args:
            delay: D, frames; None: W - 1, with which a stream gives what the whole recording gives. More, up to
                W - 2 + step, gives the same later, and no push then has much to do, see Stream.
            step: frames between runs of the network. None: the network's own where that loses nothing or next to
                nothing (D of at least W - 1 less half of it), else 1.
        """
        delay = self.window - 1 if delay is None else delay
        check_whole("delay", delay)
        if step is None:
            step = self.network.step if delay >= self.window - 1 - self.network.step // 2 else 1
        network, taper = self._start, self.network.taper
        reflect = self.network.people is not None
        return Stream(network, self.window, delay, tracks, max_gap, self.strength, taper, reflect, step)

    def _smoothed(self, frames: int) -> None:
        if self.progress is not None:
            self.progress(frames)

    def _people(self, step: int, windows: np.ndarray, shown: np.ndarray | None) -> np.ndarray:
        """The network as overlap.People, of windows that start every `step` frames."""
        self._smoothed(step * len(windows))
        return self.network.smooth(windows, shown, self.normalize, self.strength, self.fps)

    def _start(self, windows: np.ndarray, shown: np.ndarray | None, whole: bool) -> Work:
        """The network as overlap.Start, of windows that start with every frame."""
        self._smoothed(len(windows))
        return self.network.start(windows, shown, self.normalize, self.strength, self.fps, whole)

    def _smooth(self, points: np.ndarray, step: int, max_gap: int) -> np.ndarray:
        """(T, K, D) -> (T, K, D), segment by segment."""
        smoothed = np.full(points.shape, np.nan, points.dtype)
        for first, block in self.blocks(points, step, max_gap):
            smoothed[first : first + len(block)] = block
        return smoothed

    def blocks(
        self, points: Frames, step: int | None = None, max_gap: int = MAX_GAP
    ) -> Iterator[tuple[int, np.ndarray]]:
        """What a call gives, to the last bit, in pieces as they are done, which takes the memory of a few pieces.

        Args:
            points: (T, K, D) floats, NaN where a point is missing; or anything with a shape that gives slices of
                frames, which is asked for them more than once, and by `threads` threads.
            step, max_gap: as in a call.

        Yields:
            The first frame of each piece and the piece, (n, K, D) of the type of the points; in the order of frames,
            all but those in gaps that split the recording.
        """
        step = step or self.network.step
        shown = by_frames(points, lambda part: np.asarray(shown_points(part).any(axis=1)))
        whole = by_frames(points, lambda part: np.isfinite(part).all(axis=(1, 2)))
        for begin, end in uncut(shown, max_gap):
            # The network computes in float32: as far as possible leave out of it where the person stands.
            origin = np.zeros(points.shape[2])
            if self.normalize != "none":
                start = blank_missing(points[begin : begin + 1])[0]
                origin = start[shown_points(start)].mean(axis=0)
            segment = _Segment(points, begin, end, origin)
            if math.prod(segment.shape) // step > PAYS:
                self._move()
            smooth = self._smooth_gaps
            if whole[begin:end].all() and end - begin >= self.window:
                smooth = self._smooth_whole if self.network.model is None else self._smooth_on_device
            for first, result in smooth(segment, step):
                last = first + len(result)
                if not (np.isfinite(result) == np.isfinite(segment[first:last])).all():
                    raise SmoothNetError(NOT_FINITE)
                before = points[begin + first : begin + last]
                block = (result + origin).astype(before.dtype)
                if self.strength < 1:
                    block = (before + self.strength * (block - before)).astype(before.dtype)
                self._smoothed(len(block))
                yield begin + first, block

    def _smooth_gaps(self, segment: Frames, step: int) -> Iterator[tuple[int, np.ndarray]]:
        def network(windows: np.ndarray, shown: np.ndarray | None) -> np.ndarray:
            return self.network.smooth(windows, shown, self.normalize, self.strength, self.fps)

        taper, reflect = self.network.taper, self.network.people is not None
        threads = self.threads if self.network.model is None else 1
        return smooth_with_gaps(network, segment, self.window, step, taper, reflect, threads)

    def _smooth_whole(self, segment: Frames, step: int) -> Iterator[tuple[int, np.ndarray]]:
        """The same for a segment without gaps, all of it in one unit."""
        length, joints, dims = segment.shape
        people, strength = self.network.people, max(self.strength, 1.0)
        run = with_normalization(self.network.run, self.normalize, dims) if people is None else None

        def network(windows: np.ndarray) -> np.ndarray:
            if run is not None:
                return run(windows)
            assert people is not None
            by_joint = windows.reshape(len(windows), joints, dims, -1)
            return people(by_joint, None, strength, self.fps or 0.0).reshape(windows.shape)

        weigh = None if self.network.taper is None else self._weigher(length, step)
        for first, block in smooth_blocks(network, Flat(segment), self.window, step, weigh=weigh, threads=self.threads):
            yield first, block.reshape(len(block), joints, dims)

    def _smooth_on_device(self, segment: Frames, step: int) -> Iterator[tuple[int, np.ndarray]]:
        """The same, all of it done by torch at once."""
        import torch

        from ..models.kinds import channel_network

        length, _, dims = segment.shape
        with torch.inference_mode():
            frames = torch.from_numpy(Flat(segment)[0:length]).to(self.network.device)
            network = channel_network(
                self.network.model, self.normalize, dims, strength=self.strength, fps=self.fps or 0.0
            )
            weigh = None if self.network.taper is None else self._weigher(length, step)

            def tapering(starts: list[int]) -> torch.Tensor:
                assert weigh is not None
                return torch.from_numpy(weigh(starts)).to(frames.device)

            smoothed = smooth_sequence(network, frames, self.window, step, weigh=tapering if weigh else None)
        yield 0, smoothed.cpu().numpy().reshape(segment.shape)

    def _weigher(self, length: int, step: int) -> Callable[[list[int]], np.ndarray]:
        """starts -> (n, 1, W) float32: how much windows of a segment without gaps count."""
        assert self.network.taper is not None
        taper = self.network.taper.astype(np.float32)
        _, hurried = chosen_windows(np.ones(length, bool), self.window, min(step, self.window))
        return lambda starts: tapered(taper, starts, hurried)

    def _move(self) -> None:
        """To the device that "auto" means, if there is another than the CPU."""
        if self.network.elsewhere is not None:
            other = self.network.elsewhere()
            if other.device.type != "cpu":
                self.network = other


def _download(repository: str, revision: str | None) -> str:
    """The folder that the weights of a repository were downloaded to."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise SmoothNetError(
            f"there is no folder {repository}; to download the repository of that name: pip install huggingface_hub"
        ) from error
    try:
        return huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=["*.safetensors"])
    except Exception as error:  # the hub's own, requests', the file system's
        reason = " ".join(str(error).split())[:200]
        raise SmoothNetError(f"cannot download {repository}: {reason}") from error


@dataclass(frozen=True)
class _Segment:
    """The frames from `begin` to `end` of points as the network gets them: float32, about the origin."""

    points: Frames
    begin: int
    end: int
    origin: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        _, joints, dims = self.points.shape
        return self.end - self.begin, joints, dims

    def __getitem__(self, frames: slice) -> np.ndarray:
        first, last, _ = frames.indices(self.end - self.begin)
        part = blank_missing(self.points[self.begin + first : self.begin + last])
        return (part - self.origin).astype(np.float32)


def as_points(array: np.ndarray, dims: int | None) -> np.ndarray:
    """Points as (T, K, D)."""
    if array.ndim == 3 and array.shape[2] and dims in (None, array.shape[2]):
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


@dataclass(frozen=True)
class _Asked:
    """A smoother, and how it is to be called."""

    smoother: Smoother
    how: Mapping[str, Any]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return self.smoother(points, **self.how)

    def at(self, fps: float | None) -> _Asked:
        return _Asked(self.smoother.at(fps), self.how)
