# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command visualize on a user's files: it draws what smooth writes, and replaces nothing."""

import json
import logging

import numpy as np
import pytest
from helpers import write_averaging_checkpoint
from PIL import Image

from lib.commands.arguments import run_main
from lib.commands.visualize import main
from lib.formats import read_recording
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.visualize import Look
from lib.visualize.sources import recorded_clip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return str(write_averaging_checkpoint(tmp_path_factory.mktemp("network") / "mean.pth.tar"))


def people_file(folder, frames=40):
    """COCO results of two people, one of whom is away for a while, another joint for longer, with low scores."""
    rng = np.random.default_rng(0)
    rows = []
    for t in range(frames):
        for person, where in enumerate((100, 600)):
            if person and 15 <= t < 22:
                continue
            points = where + 80 * np.arange(17)[:, None] % [97, 89] + 10 * np.sin(t / 6) + rng.normal(size=(17, 2))
            scores = np.full((17, 1), 0.9)
            if not person and 20 <= t < 34:
                scores[9] = 0.1
            row = {
                "image_id": t,
                "category_id": 1,
                "keypoints": np.hstack([points, scores]).ravel().tolist(),
                "score": 1,
            }
            rows.append(row)
    path = folder / "people.json"
    path.write_text(json.dumps(rows))
    return path


OPTIONS = [
    {},
    {"min_score": 0.5},
    {"min_score": 0.5, "max_gap": 3, "fill": True},
    {"min_score": 0.5, "fill": True, "strength": 0.5},
    {"delay": 2},
    {"step": 3},
    {"method": "rts", "fps": 25.0},
    {"method": "butterworth", "cutoff": 3.0, "outliers": "hampel", "min_score": 0.5},
    {"method": "oneeuro"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_drawn_is_what_is_written(options, checkpoint, tmp_path):
    path = people_file(tmp_path)
    if "method" not in options:
        options = {**options, "checkpoint": checkpoint}
    smoothing = Smoothing(SmoothingOptions(**options))
    smooth_files([path], tmp_path / "out.json", smoothing)
    written = read_recording(tmp_path / "out.json")
    clip = recorded_clip(path, smoothing)
    assert clip.frames == 40 and len(clip.skeleton.joints) == 34 == clip.series["smoothed"].shape[1]
    assert len(clip.skeleton.edges) == 2 * len(recorded_clip(path, smoothing, track="0").skeleton.edges)
    drawn = np.isfinite(clip.series["smoothed"]).all(2)
    for person, track in enumerate(sorted(written.tracks, key=lambda track: np.nanmean(track.points))):
        columns = slice(17 * person, 17 * person + 17)
        rows = slice(track.start, track.start + len(track.points))
        shown = drawn[rows, columns]
        np.testing.assert_allclose(
            clip.series["smoothed"][rows, columns][shown], track.points[shown], rtol=1e-6, atol=1e-4
        )
        assert shown.any() and np.abs(clip.series["input"][rows, columns][shown] - track.points[shown]).max() > 0.01
    assert not drawn[15:22, 17:].any() or options.get("fill")
    if options.get("min_score"):
        assert not np.isfinite(clip.series["input"][20:34, 9]).any()


def test_smpl_is_drawn_as_it_is_written(checkpoint, tmp_path, smpl_dir):
    from lib.models.body import load_body

    rng = np.random.default_rng(0)
    poses = 0.3 * np.sin(np.arange(30)[:, None] / 5 + rng.uniform(0, 6, 72)) + 0.02 * rng.normal(size=(30, 72))
    np.savez(tmp_path / "a.npz", poses=poses, trans=np.zeros((30, 3)), mocap_framerate=30.0)
    smoothing = Smoothing(SmoothingOptions(checkpoint=checkpoint))
    smooth_files([tmp_path / "a.npz"], tmp_path / "b.npz", smoothing)
    body = load_body(smpl_dir)
    drawn, again = (
        recorded_clip(tmp_path / name, Smoothing(SmoothingOptions(checkpoint=checkpoint, strength=strength)),
                      load_body=lambda: body)
        for name, strength in (("a.npz", 1.0), ("b.npz", 0.0))
    )  # fmt: skip
    np.testing.assert_allclose(drawn.series["smoothed"], again.series["smoothed"], atol=1e-5)


def test_one_person_by_id_and_a_part_of_the_frames(checkpoint, tmp_path):
    path, smoothing = people_file(tmp_path), Smoothing(SmoothingOptions(checkpoint=checkpoint))
    ids = [str(track.id) for track in read_recording(path).tracks]
    clip = recorded_clip(path, smoothing, track=ids[1], frames=(5, 12), look=Look(edges=[(0, 1)]))
    assert clip.frames == 7 and clip.first_frame == 5 and clip.skeleton.edges == ((0, 1),)
    assert len(clip.skeleton.joints) == 17


def test_tracks_that_share_no_frame_share_a_place(checkpoint, tmp_path):
    rows = [
        {"image_id": t, "category_id": 1, "track_id": t // 20,
         "keypoints": (np.arange(51) * 3.0 + t % 20).tolist(), "score": 1}
        for t in range(60)
    ]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(rows))
    clip = recorded_clip(tmp_path / "a.json", Smoothing(SmoothingOptions(method="rts", fps=30.0)))
    people = {len(track.points) for track in read_recording(tmp_path / "a.json").tracks}
    assert clip.frames == 60 and clip.series["input"].shape[1] == 17, people
    assert np.isfinite(clip.series["smoothed"]).all()


def run(argv, capsys):
    status = run_main(main, [str(word) for word in argv])
    return status, capsys.readouterr().err


def test_pictures_that_are_there_stay(checkpoint, tmp_path, capsys):
    """Above all the video of the same name that the poses came from."""
    path = people_file(tmp_path)
    video = tmp_path / "people.mp4"
    from lib.visualize.video import write_mp4

    write_mp4(video, [Image.new("RGB", (640, 480)) for _ in range(3)], (640, 480), 30)
    before = video.read_bytes()
    base = ["--input", path, "--checkpoint", checkpoint, "-o", tmp_path, "--size", "320x240"]
    status, message = run([*base, "--format", "png,mp4"], capsys)
    assert status == 2 and "people.mp4 exists" in message and "--force" in message
    assert video.read_bytes() == before and not (tmp_path / "people.png").exists()
    status, message = run([*base, "--format", "mp4", "--video", video, "--force"], capsys)
    assert status == 2 and "is what is to be drawn" in message and video.read_bytes() == before
    assert run([*base, "--format", "html"], capsys)[0] == 0
    page = tmp_path / "people.html"
    page.write_text("mine")
    assert run([*base, "--format", "html"], capsys)[0] == 2 and page.read_text() == "mine"
    assert run([*base, "--format", "html", "--force"], capsys)[0] == 0 and page.read_text() != "mine"
    logging.getLogger().handlers.clear()


def test_a_picture_that_appears_while_it_is_drawn_stays(checkpoint, tmp_path, monkeypatch, capsys):
    path, drawn = people_file(tmp_path), tmp_path / "out" / "people.html"
    from lib.visualize import page

    def appear(clip):
        drawn.write_text("mine")
        return {}

    monkeypatch.setattr(page, "describe", appear)
    base = ["--input", path, "--checkpoint", checkpoint, "-o", tmp_path / "out", "--format", "html"]
    status, message = run(base, capsys)
    assert status == 2 and "exists" in message and drawn.read_text() == "mine"
    assert run([*base, "--force"], capsys)[0] == 0 and drawn.read_text() != "mine"


@pytest.mark.parametrize("form", ["png", "html"])
def test_a_file_name_of_several_lines_is_drawn(form, tmp_path, capsys):
    """Some libraries of fonts refuse a line end."""
    path = people_file(tmp_path).rename(tmp_path / "two\nlines $x$.json")
    status, message = run(
        ["--input", path, "-o", tmp_path / "out", "--format", form, "--method", "rts", "--fps", "25"], capsys
    )
    assert status == 0 and not message and len([*(tmp_path / "out").glob(f"*.{form}")]) == 1


@pytest.mark.parametrize(("words", "frames"), [([], 1010), (["--opts", "VIS.END", "1000"], 1000)])
def test_a_long_file_is_drawn_to_its_end_or_to_the_frame_that_is_named(words, frames, tmp_path, capsys):
    """1000 is the default, which datasets have from the published settings."""
    np.save(tmp_path / "long.npy", np.sin(np.arange(1010)[:, None, None] / 9 + np.arange(4)[:, None] + np.arange(2)))
    base = ["--input", tmp_path / "long.npy", "-o", tmp_path, "--format", "html", "--method", "rts", "--fps", "30"]
    assert run([*base, *words], capsys)[0] == 0
    assert f'"frames": {frames}' in (tmp_path / "long.html").read_text()


def test_visualize_takes_the_options_of_smooth(tmp_path, capsys):
    path = people_file(tmp_path)
    options = ["--method", "rts", "--cutoff", "4", "--fps", "25", "--outliers", "hampel", "--max_gap", "5", "--fill"]
    assert run(["--input", path, "-o", tmp_path / "out", "--format", "html", *options], capsys)[0] == 0
    status, message = run(["--input", path, "-o", tmp_path / "two", "--format", "html", "--method", "x"], capsys)
    assert status == 2 and "choose from network" in message
