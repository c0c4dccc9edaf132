# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a recording holds, for people who want to look before they smooth."""

from __future__ import annotations

import numpy as np

from .recording import Recording, Track
from .text import printable
from .understood import spoken

_TRACKS = 20  # that are told one by one; a crowd has hundreds
_NAMES = 40


def overview(recording: Recording, fps: float | None = None, min_score: float | None = None) -> list[str]:
    """Lines on a recording: what it was taken for, its frame rate, its joints and tracks, and what is left alone.

    Args:
        fps: what the user says of the frame rate.
        min_score: points with a lower score count as missing.
    """
    lines = [f"understood as {recording.format}: {recording.understood}"]
    if recording.left_alone:
        lines.append(spoken(recording.left_alone))
    rate, source = (fps, "as said") if fps else (recording.fps, "from the file")
    if rate:
        lines.append(f"frame rate: {rate:g} frames/s ({source}), {recording.frame_count / rate:.6g} s")
    else:
        lines.append("frame rate: unknown; say it with --fps where a method or a form needs it")
    if recording.names:
        more = len(recording.names) - _NAMES
        listed = ", ".join(recording.names[:_NAMES]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"joints: {listed}")
    lines += [_track(track, min_score) for track in recording.tracks[:_TRACKS]]
    if len(recording.tracks) > _TRACKS:
        lines.append(f"and {len(recording.tracks) - _TRACKS} more tracks")
    return lines


def _track(track: Track, min_score: float | None) -> str:
    """'track 7 (2D): frames 0 to 99, 17 joints, 12 of 1700 points missing, gaps of up to 4 frames, scores 0.1 to 1'."""
    found = track.shown(min_score)
    frames, joints = found.shape
    part = "" if track.part == "points" else f" ({track.part})"
    words = [
        f"frames {track.start} to {track.start + frames - 1}" if frames else "no frames",
        f"{joints} joint{'s' * (joints != 1)}",
        f"{int((~found).sum())} of {found.size} points missing",
    ]
    gap = longest_gap(found)
    if gap:
        words.append(f"gaps of up to {gap} frame{'s' * (gap != 1)}")
    if track.scores is not None and np.isfinite(track.scores).any():
        words.append(f"scores {np.nanmin(track.scores):.3g} to {np.nanmax(track.scores):.3g}")
    return printable(f"track {track.id}{part}: {', '.join(words)}")


def longest_gap(found: np.ndarray) -> int:
    """(frames, joints) bool -> the most frames in a row that a joint is missing between two that show it."""
    shown = [np.flatnonzero(column) for column in found.T]
    return max((int(np.diff(frames).max()) - 1 for frames in shown if len(frames) > 1), default=0)
