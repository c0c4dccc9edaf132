# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From people in frames to tracks, and back into JSON: what the formats that list people frame by frame share.

A reader finds the lists of coordinates (`Slot`) and says which frame and which person they belong to; one shared
piece makes tracks of them and one shared piece writes them back.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write, temporary
from .association import associate
from .documents import Document, Slot, Spanned
from .numbers import number_style
from .recording import Recording, Track

_LOOKED_AT, _FEW = 2000, 10  # frames and people that tell what ids are


@dataclass
class Detection:
    """One person in one frame; `parts` are the kinds of coordinates found on them (2D, 3D)."""

    frame: int
    id: Hashable | None
    parts: dict[str, tuple[np.ndarray, np.ndarray | None, list[Slot]]]  # points (K, D), scores (K,), slots


def split_scores(table: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(K, stride) -> points (K, dims), scores (K,) or None. A joint whose numbers are all 0 was not found."""
    points = np.where(np.isfinite(table[:, :dims]), table[:, :dims], np.nan)
    points[~table.any(axis=1)] = np.nan
    return points, (table[:, dims].copy() if table.shape[1] > dims else None)


def refuse_sparse(path: Path, places: int, written: int) -> None:
    """Tracks have a place for every joint in every frame: one huge person among many small ones would fill memory."""
    if places > max(2**26, 100 * written):
        raise SmoothNetError(
            f"{path} holds {written} joints, for which tracks would need {places} places: "
            "one of its people has far more joints than the others"
        )


def other_keys(people: Iterable[dict], known: set[str]) -> list[str]:
    """What people have besides coordinates: the keys of lists of numbers, in order of appearance."""
    keys = (key for person in people for key, value in person.items() if _has_numbers(value))
    return [key for key in dict.fromkeys(keys) if key not in known]


def _has_numbers(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return True
    return False


def _only_number(detections: list[Detection]) -> bool:
    """Whether the ids number the people of each frame, from 0 or 1, in an order that changes: whoever has one is often
    much nearer to where another was in the frame before than to where its owner was."""
    by_frame: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    for detection in detections:
        points = next(iter(detection.parts.values()))[0]
        if type(detection.id) is not int or len(points) < 2:  # single points cannot be matched
            return False
        by_frame[detection.frame][detection.id] = points
    first = min(id for people in by_frame.values() for id in people) if by_frame else 0
    if first not in (0, 1) or any(max(people) - first + 1 > len(people) for people in by_frame.values()):
        return False
    frames, pairs, swapped = sorted(by_frame)[:_LOOKED_AT], 0, 0
    for before, now in pairwise(by_frame[frame] for frame in frames):
        shared = sorted(before.keys() & now.keys())[:_FEW]
        if len(shared) > 1 and len({points.shape for p in (before, now) for points in p.values()}) == 1:
            away = np.array([[_apart(before[a], now[b]) for b in shared] for a in shared])
            others = np.where(np.eye(len(shared), dtype=bool), np.inf, away).min(axis=0)
            pairs, swapped = pairs + 1, swapped + bool((others < away.diagonal() / 4).any())
    return swapped > max(2, pairs / 10)


def _apart(old: np.ndarray, new: np.ndarray) -> float:
    """The mean distance of the joints of two poses that both show; 0 where there are none."""
    distances = np.sqrt(((new - old) ** 2).sum(axis=1))
    shown = distances[np.isfinite(distances)]
    return float(shown.mean()) if len(shown) else 0.0


def _refuse_lengths(path: Path, members: dict[tuple[str, Hashable], list[Detection]]) -> None:
    """Refuse lists of joints that are longer in one frame than in another, where nothing says which joints those are:
    whoever leaves out what was not found moves all that stand behind it to other places.

    Lists of two lengths may be two kinds of people, as long as each has lists of one.
    """
    of_part: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)  # where a list begins -> length -> a frame
    for (part, _), found in members.items():
        of_track: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        for detection in found:
            for slot in detection.parts[part][2]:
                length = slot.joints.stop - slot.joints.start
                if length and not slot.named:
                    of_track[part, slot.joints.start].setdefault(length, detection.frame)
        for place, lengths in of_track.items():
            of_part[place] = lengths | of_part[place]
            if len(lengths) > 1 or len(of_part[place]) > 2:
                (a, frame), (b, other) = list((lengths if len(lengths) > 1 else of_part[place]).items())[:2]
                raise SmoothNetError(
                    f"{path}: frame {frame} has a list of {a} joints and frame {other} one of {b}, and nothing says "
                    "which joints are left out; write every joint in every frame, with zeros where it was not found"
                )


def make_tracks(path: Path, detections: list[Detection]) -> list[Track]:
    """Tracks by the ids of the file where every detection has one of a person, else by nearest pose (see `associate`).

    Where no frame shows more than one person, all are one, as in an array that has no place for a second: a
    recording must not be cut otherwise because it was saved in another form.

    Raises:
        SmoothNetError: the file is sparse, its people cannot be matched, some points have z and others not, or lists of
            joints have different lengths.
    """
    detections = [d for d in detections if d.parts]
    ids: list[Hashable] = [d.id for d in detections]
    if None in ids or len({(d.frame, d.id) for d in detections}) < len(detections) or _only_number(detections):
        ids = [None] * len(detections)
    if None in ids and len({d.frame for d in detections}) == len(detections):
        ids = [0] * len(detections)
    elif None in ids:
        first_parts = [next(iter(d.parts.values()))[0] for d in detections]
        try:
            ids = list(associate([d.frame for d in detections], first_parts))
        except SmoothNetError as error:
            raise SmoothNetError(f"{path}: {error}") from error

    members: dict[tuple[str, Hashable], list[Detection]] = defaultdict(list)
    for detection, id in zip(detections, ids, strict=True):
        for part in detection.parts:
            members[part, id].append(detection)

    written = sum(len(points) for d in detections for points, _, _ in d.parts.values())
    tracks, laid_out = [], 0
    for (part, id), found in members.items():
        start = min(d.frame for d in found)
        length = max(d.frame for d in found) - start + 1
        joints = max(len(d.parts[part][0]) for d in found)
        laid_out += length * joints
        refuse_sparse(path, laid_out, written)
        dims = found[0].parts[part][0].shape[1]
        points = np.full((length, joints, dims), np.nan)
        scores = np.full((length, joints), np.nan)
        in_file = np.zeros((length, joints), dtype=bool)
        slots: list[list[Slot]] = [[] for _ in range(length)]
        for detection in found:
            xyz, score, where = detection.parts[part]
            if xyz.shape[1] != dims:
                raise SmoothNetError(
                    f"{path}: frame {detection.frame} has {xyz.shape[1]} coordinates a joint, frame {found[0].frame} "
                    f"{dims}; give all the same"
                )
            t = detection.frame - start
            points[t, : len(xyz)] = xyz
            slots[t] = where
            for slot in where:
                in_file[t, slot.joints] = True
            if score is not None:
                scores[t, : len(score)] = score
        has_scores = any(d.parts[part][1] is not None for d in found)
        tracks.append(Track(id, points, start, scores if has_scores else None, part=part, in_file=in_file, where=slots))
    _refuse_lengths(path, members)
    return sorted(tracks, key=lambda track: (track.part, track.start))


def changed_documents(
    documents: Sequence[Document | Spanned], tracks: list[Track], smoothed: list[np.ndarray]
) -> Iterator[tuple[Document | Spanned, str]]:
    """Each document with the text it gets: coordinates that changed are rewritten, all else stays."""
    tokens = [document.tokens() for document in documents]
    places, values = [], []  # (document, token position) and the new value
    habits = []
    for track, new in zip(tracks, smoothed, strict=True):
        for t, slots in enumerate(track.where):
            for slot in slots:
                positions = tokens[slot.document].at(slot)[:, list(slot.numbers or range(new.shape[2]))]
                old_points, new_points = track.points[t, slot.joints], new[t, slot.joints]
                known = np.isfinite(old_points)
                habits += [tokens[slot.document].token(p) for p in positions[known]]
                changed = np.isfinite(new_points) & (new_points != old_points)
                places += [(slot.document, int(position)) for position in positions[changed]]
                values += new_points[changed].tolist()
    style = number_style(habits)
    for (document, position), value in zip(places, values, strict=True):
        tokens[document].changes[position] = style(value)
    for document, token in zip(documents, tokens, strict=True):
        yield document, token.changed_text()


def write_documents(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    """A folder with the documents of the recording by their names; or one file, of one document after the other."""
    texts = changed_documents(recording.source, recording.tracks, smoothed)
    if recording.path.is_dir():
        write_folder(out, ((document.path.name, text.encode("utf-8", "surrogateescape")) for document, text in texts))
        return
    with atomic_write(out) as file:
        for _, text in texts:
            file.write(text.encode("utf-8", "surrogateescape"))


def write_folder(out: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files by name into a folder beside its place and rename it, so that half a folder is never seen."""
    replaced = None
    try:
        with temporary(partial(tempfile.mkdtemp, prefix=f".{out.name}.", suffix=".tmp", dir=out.parent)) as folder:
            for name, content in files:
                Path(folder, name).write_bytes(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(folder, 0o777 & ~umask)
            if out.exists():  # the caller has asked to replace it
                replaced = out.with_name(f".{out.name}.{os.getpid()}.old")
                out.rename(replaced)
            os.rename(folder, out)
    except OSError as error:
        if replaced is not None and replaced.exists() and not out.exists():
            replaced.rename(out)
        raise SmoothNetError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        if replaced is not None and out.exists():
            shutil.rmtree(replaced, ignore_errors=True)
