# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One case in a process of its own, with limits on time and memory, in a folder that is looked at before and after."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import pkgutil
import random
import resource
import select
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from .mutate import Case, mutate
from .scenes import EXCLUDE, Scene, all_scenes, choose

SECONDS = 180  # on the clock: the machine may have other work
CPU_SECONDS = 20
MEMORY = 2 << 30  # beyond what the process has when it starts
FILE_SIZE = 256 << 20


@dataclass
class Outcome:
    """How a case ended.

    Attributes:
        status: exit status; -N if signal N ended it.
        before, after: name -> what is there (kind, size, content), of everything that the command could reach.
        late: whether it had to be stopped.
    """

    status: int
    stdout: str
    stderr: str
    before: dict[str, tuple]
    after: dict[str, tuple]
    late: bool
    seconds: float
    memory: int  # bytes


class Place:
    """Where cases are made: good input of each scene, built once, copied for each case."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.templates = folder / "templates"
        self.templates.mkdir(parents=True)
        import_everything()
        with working_in(self.templates):
            self.scenes = all_scenes()

    def template(self, name: str) -> Path:
        folder = self.templates / name.replace(" ", "_")
        if not folder.exists():
            folder.mkdir()
            status = apart(lambda: self.scenes[name].build() and 0, folder, folder.parent / "log")
            if status != 0:
                raise RuntimeError(f"cannot build {name}: {(folder.parent / 'log').read_text()}")
        return folder

    def case(self, seed: int) -> tuple[Case, Path]:
        """The case of a seed, its folder ready: work (the current folder), outside (not to be touched), tmp."""
        rng = random.Random(seed)
        name = choose(rng, self.scenes)
        folder = Path(tempfile.mkdtemp(prefix=f"case{seed}.", dir=self.folder))
        shutil.copytree(self.template(name), folder / "work", symlinks=True)
        for extra in ("outside", "tmp"):
            (folder / extra).mkdir()
        (folder / "outside/precious").write_text("precious\n" * 500)
        case = make_case(seed, name, self.scenes[name], rng)
        with working_in(folder / "work"):
            mutate(case, rng)
        return case, folder


def make_case(seed: int, name: str, scene: Scene, rng: random.Random) -> Case:
    argv = list(scene.argv)
    at = argv.index("--opts") if "--opts" in argv else len(argv)
    for option in scene.options:
        if rng.random() < 0.15 and not any({option[0], word} <= group for group in EXCLUDE for word in argv):
            argv[at:at] = option
    return Case(
        seed,
        name,
        scene.command,
        argv,
        list(scene.inputs),
        list(scene.outputs),
        scene.only_on_success,
        stdin=scene.stdin,
    )


def import_everything() -> None:
    """What commands import when they need it, before the forks, as that takes longer than most of them."""
    import lib

    for module in pkgutil.walk_packages(lib.__path__, "lib."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in (
        "matplotlib.figure",
        "torch.utils.tensorboard",
        "torch._dynamo",
        "PIL.Image",
        "onnx",
        "h5py",
        "smplx",
        "scipy.ndimage",
        "scipy.optimize",
        "tqdm",
        "run_scripts.loss",
        "data.make_demo",
        "data.prepare_uiprmd",
    ):
        importlib.import_module(name)
    torch.set_num_threads(1)
    threads = len(os.listdir("/proc/self/task"))  # one that holds a lock at the fork holds it for ever in the child
    assert threads == 1, f"{threads} threads; onnxruntime, for one, may be imported after the fork only"


class working_in:
    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self):
        self.old = Path.cwd()
        os.chdir(self.folder)

    def __exit__(self, *_):
        os.chdir(self.old)


def entry(command: str) -> Callable[[list[str]], int]:
    """The function that a command line ends in."""
    from data import make_demo, prepare_uiprmd
    from lib import commands
    from lib.commands.arguments import run_main
    from run_scripts import loss

    others = {"loss": loss.main, "prepare": prepare_uiprmd.main, "demo": make_demo.main}
    if command in others:
        return lambda argv: run_main(others[command], argv)
    return lambda argv: commands.run("smooth" if command == "stream" else command, argv)


def apart(call: Callable[[], int], folder: Path, log: Path) -> int:
    """Call something in a fork, with the folder as the current one; returns the exit status."""
    pid = os.fork()
    if not pid:
        finish(lambda: become(folder, log, log, None, False) or call())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def become(folder: Path, stdout: Path, stderr: Path, stdin: Path | None, closed: bool) -> None:
    """Make a forked process look like one that has just started."""
    os.setsid()
    os.chdir(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.dup2(os.open(stdin or os.devnull, os.O_RDONLY), 0)
    if closed:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
    else:
        os.dup2(os.open(stdout, flags), 1)
    os.dup2(os.open(stderr, flags), 2)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
    sys.stderr.reconfigure(errors="backslashreplace")
    logging.getLogger().handlers.clear()
    logging.getLogger("lib").handlers.clear()
    os.environ["TMPDIR"] = str(folder.parent / "tmp")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/tmp/torchinductor"  # PyTorch makes it as it is imported
    tempfile.tempdir = None


def finish(call: Callable[[], int]) -> None:
    """Call, and end the process as the interpreter would."""
    try:
        status = call() or 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        if isinstance(error, KeyboardInterrupt) and all(frame.filename == __file__ for frame in frames):
            status = 128 + signal.SIGINT  # it met the harness, before the command
        else:
            traceback.print_exc()
            status = 1
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        sys.stdout.flush()
    except BrokenPipeError:
        status = 120
        print("Exception ignored in: <stdout>, BrokenPipeError", file=sys.stderr)
    sys.stderr.flush()
    os._exit(status)


def limit() -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(case: Case, folder: Path, call: Callable[[list[str]], int] | None = None) -> Outcome:
    """Run a case whose folder is ready; `call` stands for the command in tests of the harness."""
    call = call or entry(case.command)
    before = look(folder)
    ready, tell = os.pipe()
    start = time.perf_counter()
    pid = os.fork()
    if not pid:

        def begin() -> int:
            os.close(ready)
            stdin = case.stdin and folder / "work" / case.stdin
            become(folder / "work", folder / "stdout", folder / "stderr", stdin, case.closed)
            limit()
            os.write(tell, b".")
            os.close(tell)
            return call(case.argv)

        finish(begin)
    os.close(tell)
    select.select([ready], [], [], SECONDS)
    os.close(ready)
    sent, late = False, False
    started = time.perf_counter()
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        now = time.perf_counter()
        if done:
            break
        if case.signal and not sent and now - started >= case.signal[1]:
            os.kill(pid, case.signal[0])
            sent = True
        if now - start > SECONDS:
            late = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.0005 if now - started < 0.05 else 0.003)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it may have started
    texts = [p.read_text(errors="replace") if p.exists() else "" for p in (folder / "stdout", folder / "stderr")]
    late = late or os.waitstatus_to_exitcode(status) == -signal.SIGXCPU
    return Outcome(
        os.waitstatus_to_exitcode(status), *texts, before, look(folder), late, now - start, usage.ru_maxrss << 10
    )


def look(folder: Path) -> dict[str, tuple]:
    """Everything below a folder: path -> (kind, content); the output streams excepted."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            key = os.path.relpath(path, folder)
            mode = os.lstat(path).st_mode
            if key in ("stdout", "stderr"):
                continue
            if stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    found[key] = (
                        "file",
                        hashlib.file_digest(file, "sha1").hexdigest()
                        if sys.version_info >= (3, 11)
                        else hashlib.sha1(file.read()).hexdigest(),
                    )
            else:
                found[key] = (stat.S_IFMT(mode), os.readlink(path) if stat.S_ISLNK(mode) else "")
    return found
