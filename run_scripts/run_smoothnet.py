# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Launch training or evaluation on one or several devices: builds the command, prints it, runs it."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib.commands.arguments import run_main  # noqa: E402
from run_scripts.argument import launched, parse  # noqa: E402


def build_command(args: argparse.Namespace) -> list[str]:
    """The child's argument list. Paths given relative to the current folder are made absolute."""
    command = [sys.executable]
    if args.nproc_per_node > 1 or args.nnode > 1:
        command += [str(ROOT / "run_scripts" / "processes.py"), "--nproc_per_node", str(args.nproc_per_node)]
        command += ["--nnodes", str(args.nnode), "--node_rank", str(args.node_rank)]
        command += ["--master_addr", args.master_addr, "--master_port", str(args.master_port)]
    command.append(str(ROOT / ("eval_smoothnet.py" if args.eval else "train_smoothnet.py")))
    for argument in launched():
        value = getattr(args, argument.name)
        if value is None or argument.commands == "launch" or argument.name == "opts":
            continue
        if argument.path == "out" or (argument.path == "in" and Path(value).exists()):
            value = str(Path(value).resolve())
        command += [argument.flags[0], str(value)]
    return command + (["--opts", *args.opts] if args.opts else [])


def run(command: list[str]) -> int:
    """Run the command in the checkout, pass signals on, and return its status (128 + N if signal N ended it)."""
    print(shlex.join(command), flush=True)
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)  # so that Ctrl-C reaches it once, from here
    passed_on: list[int] = []

    def pass_on(number: int, frame: Any) -> None:
        passed_on.append(number)
        child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, pass_on)
    status = child.wait()
    if status == 1 and passed_on:
        return 128 + passed_on[0]
    return status if status >= 0 else 128 - status


def main(argv: Sequence[str] | None = None) -> int:
    return run(build_command(parse(argv)))


if __name__ == "__main__":
    sys.exit(run_main(main))
