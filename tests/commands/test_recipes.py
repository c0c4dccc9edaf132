# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The recipes of CONTRIBUTING.md: one more row, from outside, is all that the commands need.

A metric has its own test, tests/unit/test_metric_table.py.
"""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
import yaml
from helpers import ROOT, SMALL, read_json, write_checkpoint, write_poses

from lib import config
from lib.commands import arguments, run
from lib.dataset import facts
from lib.dataset.named import load_all
from lib.dataset.skeletons import SKELETONS, Skeleton
from lib.filters import smoother
from lib.filters.table import FILTERS, Classical, Filter
from lib.formats import FORMATS, Format, Recording, Track
from lib.inference import methods
from lib.models.kinds import KINDS, Kind
from lib.training.loss import smoothnet_loss
from lib.training.recipes import RECIPES, Recipe
from lib.training.sources import PoseWindows
from lib.utils import device as devices
from lib.utils.files import atomic_write
from lib.visualize import FORMATS as PICTURES

TOY = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A dataset, small weights and a recording, in the current folder."""
    write_poses(tmp_path / "poses", lengths=(20, 12))
    write_checkpoint(tmp_path / "good.pth.tar", window=8)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "walk.npy", np.cumsum(rng.normal(size=(30, 3, 2)), axis=0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(*more: str) -> dict:
    words = [*TOY, "--checkpoint", "good.pth.tar", "--logdir", "run", *more, "--opts", "DATASET.BASE_DIR", "poses"]
    assert run("eval", words) == 0
    return read_json(ROOT.cwd() / "run/metrics.json")["results"][0]["metrics"]


def test_a_filter(place, monkeypatch):
    def mean_of_three(x: np.ndarray, weight: float) -> np.ndarray:
        padded = np.pad(x, ((1, 1), (0, 0)), mode="edge")
        return (1 - weight) * x + weight * (padded[:-2] + padded[1:-1] + padded[2:]) / 3

    def at_strength(strength: float, fps: float) -> dict[str, float]:
        return {"weight": min(strength, 1.0)}

    row = Classical(mean_of_three, by_strength=at_strength, by_cutoff=None, reach=lambda _: 1)
    monkeypatch.setitem(FILTERS, "three", Filter("mean of three", classical=row))
    # what modules make of the table as they are imported
    monkeypatch.setattr(smoother, "METHODS", (*smoother.METHODS, "three"))
    monkeypatch.setitem(methods.METHODS, "three", methods.classical_method)
    metrics = evaluate("--tradition", "three")
    assert 0 < metrics["three_accel"] < metrics["input_accel"]
    assert run("smooth", ["walk.npy", "-o", "smooth.npy", "--method", "three", "--fps", "30"]) == 0
    before, after = np.load("walk.npy"), np.load("smooth.npy")
    expected = (before[:-2] + before[1:-1] + before[2:]) / 3
    np.testing.assert_allclose(after[1:-1], expected, atol=1e-9)


def test_a_file_format(place, monkeypatch, capsys):
    """Lines of numbers behind a first line "points K D"."""

    def read(path, **_) -> Recording:
        first, *lines = path.read_text().splitlines()
        joints, dims = map(int, first.split()[1:])
        points = np.array([line.split() for line in lines], float).reshape(-1, joints, dims)
        return Recording(path, "points", [Track(0, points)], len(points))

    def write(recording: Recording, smoothed: list[np.ndarray], out) -> None:
        lines = [" ".join(map(repr, row.ravel().tolist())) for row in smoothed[0]]
        with atomic_write(out, "w") as file:
            file.write("\n".join([recording.path.read_text().splitlines()[0], *lines, ""]))

    def sniff(path) -> bool:
        return path.is_file() and path.read_bytes()[:7] == b"points "

    row = Format("points", "mine", "lines of numbers", "points", "nothing", sniff, read, write)
    monkeypatch.setitem(FORMATS, "points", row)
    points = np.load("walk.npy")
    lines = "\n".join(" ".join(map(repr, row.ravel().tolist())) for row in points)
    (place / "walk.pts").write_text(f"points 3 2\n{lines}\n")
    assert run("smooth", ["walk.pts", "-o", "smooth.pts", "--checkpoint", "good.pth.tar"]) == 0
    assert run("smooth", ["walk.npy", "-o", "smooth.npy", "--checkpoint", "good.pth.tar"]) == 0
    header, *rows = (place / "smooth.pts").read_text().splitlines()
    assert header == "points 3 2"
    smoothed = np.array([line.split() for line in rows], float).reshape(-1, 3, 2)
    np.testing.assert_allclose(smoothed, np.load("smooth.npy"), rtol=1e-6)
    capsys.readouterr()
    assert run("smooth", ["--formats"]) == 0
    assert "lines of numbers" in capsys.readouterr().out


def test_a_dataset(place, monkeypatch, capsys):
    row = facts.Facts("toy", "3D", ("est",), 3, root=(1,), fps=50)
    monkeypatch.setattr(facts, "DATASETS", (*facts.DATASETS, row))
    from_root_1 = evaluate()["input_mpjpe"]
    with np.load(place / "poses/toy_est_3D/groundtruth/toy_gt_3D_test.npz", allow_pickle=True) as file:
        truth = [x.reshape(-1, 3, 3) for x in file["joints_3d"]]
    with np.load(place / "poses/toy_est_3D/detected/toy_est_3D_test.npz", allow_pickle=True) as file:
        found = [x.reshape(-1, 3, 3) for x in file["joints_3d"]]
    errors = [
        np.linalg.norm((a - a[:, 1:2]) - (b - b[:, 1:2]), axis=-1).mean(-1) for a, b in zip(truth, found, strict=True)
    ]
    assert from_root_1 == pytest.approx(1000 * np.concatenate(errors).mean(), rel=1e-5)
    assert run("eval", [*TOY, "--estimator", "other", "--checkpoint", "good.pth.tar"]) == 2
    assert "toy has no 3D poses of other" in capsys.readouterr().err


def test_a_device(place, monkeypatch, capsys):
    monkeypatch.setitem(devices.DEVICES, "npu", devices.Kind("hccl", "npu", plugin="torch_of_nobody"))
    assert run("smooth", ["walk.npy", "-o", "o.npy", "--checkpoint", "good.pth.tar", "--device", "npu:1"]) == 2
    assert "--device npu:1: torch_of_nobody is not installed" in capsys.readouterr().err
    assert run("smooth", ["walk.npy", "-o", "o.npy", "--checkpoint", "good.pth.tar", "--device", "gpu"]) == 2
    assert "npu, npu:N" in capsys.readouterr().err


def test_a_setting(place, monkeypatch, capsys):
    row = config.Setting("TRAIN.PATIENCE", 1.5, "hours of it", config.POSITIVE, "--patience", "train", added=True)
    monkeypatch.setattr(config, "SETTINGS", (*config.SETTINGS, row))
    (place / "c.yaml").write_text("TRAIN: {PATIENCE: 3}\n")
    tail = ["--epoch", "1", "--opts", "DATASET.BASE_DIR", "poses", *SMALL]
    for name, words, value in (("a", [], 1.5), ("b", ["--cfg", "c.yaml"], 3.0), ("c", ["--patience", "2"], 2.0)):
        assert run("train", [*TOY, "--logdir", name, *words, *tail]) == 0
        assert yaml.safe_load((place / name / "config.yaml").read_text())["TRAIN"]["PATIENCE"] == value
    capsys.readouterr()
    assert run("train", [*TOY, "--logdir", "d", *tail, "TRAIN.PATIENCE", "-1"]) == 2
    assert "TRAIN.PATIENCE" in capsys.readouterr().err


def test_an_argument(place, monkeypatch, capsys):
    row = arguments.Argument(("--greeting",), "smooth export", "what to say", {"metavar": "WORDS"})
    monkeypatch.setattr(arguments, "OWN", (*arguments.OWN, row))
    for command in ("smooth", "export"):
        assert run(command, ["--help"]) == 0
        assert re.search(r"--greeting WORDS\s+what to say", capsys.readouterr().out)
    good = ["walk.npy", "-o", "o.npy", "--checkpoint", "good.pth.tar"]
    assert run("smooth", [*good, "--greeting", "hello"]) == 0
    assert run("train", ["--greeting", "hello"]) == 2


@pytest.mark.parametrize(
    ("command", "flag", "names"),
    [
        ("smooth", "--method", methods.METHODS),
        ("train", "--device", devices.DEVICES),
        ("visualize", "--output_format", PICTURES),
    ],
)
def test_the_help_names_what_there_is(command, flag, names):
    """The one place beside a table's row: the words of its argument, which are there before the table is."""
    (words,) = (row.help for row in arguments.arguments(command) if flag in row.flags)
    assert not [name for name in names if name not in words]


def test_a_skeleton(place, monkeypatch):
    row = Skeleton(("nose", "left_ear", "right_ear"), ((0, 1), (0, 2)), (0,))
    monkeypatch.setitem(SKELETONS, "face3", row)
    words = ["--input", "walk.npy", "--checkpoint", "good.pth.tar", "--device", "cpu"]
    assert run("visualize", [*words, "--format", "html", "--skeleton", "face3", "-o", "out"]) == 0
    page = (place / "out/walk.html").read_text(encoding="utf-8")
    data = json.loads(page.split('id="clip">')[1].split("</script>")[0])
    text = json.dumps(data)
    assert "left_ear" in text or "left ear" in text
    assert [list(edge)[:2] for edge in data["edges"]] == [[0, 1], [0, 2]]


class Blend(torch.nn.Module):
    """The window, mixed with its mean by one trained number."""

    def __init__(self, window: int):
        super().__init__()
        self.window_size = window
        self.share = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.share * (x.mean(-1, keepdim=True) - x)


def load_blend(checkpoint) -> Blend:
    model = Blend(checkpoint["model"]["window"])
    model.load_state_dict(checkpoint["state_dict"])
    return model


def test_a_network(place, monkeypatch):
    kind = Kind(
        Blend,
        build=lambda settings: Blend(settings.SLIDE_WINDOW_SIZE),
        load=load_blend,
        channels=lambda model, normalize, dims, shown, strength, fps: model,
        multiply_adds=lambda model: model.window_size,
        settings=lambda model: {"window": model.window_size},
    )
    recipe = Recipe(
        data=lambda cfg: load_all(cfg, "train"), source=PoseWindows, loss=lambda cfg: smoothnet_loss(1.0, 1.0)
    )
    monkeypatch.setitem(KINDS, "blend", kind)
    monkeypatch.setitem(RECIPES, "blend", recipe)
    tail = ["--opts", "DATASET.BASE_DIR", "poses", "MODEL.NAME", "blend", "MODEL.SLIDE_WINDOW_SIZE", "8"]
    assert run("train", [*TOY, "--epoch", "2", "--lr", "0.01", "--logdir", "trained", *tail]) == 0
    weights = torch.load(place / "trained/checkpoint.pth.tar", weights_only=True)["state_dict"]
    assert weights["share"] != 0
    words = [*TOY, "--checkpoint", "trained/checkpoint.pth.tar", "--logdir", "run", *tail[:3]]
    assert run("eval", words) == 0
    metrics = read_json(place / "run/metrics.json")["results"][0]["metrics"]
    assert math.isfinite(metrics["smoothnet_mpjpe"])
    assert run("smooth", ["walk.npy", "-o", "o.npy", "--checkpoint", "trained/checkpoint.pth.tar"]) == 0
    assert not np.array_equal(np.load("o.npy"), np.load("walk.npy"))
