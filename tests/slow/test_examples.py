# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The examples do what they say: on data of the documented form, and with the real package where it is installed.

No weights of an estimator are needed: what it would find is put in where the package hands it on.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import ROOT

from lib.formats import read_recording
from lib.inference import Smoother

FILES = sorted((ROOT / "examples").glob("*.py"))
T, K = 50, 17


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The library under the name that it has once installed, and the folder of the examples."""
    place = tmp_path_factory.mktemp("site")
    (place / "smoothnet").symlink_to(ROOT / "lib", target_is_directory=True)
    added = [str(place), str(ROOT / "examples")]
    sys.path[:0] = added
    yield
    sys.path[:] = [path for path in sys.path if path not in added]


@pytest.fixture(scope="module")
def smoother():
    return Smoother.from_checkpoint()


def example(name):
    return importlib.import_module(name)


def package(name):
    """A module of a package that the project does not ask for, or the test ends with the reason."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"needs {name} ({error})")


def walk(seed=0, joints=K, dims=2, frames=T):
    """(frames, joints, dims) in pixels: somebody who crosses the picture, with jitter."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(-60, 60, (joints, dims))
    path = np.linspace(0, 100, frames)[:, None, None] + 30 * np.sin(np.arange(frames) / 9)[:, None, None]
    return 200 + 180 * seed + path + body + rng.normal(size=(frames, joints, dims))


def jitter(points):
    return np.abs(np.diff(points, 2, axis=0)).mean()


def same(found, expected, atol=1e-2):
    np.testing.assert_allclose(np.stack(found), expected, atol=atol)


# ------------------------------------------------------------------------------------------------------ ultralytics
class Model:
    """The part of ultralytics.YOLO that the example uses: callbacks are given the predictor."""

    def __init__(self):
        self.callbacks = {}

    def add_callback(self, event, function):
        self.callbacks[event] = function

    def track(self, results):
        for result in results:
            self.callbacks["on_predict_batch_end"](SimpleNamespace(results=[result]))
        self.callbacks["on_predict_end"](SimpleNamespace(results=[]))


def people_of(shown):
    """[(result, {id: points})] -> {id: frames}, and the results."""
    ids = {id for _, people in shown for id in people}
    return {id: [people[id] for _, people in shown if id in people] for id in ids}, [result for result, _ in shown]


def detections(t, hidden=()):
    """(2, K, 3) keypoints with confidences and the ids 7 and 3 of the people at frame t."""
    data = np.concatenate([np.stack([walk(0)[t], walk(1)[t]]), np.full((2, K, 1), 0.9)], axis=2)
    data[:, list(hidden), 2] = 0.1
    return torch.tensor(data, dtype=torch.float32), torch.tensor([7.0, 3.0])


def test_ultralytics_of_the_documented_types(smoother):
    results = []
    for t in range(T):
        data, ids = detections(t, hidden=[4] if t == 20 else [])
        boxes = SimpleNamespace(id=None if t == 10 else ids)  # a frame without tracks
        results.append(SimpleNamespace(keypoints=SimpleNamespace(data=data), boxes=boxes, number=t))
    shown, model = [], Model()
    example("ultralytics_track").smooth_tracks(model, lambda result, people: shown.append((result, people)), delay=5)
    model.track(results)
    assert [result.number for result, _ in shown] == list(range(T)) and shown[10][1] == {}
    assert np.isnan(shown[20][1][7][4]).all() and np.isfinite(np.delete(shown[20][1][7], 4, axis=0)).all()
    points = walk(0).astype(np.float32)
    points[10], points[20, 4] = np.nan, np.nan
    same([people.get(7, np.full((K, 2), np.nan)) for _, people in shown], smoother(points, delay=5))


def test_ultralytics_itself(smoother, tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    package("lap")
    ultralytics, results = package("ultralytics"), package("ultralytics.engine.results")
    # Only for speed; it imports torchvision, whose wheels do not load beside every build of PyTorch.
    monkeypatch.setattr(package("ultralytics.nn.autobackend").AutoBackend, "warmup", lambda *args, **options: None)
    model = ultralytics.YOLO("yolo11n-pose.yaml")  # without weights it finds nobody
    frame = iter(range(T))

    def find(predictor):
        for i, result in enumerate(predictor.results):
            data, _ = detections(next(frame))
            low, high = data[..., :2].amin(1), data[..., :2].amax(1)
            boxes = torch.cat([low, high, torch.tensor([[0.9, 0.0]] * 2)], dim=1)
            new = (result.orig_img, result.path, result.names)
            predictor.results[i] = results.Results(*new, boxes=boxes, keypoints=data)

    shown = []
    model.add_callback("on_predict_postprocess_end", find)  # before the tracker
    example("ultralytics_track").smooth_tracks(model, lambda result, people: shown.append((result, people)))
    pictures = [np.full((640, 640, 3), 80, np.uint8)] * T
    for _ in model.track(pictures, stream=True, imgsz=64, verbose=False, device="cpu"):
        pass
    people, given = people_of(shown)
    assert len(given) == T and all(type(result) is results.Results for result in given)
    assert len(people) == 2 and {len(frames) for frames in people.values()} == {T}
    expected = [smoother(walk(seed).astype(np.float32), delay=4) for seed in (0, 1)]
    for frames in people.values():
        same(frames, expected[0] if frames[0].mean() < 250 else expected[1])
        assert jitter(np.stack(frames)) < 0.5 * jitter(walk(0))


# ------------------------------------------------------------------------------------------------------------ rtmlib
def test_rtmlib_of_the_documented_types(smoother):
    def pose(frame):
        if frame == 10:
            return np.zeros((0, K, 2)), np.zeros((0, K))
        order = [1, 0] if frame % 2 else [0, 1]  # people come in any order
        scores = np.full((2, K), 0.8)
        scores[:, 4] = 0.1 if frame == 20 else 0.8
        return np.stack([walk(0)[frame], walk(1)[frame]])[order], scores

    shown = list(example("rtmlib_video").smooth_frames(range(T), pose))
    people, frames = people_of(shown)
    assert frames == list(range(T)) and set(people) == {0, 1} and shown[10][1] == {}
    points = walk(0)
    points[10], points[20, 4] = np.nan, np.nan
    same([poses.get(0, np.full((K, 2), np.nan)) for _, poses in shown], smoother(points, delay=4))


def dot_finder(path, width=192, height=256, split=2):
    """An RTMPose that finds the brightest column and row of each channel: 3 joints, one for each colour."""
    onnx = package("onnx")
    helper, proto = onnx.helper, onnx.TensorProto
    nodes = []
    for axis, (name, size) in enumerate((("simcc_x", width), ("simcc_y", height))):
        nodes.append(helper.make_node("ReduceMax", ["input"], [f"{name}_max"], axes=[2 + axis], keepdims=0))
        sizes = onnx.numpy_helper.from_array(np.array([1, 3, size * split], np.int64), f"{name}_sizes")
        nodes.append(helper.make_node("Constant", [], [f"{name}_sizes"], value=sizes))
        nodes.append(helper.make_node("Resize", [f"{name}_max", "", "", f"{name}_sizes"], [name], mode="linear"))
    graph = helper.make_graph(
        nodes, "dots",
        [helper.make_tensor_value_info("input", proto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("simcc_x", proto.FLOAT, [1, 3, width * split]),
         helper.make_tensor_value_info("simcc_y", proto.FLOAT, [1, 3, height * split])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)


def test_rtmlib_itself(tmp_path):
    rtmlib, cv2 = package("rtmlib"), package("cv2")
    package("onnxruntime")
    dot_finder(tmp_path / "dots.onnx")
    estimator = rtmlib.Custom(pose_class="RTMPose", pose=str(tmp_path / "dots.onnx"), pose_input_size=(192, 256))
    dots = walk(0, joints=3)[:30] - 100
    images = []
    for points in dots:
        image = np.zeros((400, 300, 3), np.uint8)
        for channel, (x, y) in enumerate(points):
            one = np.zeros((400, 300), np.uint8)
            cv2.circle(one, (int(x), int(y)), 5, 255, -1)
            blurred = cv2.GaussianBlur(one, (0, 0), 4).astype(float)
            image[..., channel] = 255 * blurred / blurred.max()
        images.append(image)
    found = np.concatenate([estimator(image)[0] for image in images])
    assert np.abs(found - dots).max() < 8  # it does look at the pictures
    shown = list(example("rtmlib_video").smooth_frames(images, estimator))
    people, given = people_of(shown)
    assert set(people) == {0} and all(one is other for one, other in zip(given, images, strict=True))
    same(people[0], Smoother.from_checkpoint()(found, delay=4))
    assert jitter(np.stack(people[0])) < 0.7 * jitter(found)


# ------------------------------------------------------------------------------------------------------------ mmpose
def predictions(t):
    """What MMPoseInferencer yields for a frame: one image, its instances."""
    if t == 10:
        return {"visualization": [], "predictions": [[]]}
    scores = [0.1 if t == 20 and k == 4 else 0.8 for k in range(K)]
    people = [{"keypoints": walk(seed)[t].tolist(), "keypoint_scores": scores, "bbox_score": 0.9} for seed in (0, 1)]
    return {"visualization": [], "predictions": [people[:: -1 if t % 2 else 1]]}


def check_mmpose(frames, smoother):
    assert len(frames) == T and all(set(frame) == {"visualization", "predictions"} for frame in frames)
    assert frames[10]["predictions"] == [[]]
    points = walk(0)
    points[10], points[20, 4] = np.nan, np.nan
    expected = smoother(points)
    for t, frame in enumerate(frames):
        if t != 10:
            person = frame["predictions"][0][t % 2]
            assert type(person["keypoints"]) is list
            wanted = np.where(np.isnan(expected[t]), walk(0)[t], expected[t])
            np.testing.assert_allclose(person["keypoints"], wanted, atol=1e-2)
            assert person["keypoint_scores"] == predictions(t)["predictions"][0][0]["keypoint_scores"]


def test_mmpose_of_the_documented_types(smoother):
    check_mmpose(list(example("mmpose_inferencer").smooth_results(map(predictions, range(T)))), smoother)


def test_mmpose_itself(smoother):
    """What the inferencer makes of its instances; the inferencer needs mmcv with its own kernels."""
    split_instances = package("mmpose.structures.utils").split_instances
    instance_data = package("mmengine.structures").InstanceData

    def results():
        for t in range(T):
            people = predictions(t)["predictions"][0]
            given = instance_data()
            given.keypoints = np.array([person["keypoints"] for person in people]).reshape(-1, K, 2)
            given.keypoint_scores = np.array([person["keypoint_scores"] for person in people]).reshape(-1, K)
            given.bboxes = np.zeros((len(people), 4))
            yield {"visualization": [], "predictions": [split_instances(given)]}

    frames = list(example("mmpose_inferencer").smooth_results(results()))
    check_mmpose(frames, smoother)
    assert set(frames[0]["predictions"][0][0]) == {"keypoints", "keypoint_scores", "bbox"}
    json.dumps(frames)


# --------------------------------------------------------------------------------------------------------- mediapipe
def check_mediapipe(smoother, landmark, result, image, width, height):
    shown = []
    take, finish = example("mediapipe_live").make_callback(lambda *frame: shown.append(frame))
    points = walk(0, 33, 3)
    for t in range(T):
        marks = [landmark(x / width, y / height, z / width, 0.2 if t == 20 and k == 4 else 0.9)
                 for k, (x, y, z) in enumerate(points[t])]  # fmt: skip
        take(result([] if t in (0, 10) else [marks]), image, 33 * t)
    assert len(shown) == T - 4
    finish()
    assert [milliseconds for _, milliseconds, _ in shown] == [33 * t for t in range(T)]
    assert all(given is image for given, _, _ in shown)
    points[[0, 10]], points[20, 4] = np.nan, np.nan
    same([np.full((33, 3), np.nan) if p is None else p for _, _, p in shown], smoother(points, delay=4))


def test_mediapipe_of_the_documented_types(smoother):
    landmark = namedtuple("NormalizedLandmark", "x y z visibility")
    result = namedtuple("PoseLandmarkerResult", "pose_landmarks")
    check_mediapipe(smoother, landmark, result, SimpleNamespace(width=640, height=480), 640, 480)


def test_mediapipe_itself(smoother):
    mediapipe, vision = package("mediapipe"), package("mediapipe.tasks.python.vision")
    containers = package("mediapipe.tasks.python.components.containers.landmark")
    image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.zeros((480, 640, 3), np.uint8))

    def landmark(x, y, z, visibility):
        return containers.NormalizedLandmark(x=x, y=y, z=z, visibility=visibility, presence=0.9)

    check_mediapipe(smoother, landmark, lambda found: vision.PoseLandmarkerResult(found, []), image, 640, 480)
    take, _ = example("mediapipe_live").make_callback(lambda *frame: None)
    options = package("mediapipe.tasks.python").BaseOptions(model_asset_path="pose_landmarker_lite.task")
    mode = vision.RunningMode.LIVE_STREAM
    assert vision.PoseLandmarkerOptions(options, running_mode=mode, result_callback=take).result_callback is take


# -------------------------------------------------------------------------------------------- pose2sim and sports2d
def write_trc(path, points, fps=60):
    """As Pose2Sim writes it."""
    names = [f"Joint{k}" for k in range(points.shape[1])]
    axes = "\t".join(f"X{k}\tY{k}\tZ{k}" for k in range(1, len(names) + 1))
    numbers = f"{fps}\t{fps}\t{len(points)}\t{len(names)}\tm\t{fps}\t0\t{len(points)}"
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        numbers,
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + axes,
    ]
    for t, frame in enumerate(points):
        lines.append("\t".join([str(t), f"{t / fps:.6f}", *(f"{number:.6f}" for number in frame.ravel())]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_pose2sim_files(smoother, tmp_path):
    for number in range(2):
        write_trc(tmp_path / f"pose-3d/trial_P{number}_0-50.trc", walk(number, dims=3) / 1000)
    write_trc(tmp_path / "pose-3d/trial_P0_0-50_LSTM.trc", walk(0, dims=3) / 1000)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.trc")}
    for _ in range(2):  # again, over what is there
        written = example("pose2sim_filter").filter_project(tmp_path)
        assert [path.name for path in written] == [f"trial_P{n}_0-50_filt_smoothnet.trc" for n in range(2)]
    assert {path: path.read_bytes() for path in before} == before
    for number, path in enumerate(written):
        came = read_recording(path)
        expected = smoother.at(came.fps)(walk(number, dims=3) / 1000)
        np.testing.assert_allclose(came.tracks[0].points, expected, atol=1e-5)


def test_pose2sim_itself(smoother, tmp_path):
    """Its reader takes what was written, and its own filter leaves it alone."""
    common, filtering = package("Pose2Sim.common"), package("Pose2Sim.filtering")
    source = tmp_path / "pose-3d/trial_0-50.trc"
    write_trc(source, walk(0, dims=3) / 1000)
    data, frames, times, _, header = common.read_trc(source)
    common.write_trc(source, data, frames, times, header)  # as it would itself
    (written,) = example("pose2sim_filter").filter_project(tmp_path)
    data, frames, times, markers, header = common.read_trc(written)
    assert markers == [f"Joint{k}" for k in range(K)] and len(header) == 5
    np.testing.assert_array_equal(frames, np.arange(T))
    np.testing.assert_allclose(times, np.arange(T) / 60, atol=1e-6)
    np.testing.assert_allclose(data.to_numpy().reshape(T, K, 3), smoother(walk(0, dims=3) / 1000), atol=1e-5)
    settings = {"type": "butterworth", "display_figures": False, "save_filt_plots": False, "make_c3d": False}
    settings["butterworth"] = {"order": 4, "cut_off_frequency": 6}
    filtering.filter_all({"project": {"project_dir": str(tmp_path)}, "filtering": settings})
    assert sorted(path.name for path in source.parent.glob("*.trc")) == [
        "trial_0-49_filt_butterworth.trc", "trial_0-50.trc", "trial_0-50_filt_smoothnet.trc",
    ]  # fmt: skip


def test_sports2d_files(smoother, tmp_path):
    flat = np.concatenate([walk(0), np.zeros((T, K, 1))], axis=2)  # pixels, z = 0
    names = [f"walk_Sports2D_{unit}_person{n:02d}" for unit in ("px", "m") for n in range(2)]
    for name in names:
        write_trc(tmp_path / f"{name}.trc", flat + int(name[-1]))
    for _ in range(2):
        written = example("sports2d_filter").filter_results(tmp_path)
        assert [path.stem for path in written] == [f"walk_Sports2D_px_person{n:02d}_smoothnet" for n in range(2)]
    for n, path in enumerate(written):
        came = read_recording(path)
        points = came.tracks[0].points
        np.testing.assert_allclose(points[..., :2], smoother.at(came.fps)(flat + n)[..., :2], atol=1e-2)
        np.testing.assert_allclose(points[..., 2], n, atol=0.05)


# --------------------------------------------------------------------------------------------- movement and a camera
def test_movement_itself(smoother, tmp_path):
    load, save = package("movement.io.load_poses"), package("movement.io.save_poses")
    filtering = package("movement.filtering")
    confidence = np.full((T, K, 2), 0.9)
    confidence[20, 4, 0] = 0.2
    people = [walk(0), walk(1)]
    position = np.stack(people, axis=-1).transpose(0, 2, 1, 3)
    dataset = load.from_numpy(position, confidence, ["Ann", "Bob"], [f"joint{k}" for k in range(K)], fps=60)
    median = dataset.assign(position=filtering.rolling_filter(dataset.position, window=3, min_periods=1))
    dataset.attrs["log"] = median.position.attrs["log"]
    new = example("movement_dataset").smooth_dataset(dataset)
    hidden = walk(0)
    hidden[20, 4] = np.nan
    for name, points in (("Ann", hidden), ("Bob", people[1])):
        found = new.position.sel(individuals=name).transpose("time", "keypoints", "space")
        expected = smoother.at(60)(points)
        same(found.to_numpy(), np.where(np.isnan(expected), people[0], expected))
    assert [entry["operation"] for entry in json.loads(new.attrs["log"])] == ["rolling_filter", "smoothnet"]
    assert type(new) is type(dataset) and new.position.dims == dataset.position.dims
    package("movement.kinematics").compute_velocity(new.position)
    save.to_dlc_file(new, tmp_path / "smoothed.csv", split_individuals=False)
    again = load.from_dlc_file(tmp_path / "smoothed.csv", fps=60)
    np.testing.assert_allclose(again.position, new.position, atol=1e-6)
    np.testing.assert_allclose(again.confidence, dataset.confidence, atol=1e-6)
    slow = example("movement_dataset").filter_dataset(dataset, cutoff=3)
    assert jitter(slow.position.to_numpy()) < 0.5 * jitter(position)
    ours = importlib.import_module("smoothnet.filters").classical_smoother("butterworth", cutoff=3, fps=60)
    same(slow.position.sel(individuals="Bob").transpose("time", "keypoints", "space").to_numpy(), ours(people[1]))


class Camera:
    """The part of cv2.VideoCapture that a loop uses."""

    def __init__(self, images):
        self.images = list(images)

    def read(self):
        return (True, self.images.pop(0)) if self.images else (False, None)


@pytest.mark.parametrize("stop", [None, 30])
def test_a_loop_over_a_camera(smoother, stop):
    shown = []

    def estimate(image):
        return None if image in (0, 10) else walk(0)[image]

    def show(image, points):
        shown.append((image, points))
        return image != stop

    example("webcam").smooth_camera(Camera(range(T)), estimate, show)
    frames = T if stop is None else stop + 1 + 4  # what was read before it ended comes out
    assert [image for image, _ in shown] == list(range(frames))
    points = walk(0)[:frames]
    points[[0, 10]] = np.nan
    same([np.full((K, 2), np.nan) if p is None else p for _, p in shown], smoother(points, delay=4))


def test_a_loop_over_a_video_of_opencv(tmp_path):
    cv2 = package("cv2")
    dots = walk(0, joints=1)[:30, 0] - 100
    writer = cv2.VideoWriter(str(tmp_path / "dots.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (320, 320))
    for x, y in dots:
        image = np.zeros((320, 320, 3), np.uint8)
        cv2.circle(image, (int(x), int(y)), 5, (255, 255, 255), -1)
        writer.write(image)
    writer.release()

    def centre(image):
        y, x = np.nonzero(image[..., 0] > 128)
        return np.array([[x.mean(), y.mean()]])

    found, video = [], cv2.VideoCapture(str(tmp_path / "dots.avi"))
    example("webcam").smooth_camera(video, centre, lambda image, points: found.append(points))
    assert len(found) == 30 and np.abs(np.concatenate(found) - dots).max() < 6


# ----------------------------------------------------------------------------------------------------------- in all
def code_of(path):
    """A file without its licence and docstring."""
    text = path.read_text(encoding="utf-8")
    (docstring,) = (node for node in ast.parse(text).body[:1] if isinstance(node, ast.Expr))
    return "\n".join(text.split("\n")[docstring.end_lineno :]).strip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_shows_the_code_of_each_example(path):
    page = (ROOT / "docs/hooks.md").read_text(encoding="utf-8")
    assert f"```python\n{code_of(path)}\n```" in page and f"../examples/{path.name}" in page
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert f"python examples/{path.name}" in words and re.search(r"pip install .*\bsmoothnet\b", words)


def test_there_is_an_example_for_each_tool():
    assert len(FILES) == 8
