# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A small file of every tool's form, as its documentation describes it.

`python tests/tool_samples.py FOLDER` makes all of them.

No output of the tools themselves; each function names what it follows. The people in them walk and tremble.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np

FRAMES = 12


def walk(joints: int, dims: int, scale: float = 1.0, seed: int = 0, frames: int = FRAMES) -> np.ndarray:
    """(frames, joints, dims) of somebody on the way from left to right, with trembling."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(0.2, 0.8, size=(joints, dims))
    way = np.linspace(0, 0.2, frames)[:, None, None] * np.eye(dims)[0]
    return scale * (body + way + rng.normal(scale=0.004, size=(frames, joints, dims)))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


# ------------------------------------------------------------------------------------------------ Ultralytics
# docs.ultralytics.com/reference/engine/results: Results.summary, to_json, to_csv, save_txt


def _yolo_frames(joints: int = 17) -> list[list[dict]]:
    frames = []
    bodies = [walk(joints, 2, 400, seed) + 300 * seed for seed in (1, 2)]
    for t in range(FRAMES):
        people = []
        for number, body in enumerate(bodies):
            if t == 5 and number == 1:
                continue
            xy = body[t].copy()
            visible = np.linspace(0.99, 0.6, joints)
            if t == 3:
                xy[4], visible[4] = 0, 0.1
            low, high = body[t].min(axis=0), body[t].max(axis=0)
            people.append({
                "name": "person", "class": 0, "confidence": round(0.9 - 0.01 * t, 5),
                "box": dict(zip(("x1", "y1", "x2", "y2"), map(float, np.round([*low, *high], 5)), strict=True)),
                "track_id": number + 1,
                "keypoints": {"x": xy[:, 0].round(5).tolist(), "y": xy[:, 1].round(5).tolist(),
                              "visible": visible.round(5).tolist()},
            })  # fmt: skip
        frames.append(people if t % 2 else people[::-1])
    return frames


def ultralytics_list(folder: Path) -> Path:
    """json.dump([json.loads(r.to_json()) for r in results], file)"""
    return write(folder / "yolo.json", json.dumps(_yolo_frames(), indent=2))


def ultralytics_flat(folder: Path) -> Path:
    """All detections in one list, with the frame that people add."""
    flat = [{"frame": t, **person} for t, people in enumerate(_yolo_frames()) for person in people]
    return write(folder / "flat.json", json.dumps(flat))


def ultralytics_lines(folder: Path) -> Path:
    """print(json.dumps(json.loads(r.to_json()))) a frame"""
    return write(folder / "yolo.jsonl", "".join(json.dumps(people) + "\n" for people in _yolo_frames()))


def ultralytics_folder(folder: Path) -> Path:
    """A file of r.to_json() a frame."""
    for t, people in enumerate(_yolo_frames()):
        write(folder / "results" / f"frame_{t:04d}.json", json.dumps(people, indent=2))
    return folder / "results"


def ultralytics_csv(folder: Path) -> Path:
    """pandas.concat([r.to_df() for r in results]).to_csv(): the index begins anew with each frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ["name", "class", "confidence", "box", "track_id", "keypoints"]
    writer.writerow(["", *names])
    for people in _yolo_frames():
        for index, person in enumerate(people):
            writer.writerow([index, *(person[name] for name in names)])
    return write(folder / "yolo.csv", text.getvalue())


def _labels(folder: Path, conf: bool, track: bool, scores: bool = True) -> Path:
    for t, people in enumerate(_yolo_frames()):
        lines = []
        for person in people:
            keypoints, box = person["keypoints"], person["box"]
            xy = np.array([keypoints["x"], keypoints["y"]]).T / [1280, 960]
            low, high = np.array([box["x1"], box["y1"]]) / [1280, 960], np.array([box["x2"], box["y2"]]) / [1280, 960]
            table = np.column_stack([xy, keypoints["visible"]]) if scores else xy
            values = [0, *(low + high) / 2, *(high - low), *table.ravel(), *([person["confidence"]] if conf else [])]
            lines.append(" ".join(f"{value:g}" for value in [*values, *([person["track_id"]] if track else [])]))
        write(folder / "labels" / f"walk_{t + 1}.txt", "\n".join(lines) + "\n")
    return folder / "labels"


def ultralytics_labels(folder: Path) -> Path:
    """model.track(save_txt=True, save_conf=True)"""
    return _labels(folder, conf=True, track=True)


def ultralytics_labels_plain(folder: Path) -> Path:
    """model.predict(save_txt=True) of a model whose keypoints have no scores"""
    return _labels(folder, conf=False, track=False, scores=False)


# -------------------------------------------------------------------------------------------------- MediaPipe
# ai.google.dev/edge/mediapipe/solutions/vision: results of PoseLandmarker, HandLandmarker, FaceLandmarker


def _landmarks(points: np.ndarray, visible: float | None = 0.98) -> list[dict]:
    return [
        {"x": x, "y": y, "z": z, **({} if visible is None else {"visibility": visible, "presence": 0.99})}
        for x, y, z in points.tolist()
    ]


def mediapipe_pose(folder: Path) -> Path:
    """json.dump of dataclasses.asdict(result) a frame, beside the frame's time; nobody in frame 4."""
    image, world = walk(33, 3, 1.0, 3), walk(33, 3, 1.5, 4)
    frames = [
        {"frame": t, "timestamp_ms": 33 * t, "pose_landmarks": [] if t == 4 else [_landmarks(image[t])],
         "pose_world_landmarks": [] if t == 4 else [_landmarks(world[t])], "segmentation_masks": None}
        for t in range(FRAMES)
    ]  # fmt: skip
    return write(folder / "pose.json", json.dumps({"fps": 30, "frames": frames}))


def mediapipe_hands(folder: Path) -> Path:
    """Lines of the JavaScript result; the hands change places."""
    hands = {name: (walk(21, 3, 0.3, s), walk(21, 3, 0.1, s + 10)) for s, name in enumerate(("Left", "Right"), 5)}
    lines = []
    for t in range(FRAMES):
        order = ("Left", "Right") if t % 3 else ("Right", "Left")
        lines.append(json.dumps({
            "landmarks": [_landmarks(hands[name][0][t], None) for name in order],
            "worldLandmarks": [_landmarks(hands[name][1][t], None) for name in order],
            "handedness": [[{"score": 0.97, "index": 0, "categoryName": name, "displayName": name}] for name in order],
        }))  # fmt: skip
    return write(folder / "hands.jsonl", "\n".join(lines) + "\n")


def mediapipe_face(folder: Path) -> Path:
    """A file a frame, faces with blendshapes and matrices."""
    face = walk(478, 3, 0.5, 8, 6)
    for t, points in enumerate(face):
        value = {
            "face_landmarks": [_landmarks(points, None)],
            "face_blendshapes": [[{"index": 0, "score": 0.25, "category_name": "_neutral"}]],
            "facial_transformation_matrixes": [np.eye(4).tolist()],
        }
        write(folder / "faces" / f"face_{t:03d}.json", json.dumps(value))
    return folder / "faces"


def mediapipe_holistic(folder: Path) -> Path:
    """MessageToDict of the Holistic solution."""
    parts = {"pose_landmarks": walk(33, 3, 1, 9), "left_hand_landmarks": walk(21, 3, 0.2, 10),
             "face_landmarks": walk(468, 3, 0.3, 11)}  # fmt: skip
    frames = [{key: {"landmark": _landmarks(p[t])} for key, p in parts.items()} for t in range(FRAMES)]
    for t in (2, 3):
        frames[t]["left_hand_landmarks"] = None
    return write(folder / "holistic.json", json.dumps(frames))


def mediapipe_long(folder: Path) -> Path:
    """A row a landmark, with its name, image and world coordinates; landmark 7 is away in frame 4."""
    image, world = walk(33, 3, 1, 3), walk(33, 3, 1.5, 4)
    rows = ["frame,timestamp_ms,landmark_id,landmark,x,y,z,visibility,x_world,y_world,z_world"]
    for t in range(FRAMES):
        for k in range(33):
            if (t, k) != (4, 7):
                numbers = [*image[t, k], 0.9, *world[t, k]]
                rows.append(f"{t},{33 * t},{k},LANDMARK_{k}," + ",".join(f"{value:.6f}" for value in numbers))
    return write(folder / "long.csv", "\n".join(rows) + "\n")


def mediapipe_hands_long(folder: Path) -> Path:
    hands = {name: walk(21, 3, 0.3, seed) for seed, name in enumerate(("Left", "Right"), 5)}
    rows = ["frame;hand;landmark;x;y;z"]
    for t in range(FRAMES):
        for name, hand in hands.items():
            rows += [f"{t};{name};{k};" + ";".join(f"{value:.5f}" for value in hand[t, k]) for k in range(21)]
    return write(folder / "hands.csv", "\n".join(rows) + "\n")


def mediapipe_wide(folder: Path) -> Path:
    """A row a frame."""
    image, world = walk(33, 3, 1, 3), walk(33, 3, 1.5, 4)
    names = [f"LANDMARK{k}_{a}" for k in range(33) for a in ("x", "y", "z", "visibility")]
    names += [f"LANDMARK{k}_world_{a}" for k in range(33) for a in "xyz"]
    rows = [",".join(["frame", *names])]
    for t in range(FRAMES):
        numbers = [*np.column_stack([image[t], np.full(33, 0.9)]).ravel(), *world[t].ravel()]
        rows.append(",".join([str(t), *(f"{value:.6f}" for value in numbers)]))
    return write(folder / "wide.csv", "\n".join(rows) + "\n")


# --------------------------------------------------------------------------------------------- MMPose, Sapiens
# mmpose.readthedocs.io: user_guides/inference, "pred_out_dir"


def _instances(joints: int, t: int) -> list[dict]:
    people = []
    for seed in (1, 2):
        xy = walk(joints, 2, 300, seed)[t] + 400 * seed
        people.append({
            "keypoints": xy.tolist(), "keypoint_scores": np.linspace(0.9, 0.3, joints).tolist(),
            "bbox": [[*xy.min(axis=0).tolist(), *xy.max(axis=0).tolist()]], "bbox_score": 0.9,
        })  # fmt: skip
    return people[:: 1 if t % 2 else -1]


def mmpose_images(folder: Path) -> Path:
    """MMPoseInferencer over a folder of pictures: predictions/NAME.json each."""
    for t in range(FRAMES):
        write(folder / "predictions" / f"{t:06d}.json", json.dumps(_instances(17, t), indent="\t"))
    return folder / "predictions"


def mmpose_image(folder: Path) -> Path:
    """One picture."""
    return write(folder / "demo.json", json.dumps(_instances(133, 0)))


def sapiens(folder: Path) -> Path:
    """Whole bodies (133), a file a frame; the first shows nobody."""
    for t in range(FRAMES):
        value = {"meta_info": {"dataset_name": "coco_wholebody"}, "instance_info": _instances(133, t) if t else []}
        write(folder / "sapiens" / f"{t:06d}.json", json.dumps(value))
    return folder / "sapiens"


# ----------------------------------------------------------------------------------------------------- our own


def stream_lines(folder: Path) -> Path:
    """What smooth - --stream takes: several people, one without anybody, a note that stays."""
    bodies = walk(17, 3, 1, 1), walk(17, 3, 1, 2) + 3
    lines = []
    for t in range(FRAMES):
        people = [{"id": n, "keypoints": b[t].round(4).tolist(), "scores": [0.9] * 17} for n, b in enumerate(bodies)]
        lines.append(json.dumps({"people": [] if t == 4 else people, "time": 0.5 * t, "note": "1.5, [2]"}))
    return write(folder / "live.jsonl", "\r\n".join(lines) + "\r\n\r\n")


def stream_bare(folder: Path) -> Path:
    lines = [json.dumps(points.tolist()) for points in walk(5, 2, 100, 1)]
    lines[3] = "[]"
    lines[4] = "null"
    return write(folder / "bare.jsonl", "\n".join(lines))


# -------------------------------------------------------------------------------------------- SLEAP and others
# sleap.ai: "Export Analysis CSV"; sleap-io, movement


def sleap_csv(folder: Path) -> Path:
    """A row an animal, two tracks."""
    nodes = ("head", "thorax", "abdomen")
    rows = ["track,frame_idx,instance.score," + ",".join(f"{n}.x,{n}.y,{n}.score" for n in nodes)]
    bodies = [walk(3, 2, 200, seed) + 300 * seed for seed in (1, 2)]
    for t in range(FRAMES):
        for track, body in enumerate(bodies):
            cells = [f"{x:.4f},{y:.4f},0.9" for x, y in body[t]]
            if (t, track) == (6, 1):
                cells[2] = ",,"
            rows.append(f"track_{track},{t},0.95," + ",".join(cells))
    return write(folder / "sleap.csv", "\n".join(rows) + "\n")


SAMPLES = {  # function -> the format it is told to be
    ultralytics_list: "ultralytics",
    ultralytics_flat: "ultralytics",
    ultralytics_lines: "ultralytics",
    ultralytics_folder: "ultralytics",
    ultralytics_csv: "ultralytics",
    ultralytics_labels: "ultralytics",
    ultralytics_labels_plain: "ultralytics",
    mediapipe_pose: "mediapipe",
    mediapipe_hands: "mediapipe",
    mediapipe_face: "mediapipe",
    mediapipe_holistic: "mediapipe",
    mediapipe_long: "long-csv",
    mediapipe_hands_long: "long-csv",
    mediapipe_wide: "csv",
    mmpose_images: "mmpose",
    mmpose_image: "mmpose",
    sapiens: "mmpose",
    sleap_csv: "long-csv",
    stream_lines: "jsonl",
    stream_bare: "jsonl",
}


if __name__ == "__main__":
    for make in SAMPLES:
        print(make(Path(sys.argv[1]) / make.__name__))
