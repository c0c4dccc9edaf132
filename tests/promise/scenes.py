# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Good input and the command that reads it: one scene for each command and each kind of file."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from helpers import ROOT, SMALL, object_array, write_checkpoint, write_npz, write_poses
from smpl_samples import SAMPLES as BODIES
from tool_samples import SAMPLES as TOOLS
from unit.test_formats import ONE_OF_EACH, openpose
from unit.test_uiprmd import write_clip

DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
TRUTH = "poses/toy_est_3D/groundtruth/toy_gt_3D_{}.npz"
DETECTED = "poses/toy_est_3D/detected/toy_est_3D_{}.npz"


@dataclass
class Scene:
    """One command with good input. Paths are relative to the working directory of the command.

    Attributes:
        command: a name of lib.commands, or "stream", "loss", "prepare", "demo".
        argv: its arguments; OPTS, if there are any, last.
        build: writes the input into the current folder.
        inputs: what a mutation may damage.
        outputs: files and folders that the command may write.
        only_on_success: the outputs appear with status 0 alone.
        options: further arguments, of which each case takes some by chance.
        keys: settings that --opts may name.
    """

    command: str
    argv: list[str]
    build: Callable[[], object]
    inputs: list[str]
    outputs: list[str]
    only_on_success: bool = True
    options: list[list[str]] = field(default_factory=list)
    stdin: str | None = None


SMOOTH_OPTIONS = [
    ["--fps", "25"],
    ["--min_score", "0.3"],
    ["--max_gap", "2"],
    ["--step", "2"],
    ["--delay", "3"],
    ["--fill"],
    ["--force"],
    ["--method", "rts"],
    ["--outliers", "hampel"],
    ["--derivatives", "--fps", "25"],
    ["--uncertainty"],
    ["--plot"],
    ["--report", "report.json"],
]
EXCLUDE = [  # of two of these one is refused
    {"--delay", "--step"},
    {"--delay", "--outliers"},
    {"--delay", "--uncertainty"},
    {"--method", "--step"},
    {"--method", "--uncertainty"},
    {"--method", "--checkpoint"},
]
TEN_FRAMES = object_array([np.full((9, 30), 50.0) + np.arange(9)[:, None]])


def recording(make: Callable[[Path], Path]) -> Scene:
    """Smooth one file of a format with the weights that come along."""
    folder = Path("probe")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    name = make(folder).name
    shutil.rmtree(folder)
    suffix = Path(name).suffix
    beside = ["out.derivatives.npz", "out.uncertainty.npz", "out.png", "report.json"]
    return Scene(
        "smooth",
        [name, "-o", f"out{suffix}"],
        lambda: make(Path()),
        [name],
        [f"out{suffix}", *beside],
        options=SMOOTH_OPTIONS,
    )


def pose_files() -> None:
    write_poses(Path("poses"), lengths=(20, 12))
    write_checkpoint(Path("good.pth.tar"), window=8)


def pixels() -> None:
    folder = Path("poses/jhmdb_simplepose_2D")
    names = object_array([["a"] * 9])
    more = {"imgshape": object_array([[240, 320, 3]]), "bbox": object_array([np.tile([0.0, 0, 50, 50], (9, 1))])}
    write_npz(folder / "groundtruth/jhmdb_gt_2D_test.npz", imgname=names, joints_2d=TEN_FRAMES, **more)
    write_npz(folder / "detected/jhmdb_simplepose_2D_test.npz", imgname=names, joints_2d=TEN_FRAMES)
    write_checkpoint(Path("good.pth.tar"), window=8)


def bodies() -> None:
    """3DPW in the form of the goldens, with a body model of random numbers."""
    shutil.copytree(ROOT / "tests/golden/pw3d_spin_smpl/data/poses", "poses")
    with np.load(ROOT / "tests/golden/synthetic_smpl.npz") as file:
        model = dict(file)
    Path("smpl").mkdir()
    np.save("smpl/J_regressor_extra.npy", model.pop("J_regressor_extra"))
    Path("smpl/SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(model, protocol=2))
    shutil.copy(ROOT / "tests/golden/pw3d_spin_smpl/checkpoint.pth.tar", "good.pth.tar")


def settings() -> None:
    pose_files()
    Path("c.yaml").write_text(
        "DATASET_NAME: toy\nESTIMATOR: est\nBODY_REPRESENTATION: 3D\nDEVICE: cpu\nEXP_NAME: t\n"
        "TRAIN: {EPOCH: 1, BATCH_SIZE: 16, LR: 1.0e-3, RESUME : None}\n"
        "MODEL:\n  HIDDEN_SIZE: 16\n  RES_HIDDEN_SIZE: 8\n  NUM_BLOCK: 1\n  SLIDE_WINDOW_SIZE: 8\n"
        "LOSS: {W_ACCEL: 0.1}\nVIS:\n  END: 9\n"
    )


def a_run() -> None:
    """A run to go on from."""
    from lib.commands import run

    pose_files()
    arguments = [*DATA, "--epoch", "1", "--logdir", "before", "--opts", "DATASET.BASE_DIR", "poses", *SMALL]
    assert run("train", arguments) == 0
    shutil.copy("before/checkpoint.pth.tar", "resume.pth.tar")


def old_checkpoint() -> None:
    points()
    content = torch.load("good.pth.tar", weights_only=True)
    torch.save({"state_dict": content["state_dict"], "epoch": 1}, "old.pth", _use_new_zipfile_serialization=False)


def onnx_model() -> None:
    from lib.commands import run

    points()
    assert run("export", ["--checkpoint", "good.pth.tar", "-o", "m.onnx"]) == 0


def points() -> None:
    write_npz(Path("a.npz"), keypoints=np.cumsum(np.ones((20, 3, 2)), axis=0))
    write_checkpoint(Path("good.pth.tar"), window=8)


def a_corpus() -> None:
    points()
    Path("poses/deep").mkdir(parents=True)
    shutil.copy("a.npz", "poses/a.npz")
    np.save("poses/deep/b.npy", np.cumsum(np.ones((12, 4, 3)), axis=0))
    Path("poses/deep/c.csv").write_text("x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(12)))
    openpose(Path("poses"))


def a_corpus_again() -> None:
    """A corpus of which a part is done."""
    from lib.commands import run

    a_corpus()
    Path("kept").mkdir()
    shutil.move("poses/deep", "kept/deep")
    assert run("corpus", ["poses", "-o", "out", "--jobs", "0"]) == 0
    shutil.move("kept/deep", "poses/deep")


def general_weights() -> None:
    from lib.models.checkpoints import save_checkpoint
    from lib.models.general import GeneralSmoother
    from lib.models.kinds import description

    model = GeneralSmoother(window_size=12, knots=4, step=3)
    save_checkpoint(Path("own.pth.tar"), {"state_dict": model.state_dict(), "model": description(model)})


def several_files() -> None:
    points()
    Path("b.csv").write_text("x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(12)))


def crowd() -> None:
    """Two people without numbers who cross, one of whom leaves and comes back, and a frame with nobody."""
    points()
    lines = []
    for i in range(14):
        there = [[[i, 2.5], [i + 1, 3]]] + ([[[13 - i, 40.5], [14 - i, 44]]] if i not in (5, 6) else [])
        people = [{"keypoints": points_, "scores": [0.9, 0.5]} for points_ in there[:: 1 - 2 * (i % 2)]]
        lines.append(json.dumps({"people": people if i != 9 else [], "frame": i}))
    Path("lines").write_text("\n".join(lines) + "\n")


def live_lines() -> None:
    points()
    people = [{"people": [{"id": i % 2, "keypoints": [[i, 2.5], [None, 3]], "scores": [0.5, 1]}]} for i in range(9)]
    Path("lines").write_text("".join(json.dumps(line) + "\n" for line in people))


def logs() -> None:
    for name in ("a.log", "b.log"):
        Path(name).write_text("".join(f"x rank : 0  train.loss : {1 / i}  train.ips : 9.0\n" for i in range(1, 9)))


def markers() -> None:
    for number in (1, 9):
        write_clip(Path("raw"), f"m01_s{number:02d}_e01", seed=number)


def raw_names() -> list[str]:
    return [
        f"raw/Segmented Movements/{folder}/m01_s{number:02d}_e01_{kind}.txt"
        for number in (1, 9)
        for folder, kind in (
            ("Kinect/Positions", "positions"),
            ("Kinect/Angles", "angles"),
            ("Vicon/Positions", "positions"),
        )
    ]


PAIR = [TRUTH.format("test"), DETECTED.format("test")]
TRAIN_PAIR = [TRUTH.format("train"), DETECTED.format("train")]
SMPL_DATA = ["--dataset_name", "pw3d", "--estimator", "spin", "--body_representation", "smpl", "--device", "cpu"]
JHMDB = ["--dataset_name", "jhmdb", "--estimator", "simplepose", "--body_representation", "2D", "--device", "cpu"]
BASE = ["--opts", "DATASET.BASE_DIR", "poses"]
GOOD = ["--checkpoint", "good.pth.tar"]
EVALUATED = ["run", "table.md", "table.csv", "table.json"]
EVAL_OPTIONS = [
    ["--tradition", "all"],
    ["--slide_window_step_size", "4"],
    ["--fps", "25"],
    ["--report", "table.md"],
    ["--report", "table.csv"],
    ["--report", "table.json"],
    ["--per_sequence"],
]
CORPUS = ["poses", "-o", "out", "--jobs", "0"]
CORPUS_FILES = ["poses/a.npz", "poses/deep/b.npy", "poses/deep/c.csv", "poses/cam1"]
CORPUS_OUT = ["out", "out.corpus"]
CORPUS_OPTIONS = [["--force"], ["--retry"], ["--method", "rts"], ["--fps", "25"], ["--min_score", "0.3"]]
PICTURE_OPTIONS = [["--format", "html"], ["--format", "gif"], ["--size", "320x240"]]


def all_scenes() -> dict[str, Scene]:
    """Name -> scene. Needs an empty working directory for a moment."""
    scenes = {f"smooth {name}": recording(make) for name, (make, _) in ONE_OF_EACH.items()}
    for name, (make, _) in ONE_OF_EACH.items():
        given = recording(make).inputs
        scenes[f"inspect {name}"] = Scene("inspect", list(given), scenes[f"smooth {name}"].build, given, [])
    for make in (*TOOLS, *BODIES.values()):
        scenes[f"smooth {make.__name__}"] = recording(make)
    for ending in ("csv", "npz", "npy", "json", "jsonl"):
        out = f"o.{ending}"
        scenes[f"convert to {ending}"] = Scene("convert", ["a.npz", out], points, ["a.npz"], [out])
    smooth = ["a.npz", "-o", "o.npz", "--checkpoint"]
    scenes |= {
        "smooth by a checkpoint": Scene("smooth", [*smooth, "good.pth.tar"], points, ["good.pth.tar"], ["o.npz"]),
        "smooth by an old checkpoint": Scene("smooth", [*smooth, "old.pth"], old_checkpoint, ["old.pth"], ["o.npz"]),
        "smooth by ONNX": Scene("smooth", [*smooth, "m.onnx"], onnx_model, ["m.onnx"], ["o.npz"]),
        "smooth several files": Scene(
            "smooth",
            ["a.npz", "b.csv", "-o", "out"],
            several_files,
            ["a.npz", "b.csv"],
            ["out", "report.json"],
            options=SMOOTH_OPTIONS,
        ),
        **{
            f"stream of {who}": Scene(
                "stream",
                ["-", "--stream", *method],
                build,
                ["lines"],
                [],
                options=[["--delay", "2"], ["--min_score", "0.6"], ["--max_gap", "1"]],
                stdin="lines",
            )
            for who, method, build in (
                ("people with numbers", GOOD, live_lines),
                ("people without", GOOD, crowd),
                ("people by a filter", ["--method", "oneeuro", "--fps", "25"], crowd),
            )
        },
        "corpus": Scene("corpus", CORPUS, a_corpus, CORPUS_FILES, CORPUS_OUT, False, CORPUS_OPTIONS),
        "corpus again": Scene(
            "corpus",
            CORPUS,
            a_corpus_again,
            [*CORPUS_FILES, "out.corpus/manifest.sqlite"],
            CORPUS_OUT,
            False,
            CORPUS_OPTIONS,
        ),
        **{
            f"page {ending}": Scene(
                "page",
                ["-o", f"p.{ending}", "--checkpoint", "own.pth.tar"],
                general_weights,
                ["own.pth.tar"],
                [f"p.{ending}"],
                options=[["--force"], ["--window", "12"]],
            )
            for ending in ("html", "js")
        },
        "eval 3D": Scene(
            "eval",
            [*DATA, "--logdir", "run", *GOOD, *BASE],
            pose_files,
            [*PAIR, "good.pth.tar"],
            EVALUATED,
            False,
            EVAL_OPTIONS,
        ),
        "eval 2D": Scene(
            "eval",
            [*JHMDB, "--logdir", "run", *GOOD, *BASE],
            pixels,
            [
                "poses/jhmdb_simplepose_2D/groundtruth/jhmdb_gt_2D_test.npz",
                "poses/jhmdb_simplepose_2D/detected/jhmdb_simplepose_2D_test.npz",
            ],
            EVALUATED,
            False,
            EVAL_OPTIONS,
        ),
        "eval smpl": Scene(
            "eval",
            [*SMPL_DATA, "--logdir", "run", *GOOD, *BASE, "SMPL_MODEL_DIR", "smpl"],
            bodies,
            [
                "smpl/SMPL_NEUTRAL.pkl",
                "smpl/J_regressor_extra.npy",
                "poses/pw3d_spin_smpl/groundtruth/pw3d_gt_smpl_test.npz",
                "poses/pw3d_spin_smpl/detected/pw3d_spin_smpl_test.npz",
            ],
            EVALUATED,
            False,
        ),
        "train": Scene(
            "train",
            [*DATA, "--epoch", "1", "--logdir", "run", *BASE, *SMALL],
            pose_files,
            [*TRAIN_PAIR, *PAIR],
            ["run"],
            False,
            [["--seed", "3"], ["--autocast"], ["--early_stop", "1"]],
        ),
        "train by a settings file": Scene(
            "train", ["--cfg", "c.yaml", "--logdir", "run", *BASE], settings, ["c.yaml"], ["run"], False
        ),
        "train on": Scene(
            "train",
            [*DATA, "--epoch", "2", "--logdir", "run", "--resume", "resume.pth.tar", *BASE, *SMALL],
            a_run,
            ["resume.pth.tar"],
            ["run"],
            False,
        ),
        "visualize a file": Scene(
            "visualize",
            ["--input", "a.npz", *GOOD, "--device", "cpu", "--format", "png", "--output_video_path", "pictures"],
            points,
            ["a.npz"],
            ["pictures"],
            False,
            PICTURE_OPTIONS,
        ),
        "visualize a dataset": Scene(
            "visualize",
            [*DATA, *GOOD, "--format", "png", "--output_video_path", "pictures", *BASE],
            pose_files,
            PAIR,
            ["pictures"],
            False,
            PICTURE_OPTIONS,
        ),
        "export": Scene(
            "export",
            [*GOOD, "-o", "m.onnx"],
            points,
            ["good.pth.tar"],
            ["m.onnx"],
            options=[["--verify"], ["--window", "8"]],
        ),
        "loss": Scene("loss", ["--sdaa-log", "a.log", "--cuda-log", "b.log"], logs, ["a.log", "b.log"], ["loss.png"]),
        "prepare": Scene("prepare", ["raw", "--output", "o", "--train_people", "1"], markers, raw_names(), ["o"]),
        "demo": Scene(
            "demo", ["--output", "o", "--train", "1", "--test", "1", "--frames", "9"], lambda: None, [], ["o"]
        ),
    }
    return scenes


# How often a scene is drawn: those with many kinds of input more often, slow ones less.
WEIGHTS = {
    "smooth": 3,
    "inspect": 1,
    "convert": 2,
    "stream": 3,
    "corpus": 4,
    "page": 2,
    "eval": 5,
    "train": 4,
    "visualize": 1,
    "export": 3,
    "loss": 2,
    "prepare": 2,
    "demo": 1,
}


def choose(rng: random.Random, scenes: dict[str, Scene]) -> str:
    """The name of a scene."""
    names = list(scenes)
    return rng.choices(names, [WEIGHTS[scenes[name].command] for name in names])[0]
