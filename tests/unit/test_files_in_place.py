# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What is promised of files that are there: nothing is lost, whatever happens while files are smoothed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from lib.inference import files
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.utils import files as disk
from lib.utils.errors import SmoothNetError
from lib.utils.files import atomic_write, exchange, rename_new
from lib.utils.signals import undisturbed


def walk(frames=30, joints=3, dims=2):
    t = np.arange(frames)[:, None, None]
    return np.sin(t / 5 + np.arange(joints)[:, None] + np.arange(dims)) * 10


def rts(progress=None):
    return Smoothing(SmoothingOptions(method="rts", fps=30.0), progress)


def openpose(folder: Path, count=3, **more):
    folder.mkdir()
    for t in range(count):
        people = [{"pose_keypoints_2d": [1 + t, 2, 0.5, 3, 4.5 + t * t, 0.5]}]
        (folder / f"{t}.json").write_text(json.dumps({"people": people, **more}))
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(params=["renameat2", "hard links", "neither"])
def system(request, monkeypatch):
    """Systems that can do more and less."""
    if request.param != "renameat2":
        monkeypatch.setattr(disk, "_renameat2", lambda *_: False)
    if request.param == "neither":

        def refuse(*_):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", refuse)
    return request.param


def test_a_name_that_is_taken_is_not_taken_again(system, tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old" and (tmp_path / "new").read_text() == "new"
    rename_new(tmp_path / "new", tmp_path / "free")
    assert names(tmp_path) == ["free", "old"]
    with pytest.raises(SmoothNetError, match="exists"), atomic_write(tmp_path / "old", "w", replace=False) as file:
        file.write("newer")
    assert names(tmp_path) == ["free", "old"] and (tmp_path / "old").read_text() == "old"


def test_a_file_that_appears_meanwhile_stays(system, tmp_path):
    """The second of two outputs appears: neither is written."""
    np.save(tmp_path / "a.npy", walk())
    np.save(tmp_path / "b.npy", walk() + 1)
    out = tmp_path / "out"

    def appear(done, total):
        out.mkdir(exist_ok=True)
        (out / "b.npy").write_bytes(b"precious")

    with pytest.raises(SmoothNetError, match=r"b\.npy appeared meanwhile"):
        smooth_files([tmp_path / "a.npy", tmp_path / "b.npy"], out, rts(appear))
    assert names(tmp_path) == ["a.npy", "b.npy", "out", "out/b.npy"]
    assert (out / "b.npy").read_bytes() == b"precious"


def test_a_folder_that_appears_meanwhile_stays(system, tmp_path):
    source, out = openpose(tmp_path / "in"), tmp_path / "out"

    def appear(done, total):
        if not out.exists():
            openpose(out, 1, mine=True)

    with pytest.raises(SmoothNetError, match="appeared meanwhile"):
        smooth_files([source], out, rts(appear))
    assert names(out) == ["0.json"] and json.loads((out / "0.json").read_text())["mine"]
    assert names(tmp_path) == ["in", "in/0.json", "in/1.json", "in/2.json", "out", "out/0.json"]


def test_forced_outputs_come_back_when_a_later_one_fails(system, tmp_path, monkeypatch):
    """All or none, with --force too: a file, a folder and a file that cannot be placed."""
    np.save(tmp_path / "a.npy", walk())
    np.save(tmp_path / "z.npy", walk() + 1)
    source, out = openpose(tmp_path / "frames"), tmp_path / "out"
    out.mkdir()
    (out / "a.npy").write_bytes(b"precious")
    openpose(out / "frames", mine=True)
    place = files._place

    def fail(temporary, target, force):
        if target.name == "z.npy":
            raise OSError(28, "No space left on device")
        return place(temporary, target, force)

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(files, "_place", fail)
    with pytest.raises(SmoothNetError, match=r"z\.npy: No space"):
        smooth_files([tmp_path / "a.npy", source, tmp_path / "z.npy"], out, rts(), force=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    monkeypatch.setattr(files, "_place", place)
    smooth_files([tmp_path / "a.npy", source, tmp_path / "z.npy"], out, rts(), force=True)
    assert np.load(out / "a.npy").shape == (30, 3, 2) and "mine" not in (out / "frames" / "0.json").read_text()
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_ctrl_c_between_two_renames_waits_for_the_second(system, tmp_path, monkeypatch):
    source, out = openpose(tmp_path / "in"), openpose(tmp_path / "out", mine=True)
    rename = Path.rename

    def interrupted(self, target):
        if out in (self, Path(target)):
            signal.raise_signal(signal.SIGINT)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    monkeypatch.setattr(files, "exchange", lambda *paths: signal.raise_signal(signal.SIGINT) or exchange(*paths))
    with pytest.raises(KeyboardInterrupt):
        smooth_files([source], out, rts(), force=True)
    assert names(out) == ["0.json", "1.json", "2.json"] and "mine" not in (out / "0.json").read_text()
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_ctrl_c_before_the_renames_leaves_what_was_there(tmp_path):
    source, out = openpose(tmp_path / "in"), openpose(tmp_path / "out", mine=True)
    with pytest.raises(KeyboardInterrupt):
        smooth_files([source], out, rts(lambda *_: signal.raise_signal(signal.SIGINT)), force=True)
    assert json.loads((out / "0.json").read_text())["mine"]
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_handlers_are_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with undisturbed():
        assert signal.getsignal(signal.SIGINT) is not before[signal.SIGINT]
    assert {number: signal.getsignal(number) for number in before} == before


STOPPED = """
import os, sys
from pathlib import Path
from lib.commands.arguments import run_main
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions

def stop(done, total):
    print(sorted(path.name for path in Path(sys.argv[1]).iterdir()), flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))

smoothing = Smoothing(SmoothingOptions(method="rts", fps=30.0), stop)
smooth_files([Path(sys.argv[1]) / "a.npy"], Path(sys.argv[1]) / "b.npy", smoothing)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_process_that_is_stopped_leaves_no_folder(number, tmp_path, monkeypatch):
    """SIGKILL leaves one, which the next run removes."""
    np.save(tmp_path / "a.npy", walk())
    words = [sys.executable, "-c", STOPPED, str(tmp_path), str(int(number))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ".smoothing." in done.stdout, done.stderr
    if number == signal.SIGKILL:
        assert done.returncode == -number and len(names(tmp_path)) > 1
        (tmp_path / f".smoothing.elsewhere.{2**22 + 1}.x").mkdir()  # of another machine
        (tmp_path / f".smoothing.{files._host()}.{os.getpid()}.x").mkdir()  # of a process that lives
        monkeypatch.setattr(files.os, "readlink", lambda path: "pid:[1]")  # in a container with the machine's name
        others = f".smoothing.{files._host()}.{2**22 + 1}.x"
        monkeypatch.undo()
        (tmp_path / others).mkdir()
        smooth_files([tmp_path / "a.npy"], tmp_path / "b.npy", rts())
        assert len([name for name in names(tmp_path) if "smoothing" in name]) == 3 and (tmp_path / others).is_dir()
    else:
        assert done.returncode == 128 + number, done.stderr
        assert names(tmp_path) == ["a.npy"]


AT_EVERY_LINE = """
import os, signal, sys
from pathlib import Path
from lib.inference import files
from lib.utils import files as writing, signals

def staged():
    with files._staging(Path(sys.argv[1]) / "out.npz") as folder:
        (folder / "x").write_text("x")

def written():
    with writing.atomic_write(Path(sys.argv[1]) / "out.txt", "w") as file:
        file.write("x")

def stopped_at(line, work):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename not in (files.__file__, writing.__file__, signals.__file__):
            return None
        count += 1
        if count == line:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    sys.settrace(trace)
    work()
    sys.settrace(None)
    sys.exit(0 if count < line else 1)  # nothing was left to stop

for work in (staged, written):
    line, status = 0, None
    while status != 0:
        line += 1
        child = os.fork()
        if not child:
            stopped_at(line, work)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left = [path.name for path in Path(sys.argv[1]).iterdir() if path.name.startswith(".")]
        if left:
            sys.exit(f"{work.__name__}, stopped at line {line} of its way, left {left[0]}")
    print(work.__name__, line)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process for every line is forked")
def test_a_process_that_is_stopped_at_any_line_leaves_nothing(tmp_path):
    words = [sys.executable, "-c", AT_EVERY_LINE, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(int(line.split()[1]) > 50 for line in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other.json": "{}"}, r"holds other\.json, which .* does not"),
        ({"0.json": "{}", "1.json": "[]"}, "no frames of poses"),
        ({"0.json": '{"people": []}', "more/x.json": "{}"}, "more than frames of poses"),
        ({"0.json": '{"people": []}', "notes.txt": ""}, "more than frames of poses"),
        ({"0.json": '{"people": []}', "7.json": '{"people": []}'}, r"holds 7\.json"),
    ],
)
def test_a_folder_of_other_files_is_never_replaced(content, words, tmp_path):
    source, out = openpose(tmp_path / "in"), tmp_path / "out"
    for name, text in content.items():
        (out / name).parent.mkdir(exist_ok=True, parents=True)
        (out / name).write_text(text)
    before = names(tmp_path)
    with pytest.raises(SmoothNetError, match=words):
        smooth_files([source], out, rts(), force=True)
    assert names(tmp_path) == before


def test_dollar_signs_and_odd_names_in_a_picture(tmp_path):
    """In a joint's name and in a file's, where matplotlib would read formulas; and bytes that are not UTF-8."""
    pytest.importorskip("matplotlib")
    source = tmp_path / os.fsdecode(b"a$x_$\xff.csv")
    source.write_text("$\\frac_x,$\\frac_y\n" + "".join(f"{t}.5,{t * t % 7}\n" for t in range(12)))
    target = tmp_path / os.fsdecode(b"out$\\f$\xfe.csv")
    (done,) = smooth_files([source], target, rts(), plot=True)
    assert target.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    done.text().encode("utf-8")  # any terminal can show it


WRITER = """
import os, signal, sys
from lib.utils.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    os.kill(os.getpid(), int(sys.argv[2]))
    file.write(b"done")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(tmp_path, number):
    (tmp_path / "a").write_text("old")
    words = [sys.executable, "-c", WRITER, tmp_path / "a", str(int(number))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == (-2 if number == signal.SIGINT else 128 + number), done.stderr
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


LOST = """
import os, signal, sys, time
from lib.commands.arguments import run_main
class Busy:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
def main(argv):
    busy = Busy()
    del busy
    time.sleep(5)
    return 0
sys.exit(run_main(main, []))
"""


def test_a_signal_within_a_destructor_is_not_lost():
    done = subprocess.run([sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and not done.stderr, done.stderr


HALF = """
import signal, sys
from lib.commands.arguments import run_main
class Half:
    def __init__(self):
        signal.raise_signal(signal.SIGINT)
        self.rest = 1
    def __del__(self):
        self.rest
sys.exit(run_main(lambda argv: Half() and 0, []))
"""


def test_a_signal_while_an_object_is_made_leaves_no_complaint_of_its_destructor():
    done = subprocess.run([sys.executable, "-c", HALF], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and not done.stderr, done.stderr


def test_a_link_gives_the_output_its_own_name(tmp_path):
    np.save(tmp_path / "real.npy", walk())
    (tmp_path / "a.npy").symlink_to("real.npy")
    np.save(tmp_path / "b.npy", walk())
    smooth_files([tmp_path / "a.npy", tmp_path / "b.npy"], tmp_path / "out", rts())
    assert names(tmp_path / "out") == ["a.npy", "b.npy"]
