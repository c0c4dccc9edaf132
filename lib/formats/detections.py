"""JSON formats: OpenPose folders, MMPose predictions, AlphaPose and COCO keypoint results.

All of them list people frame by frame. A reader here finds the lists of coordinates (`Slot`) and says which
frame and which person they belong to; one shared piece makes tracks of them and one shared piece writes them
back. Writing replaces the number tokens in the original text, so every other byte of the file stays as it
was.

Where the facts come from: OpenPose's doc/02_output.md; MMPose's `split_instances` and inferencer output
({"meta_info", "instance_info": [{"frame_id", "instances"}]} or the list alone); AlphaPose's doc/output.md
with the fields its writer adds (`box`, `idx`); the COCO results format.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from .association import associate
from .numbers import number_style
from .recording import Recording, Track
from .timeline import timeline


@dataclass
class Slot:
    """A list of numbers in a document, `stride` a joint, the coordinates first."""

    document: int
    path: tuple
    joints: slice  # where its joints stand in the joints of the track
    stride: int


@dataclass
class Detection:
    """One person in one frame; `parts` are the kinds of coordinates found on them (2D, 3D)."""

    frame: int
    id: Hashable | None
    parts: dict[str, tuple[np.ndarray, np.ndarray | None, list[Slot]]]  # points (K, D), scores (K,), slots


# ---------------------------------------------------------------------------------------------------- documen

# Strings are matched first so that digits inside them are never taken for numbers.
_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\d[\d.eE+-]*|-?Infinity|NaN|null)', re.DOTALL)


@dataclass
class Document:
    path: Path
    text: str
    value: Any


@functools.lru_cache(maxsize=1)  # telling the format and reading it look at the same file
def read_document(path: Path) -> Document:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SmoothNetError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        text = raw.decode("utf-8")
        value = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise SmoothNetError(f"{path} is nested too deeply to be a file of poses") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, a number of thousands of digits
        raise SmoothNetError(f"{path} is not valid JSON: {error}") from error
    return Document(path, text, value)


class _Tokens:
    """The number tokens of a document, and where each stands in the parsed structure."""

    def __init__(self, document: Document):
        self.text = document.text
        ends = (end for match in _SCALAR.finditer(self.text) if match.group(1) for end in match.span(1))
        self.spans = np.fromiter(ends, np.int64).reshape(-1, 2)
        # The same document with every number replaced by its position among the numbers: parsed, it has the
        # same shape as the original, so a path that led to a coordinate now leads to the place of its token.
        pieces, end = [], 0
        for ordinal, (start, stop) in enumerate(self.spans.tolist()):
            pieces += [self.text[end:start], str(ordinal)]
            end = stop
        pieces.append(self.text[end:])
        self.ordinals = json.loads("".join(pieces).removeprefix("\ufeff"))
        self.changes: dict[int, str] = {}

    def at(self, slot: Slot) -> np.ndarray:
        """Token positions of a slot, shape (joints, stride)."""
        value = self.ordinals
        for key in slot.path:
            value = value[key]
        return np.asarray(value).reshape(-1, slot.stride)

    def token(self, ordinal: int) -> str:
        start, stop = self.spans[ordinal]
        return self.text[start:stop]

    def changed_text(self) -> str:
        pieces, end = [], 0
        for ordinal in sorted(self.changes):
            start, stop = self.spans[ordinal]
            pieces += [self.text[end:start], self.changes[ordinal]]
            end = stop
        pieces.append(self.text[end:])
        return "".join(pieces)


def _numbers(values: Any, where: str) -> np.ndarray:
    """`values` as float64, None as NaN; anything that is not a rectangle of numbers is an error."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            array = np.asarray(_floats(values), dtype=np.float64)
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise SmoothNetError(f"{where} must hold numbers only, in lists of equal length") from error


def _floats(values: Any) -> Any:
    if isinstance(values, list):
        return [_floats(value) for value in values]
    if values is None:
        return np.nan
    if isinstance(values, int | float) and not isinstance(values, bool):
        return float(values)
    raise ValueError(values)


def _split_scores(table: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(K, stride) -> points (K, dims), scores (K,) or None. A joint whose numbers are all 0 was not found."""
    points = np.where(np.isfinite(table[:, :dims]), table[:, :dims], np.nan)
    points[~table.any(axis=1)] = np.nan
    return points, (table[:, dims].copy() if table.shape[1] > dims else None)


def _list(value: Any, where: str) -> list:
    if not isinstance(value, list):
        raise SmoothNetError(f"{where} must be a list, not {type(value).__name__}")
    return value


def _object(value: Any, where: str) -> dict:
    if not isinstance(value, dict):
        raise SmoothNetError(f"{where} must be an object, not {type(value).__name__}")
    return value


# ------------------------------------------------------------------------------------- detections <-> tracks


def _refuse_sparse(path: Path, places: int, written: int) -> None:
    """Tracks have a place for every joint in every frame: one huge person among many small ones would fill memory."""
    if places > max(2**26, 100 * written):
        raise SmoothNetError(
            f"{path} holds {written} joints, for which tracks would need {places} places: "
            "one of its people has far more joints than the others"
        )


def make_tracks(path: Path, detections: list[Detection]) -> list[Track]:
    """Tracks by the ids of the file where every detection has one, else by nearest pose (see `associate`)."""
    detections = [d for d in detections if d.parts]
    ids = [d.id for d in detections]
    if None in ids or len({(d.frame, d.id) for d in detections}) < len(detections):
        first_parts = [next(iter(d.parts.values()))[0] for d in detections]
        try:
            ids = associate([d.frame for d in detections], first_parts)
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
        _refuse_sparse(path, laid_out, written)
        dims = found[0].parts[part][0].shape[1]
        points = np.full((length, joints, dims), np.nan)
        scores = np.full((length, joints), np.nan)
        in_file = np.zeros((length, joints), dtype=bool)
        slots: list[list[Slot]] = [[] for _ in range(length)]
        for detection in found:
            xyz, score, where = detection.parts[part]
            t = detection.frame - start
            points[t, : len(xyz)] = xyz
            slots[t] = where
            for slot in where:
                in_file[t, slot.joints] = True
            if score is not None:
                scores[t, : len(score)] = score
        has_scores = any(d.parts[part][1] is not None for d in found)
        tracks.append(Track(id, points, start, scores if has_scores else None, part=part, in_file=in_file, where=slots))
    return sorted(tracks, key=lambda track: (track.part, track.start))


def changed_documents(
    documents: list[Document], tracks: list[Track], smoothed: list[np.ndarray]
) -> Iterator[tuple[Document, str]]:
    """Each document with the text it gets: coordinates that changed are rewritten, all else stays."""
    tokens = [_Tokens(document) for document in documents]
    places, values = [], []  # (document, token position) and the new value
    habits = []
    for track, new in zip(tracks, smoothed, strict=True):
        for t, slots in enumerate(track.where):
            for slot in slots:
                positions = tokens[slot.document].at(slot)[:, : new.shape[2]]
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


def write_json_file(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    for _, text in changed_documents(recording.source, recording.tracks, smoothed):
        with atomic_write(out) as file:
            file.write(text.encode("utf-8"))


# -------------------------------------------------------------------------------------------------- OpenPose

# part -> (dims, numbers a joint, the arrays it is made of). Files of version 0.1 leave out the "_2d".
_OPENPOSE = {
    "2D": (
        2,
        3,
        ("pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"),
    ),
    "2D (version 0)": (
        2,
        3,
        ("pose_keypoints", "face_keypoints", "hand_left_keypoints", "hand_right_keypoints"),
    ),
    "3D": (
        3,
        4,
        ("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"),
    ),
}


def _is_openpose(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("people"), list)


def openpose_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.is_file() and not path.name.startswith("."))


def detect_openpose(path: Path) -> bool:
    """A folder with JSON files, the first of them with a list of `people`."""
    files = openpose_files(path) if path.is_dir() else []
    return bool(files) and _is_openpose(read_document(files[0]).value)


def read_openpose(path: Path, **_) -> Recording:
    if not path.is_dir():
        raise SmoothNetError(f"{path}: OpenPose input is a folder with one JSON file a frame")
    files = openpose_files(path)
    if not files:
        raise SmoothNetError(f"{path} holds no .json file; OpenPose writes one a frame")
    sequences = {re.sub(r"\d+(?=\D*$)", "#", file.stem) for file in files}
    if len(sequences) > 1:
        raise SmoothNetError(
            f"{path} holds more than one sequence ({', '.join(sorted(sequences)[:3])}); give each a folder of its own"
        )
    documents = [read_document.__wrapped__(file) for file in files]
    people: list[list[dict]] = []
    for document in documents:
        if not _is_openpose(document.value):
            raise SmoothNetError(f'{document.path} is not an OpenPose frame: it has no list "people"')
        people.append([_object(p, f"{document.path}, person {i}") for i, p in enumerate(document.value["people"])])

    # An array can be empty for one person and full for the next: the longest says how many joints it has.
    joints: dict[str, int] = defaultdict(int)
    for document, persons in zip(documents, people, strict=True):
        for i, person in enumerate(persons):
            for _, stride, keys in _OPENPOSE.values():
                for key in keys:
                    count = len(_list(person.get(key) or [], f"{document.path}, person {i}, {key}"))
                    if count % stride:
                        raise SmoothNetError(
                            f"{document.path}, person {i}, {key}: {count} numbers are not whole joints of {stride}"
                        )
                    joints[key] = max(joints[key], count // stride)

    strides = {key: stride for _, stride, keys in _OPENPOSE.values() for key in keys}
    everyone = [person for persons in people for person in persons]
    written = sum(len(person.get(key) or []) // strides[key] for person in everyone for key in joints)
    _refuse_sparse(path, len(everyone) * sum(joints.values()), written)
    frames = timeline([file.name for file in files])
    detections = []
    for index, (document, persons) in enumerate(zip(documents, people, strict=True)):
        for i, person in enumerate(persons):
            parts = {}
            for part, (dims, stride, keys) in _OPENPOSE.items():
                points = np.full((sum(joints[key] for key in keys), dims), np.nan)
                scores = np.full(len(points), np.nan)
                slots, first = [], 0
                for key in keys:
                    if person.get(key):
                        where = f"{document.path}, person {i}, {key}"
                        table = _numbers(person[key], where).reshape(-1, stride)
                        span = slice(first, first + len(table))
                        points[span], scores[span] = _split_scores(table, dims)
                        slots.append(Slot(index, ("people", i, key), span, stride))
                    first += joints[key]
                if slots:
                    parts[part] = (points, scores, slots)
            id = person.get("person_id")
            id = id[0] if isinstance(id, list) and id else id
            known = isinstance(id, int) and not isinstance(id, bool) and id >= 0  # -1: OpenPose ran without tracking
            detections.append(Detection(frames[document.path.name], id if known else None, parts))
    return Recording(path, "openpose", make_tracks(path, detections), max(frames.values()) + 1, source=documents)


def write_openpose(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    """Write the folder beside its place and rename it, so that half a folder is never seen."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    except OSError as error:
        raise SmoothNetError(f"cannot write {out}: {error.strerror or error}") from error
    replaced = None
    try:
        for document, text in changed_documents(recording.source, recording.tracks, smoothed):
            (temporary / document.path.name).write_bytes(text.encode("utf-8"))
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if out.exists():  # the caller has asked to replace it
            replaced = out.with_name(f".{out.name}.{os.getpid()}.old")
            out.rename(replaced)
        temporary.rename(out)
    except OSError as error:
        if replaced is not None and replaced.exists() and not out.exists():
            replaced.rename(out)
        raise SmoothNetError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced is not None and out.exists():
            shutil.rmtree(replaced, ignore_errors=True)


# ---------------------------------------------------------------------------------------------------- MMPose

_MMPOSE_IDS = ("track_id", "instance_id")


def _mmpose_frames(value: Any) -> tuple[tuple, list] | None:
    """Path to the list of frames and the list, or None where this is no MMPose prediction."""
    path: tuple = ()
    if isinstance(value, dict) and isinstance(value.get("instance_info"), list):
        path, value = ("instance_info",), value["instance_info"]
    if not isinstance(value, list) or not all(isinstance(item, dict | list) for item in value):
        return None
    if path:
        return path, value
    for item in value:
        if isinstance(item, dict) and isinstance(item.get("instances"), list) and "frame_id" in item:
            return path, value
        if isinstance(item, list) and item and isinstance(item[0], dict) and "keypoints" in item[0]:
            return path, value
    return None


def detect_mmpose(path: Path) -> bool:
    return path.suffix.lower() == ".json" and path.is_file() and _mmpose_frames(read_document(path).value) is not None


def read_mmpose(path: Path, **_) -> Recording:
    document = read_document(path)
    found = _mmpose_frames(document.value)
    if found is None:
        raise SmoothNetError(
            f'{path} is not an MMPose prediction: it needs "instance_info" or a list of frames with "instances"'
        )
    prefix, items = found
    detections, labels, people = [], [], []
    for index, item in enumerate(items):
        if isinstance(item, dict):
            where = f"{path}, entry {index}"
            label = item.get("frame_id", index)
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise SmoothNetError(f'{where}: "frame_id" must be a number or a name')
            people.append(((*prefix, index, "instances"), _list(item.get("instances"), f'{where}, "instances"')))
        else:
            label = index
            people.append(((*prefix, index), item))
        labels.append(label)
    frames = timeline(labels)
    for label, (base, instances) in zip(labels, people, strict=True):
        for i, instance in enumerate(instances):
            where = f"{path}, frame {label}, instance {i}"
            instance = _object(instance, where)
            if "keypoints" not in instance:
                raise SmoothNetError(f'{where} has no "keypoints"')
            table = _numbers(instance["keypoints"], f"{where}, keypoints")
            if table.size == 0:
                continue
            if table.ndim == 3 and table.shape[0] == 1:
                table = table[0]
            if table.ndim != 2 or table.shape[1] not in (2, 3, 4):
                raise SmoothNetError(f"{where}: keypoints must be a list of [x, y] or [x, y, z]")
            stride = table.shape[1]
            scores = instance.get("keypoint_scores")
            # MMPose 0.x puts the score behind the coordinates; 1.x keeps it apart.
            dims = stride if scores is not None else {2: 2, 3: 2, 4: 3}[stride]
            if scores is not None:
                score = _numbers(scores, f"{where}, keypoint_scores").reshape(-1, 1)
                if len(score) != len(table):
                    raise SmoothNetError(f"{where}: {len(table)} keypoints but {len(score)} keypoint_scores")
                table = np.hstack([table[:, :3], score])
            points, score = _split_scores(table, min(dims, 3))
            slot = Slot(0, (*base, i, "keypoints"), slice(0, len(points)), stride)
            id = next((instance[key] for key in _MMPOSE_IDS if instance.get(key) is not None), None)
            id = id if isinstance(id, int | str) and id != -1 else None
            detections.append(Detection(frames[label], id, {f"{points.shape[1]}D": (points, score, [slot])}))
    count = max(frames.values(), default=-1) + 1
    return Recording(
        path, "mmpose", make_tracks(path, detections), count, names=_mmpose_names(document), source=[document]
    )


def _mmpose_names(document: Document) -> tuple[str, ...] | None:
    meta = document.value.get("meta_info") if isinstance(document.value, dict) else None
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(names, dict) and all(key.isdigit() for key in names):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return None


# ------------------------------------------------------------------------------------ AlphaPose, COCO results


def _result_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and {"image_id", "keypoints"} <= value[0].keys()
    )


def _is_alphapose(value: list) -> bool:
    """AlphaPose names the picture and adds `box` and `idx` of late; COCO has a number and neither."""
    return isinstance(value[0].get("image_id"), str) or bool({"idx", "box"} & value[0].keys())


def detect_alphapose(path: Path) -> bool:
    value = read_document(path).value if path.suffix.lower() == ".json" and path.is_file() else None
    return _result_list(value) and _is_alphapose(value)


def detect_coco(path: Path) -> bool:
    value = read_document(path).value if path.suffix.lower() == ".json" and path.is_file() else None
    return _result_list(value) and not _is_alphapose(value)


def _scalar_id(id: Any) -> Hashable | None:
    """AlphaPose writes `idx` as a number, as text or, with its tracker, as nested lists of numbers."""
    while isinstance(id, list):
        id = id[0] if id else None
    return id if isinstance(id, int | float | str) and not isinstance(id, bool) else None


def _read_results(path: Path, name: str, id_keys: tuple[str, ...]) -> Recording:
    document = read_document(path)
    results = _list(document.value, str(path))
    labels = []
    for index, result in enumerate(results):
        label = _object(result, f"{path}, result {index}").get("image_id")
        if isinstance(label, bool) or not isinstance(label, int | float | str):
            raise SmoothNetError(f'{path}, result {index}: "image_id" must be a number or a name')
        labels.append(label)
    frames = timeline(labels)
    detections = []
    for index, (label, result) in enumerate(zip(labels, results, strict=True)):
        where = f"{path}, result {index} (image {label}), keypoints"
        numbers = _numbers(_list(result.get("keypoints"), where), where)
        if numbers.ndim != 1 or numbers.size % 3:
            raise SmoothNetError(f"{where}: must be x1, y1, score1, x2, ...; got shape {numbers.shape}")
        if not numbers.size:
            continue
        points, scores = _split_scores(numbers.reshape(-1, 3), 2)
        slot = Slot(0, (index, "keypoints"), slice(0, len(points)), 3)
        id = next((_scalar_id(result[key]) for key in id_keys if result.get(key) is not None), None)
        detections.append(Detection(frames[label], id, {"2D": (points, scores, [slot])}))
    count = max(frames.values(), default=-1) + 1
    return Recording(path, name, make_tracks(path, detections), count, source=[document])


def read_alphapose(path: Path, **_) -> Recording:
    return _read_results(path, "alphapose", ("idx",))


def read_coco(path: Path, **_) -> Recording:
    return _read_results(path, "coco", ("track_id",))
