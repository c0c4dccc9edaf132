# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""SmoothNet: smooth pose sequences, offline and live; training, evaluation and visualisation.

>>> smoothed = smoothnet.smooth(points, fps=30)  # (frames, joints, dims), NaN where a point is missing
>>> smoother = smoothnet.Smoother.from_pretrained()  # once; then smoother(points), smoother.stream()
>>> recording = smoothnet.read("walk.trc")
>>> smoothnet.write(recording, smoothnet.smooth(recording), "smooth.trc")

The network is from Zeng et al., "SmoothNet: A Plug-and-Play Network for Refining Human Poses in Videos", ECCV 2022.
Installed with pip, this package is called `smoothnet`; in a checkout it is `lib`. Importing it imports neither torch
nor, until one of these names is used, numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "1.0.0"
__all__ = ["SmoothNetError", "Smoother", "Stream", "__version__", "read", "smooth", "write"]

if TYPE_CHECKING:
    from .api import read as read
    from .api import smooth as smooth
    from .api import write as write
    from .inference import Smoother as Smoother
    from .inference import Stream as Stream
    from .utils.errors import SmoothNetError as SmoothNetError

_HOMES = {
    "read": "api",
    "smooth": "api",
    "write": "api",
    "Smoother": "inference",
    "Stream": "inference",
    "SmoothNetError": "utils.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
