# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What smoothing did to a recording: what was missing, how far points moved, jitter, outliers, and a warning."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..formats.recording import Track
from ..utils.blocks import blocks
from ..utils.rotations import sixd_to_matrix

_PARTS_IN_TEXT = 4  # a text with the jitter of dozens of arrays tells nobody anything

# What was removed is taken for motion if it hardly changes within 1/30 s and is not small. Noise that is white, or
# the fast part of any, is removed with a correlation of -.6 to .4; measured on generated and captured motion with
# white and AR(1) noise, smoothing does more good than harm (MPJPE) below .5 nearly always, and harm above.
MOTION_SECONDS = 1 / 30
MOTION_CORRELATION = 0.5
MOTION_SIZE = 0.01  # of the body's size (RMS distance of its joints from their centroid): 5 mm of an adult
# The second difference of points over the body's size, above which they are no joints that move: 0.03 to 0.17 was
# measured of estimators, 1.1 where lists leave out joints or have them in another order in each frame.
LEAPS = 0.6
_ENOUGH = 50  # points that tell it


@dataclass
class Part:
    """One part of a recording, in the unit of the file; rotations in degrees.

    Attributes:
        unit: "" is the file's own; "deg".
        jitter: mean norm of the second difference, per frame^2, before and after. Rotations: of their six numbers.
        moved: how far smoothing moved points: RMS, 95th percentile, maximum.
        correlation: of what was removed with itself one lag (MOTION_SECONDS) later.
        slow: RMS of what was removed and is smooth in time, as a share of the body's size.
        leaps: jitter before as a share of the body's size, of bodies with several joints.
    """

    unit: str = ""
    jitter: tuple[float, float] | None = None
    moved: tuple[float, float, float] | None = None
    correlation: float = 0.0
    slow: float = 0.0
    leaps: float = 0.0

    @property
    def lost_motion(self) -> bool:
        """Whether what was removed looks like motion rather than noise."""
        return self.correlation > MOTION_CORRELATION and self.slow > MOTION_SIZE

    def texts(self, label: str, per: float, unit: str) -> list[str]:
        """What people read of it; `per` and `unit` turn jitter into that of a second."""
        texts = []
        if self.moved is not None:
            degrees = f" {self.unit}" if self.unit else ""
            rms, most, largest = self.moved
            texts.append(f"moved{label} by {rms:.3g}{degrees} (RMS), {most:.3g} at 95 %, {largest:.3g} at most")
        if self.jitter is not None:
            before, after = self.jitter
            change = f" ({100 * (after / before - 1):+.0f} %)" if before > 0 else ""
            texts.append(f"jitter{label} {before * per:.4g} -> {after * per:.4g} per {unit}{change}")
        return texts


@dataclass
class Report:
    """What `smooth_recording` found and did. Points are joints in frames."""

    frames: int = 0
    tracks: int = 0
    points: int = 0  # in all tracks, from their first to their last frame
    missing: int = 0  # of those: not found, or below min_score
    interpolated: int = 0  # of those: bridged for the method
    filled: int = 0  # of those: written (fill)
    split: int = 0  # gaps that cut a joint's track
    short: int = 0  # pieces shorter than the window, padded
    outlier_frames: int | None = None  # frames in which outliers were rejected; None: nobody looked for them
    seen_frames: int = 0  # frames of tracks in which anything was found
    parts: dict[str, Part] = field(default_factory=dict)  # part of the recording -> what became of it
    notes: list[str] = field(default_factory=list)  # further sentences of the method

    @property
    def jitter(self) -> dict[str, tuple[float, float]]:
        """Part of the recording -> jitter before and after."""
        return {name: part.jitter for name, part in self.parts.items() if part.jitter is not None}

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
                f"{self.interpolated} of them bridged for the smoothing"
                + (f" and {self.filled} filled in" if self.filled else ", none filled in")
            )
        if self.split:
            sentences.append(f"{self.split} longer gap{'s' * (self.split != 1)} split tracks")
        if self.short:
            sentences.append(f"{self.short} piece{'s' * (self.short != 1)} shorter than the window padded")
        if self.outlier_frames is not None:
            share = 100 * self.outlier_frames / max(self.seen_frames, 1)
            sentences.append(f"outliers rejected in {share:.1f} % of the frames")
        told = list(self.parts.items())[:_PARTS_IN_TEXT]
        for name, part in told:
            sentences += part.texts(f" ({name})" if len(self.parts) > 1 else "", per, unit)
        if len(self.parts) > len(told):
            sentences.append(f"and {len(self.parts) - len(told)} more arrays")
        return "; ".join([*sentences, *self.notes]) + "."

    def facts(self, fps: float | None = None) -> dict[str, Any]:
        """The same for programs: numbers by name; jitter is per frame^2, with the frame rate per s^2 as well."""
        found: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("parts", "notes")
        }
        found["parts"] = {}
        for name, part in self.parts.items():
            moved, jitter = part.moved or (None,) * 3, part.jitter or (None,) * 2
            found["parts"][name] = {
                "unit": part.unit or "of the file",
                **dict(zip(("moved_rms", "moved_95", "moved_most"), moved, strict=True)),
                **dict(zip(("jitter_before", "jitter_after"), jitter, strict=True)),
                "removed_correlation": part.correlation,
                "removed_slow": part.slow,
                "lost_motion": part.lost_motion,
                "leaps": part.leaps,
            }
            if fps and part.jitter is not None:
                per_second = {
                    f"{key}_per_s2": value * fps**2
                    for key, value in zip(("jitter_before", "jitter_after"), part.jitter, strict=True)
                }
                found["parts"][name] |= per_second
        return {**found, "notes": self.notes, "warning": self.warning()}

    def warning(self) -> str | None:
        """One sentence where the file was hardly understood rightly, or what was removed looks like motion; else
        None."""
        parts = self.parts.values()
        leaps = max((part.leaps for part in parts), default=0.0)
        if leaps > LEAPS:
            return (
                f"its joints leap by {100 * leaps:.0f} % of the body's size in each frame, as where lists have them in "
                "changing order or rows are no frames; look whether the result can be right"
            )
        if not self.frames:
            return "it has no frames, so there is nothing to smooth; look whether all of it was written"
        if self.points > self.missing and self.frames < 3:
            return "one or two frames show no motion, so there is nothing to smooth; give all frames of the recording"
        moved = any(part.jitter is not None or (part.moved is not None and part.moved[2] > 0) for part in parts)
        if self.points > self.missing and not moved:
            return (
                "nobody is seen in three frames running, so nothing was smoothed; look whether the file says in each "
                "frame who is who"
            )
        lost = {name: part for name, part in self.parts.items() if part.lost_motion}
        if not lost:
            return None
        name, worst = max(lost.items(), key=lambda item: item[1].slow)
        which = f" ({name})" if len(self.parts) > 1 else ""
        return (
            f"what was removed{which} looks like motion rather than noise (it changes slowly, correlation "
            f"{worst.correlation:.2f} over 1/30 s, and is {100 * worst.slow:.1f} % of the body's size); "
            "smooth less with --strength, or choose another --method or --checkpoint"
        )


class PartSums:
    """Sums over the tracks of one part, from which its Part is made."""

    def __init__(self) -> None:
        self.unit = ""
        self.jitter = np.zeros(3)  # sums before and after, and their count
        self.moved = _Distances()
        self.body = np.zeros(3)  # of bodies with several joints: sums of jitter, of squared sizes x count, their count
        self.residual = np.zeros(4)  # sum of squares, of products one lag apart, count, sum of squared sizes x count

    def add(self, track: Track, values: np.ndarray, found: np.ndarray, rejected: np.ndarray | None, lag: int) -> None:
        """Take one track: (T, K, D) smoothed `values` with what was `found` and `rejected` as outliers, (T, K)."""
        if track.kind == "rotations":
            self.unit = "deg"
        sums, known = np.zeros(3), self.jitter.copy()
        for frames in blocks(len(found)):
            wider = slice(frames.start, frames.stop + max(2, lag))
            seen, own = found[wider], frames.stop - frames.start
            before, after = (part[wider].astype(np.float64) for part in (track.points, values))
            for place, points in enumerate((before, after)):
                total, count = _acceleration(points[: own + 2], seen[: own + 2])
                self.jitter[place] += total
            self.jitter[2] += count
            if track.kind == "rotations":
                self.moved.add(_angles(before[:own][seen[:own]], after[:own][seen[:own]]))
            difference = np.where(seen[..., None], after - before, 0.0)
            if track.kind != "rotations":
                self.moved.add(np.linalg.norm(difference[:own][seen[:own]], axis=-1))
            kept = seen if rejected is None else seen & ~rejected[wider]
            later = slice(lag, own + lag)
            pairs = len(kept[later])
            both = kept[later] & kept[:pairs]
            now, then = difference[:pairs][both], difference[later][both]
            sums += (((now**2).sum() + (then**2).sum()) / 2, (now * then).sum(), len(now))
        size = np.sqrt(2.0) if track.kind == "rotations" else body_size(track.points, found)
        self.residual += (*sums, size**2 * sums[2])
        if track.kind == "points" and track.points.shape[1] > 2 and track.points.shape[2] > 1:
            before, _, count = self.jitter - known
            self.body += (before, size**2 * count, count)

    def part(self) -> Part:
        part = Part(self.unit)
        before, after, count = self.jitter
        if count:
            part.jitter = (float(before / count), float(after / count))
        if self.moved.count:
            part.moved = (self.moved.rms(), self.moved.quantile(0.95), self.moved.largest)
        square, product, _, sizes = self.residual
        if square > 0:
            part.correlation = float(product / square)
        if sizes > 0:
            part.slow = float(np.sqrt(max(product, 0.0) / sizes))
        leaps, squares, count = self.body
        if count >= _ENOUGH and squares > 0:
            part.leaps = float(leaps / np.sqrt(squares * count))
        return part


_EXACT = 1_000_000  # distances that are kept one by one; of more, how many are of about the same size
_DROPPED = 12  # of the 23 bits of a float32 after its first: sizes are told apart to 2^-11, that is 0.05 %


class _Distances:
    """Distances, as many as there may be, in little memory: their RMS and largest, and quantiles."""

    def __init__(self) -> None:
        self.count, self.largest, self._squares = 0, 0.0, 0.0
        self._kept: list[np.ndarray] = []
        self._counts: np.ndarray | None = None  # by the leading bits of a float32, which order them by size

    def add(self, values: np.ndarray) -> None:
        """Take (n,) distances."""
        if not len(values):
            return
        self.count += len(values)
        self.largest = max(self.largest, float(values.max()))
        with np.errstate(over="ignore"):
            self._squares += float((values**2).sum())
        self._kept.append(values)
        if self._counts is None and self.count > _EXACT:
            self._counts = np.zeros(1 << (31 - _DROPPED), np.int64)
        if self._counts is not None:
            with np.errstate(over="ignore"):
                for kept in self._kept:
                    bits = np.abs(kept).astype(np.float32).view(np.uint32) >> _DROPPED
                    self._counts += np.bincount(bits, minlength=len(self._counts))
            self._kept = []

    def rms(self) -> float:
        return float(np.sqrt(self._squares / self.count))

    def quantile(self, share: float) -> float:
        """Exact of up to _EXACT distances, of more to 0.05 %."""
        if self._counts is None:
            return float(np.quantile(np.concatenate(self._kept), share))
        below = np.cumsum(self._counts)
        wanted = share * (self.count - 1) + 0.5
        at = int(np.searchsorted(below, wanted))
        low, high = (np.array([at, at + 1], np.uint32) << _DROPPED).view(np.float32).astype(np.float64)
        part = (wanted - (below[at] - self._counts[at])) / self._counts[at]
        return float(min(low + part * (high - low), self.largest))


def residual_lag(fps: float | None) -> int:
    """Frames in MOTION_SECONDS, at least one; one where the frame rate is not known."""
    return max(1, round(MOTION_SECONDS * fps)) if fps else 1


def _acceleration(points: np.ndarray, found: np.ndarray) -> tuple[float, int]:
    """Sum and count of |x[t-1] - 2 x[t] + x[t+1]| where all three frames were found."""
    if len(points) < 3:
        return 0.0, 0
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(np.diff(points, n=2, axis=0), axis=2)
    all_three = found[:-2] & found[1:-1] & found[2:]
    return float(norms[all_three].sum()), int(all_three.sum())


def _angles(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(n, 6), (n, 6) -> (n,) degrees between the rotations."""
    turn = np.einsum("nij,nij->n", sixd_to_matrix(before), sixd_to_matrix(after))
    return np.degrees(np.arccos(np.clip((turn - 1) / 2, -1, 1)))


def body_size(points: np.ndarray, found: np.ndarray) -> float:
    """RMS distance of the joints found from their centroid; of a single joint, from its mean over time."""
    single = points.shape[1] == 1
    middle: np.ndarray | None = None
    if single:
        total = sum(np.where(found[part][..., None], points[part], 0.0).sum(axis=0) for part in blocks(len(found)))
        middle = total / max(int(found.sum()), 1)
    squares = 0.0
    for part in blocks(len(found)):
        seen = found[part][..., None]
        shown = np.where(seen, points[part], 0.0).astype(np.float64, copy=False)
        count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
        away = np.where(seen, shown - (shown.sum(axis=1, keepdims=True) / count if middle is None else middle), 0.0)
        with np.errstate(over="ignore"):
            squares += float((away**2).sum())
    return float(np.sqrt(squares / max(int(found.sum()), 1)))
