# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Between a file and the method that smooths: what is missing, where a track is cut.

**Missing.** A point is missing where a coordinate is NaN (readers turn a format's own mark into NaN) or its
score is below `min_score`.

**Gaps.** Each joint has its own gaps. One of at most `max_gap` frames is bridged, for the method alone
(a network interpolates inside its windows). A longer one cuts: what lies before and after it is
smoothed apart and knows nothing of the other side. What was missing comes back missing: the file keeps
what it says there, zeros or nothing or a point with a low score. With `fill`, bridged points come back on
a straight line between the smoothed ends of the gap, or on a curve (see `smooth_recording`), where the file
has a place for them (their scores stay as they are), the longer gaps still not.

**The rest of the body.** A network with body normalisation scales a window by the size of the whole body,
so it is never given a joint alone. Where the whole body is away for longer than `max_gap`, the track is
cut into clips; of each clip the network is given all joints at once. A joint that is cut inside a clip
goes in as one joint a piece, each missing outside its piece: a window next to the gap holds the piece's
last value, as it does for a joint that comes late or leaves early. A filter that knows nothing of other
channels is given each piece by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..formats.checks import check_output
from ..formats.recording import Recording, Track
from ..utils.gaps import MAX_GAP, bridge, spline, uncut
from .report import PartSums, Report, residual_lag

Run = Callable[[np.ndarray], np.ndarray]
Span = tuple[int, int]  # first frame, and the one behind the last


@dataclass(frozen=True)
class Ready:
    """A method that is ready to smooth the recordings of one frame rate.

    Attributes:
        points: smooths (frames, joints, dims) float64, NaN where a point is missing, to the same shape; any length
            from 1.
        rotations: the same for (frames, joints, 6) rotations; None: as points.
        window: frames that it sees at once, for Report.short and to save work: pieces of a joint that no window can
            see together are given as one joint. None: each piece is a joint.
        alone: each channel is smoothed by itself, so each piece of a joint may be given alone.
        clean: rejects outliers of points before: (frames, joints, dims) -> the same without them, and which they
            were, (frames, joints) bool; None: nothing does.
        note: a sentence for the report.
    """

    points: Run
    rotations: Run | None = None
    window: int | None = None
    alone: bool = False
    clean: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    note: str = ""


def smooth_recording(
    recording: Recording,
    ready: Ready,
    *,
    min_score: float | None = None,
    max_gap: int = MAX_GAP,
    fill: bool | str = False,
    fps: float | None = None,
) -> tuple[list[np.ndarray], Report]:
    """Smooth every track of a recording.

    Args:
        recording: as read by `read_recording`.
        ready: what smooths.
        min_score: points with a score below this are missing; None takes all the file has.
        max_gap: the longest gap, in frames, that is bridged.
        fill: whether bridged points are returned, and how: True or "linear", "spline", "network" (by the method).
        fps: frames a second; None: unknown.

    Returns:
        For each track an array like its `points`, NaN where nothing is to be written, and the report.

    Raises:
        SmoothNetError: see check_output.
    """
    report = Report(frames=recording.frame_count, tracks=len({(t.id, t.start) for t in recording.tracks}))
    report.notes = [ready.note] if ready.note else []
    sums: dict[str, PartSums] = defaultdict(PartSums)
    smoothed = []
    for track in recording.tracks:
        found = track.shown(min_score)
        values, rejected = _smooth_track(track, found, ready, max_gap)
        bridged = _count_gaps(report, found, max_gap, ready.window)
        if rejected is not None:
            report.outlier_frames = (report.outlier_frames or 0) + int(rejected.any(axis=1).sum())
        report.seen_frames += int(found.any(axis=1).sum())
        if fill:
            wanted = bridged if track.in_file is None else bridged & track.in_file
            report.filled += int(wanted.sum())
            curve = bridge if fill in (True, "linear") else spline
            lines = curve(values.reshape(len(values), -1)).reshape(values.shape)
            if fill == "network":  # sees the curve as if it had been found
                known = np.where(found[..., None], track.points, np.where(bridged[..., None], lines, np.nan))
                lines = _smooth_track(replace(track, points=known), found | bridged, ready, max_gap)[0]
            values = np.where(wanted[..., None], lines, values)
        sums[track.part].add(track, values, found, rejected, residual_lag(fps))
        smoothed.append(values)
    check_output(recording, smoothed, min_score)
    report.parts = {name: total.part() for name, total in sums.items()}
    return smoothed, report


def along(
    recording: Recording, run: Run, ready: Ready, min_score: float | None, max_gap: int
) -> list[np.ndarray | None]:
    """Of each track of points what `run` says of them, which gets them as smooth_recording gives them to the method.

    Args:
        run: (frames, joints, dims) -> the same shape.
        ready: the method.

    Returns:
        (frames, joints, dims) of each track, None in place of rotations.
    """
    ready = replace(ready, points=run)
    return [
        _smooth_track(track, track.shown(min_score), ready, max_gap)[0] if track.kind == "points" else None
        for track in recording.tracks
    ]


def _count_gaps(report: Report, found: np.ndarray, max_gap: int, window: int | None) -> np.ndarray:
    """Note in the report what was missing of a track; gives (frames, joints) bool, what was bridged for the method."""
    bridged = np.zeros_like(found)
    for joint in range(found.shape[1]):
        spans = uncut(found[:, joint], max_gap)
        for first, last in spans:
            bridged[first:last, joint] = ~found[first:last, joint]
        report.split += max(0, len(spans) - 1)
        report.short += sum(last - first < window for first, last in spans) if window else 0
    report.points += found.size
    report.missing += int((~found).sum())
    report.interpolated += int(bridged.sum())
    return bridged


def _smooth_track(track: Track, found: np.ndarray, ready: Ready, max_gap: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(frames, joints, dims) smoothed, NaN where nothing was found, and which points were rejected as outliers."""
    known = np.where(found[..., None], track.points, np.nan)
    run, rejected = ready.points, None
    if track.kind == "rotations":
        run = ready.rotations or ready.points
    elif ready.clean is not None:
        known, rejected = ready.clean(known)
    smoothed = np.full(known.shape, np.nan)
    for begin, end in uncut(found.any(axis=1), max_gap):
        clip, shown = known[begin:end], found[begin:end]
        if ready.alone:
            smoothed[begin:end] = _smooth_alone(clip, shown, max_gap, run)
        else:
            smoothed[begin:end] = _smooth_together(clip, shown, max_gap, ready.window, run)
    return np.where(found[..., None], smoothed, np.nan), rejected


def _smooth_alone(known: np.ndarray, found: np.ndarray, max_gap: int, smooth: Run) -> np.ndarray:
    """One clip, every piece of a joint by itself; joints with the same pieces share a call."""
    result = np.full(known.shape, np.nan)
    pieces: dict[Span, list[int]] = defaultdict(list)
    for joint in range(known.shape[1]):
        for span in uncut(found[:, joint], max_gap):
            pieces[span].append(joint)
    for (first, last), joints in pieces.items():
        result[first:last, joints] = smooth(known[first:last, joints])
    return result


def _smooth_together(known: np.ndarray, found: np.ndarray, max_gap: int, window: int | None, smooth: Run) -> np.ndarray:
    """One clip, all joints at once, a joint that is cut as several: see the module's head."""
    columns = [
        (joint, spans)
        for joint in range(known.shape[1])
        for spans in _share_columns(uncut(found[:, joint], max_gap), window)
    ]
    body = np.full((len(known), len(columns), known.shape[2]), np.nan)
    for column, (joint, spans) in enumerate(columns):
        for first, last in spans:
            body[first:last, column] = known[first:last, joint]
    smoothed = smooth(body)
    result = np.full(known.shape, np.nan)
    for column, (joint, spans) in enumerate(columns):
        for first, last in spans:
            result[first:last, joint] = smoothed[first:last, column]
    return result


def _share_columns(spans: list[Span], window: int | None) -> list[list[Span]]:
    """The pieces of one joint, those that no window sees together in one list."""
    columns: list[list[Span]] = []
    for span in spans:
        far = (column for column in columns if window is not None and span[0] - column[-1][1] >= window - 1)
        column = next(far, None)
        if column is None:
            columns.append([span])
        else:
            column.append(span)
    return columns
