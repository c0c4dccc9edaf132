# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The ModelZoo's log lines and the comparison of two logs."""

import datetime
import io
import json
import os
import re
import sys
import types
import warnings

import pytest
import torch
from helpers import SMALL, write_poses

from lib.commands.arguments import run_main
from lib.config import load_config
from lib.dataset.named import load_all
from lib.training.loop import train
from lib.training.validation import logged_metrics
from lib.utils.dllogger import IterationLog, format_line
from lib.utils.errors import SmoothNetError
from run_scripts import loss

VENDOR_PATTERN = r"rank : 0  train.loss : ([\d\.e-]+)"


def write_log(path, losses, rank=0):
    log = IterationLog(path.parent, rank, None)
    for i, value in enumerate(losses):
        log.log(0, i, **{"train.loss": value, "train.ips": 10.0})
    log.close()
    (path.parent / f"dllogger_rank{rank}.log").rename(path)
    return path


def test_line_is_the_documented_one():
    now = datetime.datetime(2025, 5, 15, 14, 20, 10, 930385)
    values = {"rank": 0, "train.loss": 0.5300281643867493, "train.ips": 10415.77}
    assert format_line(0, 0, values, now) == (
        "TCAPPDLL 2025-05-15 14:20:10.930385 - Epoch: 0 Iteration: 0  "
        "rank : 0  train.loss : 0.5300281643867493  train.ips : 10415.77 imgs/s"
    )
    on_the_second = format_line(3, 7, {"rank": 1, "val.loss": 1e-7}, now.replace(microsecond=0))
    assert on_the_second == ("TCAPPDLL 2025-05-15 14:20:10.000000 - Epoch: 3 Iteration: 7  rank : 1  val.loss : 1e-07")


def test_lines_go_to_the_file_of_the_rank_and_to_the_stream(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tcap_dllogger", None)
    stream = io.StringIO()
    for rank, echo in ((0, stream), (1, None)):
        log = IterationLog(tmp_path, rank, echo)
        log.log(0, 0, **{"train.loss": 0.25, "train.ips": 1.0})
        log.close()
    log = IterationLog(tmp_path, 0, None)  # a resumed run goes on in the same file
    log.log(0, 1, **{"train.loss": 1.5e-5, "train.ips": 1.0})
    log.close()
    text = (tmp_path / "dllogger_rank0.log").read_text()
    assert re.findall(VENDOR_PATTERN, text) == ["0.25", "1.5e-05"]
    assert text.startswith(stream.getvalue()) and stream.getvalue().count("\n") == 1
    assert "rank : 1  train.loss : 0.25  train.ips" in (tmp_path / "dllogger_rank1.log").read_text()


@pytest.fixture
def vendor(monkeypatch):
    """A tcap_dllogger that notes what is asked of it."""
    calls = []
    module = types.ModuleType("tcap_dllogger")
    module.Verbosity = types.SimpleNamespace(DEFAULT=1, VERBOSE=2)
    module.StdOutBackend = lambda verbosity: ("stdout", verbosity)
    module.JSONStreamBackend = lambda verbosity, path: ("json", verbosity, path)

    class Logger:
        def __init__(self, backends):
            calls.append(backends)

        def metadata(self, name, metadata):
            calls.append((name, metadata["unit"]))

        def log(self, step, data):
            calls.append((step, data))

    module.Logger = Logger
    monkeypatch.setitem(sys.modules, "tcap_dllogger", module)
    return calls


def test_the_vendors_logger_is_used_where_it_is_installed(tmp_path, vendor):
    stream = io.StringIO()
    log = IterationLog(tmp_path, 0, stream)
    log.log(2, 3, **{"train.loss": 0.25})
    log.close()
    assert vendor[0] == [("stdout", 1), ("json", 2, str(tmp_path / "dllogger_rank0.json"))]
    assert {("train.ips", "imgs/s"), ("train.lr", ""), ("train.time", "s")} <= set(vendor[1:-1])
    assert vendor[-1] == ((2, 3), {"rank": 0, "train.loss": 0.25})
    assert stream.getvalue() == ""  # or every line would come twice
    assert "rank : 0  train.loss : 0.25" in (tmp_path / "dllogger_rank0.log").read_text()


def test_the_vendors_json_is_written_without_a_stream_too(tmp_path, vendor):
    IterationLog(tmp_path, 1, None).log(0, 0, **{"train.loss": 0.25})
    assert vendor[0] == [("json", 2, str(tmp_path / "dllogger_rank1.json"))]
    assert vendor[-1] == ((0, 0), {"rank": 1, "train.loss": 0.25})


def test_training_logs_the_names_that_the_vendors_tools_know(tmp_path, vendor):
    base = write_poses(tmp_path / "poses")
    named = {"DATASET_NAME": "toy", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D", "TRAIN.BATCH_SIZE": 16}
    opts = ["DATASET.BASE_DIR", str(base), *SMALL, "TRAIN.EPOCH", "2", "TRAIN.LR", "0.01", "TRAIN.LRDECAY", "0.5"]
    cfg = load_config(None, named, opts)
    assert train(cfg, load_all(cfg, "train"), load_all(cfg, "test"), tmp_path, torch.device("cpu"), progress=False)
    logged = [data for _, data in vendor[1:] if isinstance(data, dict)]
    steps = [data for data in logged if "train.loss" in data]
    assert list(steps[0]) == ["rank", "train.loss", "train.ips", "train.lr", "train.time"]
    assert {data["train.lr"] for data in steps} == {0.01, 0.005}
    assert all(data["train.time"] > 0 for data in steps)
    validations = [data for data in logged if "val.loss" in data]
    rows = [entry["results"][0]["metrics"] for entry in json.loads((tmp_path / "metrics.json").read_text())["history"]]
    assert len(validations) == len(rows) == 2
    for data, row in zip(validations, rows, strict=True):
        for name in ("mpjpe", "pampjpe", "accel"):
            assert data[f"val.{name}"] == row[f"smoothnet_{name}"]
    text = (tmp_path / "dllogger_rank0.log").read_text()
    assert re.search(r" train\.ips : \d+\.\d\d imgs/s train\.lr : 0\.01  train\.time : 0\.\d{6} s$", text, re.MULTILINE)


def test_the_figures_of_several_datasets_have_names_of_their_own():
    row = {"dataset": "aist", "estimator": "vibe", "body_representation": "3D", "metrics": {}}
    row["metrics"] = {"smoothnet_mpjpe": 2.0, "input_mpjpe": 3.0}
    assert logged_metrics([row]) == {"val.mpjpe": 2.0}
    assert logged_metrics([row, row | {"dataset": "h36m"}]) == {
        "val.aist_vibe_3D.mpjpe": 2.0,
        "val.h36m_vibe_3D.mpjpe": 2.0,
    }
    assert logged_metrics([]) == {}


def test_errors_by_hand():
    result = loss.compare([1.1, 1.8], [1.0, 2.0, 3.0])
    assert result["iterations"] == 2
    assert result["mean_absolute"] == pytest.approx(-0.05)
    assert result["mean_relative"] == pytest.approx(0.0, abs=1e-12)  # +10 % and -10 % cancel
    assert result["mean_absolute_magnitude"] == pytest.approx(0.15)
    assert result["mean_relative_magnitude"] == pytest.approx(0.1)
    assert result["passed"]


@pytest.mark.parametrize(
    ("losses", "reference", "passed"),
    [
        ([1.049], [1.0], True),
        ([1.06], [1.0], False),
        ([0.94], [1.0], False),  # signed, but a large negative mean is an error too
        ([1.9e-4], [1e-6], True),  # absolute
        ([1.0], [0.0], False),
    ],
)
def test_pass_rule(losses, reference, passed):
    assert loss.compare(losses, reference)["passed"] is passed


def test_script_reads_rank_0_only_and_writes_the_plot(tmp_path, capsys):
    a = write_log(tmp_path / "a.log", [0.5, 0.4, 0.3])
    a.write_text(a.read_text() + a.read_text().replace("rank : 0", "rank : 1") + "other words\n")
    b = write_log(tmp_path / "b.log", [0.5, 0.41])
    picture = tmp_path / "loss.png"
    argv = ["--sdaa-log", str(a), "--cuda-log", str(b), "--plot", str(picture)]
    assert loss.main(argv) == 0
    said = capsys.readouterr().out
    assert "logs: 3 and 2 iterations" in said and "iterations compared: 2" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    c = write_log(tmp_path / "c.log", [5.0])
    assert loss.main(["--sdaa-log", str(c), "--cuda-log", str(b), "--plot", str(picture)]) == 1
    assert "fail" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "folder"])
def test_a_picture_is_no_folder(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemExit, match="2"):
        loss.main(["--sdaa-log", "a.log", "--cuda-log", "b.log", f"--plot={name}"])
    assert f"--plot {name or '.'} is a folder" in capsys.readouterr().err


def test_a_loss_beyond_all_measure_is_drawn(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.plot([0.5, 1e300], [0.5, 1e-300], tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_unusable_logs_are_named(tmp_path, capsys):
    empty = tmp_path / "empty.log"
    empty.write_text("nothing here\n")
    assert run_main(loss.main, ["--sdaa-log", str(empty), "--cuda-log", str(empty)]) == 2
    assert "empty.log has no line" in capsys.readouterr().err
    with pytest.raises(SmoothNetError, match=r"cannot read .*missing\.log"):
        loss.read_log(tmp_path / "missing.log")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
def test_a_full_disk_is_named(tmp_path):
    (tmp_path / "dllogger_rank0.log").symlink_to("/dev/full")
    log = IterationLog(tmp_path, 0, None)
    with pytest.raises(SmoothNetError, match=r"cannot write .*dllogger_rank0\.log: No space left.*--resume auto"):
        log.log(0, 0, **{"train.loss": 1.0})
    log.close()
