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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..formats.checks import check_output
from ..formats.recording import Recording, Track
from ..utils.blocks import BLOCK, Frames, blocks
from ..utils.gaps import MAX_GAP, bridge, spline, uncut
from .report import PartSums, Report, residual_lag

Run = Callable[[np.ndarray], np.ndarray]
Pieces = Iterator[tuple[int, np.ndarray]]  # first frame, (frames, joints, dims)
RunPieces = Callable[[Frames], Pieces]
Place = Callable[[Track], np.ndarray]  # -> an array like its points, or what takes and gives slices of one
Span = tuple[int, int]  # first frame, and the one behind the last


def in_memory(track: Track) -> np.ndarray:
    return np.empty(track.points.shape)


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
        advice: what to do where the outcome cannot be the motion that was read.
        point_pieces: what `points` gives of frames that are fetched when they are asked for, piece by piece (the first
            frame and the piece; all but gaps of the whole body), for recordings that are long; None: `points` does it.
        rotation_pieces: the same for rotations.
    """

    points: Run
    rotations: Run | None = None
    window: int | None = None
    alone: bool = False
    clean: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    note: str = ""
    advice: str = ""
    point_pieces: RunPieces | None = None
    rotation_pieces: RunPieces | None = None


def smooth_recording(
    recording: Recording,
    ready: Ready,
    *,
    min_score: float | None = None,
    max_gap: int = MAX_GAP,
    fill: bool | str = False,
    fps: float | None = None,
    place: Place = in_memory,
) -> tuple[list[np.ndarray], Report]:
    """Smooth every track of a recording.

    Args:
        recording: as read by `read_recording`.
        ready: what smooths.
        min_score: points with a score below this are missing; None takes all the file has.
        max_gap: the longest gap, in frames, that is bridged.
        fill: whether bridged points are returned, and how: True or "linear", "spline", "network" (by the method).
        fps: frames a second; None: unknown.
        place: where the smoothed points of a track go.

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
        values = place(track)
        rejected = _smooth_track(track, found, ready, max_gap, values)
        _keep_still(track, found, values)
        bridged = _count_gaps(report, found, max_gap, ready.window)
        if rejected is not None:
            report.outlier_frames = (report.outlier_frames or 0) + int(rejected.any(axis=1).sum())
        report.seen_frames += int(found.any(axis=1).sum())
        if fill:
            wanted = bridged if track.in_file is None else bridged & track.in_file
            report.filled += int(wanted.sum())
            if fill in (True, "linear"):
                _fill(values, wanted, max_gap)
            else:
                _fill_curve(track, values, found, bridged, wanted, ready, max_gap, fill)
        sums[track.part].add(track, values, found, rejected, residual_lag(fps))
        smoothed.append(values)
    check_output(recording, smoothed, min_score, advice=ready.advice)
    if min_score is not None and recording.tracks and all(track.scores is None for track in recording.tracks):
        report.notes = [*report.notes, "no scores were found, so --min_score does nothing"]
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
    ready = replace(ready, points=run, point_pieces=None)
    found: list[np.ndarray | None] = []
    for track in recording.tracks:
        values = None
        if track.kind == "points":
            values = np.full(track.points.shape, np.nan)
            _smooth_track(track, track.shown(min_score), ready, max_gap, values)
        found.append(values)
    return found


def _fill(values: np.ndarray, wanted: np.ndarray, max_gap: int) -> None:
    """Put points on straight lines where they are `wanted` (frames, joints), in gaps of at most max_gap, in place."""
    length = len(wanted)
    for frames in blocks(length, max(BLOCK, 2 * min(max_gap, length))):
        first, last = max(frames.start - max_gap - 1, 0), min(frames.stop + max_gap + 1, length)
        around = values[first:last].astype(np.float64)
        before = frames.start - first
        around[:before][wanted[first : frames.start]] = np.nan  # what was filled with the last block
        lines = bridge(around.reshape(len(around), -1)).reshape(around.shape)
        inside = slice(before, frames.stop - first)
        values[frames] = np.where(wanted[frames][..., None], lines[inside], around[inside])


def _fill_curve(
    track: Track,
    values: np.ndarray,
    found: np.ndarray,
    bridged: np.ndarray,
    wanted: np.ndarray,
    ready: Ready,
    max_gap: int,
    fill: bool | str,
) -> None:
    """Put points on curves where they are wanted, in place; "network": on what the method makes of the curves."""
    known = values[0 : len(values)]
    lines = spline(known.reshape(len(known), -1)).reshape(known.shape)
    if fill == "network":  # sees the curve as if it had been found
        points = np.where(found[..., None], track.points[0 : len(known)], np.where(bridged[..., None], lines, np.nan))
        lines = np.full(points.shape, np.nan)
        _smooth_track(replace(track, points=points), found | bridged, ready, max_gap, lines)
    values[0 : len(values)] = np.where(wanted[..., None], lines, known)


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


def _smooth_track(track: Track, found: np.ndarray, ready: Ready, max_gap: int, values: np.ndarray) -> np.ndarray | None:
    """Put smoothed points into `values`, NaN where nothing was found; gives which were rejected as outliers, if any."""
    known: Frames = _Known(track.points, found)
    run, pieces, rejected = ready.points, ready.point_pieces, None
    if track.kind == "rotations":
        run, pieces = ready.rotations or ready.points, ready.rotation_pieces
    elif ready.clean is not None:
        known, rejected = ready.clean(known[0 : len(found)])
    done = 0

    def put(first: int, piece: np.ndarray) -> None:
        nonlocal done
        for gap in blocks(first - done):
            values[done + gap.start : done + gap.stop] = np.nan
        done = first + len(piece)
        values[first:done] = np.where(found[first:done][..., None], piece, np.nan)

    for begin, end in uncut(found.any(axis=1), max_gap):
        shown = found[begin:end]
        if ready.alone:
            put(begin, _smooth_alone(known[begin:end], shown, max_gap, run))
            continue
        for first, piece in _smooth_together(known, begin, shown, max_gap, ready.window, pieces or _at_once(run)):
            put(begin + first, piece)
    put(len(found), np.empty((0, *values.shape[1:])))
    return rejected


def _keep_still(track: Track, found: np.ndarray, values: np.ndarray) -> None:
    """Put back what never moves, in place: a coordinate of a joint that is one number wherever it was found, as the
    depth of a picture or the root that all others refer to. A network gives back what is nearly it."""
    if track.kind == "rotations":
        return
    known = _Known(track.points, found)
    place, still = np.full(known.shape[1:], np.nan), np.ones(known.shape[1:], bool)
    for frames in blocks(len(found)):
        part = known[frames]
        place = np.where(np.isnan(place), np.fmin.reduce(part, axis=0), place)
        still &= ~((part < place) | (part > place)).any(axis=0)  # what is missing is neither
        if not still.any():
            return
    still &= (found.sum(axis=0) > 1)[:, None]
    for frames in blocks(len(found)) if still.any() else ():
        part = values[frames]
        values[frames] = np.where(still & np.isfinite(part), place, part)


@dataclass(frozen=True)
class _Known:
    """Points as float64, NaN where they were not found."""

    points: Frames
    found: np.ndarray  # (frames, joints)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.points.shape

    def __getitem__(self, frames: slice) -> np.ndarray:
        return np.where(self.found[frames][..., None], self.points[frames], np.nan).astype(np.float64, copy=False)


def _at_once(run: Run) -> RunPieces:
    def pieces(frames: Frames) -> Pieces:
        yield 0, run(frames[0 : frames.shape[0]])

    return pieces


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


def _smooth_together(
    known: Frames, begin: int, found: np.ndarray, max_gap: int, window: int | None, smooth: RunPieces
) -> Pieces:
    """One clip, from frame `begin`, all joints at once, a joint that is cut as several: see the module's head."""
    joints: list[int] = []
    cut: list[tuple[int, np.ndarray]] = []
    for joint in range(found.shape[1]):
        columns = _share_columns(uncut(found[:, joint], max_gap), window)
        if len(columns) > 1:
            cut += [(len(joints) + place, np.array(spans)) for place, spans in enumerate(columns)]
        joints += [joint] * len(columns)
    for first, piece in smooth(_Body(known, begin, len(found), np.array(joints, int), cut)):
        result = np.full((len(piece), *known.shape[1:]), np.nan)
        result[:, joints] = piece
        for column, spans in cut:
            mine = _inside(spans, first, first + len(piece))
            result[mine, joints[column]] = piece[mine, column]
        yield first, result


@dataclass(frozen=True)
class _Body:
    """What the network is given of a clip: a joint for each column, which is missing where it is another's."""

    known: Frames
    begin: int
    length: int
    joints: np.ndarray  # of each column
    cut: list[tuple[int, np.ndarray]]  # columns that have a part of a joint, and its spans, (n, 2)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.length, len(self.joints), self.known.shape[2]

    def __getitem__(self, frames: slice) -> np.ndarray:
        first, last, _ = frames.indices(self.length)
        body = np.take(self.known[self.begin + first : self.begin + last], self.joints, axis=1)
        for column, spans in self.cut:
            body[~_inside(spans, first, last), column] = np.nan
        return body


def _inside(spans: np.ndarray, first: int, last: int) -> np.ndarray:
    """Which of the frames from `first` to `last` lie in one of the spans (n, 2), which are in order."""
    frames = np.arange(first, last)
    at = np.searchsorted(spans[:, 0], frames, side="right") - 1
    return (at >= 0) & (frames < spans[at, 1])


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
