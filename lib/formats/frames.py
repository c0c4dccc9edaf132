# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JSON with one value a frame, however the frames were put together: what Ultralytics, MediaPipe, MMPose for single
images and the lines of a stream share.

Tools give one result a frame; whoever saves them puts them into a list, an object by frame numbers, lines of a .jsonl
or a folder of files. Here it is found which of these a file is; a tool says in one function (`People`) who is in the
value of a frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks
from .documents import Document, Slot, Spanned, by_joints, frame_files, parse_document, read_document, read_numbers
from .plain_csv import CLOCKS, PEOPLE, RECORDINGS, TIMES, is_named
from .recording import Recording
from .tables import come_again
from .timeline import by_times, doubt_pictures, refuse_sequences, timeline

LINES = (".jsonl", ".ndjson")
_LOOKED_AT = 100  # lines or files from which a format is told
# Where frames lie in an object, and what numbers or names them.
LISTS = ("frames", "instance_info", "results", "predictions", "data")
# Where the joints of one person stand in a frame.
JOINTS = {
    *("keypoints", "joints", "landmarks", "keypoint", "kpts", "keypoints_2d", "keypoints_3d", "keypoints2d"),
    *("keypoints3d", "joints_2d", "joints_3d", "joints2d", "joints3d"),
}
# Where the poses of all frames may lie in an object, which in a frame are the joints of one or the people.
ARRAYS = JOINTS | {
    *("poses", "positions", "points", "coordinates", "world_landmarks"),
    *("pose_landmarks", "pose_world_landmarks", "hand_landmarks", "face_landmarks"),
}
# What else holds frames where each entry says of which it is; else these are the people of one frame.
_MAYBE_LISTS = {"poses", "people", "persons", "bodies", "skeletons", "detections", "instances"}
_FRAMES = {"frame", "frame_id", "frame_idx", "frame_index", "frame_number", "frame_num", "frame_no"}
_LABELS = (_FRAMES, {"image_id"}, {"image"}, {"image_path"})
_RATES = {"fps", "frame_rate", "framerate"}
_FASTEST = 10**300  # longer whole numbers are no doubles; as a frame rate this is ignored aloud like any too high
# What numbers a person; NUMBERS where the entries do not have one each, which would number the entries.
PERSON_IDS = PEOPLE
NUMBERS = {"id", "idx"}


@dataclass
class Found:
    """Points of one person: where they stand in the value of the frame, and what they are."""

    part: str
    path: tuple
    points: np.ndarray  # (joints, dims), NaN where missing
    scores: np.ndarray | None  # (joints,)
    stride: int  # numbers a joint that stand together
    axes: tuple[str, ...] = ()  # see Slot
    family: str = ""  # people of different families are never one: bodies and hands
    # Where the joints stand if each has a place of its own, and which of the points these are; else all at `path`.
    places: Sequence[tuple[tuple, slice]] = ()
    # What each of the points says that it is, a name or a number; None where they do not all say something else.
    labels: Sequence[Hashable] | None = None
    named: bool = False  # they stand in `points` by name, so that others may be left out
    numbers: tuple[int, ...] = ()  # see Slot

    def slots(self, document: int, frame: tuple) -> list[Slot]:
        """Where the joints stand in the document, `frame` the way to the value of the frame."""
        places = self.places or [(self.path, slice(0, len(self.points)))]
        return [
            Slot(document, (*frame, *path), joints, self.stride, self.axes, self.named, self.numbers)
            for path, joints in places
        ]


@dataclass
class Person:
    id: Hashable | None
    parts: list[Found]


# The people in the value of a frame, with a text that says where it stands; None: it is no frame of this tool.
People = Callable[[Any, str], list[Person] | None]


@dataclass
class Frame:
    label: int | str | None
    document: int
    path: tuple
    value: Any


# -------------------------------------------------------------------------------------------------- documents


def read_documents(path: Path) -> list[Document | Spanned]:
    """The file, its lines, or the files of the folder; a line without anything in it has the value None."""
    if path.is_dir():
        return [read_document.read(file) for file in frame_files(path, ".json")]
    if path.suffix.lower() in LINES:
        return list(_lines(path))
    return [read_document(path)]


def _lines(path: Path) -> Iterator[Document | Spanned]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield parse_document(path, line, f"{path}, line {number}")
            else:
                yield Spanned(path, line.decode("utf-8", "surrogateescape"), np.zeros((0, 2), np.int64))


def _first_values(path: Path) -> Iterator[Any]:
    """What to tell the format from: the value of the file, of its first lines or of the first files of the folder."""
    if path.is_dir():
        yield from (read_document(file).value for file in frame_files(path, ".json")[:_LOOKED_AT])
    elif path.is_file() and path.suffix.lower() in LINES:
        yield from (document.value for document in islice(_lines(path), _LOOKED_AT))
    elif path.is_file() and path.suffix.lower() == ".json":
        yield read_document(path).value


def one_value_a_document(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in LINES


# ----------------------------------------------------------------------------------------------------- frames


def sniff_frames(path: Path, people: People, nobody: bool = False) -> bool:
    """Whether the first frame with anybody in it is one of this tool; `nobody`: what to say where there is none."""
    for value in _first_values(path):
        if value in (None, [], {}):
            continue
        frames = [Frame(None, 0, (), value)] if one_value_a_document(path) else _frames_of(value, people, 0, ())
        shown = [frame for frame in frames or () if frame.value not in (None, [], {})]
        if frames is None or not all(_is_frame(frame.value, people) for frame in shown[:_LOOKED_AT]):
            return False
        if any(_has_anybody(frame.value, people) for frame in frames):
            return True
    return nobody


def _has_anybody(value: Any, people: People) -> bool:
    try:
        return bool(people(value, ""))
    except SmoothNetError:
        return True


def _is_frame(value: Any, people: People) -> bool:
    try:
        return people(value, "") is not None
    except SmoothNetError:  # it is one, with a fault in it
        return True


def _frames_of(value: Any, people: People, document: int, path: tuple) -> list[Frame] | None:
    """The frames of a value: a list or an object of them, such a list below a key, or one frame; else None."""
    for key, entries in value.items() if isinstance(value, dict) and not path else ():
        if is_named(key, _MAYBE_LISTS) and _say_their_frames(entries):
            found = _frames_of(entries, people, document, (key,))
            if found is not None:
                return found
    if (
        isinstance(value, list)
        and value
        and all(item in (None, [], {}) or _is_frame(item, people) for item in value[:_LOOKED_AT])
    ):
        labels = [label_of(item) for item in value]
        people_of_one_frame = _is_frame(value, people) and not all(label is not None for label in labels)
        if not people_of_one_frame:
            labels = labels if None not in labels else [None] * len(value)
            return [
                Frame(label, document, (*path, i), item)
                for i, (label, item) in enumerate(zip(labels, value, strict=True))
            ]
    if _is_frame(value, people):
        return [Frame(None, document, path, value)]
    if not isinstance(value, dict):
        return None
    for key in (*LISTS, *(key for key in value if is_named(key, ARRAYS))):
        if isinstance(value.get(key), list | dict):
            found = _frames_of(value[key], people, document, (*path, key)) if len(path) < 3 else None
            if found is not None:
                return found
    by_name = [(key, item) for key, item in value.items() if any(letter.isdigit() for letter in key)]
    if by_name and all(item in (None, [], {}) or _is_frame(item, people) for _, item in by_name[:_LOOKED_AT]):
        return [Frame(key, document, (*path, key), item) for key, item in by_name]
    return None


def _say_their_frames(entries: Any) -> bool:
    """Whether these are objects of several frames, each of which says of which one, or at what time, it is."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return False
    moments = [_time_of(entry, label_of(entry)) for entry in entries]
    return all(isinstance(moment, int | float | str) for moment in moments) and len(set(moments)) > 1


def _time_of(entry: dict, otherwise: Any = None) -> Any:
    """What stands in an entry as its time."""
    return next((item for key, item in entry.items() if is_named(key, TIMES | CLOCKS)), otherwise)


def _rate_of(value: Any) -> float | None:
    """The frame rate that stands beside the frames."""
    beside = value.items() if isinstance(value, dict) else ()
    rate = next((rate for key, rate in beside if is_named(key, _RATES)), None)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        return None
    return float(min(rate, _FASTEST))


def label_of(value: Any) -> int | str | None:
    if isinstance(value, dict):
        for names in _LABELS:
            for key, label in value.items():
                if is_named(key, names) and isinstance(label, int | str) and not isinstance(label, bool):
                    return label
    return None


def id_of(value: Any) -> int | str | None:
    """The id of a person that stands there, perhaps as a list of one."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value if isinstance(value, str) or (type(value) is int and value >= 0) else None


def ids_of(entries: Sequence[dict], names: set[str]) -> list[int | str | None]:
    """What stands in entries under one of these names."""
    return [id_of(value) for entry in entries for key, value in entry.items() if is_named(key, names)]


def _of_several(frames: Sequence[Frame], people: People) -> bool:
    """Whether the entries of a list are several people, one each, and do not say of which frame."""
    entries = [
        frame.value for frame in frames if isinstance(frame.value, dict) and frame.path and type(frame.path[-1]) is int
    ]
    if any(label_of(entry) is not None for entry in entries) or _people_share(frames, _moments(frames)):
        return False
    persons, numbers = ids_of(entries, PERSON_IDS), ids_of(entries, NUMBERS)
    if len(set(persons)) < 2 and not come_again(numbers):
        return False
    try:
        return all(len(people(entry, "") or []) <= 1 for entry in entries)
    except SmoothNetError:  # a fault that reading will name
        return False


def refuse_recordings(path: Path, entries: Sequence[Any]) -> None:
    """Refuse entries of several videos, trials or cameras, which would be smoothed as one."""
    words: dict[str, list] = defaultdict(list)
    for entry in entries:
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if isinstance(value, int | str) and is_named(key, RECORDINGS):
                words[key].append(value)
    for key, values in words.items():
        if come_again(values):
            raise SmoothNetError(
                f"{path}: entries are of several recordings, by {key!r}; give each recording a file of its own"
            )


def _lines_of_several(frames: Sequence[Frame]) -> bool:
    """Whether lines of a person each, which do not say their frame, are of several in turn: those come back."""
    values = [frame.value for frame in frames if isinstance(frame.value, dict) and frame.value]
    if any(label_of(value) is not None for value in values) or _people_share(frames, _moments(frames)):
        return False
    ids = [next(iter(ids_of([value], PERSON_IDS | NUMBERS)), None) for value in values]
    turns = sum(a != b for a, b in pairwise(ids)) + 1
    return None not in ids and 1 < len(set(ids)) < turns


def _moments(frames: Sequence[Frame]) -> list[float] | None:
    """The times of the frames, None where not all have one."""
    values = [frame.value for frame in frames if isinstance(frame.value, dict) and frame.value]
    times = list(map(_time_of, values))
    known = [
        float(time) for time in times if isinstance(time, int | float) and type(time) is not bool and abs(time) < 1e300
    ]
    return known if len(known) == len(frames) else None


def _people_share(frames: Sequence[Frame], moments: Sequence[float] | None) -> bool:
    """Whether these times of all frames tell several people's apart: they come again, for nobody twice."""
    if moments is None or len(set(moments)) == len(moments):
        return False
    whose = {
        (time, *ids_of([frame.value], PERSON_IDS | NUMBERS)[:1]) for time, frame in zip(moments, frames, strict=True)
    }
    return len(whose) == len(moments)


def _by_time(path: Path, frames: Sequence[Frame], notes: list[str]) -> list[int]:
    """Numbers of frames without one: by their times where all have one, else in the order of the file.

    Adds to `notes` what people must know of the times."""
    known = _moments(frames)
    if known is None:
        return list(range(len(frames)))
    if _people_share(frames, known):
        moments, places = np.unique(known, return_inverse=True)
        numbers, note = by_times(moments)
        notes += [note] if note else []
        return numbers[places].tolist()
    if len(set(known)) < len(known) and not all(a <= b for a, b in pairwise(known)):
        raise SmoothNetError(
            f'{path}: times go back and come again; give each entry a "frame", several recordings a file each'
        )
    order = np.argsort(known, kind="stable")
    numbers, note = by_times(np.array(known)[order])
    notes += [note] if note else []
    return numbers[order.argsort()].tolist()


def read_frames(
    path: Path,
    format: str,
    people: People,
    what: str,
    look: Callable[[list[tuple[Any, str]]], None] = lambda frames: None,
) -> Recording:
    """A recording of all frames.

    Args:
        format: the name of the format.
        people: who is in the value of a frame.
        what: what a frame of it looks like, for errors.
        look: is shown the values of all frames that hold anything, and where they stand, before `people` is asked.

    Raises:
        SmoothNetError: no such file, or one with a fault.
    """
    documents = read_documents(path)
    frames: list[Frame] = []
    for index, document in enumerate(documents):
        if one_value_a_document(path):
            if isinstance(document, Spanned):
                continue
            label = document.path.name if path.is_dir() else label_of(document.value)
            found: list[Frame] | None = [Frame(label, index, (), document.value)]
        else:
            found = _frames_of(document.value, people, index, ())
        if found is None:
            raise SmoothNetError(f"{path} holds no {what}")
        frames += found
    of_several = (
        not path.is_dir() and _lines_of_several(frames) if one_value_a_document(path) else _of_several(frames, people)
    )
    if of_several:
        raise SmoothNetError(f'{path}: entries of several people that do not say their frame; give each a "frame"')
    if path.is_dir():
        for frame in frames:
            if isinstance(frame.value, list) and len({label_of(entry) for entry in frame.value} - {None}) > 1:
                raise SmoothNetError(
                    f"{documents[frame.document].path} holds several frames; give such files one by one"
                )
    refuse_recordings(path, [frame.value for frame in frames])
    labels: list = [frame.label for frame in frames]
    notes: list[str] = []
    if any(label is None for label in labels):
        labels = _by_time(path, frames, notes)
    refuse_sequences(path, labels)
    numbers = timeline(labels)
    notes += doubt_pictures(labels)
    detections: dict[str, list[Detection]] = {}
    filled = [
        (label, frame, f"{documents[frame.document].path}, frame {label}")
        for label, frame in zip(labels, frames, strict=True)
        if frame.value not in (None, [], {})
    ]
    look([(frame.value, where) for _, frame, where in filled])
    shown = []
    for label, frame, where in filled:
        persons = people(frame.value, where)
        if persons is None:
            raise SmoothNetError(f"{where} is no {what}")
        shown.append((label, frame, persons))
    joint_names = _by_labels([found for _, _, persons in shown for person in persons for found in person.parts])
    for label, frame, persons in shown:
        for person in persons:
            for family in dict.fromkeys(found.family for found in person.parts):
                parts = {
                    found.part: (found.points, found.scores, found.slots(frame.document, frame.path))
                    for found in person.parts
                    if found.family == family
                }
                detections.setdefault(family, []).append(Detection(numbers[label], person.id, parts))
    if not path.is_dir() and all(frame.label is None for frame in frames):
        for members in detections.values():
            _refuse_turns(path, members)
    tracks = [track for found in detections.values() for track in make_tracks(path, found)]
    recording = Recording(path, format, tracks, max(numbers.values(), default=-1) + 1, source=documents, notes=notes)
    recording.fps = None if one_value_a_document(path) else _rate_of(documents[0].value)
    recording.left_alone = _other_numbers(frames, people)
    recording.names = joint_names
    return recording


def _by_labels(found: Sequence[Found]) -> tuple[str, ...] | None:
    """Put points that say which joint they are where that joint stands in all frames, so that lists may leave some out
    or have them in any order. Gives the names of the joints, None where these are none or differ between parts."""
    parts: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in found:
        parts[one.family, one.part].append(one)
    names: list[tuple | None] = []
    for members in parts.values():
        labelled = [(one, one.labels) for one in members if one.labels is not None]
        longest = max((labels for _, labels in labelled), key=len, default=())
        every = dict.fromkeys([*longest, *(label for _, labels in labelled for label in labels)])
        rows = {label: row for row, label in enumerate(every)}
        if not labelled or len(rows) > 2 * len(longest):  # numbers of the points themselves, which name no joint
            names.append(None)
            continue
        for one, labels in labelled:
            one.named = True
            places = [rows[label] for label in labels]
            if places == list(range(len(places))):
                continue
            ways = [way for way, _ in one.places] or [(*one.path, i) for i in range(len(places))]
            one.places = [(way, slice(row, row + 1)) for way, row in zip(ways, places, strict=True)]
            one.points = _laid_out(one.points, places)
            one.scores = None if one.scores is None else _laid_out(one.scores, places)
        names.append(tuple(rows))
    same = names[0] if len(set(names)) == 1 else None
    return same if same is not None and all(isinstance(name, str) for name in same) else None


def _laid_out(values: np.ndarray, rows: list[int]) -> np.ndarray:
    """Values of some joints as an array of all, NaN for the others."""
    whole = np.full((max(rows) + 1, *values.shape[1:]), np.nan)
    whole[rows] = values
    return whole


def joint_labels(points: Any) -> list[Hashable] | None:
    """What the objects of a list say that they are, by the first of `_LABELLED` under which each has its own."""
    for key in _LABELLED:
        labels = [point.get(key) if isinstance(point, dict) else None for point in points]
        said = all(isinstance(label, int | str) and type(label) is not bool for label in labels)
        if said and len(set(labels)) == len(labels):
            return labels
    return None


_LABELLED = ("name", "part", "joint", "label", "landmark", "id", "index")


def _refuse_turns(path: Path, detections: Sequence[Detection]) -> None:
    """Refuse poses without ids, one a frame, of which every second (third, ...) goes on where another left off."""
    poses = [next(iter(detection.parts.values()))[0] for detection in detections[:_LOOKED_AT]]
    several = len({detection.frame for detection in detections}) < len(detections)
    if several or any(d.id is not None for d in detections) or len({pose.shape for pose in poses}) != 1:
        return
    path_of_each = np.stack(poses)
    for people in range(2, min(len(poses) // 4, _MOST_IN_TURN) + 1):
        with np.errstate(invalid="ignore", over="ignore"):
            near, far = (
                np.linalg.norm(path_of_each[lag:] - path_of_each[:-lag], axis=2).ravel() for lag in (people, 1)
            )
        near, far = near[np.isfinite(near)], far[np.isfinite(far)]
        if len(near) and len(far) and np.median(near) < np.median(far) / 4:
            raise SmoothNetError(
                f"{path}: each entry goes on where the one {people} before it left off, as where {people} people have "
                'entries in turn; give each a "frame"'
            )


_MOST_IN_TURN = 8


def _other_numbers(frames: list[Frame], people: People) -> list[str]:
    """Keys of the frames and of what is in them, that hold numbers which are no points, in order of appearance."""
    used: set[str] = set()
    seen: dict[str, None] = {}
    for frame in frames[:_LOOKED_AT]:
        for person in (people(frame.value, "") or []) if frame.value else []:
            paths = [path for found in person.parts for path in [found.path, *(place for place, _ in found.places)]]
            used |= {key for path in paths for key in path if isinstance(key, str)}
        level = [frame.value]
        for _ in range(3):  # the frame, its lists of people, a person
            level = [item for value in level for item in (value if isinstance(value, list) else [value])]
            objects = [value for value in level if isinstance(value, dict)]
            seen.update((key, None) for value in objects for key, item in value.items() if _holds_numbers(item))
            level = [item for value in objects for item in value.values()]
    return [key for key in seen if key not in used | _NO_WONDER]


_NO_WONDER = {"scores", "keypoint_scores", *"xyz", "visibility", "presence", "visible"}


def _holds_numbers(value: Any) -> bool:
    """Whether a list or an object has numbers in it, looked at along its first members."""
    for _ in range(6):
        if isinstance(value, list | dict) and value:
            value = next(iter(value.values() if isinstance(value, dict) else value))
            if isinstance(value, int | float) and not isinstance(value, bool):
                return True
    return False


# ---------------------------------------------------------------------------------------------- points of a person


def points_of(value: Any, path: tuple, part: str, axes: tuple[str, ...], score: str | None, where: str) -> Found:
    """Points that stand as objects with keys, or as an object of lists; see `Slot`.

    Args:
        axes: the keys of the coordinates.
        score: the key of the score, None where there is none.
    """
    try:
        numbers = by_joints(value, axes)
        scores = [row[0] for row in by_joints(value, (score,))] if score is not None else None
    except (KeyError, TypeError, ValueError) as error:
        raise SmoothNetError(f"{where}: each point needs {', '.join(axes)}, and as many of each") from error
    points = read_numbers(numbers, where).reshape(-1, len(axes))
    points[~np.isfinite(points).all(axis=1)] = np.nan
    given = None if scores is None else read_numbers(scores, where)
    if given is not None and (given.shape != (len(points),) or not np.nan_to_num(given).any()):
        given = None  # scores of 0 throughout: the tool has none for these points
    return Found(part, path, points, given, len(axes), axes)
