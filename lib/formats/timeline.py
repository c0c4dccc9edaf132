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
# Steps between times are whole numbers of the usual one up to this share of it, where frames are left out of a file.
_OFF = 0.25


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
    unique, numbers, step = _numbered(labels)
    if not step:
        return {label: frame for frame, label in enumerate(unique)}
    if _is_sparse(numbers, step):
        order = {number: frame for frame, number in enumerate(sorted(numbers))}
        return {label: order[number] for label, number in zip(unique, numbers, strict=True)}
    first = min(numbers, default=0)
    return {label: (number - first) // step for label, number in zip(unique, numbers, strict=True)}


def doubt_pictures(labels: list) -> list[str]:
    """What to say of labels that `timeline` takes in their order, as they lie too far apart: of single pictures, which
    have nothing to do with one another, or times."""
    _, numbers, step = _numbered(labels)
    if not step or not _is_sparse(numbers, step):
        return []
    return [
        f"the numbers of {len(numbers)} frames lie far apart ({min(numbers)} to {max(numbers)}): taken one after "
        "the other, which is right for frames of one video alone"
    ]


def refuse_pictures(path: Path, labels: list) -> None:
    """Raises SmoothNetError where labels lie too far apart to be frames of one video: somebody labelled a few."""
    if len(labels) > 1 and doubt_pictures(labels):
        raise SmoothNetError(
            f"{path} holds labels of single pictures ({labels[0]}, {labels[1]}, ...), which lie far apart in their "
            "video and cannot be smoothed; give what the network found in the whole video"
        )


def _numbered(labels: list) -> tuple[list, list[int], int]:
    """The labels without those that come again, their numbers, and the step between these; 0 without numbers."""
    unique = list(dict.fromkeys(labels))
    numbers = [number for number in map(_last_number, unique) if number is not None]
    if len(set(numbers)) < len(unique):
        return unique, numbers, 0
    first = min(numbers, default=0)
    step = 0
    for number in numbers:
        step = int(np.gcd(step, number - first)) if number - first < 2**62 else 1
    return unique, numbers, max(step, 1)


def _is_sparse(numbers: list[int], step: int) -> bool:
    return bool(numbers) and (max(numbers) - min(numbers)) // step >= _SPARSE * len(numbers) + _SPARSE


def by_times(times: np.ndarray) -> tuple[np.ndarray, str]:
    """Frames of rows by their times, which are not to go back: from 0, and what people must know of them.

    Times of an even clock from which frames are left out keep their distance, as numbers of frames do; frames of an
    uneven one are smoothed as if they were evenly apart. A coarse clock gives frames the same time, and says nothing.
    """
    frames = np.arange(len(times))
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not np.isfinite(steps).all() or usual <= 0 or (np.abs(steps / usual - 1) <= 2 * _OFF).all():
        return frames, ""
    counts = np.round(steps / usual)
    left_out = int(min((counts - 1).sum(), 2**62))
    even = (
        (counts >= 1).all() and (np.abs(steps / usual - counts) <= _OFF).all() and 2 * (counts == 1).sum() > len(steps)
    )
    if even and left_out < (_SPARSE - 1) * len(times) + _SPARSE:
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), f"{left_out} frames left out, by their times"
    if steps.min() <= 0:
        return frames, ""
    return frames, (
        f"steps of time from {steps.min():.3g} to {steps.max():.3g}, smoothed as if all were the same: resample where "
        "that matters"
    )


def _last_number(label: Any) -> int | None:
    if isinstance(label, bool):
        return None
    if isinstance(label, int):
        return label
    if isinstance(label, float):
        return int(label) if label.is_integer() else None
    digits = re.findall(r"\d+", Path(str(label)).stem)
    return int(digits[-1]) if digits and len(digits[-1]) < 19 else None
