# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The one table of filters: what each is called, its settings and where they come from, and how it runs live.

A new filter is one row here, one function and its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from ..config import FILTER_SETTINGS
from ..utils.arguments import check_number
from ..utils.errors import SmoothNetError
from ..utils.gaps import bridge
from . import classical, published

REFERENCE_FPS = 30.0  # what published settings are meant for, and what is assumed where the frame rate is unknown

Array = np.ndarray
_SETTINGS = {setting.key: setting for setting in FILTER_SETTINGS}


@dataclass(frozen=True)
class Option:
    """A published setting: its name in the EVALUATE node and as an argument, and what it is at another frame rate.

    Attributes:
        key: its name in the node; config.FILTER_SETTINGS has its default and what is allowed.
        argument: of the function.
        at_rate: (value, fps / REFERENCE_FPS) -> the value that keeps its duration.
    """

    key: str
    argument: str
    at_rate: Callable[[float, float], float] = lambda value, rate: value


@dataclass(frozen=True)
class Published:
    """A filter of the paper's tables: `function` (L, C) -> (L, C), with the settings of the node EVALUATE.<node>.

    Where it has a `time_step`, that is the time between two frames in those of REFERENCE_FPS.
    """

    function: Callable[..., Array]
    node: str
    options: tuple[Option, ...]
    time_step: bool = False


@dataclass(frozen=True)
class Classical:
    """A smoother for one's own poses.

    Attributes:
        function: (L, C) float64 and the settings -> (L, C) float64.
        by_strength: (strength, fps) -> settings, strength above 0. Twice the strength is twice the duration.
        by_cutoff: (Hz, fps) -> settings; None where there is no cut-off frequency.
        reach: (settings) -> frames before and after beyond which others hardly matter.
        step: for a causal filter, settings -> a function of (frame (C,), body size) that filters frame by frame.
    """

    function: Callable[..., Array]
    by_strength: Callable[[float, float], dict[str, float]]
    by_cutoff: Callable[[float, float], dict[str, float]] | None
    reach: Callable[[Mapping[str, float]], int]
    step: Callable[..., Callable[[Array, float], Array]] | None = None

    @property
    def causal(self) -> bool:
        return self.step is not None


@dataclass(frozen=True)
class Filter:
    """A row: `label` for people; `published` settles what evaluation runs, else it is `classical` at strength 1."""

    label: str
    published: Published | None = None
    classical: Classical | None = field(default=None)


def _odd(value: float, rate: float) -> int:
    return 2 * round((value * rate - 1) / 2) + 1


def _whole(value: float, rate: float) -> int:
    return max(1, round(value * rate))


def _times(value: float, rate: float) -> float:
    return value * rate


LOWEST = 1e-4  # cut-off of a classical filter, times the frame rate: one swing in 10,000 frames
STRONGEST = 1000.0  # strength of a classical filter, whose cut-off is then below any motion
CUTOFF = 4.0  # Hz, of the low-passes at strength 1
ONEEURO = {"min_cutoff": 3.0, "beta": 10.0, "d_cutoff": 3.0}  # Hz, Hz per (body size / s), Hz

FILTERS: Mapping[str, Filter] = {
    "savgol": Filter(
        "Savitzky-Golay",
        Published(
            published.savgol,
            "TRADITION_SAVGOL",
            (
                Option("WINDOW_SIZE", "window", _odd),
                Option("POLYORDER", "order"),
            ),
        ),
        Classical(
            classical.savgol,
            by_strength=lambda strength, fps: {"window": classical.savgol_window(CUTOFF / strength, fps)},
            by_cutoff=lambda cutoff, fps: {"window": classical.savgol_window(cutoff, fps)},
            reach=lambda settings: int(settings["window"]) - 1,  # the ends take a whole window
        ),
    ),
    "oneeuro": Filter(
        "one euro",
        Published(
            published.oneeuro,
            "TRADITION_ONEEURO",
            (
                Option("MIN_CUTOFF", "min_cutoff"),
                Option("BETA", "beta"),
            ),
            time_step=True,
        ),
        Classical(
            classical.oneeuro,
            by_strength=lambda strength, fps: {
                "fps": fps,
                **ONEEURO,
                "min_cutoff": ONEEURO["min_cutoff"] / strength,
                "beta": ONEEURO["beta"] / strength,
            },
            by_cutoff=lambda cutoff, fps: {"fps": fps, **ONEEURO, "min_cutoff": cutoff},
            reach=lambda settings: 0,
            step=lambda **settings: classical.OneEuro(**settings).step,
        ),
    ),
    "gaus1d": Filter(
        "Gaussian in chunks",
        Published(
            published.gaus1d,
            "TRADITION_GAUS1D",
            (
                Option("WINDOW_SIZE", "window", _whole),
                Option("SIGMA", "sigma", _times),
            ),
        ),
    ),
    "gaussian": Filter(
        "Gaussian",
        Published(published.gaussian, "TRADITION_GAUS1D", (Option("SIGMA", "sigma", _times),)),
        Classical(
            classical.gaussian,
            by_strength=lambda strength, fps: {"sigma": strength * classical.gaussian_sigma(CUTOFF, fps)},
            by_cutoff=lambda cutoff, fps: {"sigma": classical.gaussian_sigma(cutoff, fps)},
            reach=lambda settings: classical.gaussian_reach(settings["sigma"]),
        ),
    ),
    "rts": Filter(
        "RTS, constant acceleration",
        classical=Classical(
            classical.rts,
            by_strength=lambda strength, fps: {"lam": classical.rts_default_lambda(strength, fps)},
            by_cutoff=lambda cutoff, fps: {"lam": classical.rts_lambda(cutoff, fps)},
            reach=lambda settings: classical.rts_reach(settings["lam"]),
        ),
    ),
    "butterworth": Filter(
        "Butterworth, zero lag",
        classical=Classical(
            classical.butterworth,
            by_strength=lambda strength, fps: {"cutoff": CUTOFF / strength, "fps": fps},
            by_cutoff=lambda cutoff, fps: {"cutoff": cutoff, "fps": fps},
            reach=lambda settings: classical.butterworth_reach(**settings),
        ),
    ),
    "median": Filter(
        "running median",
        classical=Classical(
            classical.median,
            by_strength=lambda strength, fps: {"window": classical.median_window(strength, fps)},
            by_cutoff=None,
            reach=lambda settings: int(settings["window"]) - 1,  # the ends take a whole window
        ),
    ),
}


def filter_names(text: str) -> list[str]:
    """`"savgol,rts"` -> ["savgol", "rts"]; "all" -> every filter; "" -> []. Repetitions are dropped.

    Raises:
        SmoothNetError: there is no such filter.
    """
    said = [part.strip() for part in text.split(",") if part.strip()]
    names = [part.lower() for part in said]
    if names == ["all"]:
        return list(FILTERS)
    for name, part in zip(names, said, strict=True):
        if name not in FILTERS:
            among = "" if part == text.strip() else f" (of {text!r})"
            raise SmoothNetError(f"there is no filter {part!r}{among}: choose from {', '.join(FILTERS)}, or all")
    return list(dict.fromkeys(names))


def check_fps(fps: float | None) -> None:
    """Raises SmoothNetError unless `fps` is None or a positive number."""
    if fps is not None:
        check_number("a frame rate", fps)
    if fps is not None and not (isfinite(fps) and fps > 0):
        raise SmoothNetError(f"a frame rate must be a positive number of frames per second, not {fps}")


def filter_options(name: str, settings: Mapping[str, Any] | None = None, fps: float | None = None) -> dict[str, float]:
    """What the filter `name` is called with in an evaluation: these settings at this frame rate.

    Args:
        settings: the EVALUATE node of the configuration. A published filter reads its own node there
            (TRADITION_SAVGOL, TRADITION_GAUS1D for gaus1d and gaussian, TRADITION_ONEEURO); what is missing takes the
            published value. The others run as they do at strength 1.
        fps: frames per second of the sequence. None: published settings count frames whatever the rate, as
            published; the others take 30.

    Raises:
        SmoothNetError: a setting or the frame rate is out of range.
    """
    filter_names(name)
    check_fps(fps)
    row = FILTERS[name]
    if row.published is None:
        assert row.classical is not None
        return row.classical.by_strength(1.0, fps or REFERENCE_FPS)
    node = row.published.node
    given = (settings or {}).get(node) or {}
    values: dict[str, float] = {}
    for option in row.published.options:
        setting = _SETTINGS[f"EVALUATE.{node}.{option.key}"]
        try:
            values[option.argument] = setting.parse(given.get(option.key, setting.default))
        except ValueError as error:
            raise SmoothNetError(f"{setting.key} {error}") from error
    if values.get("order", 0) >= values.get("window", np.inf):
        order, window = values["order"], values["window"]
        raise SmoothNetError(f"EVALUATE.{node}.POLYORDER ({order}) must be smaller than WINDOW_SIZE ({window})")
    if fps is not None:
        for option in row.published.options:
            values[option.argument] = option.at_rate(values[option.argument], fps / REFERENCE_FPS)
    if row.published.time_step:
        values["time_step"] = REFERENCE_FPS / (fps or REFERENCE_FPS)
    return values


def apply_filter(name: str, x: Array, settings: Mapping[str, Any] | None = None, fps: float | None = None) -> Array:
    """Filter one sequence `x` (L, C) with the filter `name`; see `filter_options` for `settings` and `fps`.

    Frames of a channel that are not finite are bridged by a straight line for the filter, so that they do
    not spread, and are NaN in the result. Which array goes in decides the published numbers: root-relative
    joints in 3D, normalised coordinates in 2D, 6D rotations for SMPL.

    Raises:
        SmoothNetError: no such filter, or a setting is out of range.
    """
    options = filter_options(name, settings, fps)
    row = FILTERS[name]
    missing = ~np.isfinite(x)
    bridged = bridge(x) if missing.any() else x
    if row.published is not None:
        y = row.published.function(bridged, **options)
    else:
        assert row.classical is not None
        y = row.classical.function(bridged.astype(np.float64), **options).astype(x.dtype)
    y[missing] = np.nan
    return y
