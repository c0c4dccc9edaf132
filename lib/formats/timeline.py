# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""When a frame was: from the numbers and names that files give their frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError

# Image ids that lie further apart than this many times their count name pictures, not frames of one video.
_SPARSE = 10


def check_one_sequence(folder: Path, files: list[Path]) -> None:
    """Raises SmoothNetError unless the names of the files differ in their last number alone."""
    sequences = {re.sub(r"\d+(?=\D*$)", "#", file.stem) for file in files}
    if len(sequences) > 1:
        raise SmoothNetError(
            f"{folder} holds more than one sequence ({', '.join(sorted(sequences)[:3])}); give each a folder of its own"
        )


def refuse_sequences(path: Path, labels: list) -> None:
    """Raises SmoothNetError where pictures are of several videos by their names (a/0001.jpg, b/0001.jpg), many of each.

    Names that differ altogether are of pictures that have nothing to do with one another, and stay as they come.
    """
    if not all(isinstance(label, str) and _last_number(label) is not None for label in labels):
        return
    names = {label: re.sub(r"\d+(?=\D*$)", "#", str(Path(label).with_suffix(""))) for label in labels}
    sequences = sorted(set(names.values()))
    if 1 < len(sequences) <= len(names) / 5:
        raise SmoothNetError(
            f"{path} holds pictures of more than one sequence ({', '.join(sequences[:3])}); give each a file of its own"
        )


def timeline(labels: list) -> dict:
    """Frame number of each label (an int or a file name), from 0.

    The last number in a name counts. Frames in which nobody was found are often left out of a file, so
    numbers keep their distance, in steps of their greatest common divisor; labels without numbers, or with
    numbers too far apart to be frames of one video, are taken in order of appearance.
    """
    unique = list(dict.fromkeys(labels))
    numbers = [number for number in map(_last_number, unique) if number is not None]
    if len(set(numbers)) < len(unique):
        return {label: frame for frame, label in enumerate(unique)}
    first = min(numbers, default=0)
    step = 0
    for number in numbers:
        step = int(np.gcd(step, number - first)) if number - first < 2**62 else 1
    step = max(step, 1)
    if numbers and (max(numbers) - first) // step >= _SPARSE * len(numbers) + _SPARSE:
        order = {number: frame for frame, number in enumerate(sorted(numbers))}
        return {label: order[number] for label, number in zip(unique, numbers, strict=True)}
    return {label: (number - first) // step for label, number in zip(unique, numbers, strict=True)}


def _last_number(label: Any) -> int | None:
    if isinstance(label, bool):
        return None
    if isinstance(label, int):
        return label
    if isinstance(label, float):
        return int(label) if label.is_integer() else None
    digits = re.findall(r"\d+", Path(str(label)).stem)
    return int(digits[-1]) if digits and len(digits[-1]) < 19 else None
