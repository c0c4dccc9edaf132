# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A network that is ready to run, in numpy, in torch on a device or in onnxruntime; load.py makes one of a file."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .normalize import with_normalization

# (n, K, D, W) windows, (n, K) of 0 and 1 or None, strength, frames per second or 0 -> (n, K, D, W); all float32
ByJoint = Callable[[np.ndarray, "np.ndarray | None", float, float], np.ndarray]
FramesOf = Callable[[int, int], np.ndarray]  # (first, last) -> (last - first, n, K, D) those frames of the windows
Steps = Generator[None, None, FramesOf]


class Work:
    """Windows on their way through a network, in steps of about equal cost between which other work may be done.

    Args:
        steps: how many there are at most.
        way: does a step each time.

    Attributes:
        left: steps until `frames` may be asked.
    """

    def __init__(self, steps: int, way: Steps):
        self.left = steps
        self._way = way
        self._frames: FramesOf | None = None
        self._place: np.ndarray | float = 0.0

    @classmethod
    def at_once(cls, smooth: Callable[[], np.ndarray]) -> Work:
        """All of it in one step: () -> (n, K, D, W)."""

        def way() -> Steps:
            return part_of(smooth().transpose(3, 0, 1, 2))
            yield  # which makes a way of it

        return cls(1, way())

    def plus(self, place: np.ndarray) -> Work:
        """The same, with something added to its frames."""
        self._place = place
        return self

    def advance(self, steps: int | None = None) -> None:
        """Take so many steps; None: all that are left."""
        for _ in range(self.left if steps is None else min(steps, self.left)):
            try:
                next(self._way)
            except StopIteration as done:
                self.left, self._frames = 0, done.value
                return
            self.left -= 1

    def frames(self, first: int, last: int) -> np.ndarray:
        """(last - first, n, K, D) floats: these frames of the windows, smoothed. Takes the steps that are left."""
        self.advance()
        assert self._frames is not None
        return self._frames(first, last) + self._place


# (windows, shown, strength) as ByJoint; whether all frames will be asked for at once, and are worked out in the steps
Begin = Callable[[np.ndarray, "np.ndarray | None", float, float, bool], Work]


@dataclass
class Network:
    """A network that is ready to run.

    Attributes:
        run: (n, C, W) floats -> (n, C, W) float32, numpy arrays.
        window: W, frames.
        normalize: the normalisation it was trained with, "none" or "body".
        model, device: the torch module and where it is; None where torch does not run it.
        people: for networks that see all joints of a person at once and free themselves of unit and origin.
        begin: the same as `people`, step by step; None where there is no such way.
        taper: (W,) weights of a window's frames in the mean over windows; None: all the same.
        step: frames between windows, unless the user says otherwise.
        strongest: the largest strength it has.
        elsewhere: the same network on the device that "auto" means, for work that pays for importing torch;
            loaded once; or None.
    """

    run: Callable[[np.ndarray], np.ndarray]
    window: int
    normalize: str
    model: Any = None
    device: Any = None
    people: ByJoint | None = None
    begin: Begin | None = None
    taper: np.ndarray | None = None
    step: int = 1
    strongest: float = 1.0
    elsewhere: Callable[[], Network] | None = None

    def smooth(
        self,
        windows: np.ndarray,
        shown: np.ndarray | None = None,
        normalize: str = "none",
        strength: float = 1.0,
        fps: float | None = None,
    ) -> np.ndarray:
        """Windows in any unit, freed of it as the network needs: (n, K, D, W) floats without NaN -> the same, smoothed.

        Args:
            shown: (n, K) of 0 and 1, the joints that have values at all; None: all.
            normalize: what is done around a network that does not do it itself, see lib.models.normalize.
            strength: above 1 smoother, up to `strongest`; what is below 1 is the caller's.
            fps: frames per second; None: unknown.
        """
        if self.people is None:
            n, joints, dims, frames = windows.shape
            smooth = with_normalization(self.run, normalize, dims, shown)
            return smooth(windows.reshape(n, joints * dims, frames)).reshape(windows.shape)
        centred, origin = _centred(windows, shown)
        return self.people(centred, shown, max(strength, 1.0), fps or 0.0) + origin.astype(windows.dtype)

    def start(
        self,
        windows: np.ndarray,
        shown: np.ndarray | None = None,
        normalize: str = "none",
        strength: float = 1.0,
        fps: float | None = None,
        whole: bool = False,
    ) -> Work:
        """What `smooth` gives, step by step; in one step where the network knows no smaller ones.

        Args:
            whole: all frames will be asked for at once: what they take is in the steps as well.
        """
        if self.begin is None:
            return Work.at_once(lambda: self.smooth(windows, shown, normalize, strength, fps))
        centred, origin = _centred(windows, shown)
        place = origin[:, 0, :, 0].astype(windows.dtype)[:, None]
        return self.begin(centred, shown, max(strength, 1.0), fps or 0.0, whole).plus(place)


def _centred(windows: np.ndarray, shown: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Windows about where the person stands in the middle frame, float32, which is then free of it, and that place.

    Joints without values are 0, exactly: the least that is left of them is all that moves where nothing else does.
    """
    middle = windows[..., windows.shape[-1] // 2]
    if shown is None:
        origin = middle.mean(1)[:, None, :, None]
        return (windows - origin).astype(np.float32), origin
    weight = shown / np.maximum(shown.sum(1), 1)[:, None]
    origin = (middle * weight[..., None]).sum(1)[:, None, :, None]
    return ((windows - origin) * shown[:, :, None, None]).astype(np.float32), origin


def part_of(frames: np.ndarray) -> FramesOf:
    """What Work.frames asks, of frames (W, n, K, D) that are there already."""
    return lambda first, last: frames[first:last]
