# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What comes from Python code: arrays and tensors of any kind, and of what kind numbers and words must be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from .errors import SmoothNetError


def check_whole(name: str, value: Any, what: str = "frames") -> None:
    """Raises SmoothNetError unless `value` is None or a whole number; 4.0 is none, as for slices."""
    if value is not None and not hasattr(value, "__index__"):
        raise SmoothNetError(f"{name} must be a whole number of {what}, not {_shown(value)}")


def check_number(name: str, value: Any) -> None:
    """Raises SmoothNetError unless `value` is a real number, NaN among them."""
    if not isinstance(value, Real):
        raise SmoothNetError(f"{name} must be a number, not {_shown(value)}")


def check_word(name: str, value: Any) -> None:
    """Raises SmoothNetError unless `value` is None or a str."""
    if value is not None and not isinstance(value, str):
        raise SmoothNetError(f"{name} must be a word, not {_shown(value)}")


def check_path(name: str, value: Any) -> None:
    """Raises SmoothNetError unless `value` is None or names a file."""
    if value is not None and not isinstance(value, str | os.PathLike):
        raise SmoothNetError(f"{name} must be the name of a file or folder, not {_shown(value)}")


def as_numpy(points: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """Numbers of any kind as a floating numpy array, and the way back to their type, dtype and device.

    Whole numbers come back as float64, since smoothed ones are not whole. What a masked array masks is NaN meanwhile.

    Raises:
        SmoothNetError: no real numbers.
    """
    if isinstance(points, np.ma.MaskedArray) and points.dtype.kind in "fiu":
        floating = points.astype(points.dtype if points.dtype.kind == "f" else np.float64)
        array, restore = as_numpy(np.ma.filled(floating, np.nan))
        return array, lambda array: np.ma.masked_invalid(restore(array))
    torch = sys.modules.get("torch")  # whoever passes a tensor has imported it
    if torch is not None and isinstance(points, torch.Tensor):
        if points.is_complex() or points.layout != torch.strided:
            raise SmoothNetError(
                f"points must be real numbers in a dense array or tensor, not {points.dtype}, {points.layout}"
            )
        dtype = points.dtype if points.is_floating_point() else torch.float64
        device = points.device
        points = points.detach().cpu()
        if points.dtype != torch.float64:
            points = points.float() if points.is_floating_point() else points.double()
        return points.numpy(), lambda array: torch.from_numpy(array).to(dtype).to(device)
    try:
        array = np.asarray(points)
        if array.dtype.kind in "cmM":
            raise TypeError(f"they are {array.dtype}")
        kind = array.dtype if np.issubdtype(array.dtype, np.floating) else np.dtype(np.float64)
        array = array.astype(np.promote_types(kind, np.float32), copy=False)
    except (TypeError, ValueError) as error:
        raise SmoothNetError(f"points must be numbers in an array or tensor ({error})") from error
    return array, lambda array: array.astype(kind)


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:60]}..."
