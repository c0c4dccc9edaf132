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


def sleap_analysis(folder: Path) -> Path:
    """sleap-convert --format analysis, in MATLAB's order of axes."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    tracks = np.stack([walk(3, 2, 200, seed) for seed in (1, 2)])  # tracks, frames, nodes, xy
    tracks[1, 4] = np.nan
    scores = np.full((2, FRAMES, 3), 0.75)
    with h5py.File(folder / "analysis.h5", "w") as file:
        file["node_names"] = np.array([b"head", b"thorax", b"abdomen"])
        file["track_names"] = np.array([b"female", b"male"])
        file["track_occupancy"] = np.isfinite(tracks[..., 0, 0]).T.astype("u1")
        file.create_dataset("tracks", data=tracks.transpose(0, 3, 2, 1), compression="gzip")
        file["point_scores"] = scores.transpose(0, 2, 1)
        file["instance_scores"] = scores[..., 0]
    return folder / "analysis.h5"


def sleap_labels(folder: Path) -> Path:
    """A .slp of predictions with one instance that a person corrected, in the tables that sleap-io documents."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    bodies = [walk(3, 2, 200, seed) + 300 * seed for seed in (1, 2)]
    instances, frames, points = [], [], {0: [], 1: []}
    for t in range(FRAMES):
        first = len(instances)
        for track, body in enumerate(bodies):
            kinds = (1, 0) if (t, track) == (3, 0) else (1,)
            for kind in kinds:
                start = len(points[kind])
                for k, (x, y) in enumerate(body[t] + (0.5 if kind == 0 else 0)):
                    gone = (t, k) == (5, 2)
                    points[kind].append(
                        (np.nan if gone else x, np.nan if gone else y, not gone, False, 0.9)[: 5 if kind else 4]
                    )
                instances.append((len(instances), kind, t, 0, track, -1, 0.9, start, start + 3, 0.0))
        frames.append((t, 0, 2 * t, first, len(instances)))
    point = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
    of_frames = [("frame_id", "u8"), ("video", "u4"), ("frame_idx", "u8"), ("instance_id_start", "u8"),
                 ("instance_id_end", "u8")]  # fmt: skip
    of_instances = [("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"), ("skeleton", "u4"),
                    ("track", "i4"), ("from_predicted", "i8"), ("score", "f4"), ("point_id_start", "u8"),
                    ("point_id_end", "u8"), ("tracking_score", "f4")]  # fmt: skip
    nodes = [{"name": name, "weight": 1.0} for name in ("head", "thorax", "abdomen")]
    skeleton = {"directed": True, "graph": {"name": "fly", "num_edges_inserted": 0}, "links": [], "multigraph": True,
                "nodes": [{"id": i} for i in range(3)]}  # fmt: skip
    metadata = {"version": "2.0.0", "skeletons": [skeleton], "nodes": nodes, "videos": [], "tracks": [],
                "suggestions": [], "negative_anchors": {}, "provenance": {}}  # fmt: skip
    video = {"filename": "flies.mp4", "backend": {"filename": "flies.mp4", "type": "MediaVideo", "grayscale": True}}
    with h5py.File(folder / "flies.slp", "w") as file:
        group = file.create_group("metadata")
        group.attrs["format_id"] = 1.2
        group.attrs["json"] = np.bytes_(json.dumps(metadata))
        file["videos_json"] = np.array([json.dumps(video)], dtype="S")
        file["tracks_json"] = np.array([json.dumps([0, name]) for name in ("female", "male")], dtype="S")
        file["suggestions_json"] = np.array([], dtype="S1")
        file["frames"] = np.array(frames, of_frames)
        file["instances"] = np.array(instances, of_instances)
        file["points"] = np.array(points[0], point)
        file["pred_points"] = np.array(points[1], [*point, ("score", "f8")])
    return folder / "flies.slp"


def movement_netcdf(folder: Path) -> Path:
    """ds.to_netcdf(...) of movement: position (time, space, keypoints, individuals), confidence beside it."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    poses = np.stack([walk(3, 2, 200, seed) for seed in (1, 2)], axis=-1).transpose(0, 2, 1, 3)
    poses[4, :, 1, 0] = np.nan
    scales = {"time": np.arange(FRAMES) / 50, "space": ["x", "y"], "keypoints": ["nose", "back", "tail"],
              "individuals": ["one", "two"]}  # fmt: skip
    with h5py.File(folder / "mice.nc", "w") as file:
        file.attrs["fps"], file.attrs["ds_type"] = 50.0, "poses"
        for name, values in scales.items():
            texts = isinstance(values, list)
            file.create_dataset(name, data=values, dtype=h5py.string_dtype() if texts else "f8").make_scale(name)
        for name, data, axes in (("position", poses, scales), ("confidence", np.full((FRAMES, 3, 2), 0.5), scales)):
            dataset = file.create_dataset(name, data=data)
            for i, axis in enumerate(axis for axis in axes if name == "position" or axis != "space"):
                dataset.dims[i].attach_scale(file[axis])
    return folder / "mice.nc"


def lightning_pose(folder: Path) -> Path:
    """predictions.csv: DeepLabCut's header with a scorer of its own."""
    return _three_rows(folder / "lightning.csv", "heatmap_tracker", ("x", "y", "likelihood"))


def eks(folder: Path) -> Path:
    """The ensemble Kalman smoother's csv: variances beside x and y."""
    extra = ("x_ens_median", "y_ens_median", "x_ens_var", "y_ens_var", "x_posterior_var", "y_posterior_var")
    return _three_rows(folder / "eks.csv", "ensemble-kalman_tracker", ("x", "y", "likelihood", *extra))


def _three_rows(path: Path, scorer: str, coords: tuple[str, ...]) -> Path:
    parts = ("paw", "nose")
    head = [("scorer", [scorer] * len(coords) * 2), ("bodyparts", [p for p in parts for _ in coords]),
            ("coords", [*coords, *coords])]  # fmt: skip
    rows = [",".join([name, *cells]) for name, cells in head]
    for t, points in enumerate(walk(2, 2, 200)):
        numbers = [n for xy in points for n in (*xy, 0.95, *range(len(coords) - 3))]
        rows.append(",".join([str(t), *map(str, numbers)]))
    return write(path, "\n".join(rows) + "\n")


def anipose(folder: Path) -> Path:
    """pose-3d/*.csv: x, y, z, error, cameras and score of each joint, the transform, the frame."""
    names = [f"{joint}_{what}" for joint in ("wrist", "elbow") for what in ("x", "y", "z", "error", "ncams", "score")]
    names += [f"M_{i}{j}" for i in range(3) for j in range(3)] + ["center_0", "center_1", "center_2", "fnum"]
    rows = [",".join(names)]
    for t, points in enumerate(walk(2, 3, 50)):
        numbers = [n for xyz in points for n in (*xyz, 1.5, 3, 0.9)]
        rows.append(",".join(map(str, [*numbers, *np.eye(3).ravel(), 0.0, 0.0, 0.0, t])))
    return write(folder / "anipose.csv", "\n".join(rows) + "\n")


# ------------------------------------------------------------------------------------------------ biomechanics
# c3d.org; OpenSim's pages on .mot, .sto and .trc; Biovision's BVH; manuals of Nexus, QTM, Motive and Visual3D


def _c3d_bytes(points: np.ndarray, analog: int, order: str, whole: bool, angles: bool = True) -> bytes:
    """A .c3d of (frames, joints, 3), point 1 missing in frame 2, with analog channels."""
    frames, joints, _ = points.shape
    labels = [f"MARK{k}" for k in range(joints - 1)] + ["LKneeAngles" if angles else "LAST"]
    scale = 0.01 if whole else -1.0

    def texts(words: list[str]) -> bytes:
        return bytes([255, 2, 16, len(words)]) + b"".join(word.ljust(16).encode() for word in words)

    def number(kind: str, value: float) -> bytes:
        return bytes([{"i2": 2, "f4": 4}[kind], 0]) + np.array(value, order + kind).tobytes()

    records = [
        (-1, b"POINT", b"\0"), (1, b"USED", number("i2", joints) + b"\0"), (1, b"FRAMES", number("i2", frames) + b"\0"),
        (1, b"SCALE", number("f4", scale) + b"\0"), (1, b"RATE", number("f4", 120.0) + b"\0"),
        (1, b"LABELS", texts(labels) + b"\0"), (1, b"UNITS", bytes([255, 1, 2]) + b"mm\0"),
        *([(1, b"ANGLES", texts(["LKneeAngles"]) + b"\0")] if angles else []),
        (-2, b"ANALOG", b"\0"), (2, b"USED", number("i2", analog) + b"\0"),
        (2, b"RATE", number("f4", 120.0) + b"\0"), (2, b"LABELS", texts([f"F{k}" for k in range(analog)]) + b"\0"),
        (2, b"GEN_SCALE", number("f4", 1.0) + b"\0"),
        (2, b"SCALE", bytes([4, 1, analog]) + np.ones(analog, order + "f4").tobytes() + b"\0"),
        (2, b"OFFSET", bytes([2, 1, analog]) + np.zeros(analog, order + "i2").tobytes() + b"\0"),
    ]  # fmt: skip
    body = b""
    for group, name, content in records:
        step = np.array(len(content) + 2, order + "i2").tobytes()
        body += bytes([len(name), group % 256]) + name + step + content
    blocks = -(-(len(body) + 6) // 512)
    processor = 84 if order == "<" else 86
    parameters = (bytes([1, 0x50, blocks, processor]) + body).ljust(512 * blocks, b"\0")
    header = np.zeros(256, order + "u2")
    header[1], header[2], header[3], header[4], header[8], header[9] = joints, analog, 1, frames, 2 + blocks, 1
    raw = bytearray(header.tobytes())
    raw[0:2] = bytes([2, 0x50])
    raw[12:16], raw[20:24] = np.array(scale, order + "f4").tobytes(), np.array(120.0, order + "f4").tobytes()
    table = np.zeros((frames, joints, 4))
    table[..., :3] = points / (scale if whole else 1)
    table[2, 1] = [0, 0, 0, -1]
    words = np.concatenate([table.reshape(frames, -1), np.arange(frames * analog).reshape(frames, analog) % 99], axis=1)
    data = (np.round(words) if whole else words).astype(order + ("i2" if whole else "f4")).tobytes()
    return bytes(raw) + parameters + data


def c3d_floats(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trial.c3d").write_bytes(_c3d_bytes(walk(5, 3, 300), 3, "<", False))
    return folder / "trial.c3d"


def c3d_whole_numbers(folder: Path) -> Path:
    """Whole numbers in the order of SGI, as older systems wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "old.c3d").write_bytes(_c3d_bytes(walk(5, 3, 300), 2, ">", True, angles=False))
    return folder / "old.c3d"


def opensim_mot(folder: Path) -> Path:
    """Inverse kinematics: degrees, of which one turns past 180, and the pelvis's place."""
    angles = walk(3, 1, 40)[..., 0] + [0, 20, 0]
    angles[:, 2] = (np.linspace(150, 230, FRAMES) + 180) % 360 - 180
    places = walk(1, 3, 1)[:, 0]
    names = ["time", "pelvis_tilt", "pelvis_tx", "pelvis_ty", "pelvis_tz", "hip_flexion_r", "pelvis_rotation"]
    head = ["Coordinates", "version=1", f"nRows={FRAMES}", f"nColumns={len(names)}", "inDegrees=yes", "",
            "Units are S.I. units (second, meters, Newtons, ...)", "endheader", "\t".join(names)]  # fmt: skip
    rows = [[t / 60, angles[t, 0], *places[t], *angles[t, 1:]] for t in range(FRAMES)]
    return write(folder / "ik.mot", "\n".join(head + ["\t".join(f"{n:16.8f}" for n in row) for row in rows]) + "\n")


def opensim_states(folder: Path) -> Path:
    """States of a simulation: values beside speeds and activations, radians."""
    names = ["time", "/jointset/hip_r/hip_flexion_r/value", "/jointset/hip_r/hip_flexion_r/speed",
             "/jointset/knee_r/knee_angle_r/value",
             "/forceset/soleus_r/activation"]  # fmt: skip
    head = ["states", "version=1", f"nRows={FRAMES}", "nColumns=5", "inDegrees=no", "endheader", "\t".join(names)]
    rows = [f"{t / 100:.2f}\t{a:.8f}\t{t}.5\t{b:.8f}\t0.05" for t, (a, b) in enumerate(walk(2, 1)[..., 0])]
    return write(folder / "states.sto", "\r\n".join(head + rows) + "\r\n")


def opensim_quaternions(folder: Path) -> Path:
    """OpenSense: orientations of sensors."""
    head = ["DataRate=100.0", "DataType=Quaternion", "version=3", "OpenSimVersion=4.4", "endheader",
            "time\ttorso_imu\tpelvis_imu"]  # fmt: skip
    rows = []
    for t, vectors in enumerate(walk(2, 3, 1)):
        cells = [",".join(f"{n:.8f}" for n in _quaternion(vector)) for vector in vectors]
        rows.append("\t".join([f"{t / 100}", *cells]))
    return write(folder / "imu.sto", "\n".join(head + rows) + "\n")


def _quaternion(vector: np.ndarray) -> np.ndarray:
    """w, x, y, z of a rotation vector."""
    angle = np.linalg.norm(vector)
    return np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * vector / angle])


def bvh(folder: Path) -> Path:
    """Two joints below the root, one with another order of axes; a heading that passes 180."""
    hierarchy = """HIERARCHY
ROOT Hips
{
  OFFSET 0.00 0.00 0.00
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0.00 5.21 0.00
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Left Arm
    {
      OFFSET 1.00 5.00 0.00
      CHANNELS 6 Xposition Yposition Zposition Yrotation Xrotation Zrotation
      End Site
      {
        OFFSET 0.00 1.00 0.00
      }
    }
  }
}
MOTION
"""
    angles, root = walk(9, 1, 40)[..., 0], walk(1, 3, 100)[:, 0]
    angles[:, 2] = (np.linspace(150, 230, FRAMES) + 180) % 360 - 180
    rows = [[*root[t], *angles[t, :6], 1.0, 5.0, 0.0, *angles[t, 6:]] for t in range(FRAMES)]
    text = "\n".join(" ".join(f"{n:.6f}" for n in row) for row in rows)
    return write(folder / "walk.bvh", f"{hierarchy}Frames: {FRAMES}\nFrame Time: 0.0083333\n{text}\n")


def vicon_csv(folder: Path) -> Path:
    """Nexus: devices, then trajectories; a marker is away in frame 3."""
    rows = ["Devices", "1000", ",,Force", "Frame,Sub Frame,Fx", ",,N", "1,0,0.5", "1,1,0.6", "", "Trajectories", "100",
            ",,Bob:LFHD,,,Bob:RFHD,,,", "Frame,Sub Frame,X,Y,Z,X,Y,Z", ",,mm,mm,mm,mm,mm,mm"]  # fmt: skip
    for t, points in enumerate(walk(2, 3, 1000)):
        cells = [",,"] if t == 3 else [",".join(f"{n:.6g}" for n in points[0])]
        rows.append(",".join([str(t + 1), "0", *cells, *(f"{n:.6g}" for n in points[1])]))
    return write(folder / "nexus.csv", "\r\n".join(rows) + "\r\n\r\n")


def qualisys_tsv(folder: Path) -> Path:
    head = [f"NO_OF_FRAMES\t{FRAMES}", "NO_OF_CAMERAS\t8", "NO_OF_MARKERS\t2", "FREQUENCY\t200", "NO_OF_ANALOG\t0",
            "ANALOG_FREQUENCY\t0", "DESCRIPTION\t--", "TIME_STAMP\t2024-01-02, 10:00:00\t1.5", "DATA_INCLUDED\t3D",
            "MARKER_NAMES\tL_heel\tR_heel",
            "Frame\tTime\tL_heel X\tL_heel Y\tL_heel Z\tR_heel X\tR_heel Y\tR_heel Z"]  # fmt: skip
    rows = []
    for t, points in enumerate(walk(2, 3, 1000)):
        points[1] *= t != 3  # zeros: not seen
        rows.append("\t".join([str(t + 1), f"{t / 200:.5f}", *(f"{n:.3f}" for n in points.ravel())]))
    return write(folder / "qtm.tsv", "\r\n".join(head + rows) + "\r\n")


def motive_csv(folder: Path) -> Path:
    """A rigid body with quaternion and position, its error, and a marker."""
    rows = ["Format Version,1.23,Take Name,Take 1,Capture Frame Rate,120.000000,Export Frame Rate,120.000000,"
            "Rotation Type,Quaternion,Length Units,Meters,Coordinate Space,Global", "",
            ",Type" + ",Rigid Body" * 8 + ",Marker" * 3, ",Name" + ",Racket" * 8 + ",Wrist" * 3,
            ",ID" + ",1" * 8 + ",2" * 3,
            ",," + "Rotation," * 4 + "Position," * 3 + "Mean Marker Error," + ",".join(["Position"] * 3),
            "Frame,Time (Seconds),X,Y,Z,W,X,Y,Z,,X,Y,Z"]  # fmt: skip
    turn, places = walk(1, 3, 1)[:, 0], walk(2, 3, 2)
    for t in range(FRAMES):
        w, *xyz = _quaternion(turn[t])
        numbers = [*xyz, w, *places[t, 0], 0.0002, *places[t, 1]]
        rows.append(",".join([str(t), f"{t / 120:.6f}", *(f"{n:.6f}" for n in numbers)]))
    return write(folder / "take.csv", "\n".join(rows) + "\n")


def visual3d_txt(folder: Path) -> Path:
    """Landmarks of Theia through Visual3D, and an angle that stays."""
    head = ["\t" + "\t".join(["pose_filt_0.c3d"] * 9), "\tHEAD\tHEAD\tHEAD\tHAND\tHAND\tHAND\tKNEE\tKNEE\tKNEE",
            "\t" + "\t".join(["LANDMARK"] * 6 + ["LINK_MODEL_BASED"] * 3), "\t" + "\t".join(["ORIGINAL"] * 9),
            "ITEM\tX\tY\tZ\tX\tY\tZ\tX\tY\tZ"]  # fmt: skip
    rows = ["\t".join([str(t + 1), *(f"{n:.5f}" for n in p.ravel())]) for t, p in enumerate(walk(3, 3, 1))]
    return write(folder / "theia.txt", "\n".join(head + rows) + "\n")


def azure_kinect(folder: Path) -> Path:
    """What the offline processor of Azure Kinect writes."""
    bodies = walk(32, 3, 1, 1) + 100, walk(32, 3, 1, 2) + 3000
    frames = [
        {"bodies": [{"body_id": n + 1, "joint_orientations": [[1.0, 0.0, 0.0, 0.0]], "joint_positions": b[t].tolist()}
                    for n, b in enumerate(bodies)], "frame_id": t, "timestamp_usec": 33333 * t}
        for t in range(FRAMES)
    ]  # fmt: skip
    return write(folder / "bodies.json", json.dumps({"bone_list": [["PELVIS", "NECK"]], "frames": frames}, indent=4))


def joints_by_name(folder: Path) -> Path:
    """An object a joint, as apps around Apple's Vision write them."""
    body = walk(14, 2, 1, 3).round(5)
    frames = [
        {"time": t / 60, "joints": {f"joint_{k}": {"x": x, "y": y, "confidence": 0.75}
                                    for k, (x, y) in enumerate(body[t].tolist())}}
        for t in range(FRAMES)
    ]  # fmt: skip
    return write(folder / "vision.json", json.dumps(frames))


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
    sleap_analysis: "sleap",
    sleap_labels: "sleap",
    movement_netcdf: "movement",
    lightning_pose: "deeplabcut",
    eks: "deeplabcut",
    anipose: "csv",
    c3d_floats: "c3d",
    c3d_whole_numbers: "c3d",
    opensim_mot: "opensim",
    opensim_states: "opensim",
    opensim_quaternions: "opensim",
    bvh: "bvh",
    vicon_csv: "mocap-text",
    qualisys_tsv: "mocap-text",
    motive_csv: "mocap-text",
    visual3d_txt: "mocap-text",
    azure_kinect: "json",
    joints_by_name: "json",
    stream_lines: "jsonl",
    stream_bare: "jsonl",
}


if __name__ == "__main__":
    for make in SAMPLES:
        print(make(Path(sys.argv[1]) / make.__name__))
