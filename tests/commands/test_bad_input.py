# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Bad input through the real commands: one sentence on stderr that names the file, status 2, and no traceback."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, SMALL, object_array, write_checkpoint, write_npz, write_poses

from data import make_demo, prepare_uiprmd
from lib.commands import evaluate as eval_smoothnet
from lib.commands import export as export_smoothnet
from lib.commands import smooth as smooth_smoothnet
from lib.commands import train as train_smoothnet
from lib.commands import visualize as visualize_smoothnet
from lib.commands.arguments import run_main
from lib.models.smoothnet import SmoothNet
from run_scripts import loss

DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]
BASE = ["--opts", "DATASET.BASE_DIR", "poses"]
TRUTH = "poses/toy_est_3D/groundtruth/toy_gt_3D_{}.npz"
DETECTED = "poses/toy_est_3D/detected/toy_est_3D_{}.npz"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with one of everything that is right, as the working directory."""
    write_poses(tmp_path / "poses", lengths=(20, 12))
    write_checkpoint(tmp_path / "good.pth.tar", window=8)
    write_npz(tmp_path / "a.npz", keypoints=np.cumsum(np.ones((20, 3, 2)), axis=0))
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 9)
    monkeypatch.chdir(tmp_path)
    for name in (None, "lib"):  # commands before this one log to streams that are closed by now
        logging.getLogger(name).handlers.clear()
    return tmp_path


def train(*more: str, opts: tuple[str, ...] = ()):
    return train_smoothnet.main, [*DATA, "--epoch", "1", "--logdir", "run", *more, *BASE, *SMALL, *opts]


def evaluate(*more: str, opts: tuple[str, ...] = ()):
    return eval_smoothnet.main, [*DATA, "--logdir", "run", *more, *BASE, *opts]


def smooth(*more: str):
    return smooth_smoothnet.main, list(more)


def visualize(*more: str, opts: tuple[str, ...] = ()):
    return visualize_smoothnet.main, [*DATA, "--format", "png", *more, *BASE, *opts]


def export(*more: str):
    return export_smoothnet.main, list(more)


def text(name: str, content: str):
    return lambda: Path(name).write_text(content)


def swap(phase: str):
    """Ground truth and detections under each other's names, of a set where one has a key that the other lacks."""

    def change():
        folder = Path("poses/jhmdb_simplepose_2D")
        pixels = object_array([np.full((9, 30), 50.0)])
        imgname = object_array([["a"] * 9])
        more = {"imgshape": object_array([[240, 320, 3]]), "bbox": object_array([np.tile([0.0, 0, 50, 50], (9, 1))])}
        write_npz(folder / f"groundtruth/jhmdb_gt_2D_{phase}.npz", imgname=imgname, joints_2d=pixels)
        write_npz(folder / f"detected/jhmdb_simplepose_2D_{phase}.npz", imgname=imgname, joints_2d=pixels, **more)

    return change


def cut(path: str, share: float = 0.5):
    def change():
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(share * len(content))])

    return change


def folder_instead(path: str):
    def change():
        Path(path).unlink()
        Path(path).mkdir()

    return change


def saved(path: str, content):
    return lambda: torch.save(content() if callable(content) else content, path)


def resumable(**changes):
    """A checkpoint of a run, with some of its content replaced."""

    def change():
        main, arguments = train("--logdir", "before")
        assert run_main(main, list(arguments)) == 0
        content = torch.load("before/checkpoint.pth.tar", weights_only=True)
        content.update({key: value(content) if callable(value) else value for key, value in changes.items()})
        torch.save({key: value for key, value in content.items() if value is not None}, "resume.pth.tar")

    return change


def misshapen(content):
    state = content["optimizer"]
    state["state"][0]["exp_avg"] = torch.zeros(3, 3)
    return state


def weights_times(factor: complex):
    return lambda content: {name: value * factor for name, value in content["state_dict"].items()}


def frames_with_a_lost_one():
    Path("frames").mkdir()
    for t in range(9):
        people = [{"pose_keypoints_2d": [1 + t, 2, 0.5, 3, 4.5, 0.5]}]
        Path(f"frames/{t}.json").write_text(json.dumps({"people": people}))
    Path("frames/2.json").unlink()
    Path("frames/2.json").symlink_to("nowhere")


JHMDB = ["--dataset_name", "jhmdb", "--estimator", "simplepose", "--body_representation", "2D"]
CASES = {
    # name: (what is done to the folder, command and arguments, words of the sentence)
    "train: a file in place of the run folder": (None, train("--logdir", "empty"), "empty"),
    "train: a name of a run with a folder in it": (
        None,
        train("--logdir", "", "--exp_name", "no/such", opts=("OUTPUT_DIR", "out")),
        "_no/such: No such file",
    ),
    "train: run folder below a file": (None, train("--logdir", "empty/run"), "empty/run"),
    "train: run folder on a file system that cannot be written": (None, train("--logdir", "/proc/run"), "/proc/run"),
    "train: a folder in place of the ground truth": (
        folder_instead(TRUTH.format("train")),
        train(),
        "toy_gt_3D_train.npz",
    ),
    "train: an empty file": (lambda: shutil.copy("empty", DETECTED.format("train")), train(), "toy_est_3D_train.npz"),
    "train: noise": (lambda: shutil.copy("noise", DETECTED.format("train")), train(), "toy_est_3D_train.npz"),
    "train: cut in half": (cut(DETECTED.format("train")), train(), "toy_est_3D_train.npz"),
    "train: ground truth and detections swapped": (swap("train"), train(*JHMDB), "imgshape"),
    "train: base is a file": (None, train(opts=("DATASET.BASE_DIR", "empty")), "toy_gt_3D_train.npz"),
    "train: YAML with tabs": (text("c.yaml", "TRAIN:\n\tEPOCH: 3\n"), train("--cfg", "c.yaml"), "c.yaml"),
    "train: YAML is a list": (text("c.yaml", "- 1\n- 2\n"), train("--cfg", "c.yaml"), "c.yaml"),
    "train: YAML is noise": (None, train("--cfg", "noise"), "noise"),
    "train: YAML is a folder": (None, train("--cfg", "folder"), "folder"),
    "train: YAML runs Python": (
        text("c.yaml", "EXP_NAME: !!python/object/apply:os.system ['touch ran']\n"),
        train("--cfg", "c.yaml"),
        "c.yaml",
    ),
    "train: YAML of many aliases": (
        text("c.yaml", "a: &a [1, 1]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghi"))),
        train("--cfg", "c.yaml"),
        "c.yaml",
    ),
    "train: unknown key": (text("c.yaml", "TRAIN: {EPOCHS: 3}\n"), train("--cfg", "c.yaml"), "TRAIN.EPOCHS"),
    "train: wrong type": (text("c.yaml", "MODEL: {HIDDEN_SIZE: [1]}\n"), train("--cfg", "c.yaml"), "MODEL.HIDDEN_SIZE"),
    "train: a number in place of a section": (text("c.yaml", "TRAIN: 3\n"), train("--cfg", "c.yaml"), "TRAIN"),
    "train: text as a key": (text("c.yaml", "1: 2\n"), train("--cfg", "c.yaml"), "c.yaml"),
    "train: a rate that is no number": (None, train("--lr", "nan"), "--lr"),
    "train: a window longer than every sequence": (None, train(opts=("MODEL.SLIDE_WINDOW_SIZE", "0")), "SLIDE_WINDOW"),
    "train: resume from a folder": (None, train("--resume", "folder"), "folder is a folder; name a file in it"),
    "train: resume from a text": (
        None,
        train("--resume", "noise"),
        "noise is no checkpoint",
    ),
    "train: resume from weights alone": (None, train("--resume", "good.pth.tar"), "good.pth.tar"),
    "train: resume of another network": (
        resumable(),
        train("--resume", "resume.pth.tar", opts=("MODEL.HIDDEN_SIZE", "32")),
        "resume.pth.tar does not fit the network of this run: MODEL.HIDDEN_SIZE is 32, was 16",
    ),
    "train: resume with a mean of weights that the run had not": (
        resumable(),
        train("--resume", "resume.pth.tar", opts=("TRAIN.AVERAGE", "0.9")),
        "TRAIN.AVERAGE is 0.9, was 0.0",
    ),
    "train: resume without a history": (
        resumable(history=None),
        train("--resume", "resume.pth.tar"),
        "it has no 'history'",
    ),
    **{
        f"train: resume {name}": (
            resumable(**change),
            train("--epoch", "2", "--resume", "resume.pth.tar"),
            "resume.pth.tar",
        )
        for name, change in {
            "without an epoch": {"epoch": None},
            "at a text": {"epoch": "x"},
            "with a foreign optimiser": {"optimizer": [1]},
            "with a tensor for an optimiser": {"optimizer": torch.zeros(3)},
            "with misshapen moments": {"optimizer": misshapen},
            "with weights that are not finite": {"state_dict": weights_times(float("nan"))},
            "with complex weights": {"state_dict": weights_times(1j)},
            "with a foreign history": {"history": 3},
            "with a foreign loss": {"epoch_loss": "ab"},
        }.items()
    },
    "eval: no checkpoint": (None, evaluate(), "--checkpoint"),
    "eval: a missing checkpoint": (None, evaluate("--checkpoint", "nowhere"), "nowhere"),
    "eval: a folder": (None, evaluate("--checkpoint", "folder"), "folder"),
    "eval: a folder of a training": (
        lambda: shutil.copy("good.pth.tar", "folder/best.pth.tar"),
        evaluate("--checkpoint", "folder"),
        "name one of its files, such as best.pth.tar",
    ),
    "eval: a checkpoint cut in half": (cut("good.pth.tar"), evaluate("--checkpoint", "good.pth.tar"), "good.pth.tar"),
    "eval: noise": (None, evaluate("--checkpoint", "noise"), "noise"),
    "eval: poses as a checkpoint": (None, evaluate("--checkpoint", "a.npz"), "a.npz"),
    "eval: a text": (text("c.yaml", "a: 1\n"), evaluate("--checkpoint", "c.yaml"), "c.yaml is no checkpoint"),
    "eval: an empty file": (None, evaluate("--checkpoint", "empty"), "it ends too early"),
    "eval: a layer that is no matrix": (
        saved("c.pth", {"state_dict": {"encoder.0.weight": torch.zeros(3)}}),
        evaluate("--checkpoint", "c.pth"),
        "a layer is no matrix",
    ),
    "eval: another project's": (
        saved("c.pth", {"state_dict": {"conv1.weight": torch.zeros(4, 3, 7, 7)}}),
        evaluate("--checkpoint", "c.pth"),
        "c.pth",
    ),
    "eval: a whole model": (
        saved("c.pth", lambda: torch.nn.Linear(2, 2)),
        evaluate("--checkpoint", "c.pth"),
        "c.pth",
    ),
    "eval: numbers in place of weights": (
        saved("c.pth", {"state_dict": {"encoder.0.weight": 3, "decoder.weight": [1]}}),
        evaluate("--checkpoint", "c.pth"),
        "c.pth",
    ),
    "eval: another architecture": (
        saved("c.pth", lambda: {"state_dict": {**SmoothNet(8, None, 16, 8, 1).state_dict(), "x": torch.zeros(1)}}),
        evaluate("--checkpoint", "c.pth"),
        "c.pth",
    ),
    "eval: another window": (
        None,
        evaluate("--checkpoint", "good.pth.tar", "--slide_window_size", "32"),
        "good.pth.tar",
    ),
    "eval: a filter that is none": (None, evaluate("--checkpoint", "good.pth.tar", "--tradition", "kalman"), "kalman"),
    "eval: a report of no known kind": (None, evaluate("--checkpoint", "good.pth.tar", "--report", "r.pdf"), "r.pdf"),
    "eval: a report that is a folder": (
        lambda: Path("r.md").mkdir(),
        evaluate("--checkpoint", "good.pth.tar", "--report", "r.md"),
        "r.md",
    ),
    "eval: weights beside those that come along": (None, evaluate("--checkpoint", "../weights"), "../weights"),
    "eval: a name of thousands of letters": (
        None,
        evaluate("--checkpoint", "good.pth.tar", "--dataset_name", "n" * 5000),
        "nnn",
    ),
    "eval: a report into nowhere": (None, evaluate("--checkpoint", "good.pth.tar", "--report", "no/r.md"), "no/r.md"),
    "eval: run folder is a file": (None, evaluate("--checkpoint", "good.pth.tar", "--logdir", "empty"), "empty"),
    "eval: ground truth and detections swapped": (
        swap("test"),
        evaluate("--checkpoint", "good.pth.tar", *JHMDB),
        "imgshape",
    ),
    "smooth: a missing input": (None, smooth("nowhere.json", "-o", "o.json"), "nowhere.json"),
    "smooth: no known format": (None, smooth("noise", "-o", "o"), "noise"),
    "smooth: an empty file": (None, smooth("empty", "-o", "o"), "empty"),
    "smooth: an empty folder": (None, smooth("folder", "-o", "o"), "folder"),
    "smooth: another form": (None, smooth("a.npz", "-o", "o.mot"), "o.mot"),
    "smooth: itself": (None, smooth("a.npz", "-o", "a.npz", "--force"), "a.npz"),
    "smooth: into a file": (None, smooth("a.npz", "-o", "empty/o.npz", "--checkpoint", "good.pth.tar"), "empty"),
    "smooth: into a place that cannot be written": (
        None,
        smooth("a.npz", "-o", "/proc/o.npz", "--checkpoint", "good.pth.tar"),
        "/proc",
    ),
    "smooth: a missing checkpoint": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "nowhere.pth"),
        "nowhere.pth",
    ),
    "smooth: noise as ONNX": (
        lambda: shutil.copy("noise", "n.onnx"),
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "n.onnx"),
        "n.onnx",
    ),
    "smooth: another window": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--window", "32"),
        "good",
    ),
    "smooth: an unknown format": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--format", "fbx"),
        "fbx",
    ),
    "smooth: a delay beyond the window": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--delay", "99"),
        "delay",
    ),
    "smooth: a device that is none": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--device", "tpu"),
        "tpu",
    ),
    "smooth: a device without a name": (
        None,
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--device", ""),
        "--device",
    ),
    "smooth: a name that looks like an argument": (
        lambda: shutil.copy("a.npz", "-a.npz"),
        smooth("-a.npz", "-o", "o.npz"),
        "-a.npz",
    ),
    "smooth: a strength beyond all": (
        None,
        smooth("a.npz", "-o", "o.npz", "--method", "rts", "--strength", "1e300"),
        "--strength",
    ),
    "smooth: a report without a name": (None, smooth("a.npz", "-o", "o.npz", "--report", ""), "--report"),
    "smooth: a report that is a folder": (None, smooth("a.npz", "-o", "o.npz", "--report", "."), "--report"),
    "smooth: dims that do not fit": (
        lambda: write_npz(Path("a.npz"), keypoints=np.ones((9, 7))),
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar", "--dims", "2"),
        "a.npz",
    ),
    "smooth: text in an array": (
        lambda: write_npz(Path("a.npz"), keypoints=np.full((9, 3, 2), "x")),
        smooth("a.npz", "-o", "o.npz"),
        "a.npz",
    ),
    "visualize: a sequence that is not there": (
        None,
        visualize("--checkpoint", "good.pth.tar", "--visualize_video_id", "7"),
        "no sequence 7",
    ),
    "visualize: a format that is none": (None, visualize("--format", "avi"), "avi"),
    "visualize: a missing file": (None, visualize("--input", "nowhere.npz"), "nowhere.npz"),
    "visualize: noise": (None, visualize("--input", "noise", "--checkpoint", "good.pth.tar"), "noise"),
    "visualize: pictures into a file": (
        None,
        visualize("--checkpoint", "good.pth.tar", "--output_video_path", "empty"),
        "empty",
    ),
    "visualize: no such frames": (
        None,
        visualize("--checkpoint", "good.pth.tar", opts=("VIS.START", "500", "VIS.END", "600")),
        "frame",
    ),
    "visualize: an edge beyond the joints": (
        None,
        visualize("--checkpoint", "good.pth.tar", "--edges", "0-99"),
        "99",
    ),
    "visualize: an unknown skeleton": (
        None,
        visualize("--checkpoint", "good.pth.tar", "--skeleton", "spider"),
        "spider",
    ),
    "visualize: no such person": (
        None,
        visualize("--input", "a.npz", "--checkpoint", "good.pth.tar", "--track", "9"),
        "9",
    ),
    "visualize: noise as the recording": (
        None,
        visualize("--input", "a.npz", "--checkpoint", "good.pth.tar", "--video", "noise", "--format", "mp4"),
        "noise",
    ),
    "export: a missing checkpoint": (None, export("--checkpoint", "nowhere.pth", "-o", "o.onnx"), "nowhere.pth"),
    "export: into nowhere": (None, export("--checkpoint", "good.pth.tar", "-o", "no/o.onnx"), "o.onnx"),
    "export: noise": (None, export("--checkpoint", "noise", "-o", "o.onnx"), "noise"),
    "export: into a folder": (None, export("--checkpoint", "good.pth.tar", "-o", "folder"), "folder"),
    "prepare: a missing folder": (None, (prepare_uiprmd.main, ["nowhere", "--output", "o"]), "nowhere"),
    "prepare: an empty folder": (None, (prepare_uiprmd.main, ["folder", "--output", "o"]), "folder"),
    "prepare: a file": (None, (prepare_uiprmd.main, ["noise", "--output", "o"]), "noise"),
    "demo: into a file": (
        None,
        (make_demo.main, ["--output", "empty", "--train", "1", "--test", "1", "--frames", "9"]),
        "empty",
    ),
    "demo: no sequences": (None, (make_demo.main, ["--output", "o", "--train", "-1", "--test", "1"]), ""),
    "demo: no frames": (
        None,
        (make_demo.main, ["--output", "o", "--train", "1", "--test", "1", "--frames", "0"]),
        "frames",
    ),
    "loss: a missing log": (None, (loss.main, ["--sdaa-log", "nowhere", "--cuda-log", "empty"]), "nowhere"),
    "loss: an empty log": (None, (loss.main, ["--sdaa-log", "empty", "--cuda-log", "empty"]), "empty"),
    "smooth: a device": (
        lambda: Path("z.jsonl").symlink_to("/dev/zero"),
        smooth("z.jsonl", "-o", "o.jsonl"),
        "z.jsonl",
    ),
    "smooth: a pipe": (lambda: os.mkfifo("p.npz"), smooth("p.npz", "-o", "o.npz"), "p.npz"),
    "smooth: a frame that is a folder": (
        lambda: (frames_with_a_lost_one(), Path("frames/2.json").unlink(), Path("frames/2.json").mkdir()),
        smooth("frames", "-o", "o", "--checkpoint", "good.pth.tar"),
        "2.json",
    ),
    "smooth: a frame that is a link to nowhere": (
        frames_with_a_lost_one,
        smooth("frames", "-o", "o", "--checkpoint", "good.pth.tar"),
        "2.json",
    ),
    "loss: a pipe": (lambda: os.mkfifo("pipe"), (loss.main, ["--sdaa-log", "pipe", "--cuda-log", "empty"]), "pipe"),
    "loss: a folder": (None, (loss.main, ["--sdaa-log", "folder", "--cuda-log", "empty"]), "folder"),
    "loss: a number that is none": (
        text("log", "rank : 0  train.loss : 1.2.3-e\n"),
        (loss.main, ["--sdaa-log", "log", "--cuda-log", "log"]),
        "log",
    ),
    "loss: a picture into nowhere": (
        text("log", "rank : 0  train.loss : 1.5\n"),
        (loss.main, ["--sdaa-log", "log", "--cuda-log", "log", "--plot", "no/p.png"]),
        "p.png",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_one_sentence_and_status_2(place, capsys, case):
    change, (main, arguments), words = CASES[case]
    if change is not None:
        change()
        capsys.readouterr()
    assert run_main(main, arguments) == 2
    *remarks, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and words in error, error
    assert len(remarks) <= 1 and not any("Traceback" in line or line.startswith("error") for line in remarks)
    assert not (place / "ran").exists()


STREAMS = {
    "no JSON": (["{"], "line 1"),
    "no joints": (["3"], "line 1"),
    "joints that change": (["[[1, 2], [3, 4]]", "[[1, 2]]"], "line 2"),
    "text": (['[["a", 2]]'], "line 1"),
    "a person that is none": (['{"people": [3]}'], "line 1"),
    "ids that are lists": (['{"people": [{"id": [[]], "keypoints": [[1, 2]]}, {"id": 2, "keypoints": 7}]}'], "line 1"),
    "scores of another number": (['{"keypoints": [[1, 2]], "scores": ["a"]}'], "line 1"),
    "numbers of thousands of digits": (["[[" + "9" * 5000 + ", 2]]"], "line 1"),
    "a number beyond all": (["[[1e400, 2], [1" + "0" * 400 + ", 2]]"], "line 1"),
    "a coordinate that no frame after it would forget": (
        ["[[1, 2], [3, 4]]", "[[1e20, 2], [3, 4]]"],
        "line 2: a coordinate is 1e+20; no recording reaches that far",
    ),
    "one beyond all of float32": (
        ['{"people": [{"keypoints": [[1, -1e300], [null, null]]}]}'],
        "line 1: a coordinate is 1e+300",
    ),
    "true is no coordinate": (["[[1, 2.5]]", "[[1, true]]"], "line 2"),
    "false among whole numbers": (["[[3, false], [2, 5]]"], "line 1"),
    "a number that is too large": (['{"keypoints": [[1, 2]], "more": 1e400}'], "line 1"),
    "one person, then several": (["[[1, 2]]", '{"people": []}'], "line 2"),
}


@pytest.mark.parametrize("case", STREAMS)
def test_lines_that_are_wrong(place, capsys, monkeypatch, case):
    lines, words = STREAMS[case]
    monkeypatch.setattr("sys.stdin", [line + "\n" for line in lines])
    assert run_main(smooth_smoothnet.main, ["-", "--stream", "--checkpoint", "good.pth.tar", "--min_score", "0.5"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error


@pytest.fixture
def locked(place):
    """A folder in which nobody may write: not even root, who has to mount it."""
    folder = place / "locked"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o500)
        yield folder
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"root may write everywhere, and nothing can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=False)


WRITERS = {
    "train": train("--logdir", "locked/run"),
    "evaluate": evaluate("--checkpoint", "good.pth.tar", "--logdir", "locked/run"),
    "report": evaluate("--checkpoint", "good.pth.tar", "--report", "locked/table.md"),
    "visualize": visualize("--checkpoint", "good.pth.tar", "--output_video_path", "locked/pictures"),
    "smooth": smooth("a.npz", "-o", "locked/o.npz", "--checkpoint", "good.pth.tar"),
    "export": export("--checkpoint", "good.pth.tar", "-o", "locked/m.onnx"),
    "make_demo": (make_demo.main, ["--output", "locked/demo", "--train", "1", "--test", "1", "--frames", "9"]),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_read_only_folder(locked, capsys, writer):
    main, arguments = WRITERS[writer]
    assert run_main(main, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and "locked" in error
    assert not list(locked.iterdir())


def test_the_cases_would_pass_with_good_input(place, capsys):
    """So that no case above fails for another reason than its own."""
    runs = (
        train(),
        evaluate("--checkpoint", "good.pth.tar"),
        smooth("a.npz", "-o", "o.npz", "--checkpoint", "good.pth.tar"),
        visualize("--checkpoint", "good.pth.tar"),
        (make_demo.main, ["--output", "o", "--train", "1", "--test", "1", "--frames", "9"]),
    )
    for main, arguments in runs:
        assert run_main(main, arguments) == 0, capsys.readouterr().err
    assert json.loads((place / "run" / "metrics.json").read_text()) and ROOT.exists()
