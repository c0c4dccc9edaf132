# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Velocity and acceleration of smoothed points, per second and per second squared."""

from __future__ import annotations

import numpy as np

from ..formats.recording import Recording
from ..utils.gaps import shown_points, uncut

REACH = 2  # frames on either side that a parabola is laid through


def derivatives(points: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope and curvature of the parabola that fits the frames around each frame best (least squares).

    Five frames, at the ends of a run of frames the five that are nearest, fewer in shorter runs (Savitzky and Golay
    1964). Nothing reaches over a gap.

    Args:
        points: (frames, joints, dims), NaN where missing.
        fps: frames a second.

    Returns:
        Velocity and acceleration, (frames, joints, dims) each: per second and per second squared. NaN where a point is
        missing; no acceleration in runs of less than three frames, no velocity in runs of one.
    """
    velocity, acceleration = np.full(points.shape, np.nan), np.full(points.shape, np.nan)
    for joint, found in enumerate(shown_points(points).T):
        for first, last in uncut(found, 0):
            length = last - first
            width = min(length, 2 * REACH + 1)
            if width < 2:
                continue
            run = points[first:last, joint]
            starts = np.clip(np.arange(length) - REACH, 0, length - width)
            here = np.arange(length) - starts  # the frame's place among those around it
            around = run[starts[:, None] + np.arange(width)] - run[:, None]  # far from the origin nothing is lost
            slopes, curvatures = _weights(width)
            velocity[first:last, joint] = np.einsum("tw,twd->td", slopes[here], around) * fps
            if width > 2:
                acceleration[first:last, joint] = np.einsum("w,twd->td", curvatures, around) * fps**2
    return velocity, acceleration


def _weights(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Of `width` values: (width, width) what gives the slope at each of them, (width,) what gives the curvature."""
    time = np.arange(width, dtype=np.float64)
    order = min(2, width - 1)
    fit = np.linalg.pinv(np.vander(time, order + 1, increasing=True))  # values -> 1, t, t^2
    slopes = np.array([fit[1] + (2 * t * fit[2] if order == 2 else 0) for t in time])
    return slopes, 2 * fit[2] if order == 2 else np.zeros(width)


def of_tracks(
    recording: Recording, values: dict[str, list[np.ndarray | None]], fps: float | None
) -> dict[str, np.ndarray]:
    """Arrays of numbers of each track for a .npz beside an output.

    With one track the names are those of `values`, with several NAME_0, NAME_1, ...; `tracks` says which is which
    (part and id), `start` with which frame of the recording each begins. None leaves out a track.
    """
    chosen = [i for i in range(len(recording.tracks)) if any(series[i] is not None for series in values.values())]
    arrays: dict[str, np.ndarray] = {
        "tracks": np.array([f"{recording.tracks[i].part} {recording.tracks[i].id}" for i in chosen], dtype=np.str_),
        "start": np.array([recording.tracks[i].start for i in chosen], dtype=np.int64),
    }
    for name, series in values.items():
        for number, i in enumerate(chosen):
            one = series[i]
            if one is not None:
                arrays[name if len(chosen) == 1 else f"{name}_{number}"] = one
    if recording.names:
        arrays["joint_names"] = np.array(recording.names)
    if fps:
        arrays["fps"] = np.array(fps)
    return arrays
