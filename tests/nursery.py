# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Processes for commands that start at once: each is a fork of this one, which has already imported PyTorch.

Reads lines of JSON, the arguments of run_script, runs each script as `python script ...` would, and answers with its
exit status, -N after signal N. Ends when its input does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import runpy
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED_LATE = (
    "torch.utils.tensorboard",
    "torch._dynamo",
    "matplotlib.figure",
    "PIL.Image",
    "tqdm",
    "imageio_ffmpeg",
    "onnx",
)


def import_early() -> None:
    """What commands import when they need it."""
    sys.path[0] = str(ROOT)
    import lib

    names = [m.name for m in pkgutil.walk_packages(lib.__path__, "lib.") if not m.name.endswith("__main__")]
    for name in (*names, *NEEDED_LATE):
        with contextlib.suppress(ImportError):  # the command will say so
            importlib.import_module(name)


def run_script(script: str, argv: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Be `python script argv`, to the end of the process."""
    status = 1
    try:
        os.chdir(cwd)
        os.environ.update(env)
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(0),
            os.fdopen(1, "w"),
            os.fdopen(2, "w", errors="backslashreplace"),
        )
        sys.argv = [script, *argv]
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def main() -> None:
    os.setsid()  # signals to the group of the tests are not for it
    import_early()
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for line in requests:
        pid = os.fork()
        if not pid:
            run_script(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


if __name__ == "__main__":
    main()
