# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Pictures of clips: every format for every representation, decoded again; the command that writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, command, read_json, write_checkpoint, write_poses
from PIL import Image

from lib.config import load_config
from lib.dataset.poses import load_poses
from lib.dataset.skeletons import SKELETONS
from lib.evaluation.evaluate import evaluate
from lib.utils.errors import SmoothNetError
from lib.visualize import Curve, Mesh, frame_count, make_clip, motion_curves, write_clip
from lib.visualize.clip import changed_most, viewing_axes
from lib.visualize.drawing import FramePainter, fit_view
from lib.visualize.page import describe, pack

SIZE = (640, 360)


def body(frames: int, dims: int, seed: int = 0) -> np.ndarray:
    """(frames, 17, dims): a standing h36m17 person swinging the arms, camera coordinates (y down), metres."""
    place = {
        "hip": (0, 0), "hip_side": (0.13, 0), "knee": (0.14, 0.45), "foot": (0.15, 0.9), "spine": (0, -0.25),
        "thorax": (0, -0.5), "nose": (0, -0.62), "head": (0, -0.72), "shoulder": (0.18, -0.48),
        "elbow": (0.25, -0.2), "wrist": (0.28, 0.05),
    }  # fmt: skip
    pose = np.zeros((17, 3))
    for j, name in enumerate(SKELETONS["h36m17"].joints):
        side, _, part = name.rpartition("_")
        x, y = place["hip_side" if side and part == "hip" else part]
        pose[j] = (x if side == "left" else -x if side == "right" else 0, y, 0)
    t = np.arange(frames)[:, None, None] / 10
    arms = np.array([n.endswith(("wrist", "elbow")) for n in SKELETONS["h36m17"].joints])
    moved = pose + 0.2 * np.sin(t + seed) * arms[:, None] * np.array([0.3, 0.6, 1.0])
    return moved if dims == 3 else 500 + 300 * moved[..., :2]


def clip_of(dims: int, frames: int = 10, fps: float = 30.0, truth: bool = True, **options):
    motion = body(frames, dims)
    noise = np.random.default_rng(1).normal(size=motion.shape) * (0.04 if dims == 3 else 8)
    series = {"input": motion + noise, "smoothed": motion + 0.1 * noise}
    if truth:
        series["ground truth"] = motion
    unit = "m" if dims == 3 else "px"
    options = {"curves": motion_curves(series, unit), **options}
    return make_clip(series, fps=fps, unit=unit, title="a <clip> & more", skeleton="h36m17", **options)


def mesh_clip(smpl_dir: Path, frames: int = 3):
    pytest.importorskip("pyvista")
    pytest.importorskip("smplx")
    from lib.models.body import load_body

    smpl = load_body(smpl_dir)
    pose = np.random.default_rng(0).normal(size=(frames, 72)).astype(np.float32) * 0.3
    made = {
        name: smpl(pose * scale, np.zeros((frames, 10), np.float32))
        for name, scale in (("input", 1.0), ("smoothed", 0.7))
    }
    series = {name: joints for name, (joints, _) in made.items()}
    mesh = Mesh({name: vertices for name, (_, vertices) in made.items()}, smpl.faces)
    return make_clip(series, fps=30, unit="m", title="body", skeleton="lsp14", mesh=mesh)


def frames_of(path: Path) -> tuple[dict, np.ndarray]:
    """What ffmpeg says of a video, and its frames (n, height, width, 3)."""
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader])


def panels(frame: np.ndarray, count: int) -> list[np.ndarray]:
    """The pictures of the series, side by side in the upper part of a frame."""
    height, width = frame.shape[:2]
    edges = np.linspace(0.02 * width, 0.98 * width, count + 1).astype(int)
    part = frame[int(0.2 * height) : int(0.7 * height)]
    size = min(np.diff(edges)) - 16
    return [part[:, start + 8 : start + 8 + size].astype(int) for start in edges[:-1]]


def differ(a: np.ndarray, b: np.ndarray) -> bool:
    return (np.abs(a - b).max(axis=-1) > 40).sum() > 20


@pytest.fixture(params=["3D", "2D", pytest.param("smpl", marks=pytest.mark.slow)])
def any_clip(request):
    if request.param == "smpl":
        return mesh_clip(request.getfixturevalue("smpl_dir"))
    return clip_of(int(request.param[0]), truth=False)


def test_mp4_has_every_frame_at_the_rate_and_size(any_clip, tmp_path):
    path = write_clip(any_clip, tmp_path / "clip.mp4", SIZE)
    meta, frames = frames_of(path)
    assert len(frames) == any_clip.frames
    assert tuple(meta["size"]) == SIZE
    assert meta["fps"] == pytest.approx(any_clip.fps)
    before, after = panels(frames[0], 2)
    assert before.std() > 3 and after.std() > 3, "a panel is blank"
    assert differ(before, after), "before and after look the same"
    assert differ(before, panels(frames[-1], 2)[0]), "nothing moves"


def test_gif_lasts_as_long_as_the_clip(any_clip, tmp_path):
    path = write_clip(any_clip, tmp_path / "clip.gif", SIZE)
    with Image.open(path) as gif:
        assert gif.n_frames == frame_count(any_clip, "gif") == any_clip.frames
        assert gif.size == (480, 270)
        assert gif.info["loop"] == 0
        durations = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            durations.append(gif.info["duration"])
            last = np.asarray(gif.convert("RGB"))
        assert sum(durations) == pytest.approx(1000 * any_clip.frames / any_clip.fps, abs=25)
        gif.seek(0)
        first = np.asarray(gif.convert("RGB"))
    assert first.std() > 5
    assert differ(*panels(first, 2))
    assert differ(panels(first, 2)[0], panels(last, 2)[0])


def test_fast_recordings_keep_their_duration_as_gif(tmp_path):
    clip = clip_of(3, frames=12, fps=60)
    path = write_clip(clip, tmp_path / "clip.gif", SIZE)
    with Image.open(path) as gif:
        assert gif.n_frames == 6


def test_png_sheet_shows_before_and_after(any_clip, tmp_path):
    path = write_clip(any_clip, tmp_path / "sheet.png")
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG" and image.width == 1400
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # The strips of poses are the runs of rows with the panels' grey at the left.
    grey = (np.abs(pixels[:, 60] - (246, 247, 249)).max(axis=-1) < 3).astype(int)
    starts, ends = (np.flatnonzero(np.diff(grey, prepend=0, append=0) == sign) for sign in (1, -1))
    strips = [pixels[a:b, 36:1364] for a, b in zip(starts, ends, strict=True) if b - a > 90]
    before, after = (strip[: min(map(len, strips))] for strip in strips)
    assert before.std() > 3 and differ(before, after)
    assert pixels[ends[-1] :].std() > 5, "no curves"
    assert path.stat().st_size < 700_000


def test_html_holds_the_numbers_and_no_address(any_clip, tmp_path):
    path = write_clip(any_clip, tmp_path / "clip.html")
    text = path.read_text(encoding="utf-8")
    assert "http://" not in text and "https://" not in text
    assert "<title>" in text and any_clip.title.replace("<", "&lt;").replace("&", "&amp;")[:1] in text
    data = json.loads(text.split('id="clip">')[1].split("</script>")[0])
    assert data["frames"] == any_clip.frames and data["fps"] == any_clip.fps
    assert [s["name"] for s in data["series"]] == list(any_clip.series)


def test_packed_numbers_come_back_to_a_65000th_of_their_range():
    import base64

    values = np.random.default_rng(0).normal(size=(50, 4, 3)) * [1, 10, 100]
    values[3, 1] = np.nan
    packed = pack(values)
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(values.shape).astype(float)
    back = np.where(numbers == -32768, np.nan, np.array(packed["offset"]) + np.array(packed["scale"]) * numbers)
    assert np.array_equal(np.isnan(back), np.isnan(values))
    span = np.nanmax(values, axis=(0, 1)) - np.nanmin(values, axis=(0, 1))
    assert (np.nanmax(np.abs(back - values), axis=(0, 1)) <= span / 131068 * 1.0001).all()


def test_what_hardly_differs_is_packed_without_a_warning():
    with np.errstate(divide="raise", invalid="raise"):
        assert pack(np.arange(6.0).reshape(3, 2) * 5e-324)["scale"] == [1.0, 1.0]


def test_page_of_500_frames_of_33_joints_is_small(tmp_path):
    values = np.random.default_rng(0).normal(size=(500, 33, 3))
    series = {"input": values, "smoothed": values * 0.9, "ground truth": values * 0.8}
    clip = make_clip(series, fps=30, unit="m", curves=motion_curves(series, "m"))
    assert write_clip(clip, tmp_path / "clip.html").stat().st_size < 2_000_000


def test_text_of_the_user_cannot_leave_its_place_in_the_page(tmp_path):
    values = body(4, 3)
    title = '</script><script>document.title="broken"</script>'
    clip = make_clip({"input": values, "smoothed": values}, fps=30, title=title, skeleton="h36m17")
    text = write_clip(clip, tmp_path / "clip.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 2 and "<script>document" not in text
    assert describe(clip)["title"] == title


# ---- drawing ----


def test_all_axes_have_one_scale_and_the_whole_clip_is_in_the_picture():
    clip = clip_of(3)
    view = fit_view(clip, 300, 400)
    for values in clip.series.values():
        pixels, _ = view.project(values)
        assert (pixels > 0).all() and (pixels[..., 0] < 300).all() and (pixels[..., 1] < 400).all()
    # a rotation times one number keeps all lengths in proportion
    assert view.rotation @ view.rotation.T == pytest.approx(np.eye(3), abs=1e-9)
    flat = fit_view(clip_of(2), 300, 400)
    pixels, _ = flat.project(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]))
    assert pixels[1] - pixels[0] == pytest.approx([10 * flat.scale, 0])
    assert pixels[2] - pixels[0] == pytest.approx([0, 10 * flat.scale])  # y of an image points down


@pytest.mark.parametrize("dims", [2, 3])
def test_a_person_who_crosses_the_view_is_drawn_large_enough_to_see(dims):
    way = np.linspace(0, 15 if dims == 3 else 4500, 60)[:, None, None] * np.eye(dims)[0]
    noise = np.random.default_rng(1).normal(size=(60, 17, dims)) * (0.04 if dims == 3 else 8)
    series = {"input": body(60, dims) + way + noise, "smoothed": body(60, dims) + way}
    clip = make_clip(series, fps=30, unit="", title="crossing", skeleton="h36m17")
    painter = FramePainter(clip, *SIZE)
    pixels, _ = painter.view.project(series["input"])
    heights = np.ptp(pixels[..., 1], axis=1)
    assert heights.min() > 0.4 * painter.view.height
    assert (pixels > 0).all() and (pixels < [painter.view.width, painter.view.height]).all()
    # The camera does not hide the trembling, and whoever stands still has one that stands still.
    trembling = np.diff(pixels[:, 0], 2, axis=0) / painter.view.scale
    assert np.abs(trembling).mean() > 0.5 * np.abs(np.diff(noise[:, 0, :2], 2, axis=0)).mean()
    assert FramePainter(clip_of(dims), *SIZE).view.path is None
    assert FramePainter(clip, *SIZE, over_video=True).view.path is None
    pictures = [np.asarray(painter.paint(frame)) for frame in (10, 30)]
    assert (pictures[0] != pictures[1]).any()


def test_up_is_where_the_head_is_and_the_person_faces_the_viewer():
    poses, skeleton = body(5, 3), SKELETONS["h36m17"]
    right, up, towards = viewing_axes(poses, skeleton)
    assert up == pytest.approx([0, -1, 0])
    assert right == pytest.approx([1, 0, 0])  # the left of the body
    assert towards == pytest.approx(np.cross(right, up))
    turned = poses[..., [2, 0, 1]] * [1, 1, -1]  # now z points up
    assert viewing_axes(turned, skeleton)[1] == pytest.approx([0, 0, 1])
    assert viewing_axes(poses, skeleton, up="+z")[1] == pytest.approx([0, 0, 1])


def test_left_and_right_have_their_own_colours():
    clip = clip_of(3, truth=False)
    frame = np.asarray(FramePainter(clip, *SIZE).paint(0)).astype(int)
    picture = panels(frame, 2)[1]
    for colour in ((213, 94, 0), (0, 114, 178)):
        assert (np.abs(picture - colour).max(axis=-1) < 12).sum() > 20
    # The person faces the viewer: the left of the body (orange) is on the right of the picture.
    columns = np.arange(picture.shape[1])[None, :].repeat(picture.shape[0], 0)
    orange = columns[np.abs(picture - (213, 94, 0)).max(axis=-1) < 12].mean()
    blue = columns[np.abs(picture - (0, 114, 178)).max(axis=-1) < 12].mean()
    assert orange > blue


def test_missing_joints_and_frames_are_left_out():
    clip = clip_of(3, truth=False)
    full = np.asarray(FramePainter(clip, *SIZE).paint(0)).astype(int)
    series = {name: values.copy() for name, values in clip.series.items()}
    series["input"][0] = np.nan
    series["smoothed"][0, 13] = np.nan
    holes = make_clip(series, fps=30, unit="m", skeleton="h36m17", title=clip.title, curves=clip.curves)
    frame = np.asarray(FramePainter(holes, *SIZE).paint(0)).astype(int)
    ink = [(np.ptp(panel, axis=-1) > 60).sum() for picture in (full, frame) for panel in panels(picture, 2)]
    assert ink[2] == 0 and 0 < ink[3] < ink[1]


def test_points_without_a_skeleton_and_edges_on_request():
    values = np.random.default_rng(0).normal(size=(4, 5, 3))
    series = {"input": values, "smoothed": values * 0.9}
    points = FramePainter(make_clip(series, fps=30), *SIZE).paint(0)
    edged = FramePainter(make_clip(series, fps=30, edges=[(0, 1), (1, 2)]), *SIZE).paint(0)
    assert differ(np.asarray(points).astype(int), np.asarray(edged).astype(int))
    with pytest.raises(SmoothNetError, match="0 to 4"):
        make_clip(series, fps=30, edges=[(0, 5)])


def test_the_joints_moved_most_come_first_one_for_each_limb():
    values = np.zeros((20, 17, 3)) + body(20, 3)
    moved = values.copy()
    moved[:, 13, 0] += 0.5  # left wrist
    moved[:, 12, 0] += 0.4  # left elbow, its neighbour
    moved[:, 3, 0] += 0.3  # right foot
    clip = make_clip({"input": values, "smoothed": moved}, fps=30, skeleton="h36m17")
    assert changed_most(clip, 2) == [13, 3]


def test_curves_without_ground_truth_are_those_worked_out_by_hand():
    values = np.array([0.0, 0.0, 1.0, 1.0]).reshape(4, 1, 1) * np.array([[[3.0, 4.0]]])
    acceleration, moved = motion_curves({"input": values, "smoothed": values * 0}, "px")
    # second differences 1, -1 times (3, 4): length 5
    assert acceleration.values["input"] == pytest.approx([np.nan, 5, 5, np.nan], nan_ok=True)
    assert acceleration.means == {"input": 5.0, "smoothed": 0.0}
    assert moved.values["smoothed"] == pytest.approx([0, 0, 5, 5])
    assert moved.unit == "px" and motion_curves({"input": values}, "m")[0].unit == "mm/frame²"


def test_a_video_lies_under_2d_poses(tmp_path):
    from lib.visualize.video import write_mp4

    clip = clip_of(2, frames=4, truth=False)
    green = [Image.new("RGB", (1000, 1000), (20, 150, 20)) for _ in range(4)]
    original = tmp_path / "original.mp4"
    write_mp4(original, green, (1000, 1000), 30)
    _, plain = frames_of(write_clip(clip, tmp_path / "plain.mp4", SIZE))
    _, over = frames_of(write_clip(clip, tmp_path / "over.mp4", SIZE, video=original))
    assert len(over) == 4

    def green_share(frame):
        panel = panels(frame, 2)[0]
        return ((panel[..., 1] - panel[..., 0] > 60) & (panel[..., 1] - panel[..., 2] > 60)).mean()

    assert green_share(plain[0]) < 0.05 < 0.5 < green_share(over[0])
    with pytest.raises(SmoothNetError, match="2D"):
        write_clip(clip_of(3), tmp_path / "no.mp4", SIZE, video=original)


def test_a_frame_without_a_body_is_empty(smpl_dir):
    from lib.visualize.meshes import MeshRenderer

    clip = mesh_clip(smpl_dir, frames=2)
    clip.mesh.vertices["input"][1] = np.nan
    renderer = MeshRenderer(clip.mesh, fit_view(clip, 80, 80))
    covered = [np.asarray(renderer.render("input", frame))[..., 3].any() for frame in (0, 1)]
    renderer.close()
    assert covered == [True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fps": 0}, "frame rate"),
        ({"skeleton": "h36m18"}, "there is no skeleton"),
        ({"skeleton": "coco18"}, "18 joints, the poses have 17"),
        ({"up": "y"}, "up is"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, words):
    options = {"fps": 30, "skeleton": "h36m17", **change}
    with pytest.raises(SmoothNetError, match=words):
        make_clip({"input": body(4, 3)}, **options)


def test_nothing_is_left_of_a_video_that_fails(tmp_path):
    with pytest.raises(SmoothNetError, match="even"):
        write_clip(clip_of(3), tmp_path / "clip.mp4", (641, 361))
    with pytest.raises(SmoothNetError, match="no folder"):
        write_clip(clip_of(3), tmp_path / "nowhere" / "clip.mp4", SIZE)
    assert list(tmp_path.iterdir()) == []


# ---- the command ----

VISUALIZE = "visualize_smoothnet.py"


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("toy")
    write_poses(folder / "poses", "h36m", "fcn", "3D", lengths=(20, 14), channels=51, phases=("test",))
    return folder / "poses", write_checkpoint(folder / "checkpoint.pth.tar", window=8)


def official(toy, out: Path, *more: object):
    poses, checkpoint = toy
    return command(
        VISUALIZE, "--cfg", ROOT / "configs/h36m_fcn_3D.yaml", "--checkpoint", checkpoint,
        "--dataset_name", "h36m", "--estimator", "fcn", "--body_representation", "3D",
        "--slide_window_size", 8, "--output_video_path", out, *more,
        *([] if "--opts" in more else ["--opts"]), "DATASET.BASE_DIR", poses,
        env={"DISPLAY": "", "MPLBACKEND": ""},
    )  # fmt: skip


def test_the_official_command(toy, tmp_path):
    done = official(
        toy, tmp_path / "out", "--visualize_video_id", 1, "--size", "640x360", "--format", "mp4,html",
        "--opts", "VIS.START", 2, "VIS.END", 9,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = tmp_path / "out" / "h36m_fcn_3D_1.mp4"
    assert str(path) in done.stdout
    meta, frames = frames_of(path)
    assert len(frames) == 7 and meta["fps"] == pytest.approx(50)
    data = json.loads(path.with_suffix(".html").read_text().split('id="clip">')[1].split("</script>")[0])
    assert data["first_frame"] == 2 and [s["name"] for s in data["series"]] == [
        "input",
        "smoothed",
        "ground truth",
    ]


def test_numbers_in_the_picture_are_those_of_the_evaluation(toy):
    from lib.evaluation.evaluate import input_method, network_method
    from lib.models.checkpoints import load_model
    from lib.utils.device import select_device
    from lib.visualize.evaluated import evaluated_clip

    poses, checkpoint = toy
    cfg = load_config(None, {}, [])
    device = select_device("cpu")
    data = load_poses(poses, "h36m", "fcn", "3D", "test")
    model, known = load_model(checkpoint)
    methods = {
        "input": input_method(data),
        "smoothnet": network_method(model, data, device=device, normalize=known["normalize"]),
    }
    clip = evaluated_clip(data, methods, 1, cfg)
    _, (header, lines) = evaluate(cfg, model, known["normalize"], [data], device)
    method_of, sequence_of = header.index("method"), header.index("sequence")
    table = {line[method_of]: line for line in lines if line[sequence_of] == 1}
    for metric, curve in zip(("mpjpe", "accel"), clip.curves, strict=True):
        for method, name in (("input", "input"), ("smoothnet", "smoothed")):
            assert curve.means[name] == pytest.approx(table[method][header.index(metric)], rel=1e-9)
            assert np.mean(curve.values[name]) == pytest.approx(curve.means[name], rel=1e-6)
    # MPJPE of the drawn poses themselves, in mm
    error = np.linalg.norm(clip.series["smoothed"] - clip.series["ground truth"], axis=-1).mean() * 1000
    assert error == pytest.approx(clip.curves[0].means["smoothed"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--visualize_video_id", 2], "from 0 to 1"),
        (["--visualize_video_id", -1], "a whole number from 0"),
        (["--opts", "VIS.START", 50], "has 20 frames"),
        (["--format", "avi"], "none of mp4"),
        (["--checkpoint", "nowhere.pth.tar"], "nowhere.pth.tar"),
        (["--input", "nowhere.npy"], "nowhere.npy does not exist"),
        (["--video", __file__], "--video goes with --input"),
    ],
)
def test_mistakes_get_one_sentence(toy, tmp_path, arguments, words):
    done = official(toy, tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dims", [2, 3])
def test_a_users_file_without_ground_truth(toy, tmp_path, dims):
    file = tmp_path / "mine.npy"
    np.save(file, body(12, dims) + np.random.default_rng(0).normal(size=(12, 17, dims)) * 0.01)
    done = command(
        VISUALIZE, "--input", file, "--checkpoint", toy[1], "--output_video_path", tmp_path, "--fps", 25,
        "--size", "640x360", "--format", "mp4,png,html", "--skeleton", "h36m17",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    meta, frames = frames_of(tmp_path / "mine.mp4")
    assert len(frames) == 12 and meta["fps"] == pytest.approx(25)
    assert differ(*panels(frames[6], 2))
    assert (tmp_path / "mine.png").exists() and (tmp_path / "mine.html").exists()


def test_smpl_sequences_are_drawn_as_bodies(smpl_dir):
    pytest.importorskip("smplx")
    from lib.evaluation.evaluate import input_method
    from lib.models.body import load_body
    from lib.visualize.evaluated import evaluated_clip

    case = ROOT / "tests/golden/pw3d_spin_smpl"
    data = load_poses(case / "data/poses", "pw3d", "spin", "smpl", "test")
    methods = {"input": input_method(data), "smoothnet": input_method(data)}
    cfg = load_config(None, {}, ["VIS.END", "3"])
    clip = evaluated_clip(data, methods, 0, cfg, body=load_body(smpl_dir))
    assert clip.mesh.vertices["smoothed"].shape == (3, 6890, 3)
    assert len(clip.mesh.faces) and clip.frames == 3 and len(clip.skeleton.joints) == 14
    # Joints and surfaces stand in the same place: the hips' mean is the origin.
    assert clip.series["input"][:, [2, 3]].mean(axis=1) == pytest.approx(np.zeros((3, 3)), abs=1e-6)
    assert read_json(case / "case.json")["body_representation"] == "smpl"


def test_means_of_pck_are_shown_for_jhmdb():
    from lib.evaluation.evaluate import input_method
    from lib.visualize.evaluated import evaluated_clip

    case = ROOT / "tests/golden/jhmdb_simplepose_2D"
    data = load_poses(case / "data/poses", "jhmdb", "simplepose", "2D", "test")
    methods = {"input": input_method(data), "smoothnet": input_method(data)}
    clip = evaluated_clip(data, methods, 0, load_config(None, {}, []))
    shown = {curve.name: curve for curve in clip.curves}
    assert isinstance(shown["PCK@0.1"], Curve) and 0 <= shown["PCK@0.1"].means["input"] <= 100
    assert FramePainter(clip, *SIZE).paint(0).size == SIZE
