# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The command line: one spelling for one thing, one row for one argument, and quiet ends."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import ROOT, SMALL, write_checkpoint, write_poses

from lib import __version__, commands, config
from lib.commands import arguments
from lib.commands.arguments import Argument, add_smoothing_arguments, make_parser, smoothing_options
from lib.config import Setting, between, load_config
from lib.formats.layout import parse_layout
from lib.inference.options import SmoothingOptions
from lib.utils.errors import SmoothNetError
from run_scripts import run_smoothnet

DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]


def test_a_setting_added_from_outside_is_one_row(tmp_path, monkeypatch, capsys):
    """It has a default, a check, a place in YAML, and an argument of the commands and of the launcher."""
    row = Setting("TRAIN.PATIENCE", 3, "words for --help", between(1, 9), "--patience --pt", "train", added=True)
    monkeypatch.setattr(config, "SETTINGS", (*config.SETTINGS, row))
    write_poses(tmp_path / "poses")
    words = [*DATA, "--epoch", "1", "--logdir", str(tmp_path / "run")]
    settings = ["--opts", "DATASET.BASE_DIR", str(tmp_path / "poses"), *SMALL, "TRAIN.VALIDATE", "False"]
    assert commands.run("train", [*words, "--pt", "7", *settings]) == 0
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["TRAIN"]["PATIENCE"] == 7
    assert load_config().TRAIN.PATIENCE == 3
    capsys.readouterr()
    assert commands.run("train", [*words, "--patience", "10"]) == 2
    assert "--patience must be a whole number from 1 to 9, not '10'" in capsys.readouterr().err
    assert commands.run("train", ["--help"]) == 0
    assert "words for --help" in capsys.readouterr().out
    assert run_smoothnet.build_command(run_smoothnet.parse(["--pt", "4"]))[-2:] == ["--patience", "4"]


def test_an_argument_added_from_outside_is_one_row(monkeypatch, capsys):
    row = Argument(("--shout",), "smooth export", "be loud", {"action": "store_true"})
    monkeypatch.setattr(arguments, "OWN", (*arguments.OWN, row))
    assert make_parser("smooth", "").parse_args(["a.npy", "--shout"]).shout
    assert commands.run("train", ["--shout"]) == 2
    assert "unrecognized arguments: --shout" in capsys.readouterr().err


def flags_of(command: str) -> dict[str, str]:
    """Every spelling that a command takes, and the name it has then."""
    actions = make_parser(command, "")._actions
    return {flag: action.dest for action in actions for flag in action.option_strings}


SHARED = {  # name: its spellings wherever it is taken
    "slide_window_size": {"--slide_window_size", "--window"},
    "output": {"-o", "--output"},
    "input_format": {"--input_format"},
    "slide_window_step_size": {"--slide_window_step_size"},
    "checkpoint": {"--checkpoint"},
    "device": {"--device"},
    "fps": {"--fps"},
}


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_one_thing_has_one_spelling(command):
    flags = flags_of(command)
    for name, spellings in SHARED.items():
        if name in flags.values():
            assert {flag for flag, dest in flags.items() if dest == name} >= spellings, name
    assert "slide_window_size" in flags.values() or command in ("inspect", "convert")  # which run no network


def test_the_example_of_a_layout_is_one():
    (row,) = [row for row in arguments.OWN if row.name == "layout"]
    assert parse_layout(re.findall("'(.+)'", row.help)[0]).columns == ("x", "y", "score")


def test_old_spellings_stay():
    smooth, visualize, train = (flags_of(command) for command in ("smooth", "visualize", "train"))
    assert smooth["--format"] == "input_format" and visualize["--format"] == "output_format"
    assert smooth["--step"] == visualize["--step"] == "slide_window_step_size" and train["--step"] == "step"
    assert visualize["--output_video_path"] == "output"
    assert train["--bs"] == "batch_size"


def test_smooth_and_visualize_take_the_same_options_for_how_poses_are_smoothed():
    words = ["--window", "16", "--step", "3", "--min_score", "0.5", "--max_gap", "4", "--fill", "--dims", "2"]
    words += ["--input_format", "csv", "--fps", "50", "--checkpoint", "w", "--device", "cpu"]
    smooth = smoothing_options(make_parser("smooth", "").parse_args(["a", *words]))
    visualize = smoothing_options(make_parser("visualize", "").parse_args(["--input", "a", *words]), load_config())
    alone = argparse.ArgumentParser()
    add_smoothing_arguments(alone)
    assert smooth == visualize == smoothing_options(alone.parse_args(words))
    assert smooth == SmoothingOptions(
        step=3, min_score=0.5, max_gap=4, fill=True, dims=2, input_format="csv", fps=50.0, checkpoint="w", window=16,
        device="cpu",
    )  # fmt: skip


def test_what_is_left_open_comes_from_the_settings_where_there_are_any():
    cfg = load_config(None, {"EVALUATE.SLIDE_WINDOW_STEP_SIZE": 4, "EVALUATE.FPS": 25, "DEVICE": "cuda"})
    args = make_parser("visualize", "").parse_args(["--fps", "50"])
    assert smoothing_options(args, cfg) == SmoothingOptions(step=4, fps=50.0, device="cuda")
    assert smoothing_options(args) == SmoothingOptions(fps=50.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step": 0}, "--step must be at least 1 frame, not 0"),
        ({"delay": -1}, "--delay must be at least 0 frames, not -1"),
        ({"max_gap": 10**400}, "--max_gap must be"),
        ({"fps": 0.0}, "--fps must be"),
        ({"fps": 1e300}, "--fps must be"),
        ({"fps": float("nan")}, "--fps must be"),
        ({"min_score": float("nan")}, "--min_score must be"),
        ({"delay": 2, "step": 2}, "--delay needs --step 1"),
    ],
)
def test_smoothing_options_are_checked(options, words):
    with pytest.raises(SmoothNetError, match=re.escape(words)):
        SmoothingOptions(**options)


def test_the_version_is_one(capsys):
    for words in (["--version"], ["smooth", "--version"]):
        assert commands.main(words) == 0
        assert capsys.readouterr().out == f"lib {__version__}\n"


def python(*words: object, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.run([sys.executable, *map(str, words)], env=environment, capture_output=True, **options)


def test_every_room_of_the_library_is_a_package_of_the_wheel():
    rooms = {path.parent.relative_to(ROOT / "lib").parts for path in (ROOT / "lib").rglob("__init__.py")}
    named = re.search(r"(?s)\npackages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text())[1]
    assert re.findall(r'"(\S+)"', named) == sorted(".".join(("smoothnet", *room)) for room in rooms)


def test_the_package_is_a_command():
    done = python("-m", "lib", "--help", cwd=ROOT)
    assert done.returncode == 0 and b"usage: python -m lib COMMAND" in done.stdout
    assert python("-m", "lib", cwd=ROOT).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ["-m", "lib", "--help"],
        ["smooth_smoothnet.py", "--formats"],
        ["run_scripts/run_smoothnet.py", "--help"],
        ["smooth_smoothnet.py", "{}/a.npy", "-o", "{}/b.npy", "--force", "--checkpoint", "{}/w.pth.tar"],
        ["smooth_smoothnet.py", "-", "--stream", "--checkpoint", "{}/w.pth.tar"],
    ],
)
def test_output_that_nobody_reads_ends_quietly(words, unbuffered, tmp_path):
    """As `... | head` does, once head has read enough."""
    write_checkpoint(tmp_path / "w.pth.tar")
    np.save(tmp_path / "a.npy", np.cumsum(np.ones((20, 3, 2)), axis=0))
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, *(word.format(tmp_path) for word in words)], cwd=ROOT, stdout=closed,
            stderr=subprocess.PIPE, text=True, input="[[1, 2], [3, 4]]\n" * 20,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 141 or "--help" in words  # argparse drops what it cannot write


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_sentence(unbuffered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lib", "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 2 and re.fullmatch(r"error: cannot write the output: .*\n", done.stderr)


@pytest.mark.slow
def test_file_names_that_are_not_utf_8(tmp_path):
    tmp = os.fsencode(tmp_path)
    folder = tmp + b"/\xff\xe9"
    os.mkdir(folder)
    weights = write_checkpoint(tmp_path / "w.pth.tar")
    write_poses(Path(os.fsdecode(folder)))
    np.save(Path(os.fsdecode(folder)) / "a.npy", np.cumsum(np.ones((20, 3, 2)), axis=0))
    settings = [b"--opts", b"DATASET.BASE_DIR", folder]
    data, small = [os.fsencode(word) for word in DATA], [os.fsencode(word) for word in SMALL]
    for script, words, printed in (
        (b"smooth", [folder + b"/a.npy", b"-o", folder + b"/b.npy", b"--checkpoint", weights], rb"/\xff\xe9/b.npy"),
        (b"smooth", [folder + b"/none.npy", b"-o", folder + b"/c.npy"], None),
        (b"train", [*data, b"--epoch", b"1", b"--logdir", folder + b"/run", *settings, *small], None),  # TensorBoard
    ):
        done = subprocess.run(
            [os.fsencode(sys.executable), script + b"_smoothnet.py", *words], cwd=ROOT, capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == (2 if printed is None else 0), done.stderr
        assert b"Traceback" not in done.stderr and b"Logging error" not in done.stderr
        assert printed in done.stdout if printed else done.stderr.startswith(b"error: ")


@pytest.mark.parametrize(("ending", "status"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_while_a_package_is_imported_is_no_missing_package(ending, status):
    """Packages made with pybind11 turn what a signal raises into an ImportError."""

    def main(argv):
        try:
            raise ending
        except BaseException as error:
            raise ImportError("initialization failed") from error

    assert arguments.run_main(main, []) == status
    with pytest.raises(ImportError):
        arguments.run_main(lambda argv: exec("raise ImportError('broken')"), [])
