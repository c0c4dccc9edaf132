# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Ultralytics pose results: Results.to_json, Results.to_csv and the labels folder of save_txt.

to_json: a list of detections, {"name", "class", "confidence", "box", "track_id", "keypoints": {"x": [...], "y": [...],
"visible": [...]}}, for each frame; to_csv: the same with an object of Python in the cells of box and keypoints;
save_txt: a file NAME_FRAME.txt a frame, a line a detection: class, box x y w h, x y (score) of each keypoint, all
relative to the picture, then the confidence with save_conf and the number of the track with model.track. Where the
facts come from: the reference pages of ultralytics.engine.results. A keypoint at 0, 0 was not found.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from .detections import Detection, make_tracks
from .documents import Slot, Spanned, as_object, frame_files
from .frames import Person, points_of, read_frames, sniff_frames
from .recording import Recording
from .spans import Cell, cells_of, number_spans
from .tables import label_in, number_in, read_lines
from .timeline import check_one_sequence, timeline

_LISTS = ("results", "detections", "predictions", "people", "persons", "objects", "instances")
_FRAMES = ("frame", "frame_id", "frame_idx", "frame_index", "frame_number", "image", "image_id", "image_path", "path")


# ------------------------------------------------------------------------------------------------------- JSON


def people(value: Any, where: str) -> list[Person] | None:
    """Who is in the results of one frame; see `frames.People`."""
    path: tuple = ()
    if isinstance(value, dict) and not _is_detection(value):
        key = next((key for key in _LISTS if isinstance(value.get(key), list)), None)
        if key is None:
            return None
        path, value = (key,), value[key]
    if isinstance(value, dict):
        return _persons([((), value)], where)
    if not isinstance(value, list) or not all(_is_detection(item) for item in value):
        return None
    return _persons([((*path, i), item) for i, item in enumerate(value)], where)


def _is_detection(value: Any) -> bool:
    return isinstance(value, dict) and (
        _has_points(value) or ("keypoints" not in value and {"name", "class", "box"} <= value.keys())
    )


def _has_points(value: dict) -> bool:
    return isinstance(value.get("keypoints"), dict) and {"x", "y"} <= value["keypoints"].keys()


def _persons(detections: list[tuple[tuple, dict]], where: str) -> list[Person]:
    persons = []
    for path, detection in detections:
        if not _has_points(detection) or not detection["keypoints"]["x"]:
            continue
        keypoints = detection["keypoints"]
        score = "visible" if keypoints.get("visible") else None
        found = points_of(keypoints, (*path, "keypoints"), "2D", ("x", "y"), score, f"{where}, keypoints")
        found.points[~found.points.any(axis=1)] = np.nan
        persons.append(Person(_track(detection.get("track_id")), [found]))
    return persons


def _track(id: Any) -> int | str | None:
    id = int(id) if isinstance(id, float) and id.is_integer() else id
    return id if isinstance(id, int | str) and not isinstance(id, bool) else None


def sniff_ultralytics(path: Path) -> bool:
    if path.suffix.lower() == ".csv" and path.is_file():
        return _is_csv(path)
    if path.is_dir() and not any(path.glob("*.json")):
        files = frame_files(path, ".txt")
        return bool(files) and _first_label(files) is not None
    return sniff_frames(path, people)


def read_ultralytics(path: Path, dims: int | None = None, **_: Any) -> Recording:
    if path.is_file() and path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.is_dir() and not any(path.glob("*.json")):
        return _read_labels(path, dims)
    return read_frames(path, "ultralytics", people, 'Ultralytics results (detections with "keypoints": {"x", "y"})')


# -------------------------------------------------------------------------------------------------------- csv


def _is_csv(path: Path) -> bool:
    with path.open("rb") as file:
        first, second = file.readline(4096), file.readline(65536)
    names = [cell.strip(' "') for cell in first.decode("utf-8", "replace").lstrip("\ufeff").strip().split(",")]
    return {"keypoints", "box"} <= set(names) and re.search(rb"\{'x': *\[", second) is not None


def _read_csv(path: Path) -> Recording:
    lines = read_lines(path)
    text = "".join(lines)
    header: list[str] = []
    rows: list[tuple[dict[str, Cell], int]] = []  # cells by name, and how many headers came before
    headers = 0
    for line, start in zip(lines, np.cumsum([0, *map(len, lines)]).tolist(), strict=False):
        cells = cells_of(line, ",", start)
        names = [cell.text.strip(' "') for cell in cells]
        if "keypoints" in names:  # results that were appended one after the other have one each
            header, headers = [name.lstrip("\ufeff") for name in names], headers + 1
        elif line.strip():
            if len(cells) != len(header):
                raise SmoothNetError(f"{path}: {len(cells)} cells in a row where the header has {len(header)}")
            rows.append((dict(zip(header, cells, strict=True)), headers))
    if not header:
        raise SmoothNetError(f"{path} has no column keypoints, as Results.to_csv writes one")
    labels = _csv_frames(path, header, rows, headers)
    numbers = timeline(labels)
    detections: list[Detection] = []
    spans: list[np.ndarray] = []
    total = 0  # numbers in the cells so far
    for label, (row, _) in zip(labels, rows, strict=True):
        cell = row["keypoints"]
        if not cell.text.strip(' "'):
            continue
        where = f"{path}, frame {label}, keypoints"
        persons = _persons([((), {"keypoints": _literal(cell.text, where)})], where)
        if not persons:
            continue
        (found,) = persons[0].parts
        places = _axis_places(cell, len(found.points), where)
        slot = Slot(0, places + total, slice(0, len(found.points)), 2)
        spans.append(number_spans(cell))
        total += len(spans[-1])
        said = row["track_id"].text.strip(' "') if "track_id" in row else ""
        id = _track(float(said)) if number_in(said) is not None else said or None
        detections.append(Detection(numbers[label], id, {"2D": (found.points, found.scores, [slot])}))
    source = [Spanned(path, text, np.concatenate(spans) if spans else np.zeros((0, 2), np.int64))]
    count = max(numbers.values(), default=-1) + 1
    left_alone = ["box"] if "box" in header else []
    return Recording(path, "ultralytics", make_tracks(path, detections), count, source=source, left_alone=left_alone)


def _literal(text: str, where: str) -> dict:
    try:
        value = ast.literal_eval(text.strip().strip('"').replace("nan", "None"))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise SmoothNetError(f"{where} is not an object with x and y") from error
    return as_object(value, where)


def _axis_places(cell: Cell, joints: int, where: str) -> np.ndarray:
    """(joints, 2): which of the numbers of the cell are x and y of each joint."""
    starts = number_spans(cell)[:, 0] - cell.start
    places = []
    for axis in "xy":
        match = re.search(rf"'{axis}': *\[([^\]]*)\]", cell.text)
        first, last = match.span(1) if match else (0, 0)
        inside = np.flatnonzero((starts >= first) & (starts < last))
        if len(inside) != joints:
            raise SmoothNetError(f"{where}: there must be as many {axis} as joints, {joints}, all of them numbers")
        places.append(inside)
    return np.stack(places, axis=1)


def _csv_frames(
    path: Path, header: list[str], rows: list[tuple[dict[str, Cell], int]], headers: int
) -> list[int | str]:
    """The frame of each row: a column of that name, the header before it, or where the index begins anew."""
    column = next((name for name in _FRAMES if name in header), None)
    if column is not None:
        texts = [row[column].text.strip(' "') for row, _ in rows]
        return [label_in(text) for text in texts]
    if headers > 1:
        return [number for _, number in rows]
    index = [row[header[0]].text.strip(' "') for row, _ in rows] if header[0] == "" else []
    if not index or index == [str(i) for i in range(len(index))]:
        if len(rows) == 1 or len({row["track_id"].text for row, _ in rows} if "track_id" in header else "") == len(
            rows
        ):
            return [0] * len(rows)  # the people of one picture
        raise SmoothNetError(
            f"{path} does not say which frame its rows are of; add a column when saving: "
            'pandas.concat([r.to_df().assign(frame=i) for i, r in enumerate(results)]).to_csv("poses.csv")'
        )
    return np.cumsum([number == "0" for number in index]).tolist()


# ----------------------------------------------------------------------------------------------------- labels


def _first_label(files: list[Path]) -> list[str] | None:
    """The numbers of the first detection, None where it is no line of save_txt."""
    for file in files[:50]:
        with file.open("rb") as stream:
            words = stream.readline(65536).decode("utf-8", "replace").split()
        if words:
            numbers = [number_in(word) for word in words]
            fits = len(words) >= 5 + 2 and None not in numbers and words[0].isdigit()
            return words if fits and all(0 <= (n or 0.0) <= 1.001 for n in numbers[1:5]) else None
    return None


def _read_labels(path: Path, dims: int | None) -> Recording:
    files = frame_files(path, ".txt")
    if not files:
        raise SmoothNetError(f"{path} holds no .txt file; save_txt=True writes one a frame into labels/")
    check_one_sequence(path, files)
    numbers = timeline([file.name for file in files])
    documents, lines = [], []
    for index, file in enumerate(files):
        rows: list[tuple[int, list[str]]] = []
        spans: list[tuple[int, int]] = []
        text = "".join(read_lines(file))
        for match in re.finditer(r"[^\r\n]+", text):
            words = [(m.start() + match.start(), m.end() + match.start()) for m in re.finditer(r"\S+", match[0])]
            if words:
                rows.append((len(spans), [text[a:b] for a, b in words]))
                spans += words
        documents.append(Spanned(file, text, np.array(spans, np.int64).reshape(-1, 2)))
        for first, texts in rows:
            try:
                values = np.array([float(text) for text in texts])
            except ValueError:
                values = np.empty(0)
            if len(values) < 7:
                raise SmoothNetError(f"{file}: a line of save_txt has class, box (x y w h) and keypoints, all numbers")
            lines.append((index, first, values))
    by_length: dict[int, list[np.ndarray]] = defaultdict(list)
    for _, _, values in lines:
        by_length[len(values)].append(values)
    forms = {length: _label_form(path, np.stack(rows), dims) for length, rows in by_length.items()}
    detections = []
    for index, first, values in lines:
        joints, stride, tracked = forms[len(values)]
        table = values[5 : 5 + joints * stride].reshape(joints, stride)
        points = table[:, :2].copy()
        points[~points.any(axis=1)] = np.nan
        places = first + 5 + np.arange(joints * stride).reshape(joints, stride)
        scores = table[:, 2].copy() if stride == 3 else None
        parts = {"2D": (points, scores, [Slot(index, places, slice(0, joints), stride)])}
        detections.append(
            Detection(
                numbers[files[index].name], int(values[-1]) if tracked and np.isfinite(values[-1]) else None, parts
            )
        )
    count = max(numbers.values()) + 1
    return Recording(path, "ultralytics", make_tracks(path, detections), count, source=documents, left_alone=["box"])


def _label_form(path: Path, rows: np.ndarray, dims: int | None) -> tuple[int, int, bool]:
    """(joints, numbers a joint, whether the last number is a track's) of lines of one length (N, numbers).

    Keypoints lie in their box or near it; the reading that puts them there is taken, and among those that do as well
    the one with scores.
    """
    width = rows.shape[1] - 5
    options = []
    for stride in (3, 2):
        for confidence in (0, 1):
            for track in (0, 1):
                joints, rest = divmod(width - confidence - track, stride)
                if joints < 1 or rest:
                    continue
                ends = rows[:, rows.shape[1] - 1]
                if track and not ((ends == np.round(ends)) & (ends >= 1)).all():
                    continue
                table = rows[:, 5 : 5 + joints * stride].reshape(len(rows), joints, stride)
                likely = _in_box(table[..., :2], rows[:, 1:5])
                if stride == 3 and ((table[..., 2] < 0) | (table[..., 2] > 1.001)).any():
                    continue
                conf = rows[:, 5 + joints * stride] if confidence else np.zeros(1)
                if ((conf < 0) | (conf > 1)).any():
                    continue
                options.append((round(likely, 2), stride, track, (joints, stride, bool(track))))
    if not options:
        raise SmoothNetError(f"{path}: lines of {rows.shape[1]} numbers are none of save_txt with keypoints")
    return max(options)[-1]


def _in_box(points: np.ndarray, boxes: np.ndarray) -> float:
    """The share of points (N, joints, 2) that lie in their box (x y w h), or less than a quarter of it outside."""
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(points - boxes[:, None, :2]) / np.maximum(boxes[:, None, 2:], 1e-9)
    found = points.any(axis=2)
    return float((off[found] < 0.75).all(axis=1).mean()) if found.any() else 0.0
