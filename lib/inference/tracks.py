"""Between a file and the network: what is missing, where a track is cut.

**Missing.** A point is missing where a coordinate is NaN (readers turn a format's own mark into NaN) or its
score is below `min_score`.

**Gaps.** Each joint has its own gaps. One of at most `max_gap` frames is bridged, for the network alone
(the smoother interpolates inside its windows). A longer one cuts: what lies before and after it is
smoothed apart and knows nothing of the other side. What was missing comes back missing: the file keeps
what it says there, zeros or nothing or a point with a low score. With `fill`, bridged points come back on
a straight line between the smoothed ends of the gap where the file has a place for them (their scores
stay as they are), the longer gaps still not.

**The rest of the body.** A network with body normalisation scales a window by the size of the whole body,
so it is never given a joint alone. Where the whole body is away for longer than `max_gap`, the track is
cut into clips; of each clip the network is given all joints at once. A joint that is cut inside a clip
goes in as one joint a piece, each missing outside its piece: a window next to the gap holds the piece's
last value, as it does for a joint that comes late or leaves early.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..formats.recording import Recording, Track
from .overlap import MAX_GAP

_PARTS_IN_TEXT = 4  # a text with the jitter of dozens of arrays tells nobody anything


@dataclass
class Report:
    """What `smooth_recording` found and did. Points are joints in frames."""

    frames: int = 0
    tracks: int = 0
    points: int = 0  # in all tracks, from their first to their last frame
    missing: int = 0  # of those: not found, or below min_score
    interpolated: int = 0  # of those: bridged for the network
    filled: int = 0  # of those: written (fill)
    split: int = 0  # gaps that cut a joint's track
    short: int = 0  # pieces shorter than the window, edge-padded
    # part of the recording -> mean norm of the second difference (unit of the file per frame^2), before and
    # after
    jitter: dict[str, tuple[float, float]] = field(default_factory=dict)

    def text(self, fps: float | None = None) -> str:
        """One paragraph for people; with the frame rate, jitter is per second squared."""
        per, unit = (fps**2, "s^2") if fps else (1.0, "frame^2")
        share = 100 * self.missing / self.points if self.points else 0.0
        sentences = [
            f"{self.frames} frames, {self.tracks} track{'s' * (self.tracks != 1)}, "
            f"{self.missing} of {self.points} points missing ({share:.1f} %)"
        ]
        if self.missing:
            sentences.append(
                f"{self.interpolated} of them bridged for the network"
                + (f" and {self.filled} filled in" if self.filled else ", none filled in")
            )
        if self.split:
            sentences.append(f"{self.split} longer gap{'s' * (self.split != 1)} split tracks")
        if self.short:
            sentences.append(f"{self.short} piece{'s' * (self.short != 1)} shorter than the window padded")
        for part, (before, after) in list(self.jitter.items())[:_PARTS_IN_TEXT]:
            label = f"jitter ({part})" if len(self.jitter) > 1 else "jitter"
            change = f" ({100 * (after / before - 1):+.0f} %)" if before > 0 else ""
            sentences.append(f"{label} {before * per:.4g} -> {after * per:.4g} per {unit}{change}")
        if len(self.jitter) > _PARTS_IN_TEXT:
            sentences.append(f"and {len(self.jitter) - _PARTS_IN_TEXT} more arrays")
        return "; ".join(sentences) + "."


def smooth_recording(
    recording: Recording,
    smooth: Callable[[np.ndarray], np.ndarray],
    smooth_rotations: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    min_score: float | None = None,
    max_gap: int = MAX_GAP,
    fill: bool = False,
    window: int | None = None,
) -> tuple[list[np.ndarray], Report]:
    """Smooth every track of a recording.

    Args:
        recording: As read by `read_recording`.
        smooth: Smooths (frames, joints, dims) float64, NaN where a point is missing, to the same shape,
        such as
            a `Smoother`; any length from 1.
        smooth_rotations: The same for tracks of rotations, (frames, joints, 6); None: `smooth`.
        min_score: Points with a score below this are missing; None takes all the file has.
        max_gap: The longest gap, in frames, that is bridged.
        fill: Whether bridged points are returned.
        window: The network's window, for `Report.short` and to save work: pieces of a joint that no
        window can
            see together are given as one joint. None: each piece is a joint.

    Returns:
        For each track an array like its `points`, NaN where nothing is to be written, and the report.
    """
    report = Report(frames=recording.frame_count, tracks=len({(t.id, t.start) for t in recording.tracks}))
    smoothed = []
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    for track in recording.tracks:
        found = present(track, min_score)
        run = smooth_rotations if track.kind == "rotations" and smooth_rotations else smooth
        values = _smooth_pieces(track.points, found, max_gap, window, run)
        bridged = np.zeros_like(found)
        for joint in range(found.shape[1]):
            spans = uncut_pieces(found[:, joint], max_gap)
            for first, last in spans:
                bridged[first:last, joint] = ~found[first:last, joint]
            report.split += max(0, len(spans) - 1)
            report.short += sum(last - first < window for first, last in spans) if window else 0
        report.points += found.size
        report.missing += int((~found).sum())
        report.interpolated += int(bridged.sum())
        if fill:
            wanted = bridged if track.in_file is None else bridged & track.in_file
            report.filled += int(wanted.sum())
            _draw_lines(values, found, wanted)
        before, count = _acceleration(track.points, found)
        after, _ = _acceleration(values, found)
        total = sums[track.part]
        total[0], total[1], total[2] = total[0] + before, total[1] + after, total[2] + count
        smoothed.append(values)
    report.jitter = {part: (b / n, a / n) for part, (b, a, n) in sums.items() if n}
    return smoothed, report


def present(track: Track, min_score: float | None) -> np.ndarray:
    """(frames, joints) bool: the points that are there. A score of NaN condemns nobody."""
    found = np.isfinite(track.points).all(axis=2)
    if min_score is not None and track.scores is not None:
        found &= ~(track.scores < min_score)
    return found


def _smooth_pieces(
    points: np.ndarray,
    found: np.ndarray,
    max_gap: int,
    window: int | None,
    smooth: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """(frames, joints, dims) smoothed piece by piece, NaN where nothing was found: see the module's head."""
    known = np.where(found[..., None], points, np.nan)
    result = np.full(points.shape, np.nan)
    for begin, end in uncut_pieces(found.any(axis=1), max_gap):
        columns: list[tuple[int, list[tuple[int, int]]]] = []  # joint, its pieces in this column
        for joint in range(points.shape[1]):
            own: list[list[tuple[int, int]]] = []
            for first, last in uncut_pieces(found[begin:end, joint], max_gap):
                # Pieces that no window sees together share a column.
                far = (c for c in own if window is not None and first - c[-1][1] >= window - 1)
                column = next(far, None)
                if column is None:
                    own.append(column := [])
                column.append((first, last))
            columns += [(joint, pieces) for pieces in own]
        body = np.full((end - begin, len(columns), points.shape[2]), np.nan)
        for column, (joint, pieces) in enumerate(columns):
            for first, last in pieces:
                body[first:last, column] = known[begin + first : begin + last, joint]
        smoothed = smooth(body)
        for column, (joint, pieces) in enumerate(columns):
            for first, last in pieces:
                result[begin + first : begin + last, joint] = smoothed[first:last, column]
    return np.where(found[..., None], result, np.nan)


def _draw_lines(values: np.ndarray, found: np.ndarray, missing: np.ndarray) -> None:
    """Fill the `missing` points of `values` with straight lines between their neighbours, in place."""
    frames = np.arange(len(values))
    for joint in np.flatnonzero(missing.any(axis=0)):
        wanted, known = missing[:, joint], found[:, joint]
        for dim in range(values.shape[2]):
            values[wanted, joint, dim] = np.interp(frames[wanted], frames[known], values[known, joint, dim])


def uncut_pieces(found: np.ndarray, max_gap: int) -> list[tuple[int, int]]:
    """Spans [first, last) that begin and end with a found frame and hold no gap longer than `max_gap`."""
    frames = np.flatnonzero(found)
    if not len(frames):
        return []
    cuts = np.flatnonzero(np.diff(frames) > max_gap + 1)
    firsts = frames[np.r_[0, cuts + 1]]
    lasts = frames[np.r_[cuts, len(frames) - 1]] + 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _acceleration(points: np.ndarray, found: np.ndarray) -> tuple[float, int]:
    """Sum and count of |x[t-1] - 2 x[t] + x[t+1]| where all three frames were found."""
    if len(points) < 3:
        return 0.0, 0
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(np.diff(points, n=2, axis=0), axis=2)
    all_three = found[:-2] & found[1:-1] & found[2:]
    return float(norms[all_three].sum()), int(all_three.sum())
