# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What decides how a recording is read and smoothed; the commands and smoothnet.smooth share it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite

from ..filters.table import STRONGEST
from ..utils.arguments import check_number, check_path, check_whole, check_word
from ..utils.errors import SmoothNetError
from ..utils.gaps import MAX_GAP

MOST_FRAMES = 2**31 - 1
FPS_RANGE = (1e-3, 1e6)  # frames a second; beyond, its squares leave what floats can tell apart


FILLS = ("linear", "spline", "network")


def gap_seconds(text: str) -> float:
    """0.5s as a number of seconds.

    Raises:
        SmoothNetError: it is none.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d*)?|\.\d+)\s?s", text.strip())
    if not match:
        raise SmoothNetError(
            f"--max_gap must be a number of frames such as 10, or of seconds such as 0.5s, not {text!r}"
        )
    return float(match[1])


@dataclass(frozen=True)
class SmoothingOptions:
    """The options of one smoothing, checked.

    Attributes:
        step: frames between the starts of windows; None: as many as the network says lose nothing.
        delay: smooth as a live stream would that gives a frame so many frames later; None: offline.
        min_score: points with a lower score count as missing; None: none does.
        max_gap: the longest gap that is bridged, in frames, or in seconds as "0.5s"; see gap_frames.
        fill: how points in bridged gaps are written, a word of FILLS; False: not at all, True: linear.
        dims: coordinates a joint, for files that do not say.
        input_format: name of the format of the input; None: told by content.
        layout: what arrays and tables do not say of their axes, numbers and missing points, see formats/layout.py.
        fps: frames a second, where the file does not say or says it wrong.
        checkpoint: file, folder or name of the weights; None: those that come along.
        window: frames the network sees; None: the checkpoint's, or the default.
        device: see `select_device`.
        method: a name of METHODS (methods.py).
        strength: 0 gives the input, 1 is the method's own, more is smoother where the method can be.
        cutoff: Hz, in place of the strength, for methods that have one.
        outliers: what rejects outliers before the method sees them: hampel, network (see second_look) or None.
        threads: how many smooth a long recording with a network, see Smoother.threads; nothing else depends on it.

    Raises:
        SmoothNetError: a number out of range.
    """

    step: int | None = None
    delay: int | None = None
    min_score: float | None = None
    max_gap: int | str = MAX_GAP
    fill: bool | str = False
    dims: int | None = None
    input_format: str | None = None
    layout: str | None = None
    fps: float | None = None
    checkpoint: str | None = None
    window: int | None = None
    device: str = "cpu"
    method: str = "network"
    strength: float = 1.0
    cutoff: float | None = None
    outliers: str | None = None
    threads: int = 1

    def gap_frames(self, fps: float | None) -> int:
        """The longest gap that is bridged, in frames.

        Raises:
            SmoothNetError: it is said in seconds, and the frame rate is unknown.
        """
        if not isinstance(self.max_gap, str):
            return self.max_gap
        if not fps:
            raise SmoothNetError(
                f"--max_gap {self.max_gap} needs the frame rate: say it with --fps, or the gap in frames"
            )
        return min(MOST_FRAMES, int(gap_seconds(self.max_gap) * fps + 1e-9))

    def __post_init__(self) -> None:
        for name in ("method", "outliers", "device", "input_format"):
            check_word(f"--{name}", getattr(self, name))
        for name in ("strength", "fps", "cutoff", "min_score"):
            if name == "strength" or getattr(self, name) is not None:
                check_number(f"--{name}", getattr(self, name))
        check_path("--checkpoint", self.checkpoint)
        check_whole("--dims", self.dims, "coordinates")
        if self.max_gap is None:
            raise SmoothNetError("--max_gap must be a number of frames or seconds, not None; leave it out for 10")
        for name, least in (("step", 1), ("delay", 0), ("max_gap", 0), ("window", 1)):
            value = getattr(self, name)
            if name == "max_gap" and isinstance(value, str):
                gap_seconds(value)
                continue
            check_whole(f"--{name}", value)
            if value is not None and not least <= value <= MOST_FRAMES:
                shown = value if abs(value) <= MOST_FRAMES else "a number that large"
                raise SmoothNetError(f"--{name} must be at least {least} frame{'s' * (least != 1)}, not {shown}")
        if self.fps is not None and not FPS_RANGE[0] <= self.fps <= FPS_RANGE[1]:
            raise SmoothNetError(
                f"--fps must be from {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g} frames a second, not {self.fps}"
            )
        if self.min_score is not None and self.min_score != self.min_score:
            raise SmoothNetError("--min_score must be a number, not nan")
        if not 0 <= self.strength <= STRONGEST:
            raise SmoothNetError(
                f"--strength must be from 0 (the input) to {STRONGEST:g} (1 is the default), not {self.strength}"
            )
        if self.cutoff is not None and not (isfinite(self.cutoff) and self.cutoff > 0):
            raise SmoothNetError(f"--cutoff must be a frequency above 0 Hz, not {self.cutoff}")
        if self.fill not in (False, True, *FILLS):
            raise SmoothNetError(f"there is no --fill {self.fill!r}: choose from {', '.join(FILLS)}")
        if self.fill == "network" and self.method != "network":
            raise SmoothNetError(f"--fill network does not go with --method {self.method}; choose linear or spline")
        if self.delay is not None and self.step not in (None, 1):
            raise SmoothNetError("--delay needs --step 1: a stream runs the network once a frame")
