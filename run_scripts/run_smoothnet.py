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

from lib.commands.arguments import ARGUMENTS, Argument, add_arguments  # noqa: E402

INPUT_PATHS = ("cfg", "checkpoint", "resume")
OUTPUT_PATHS = ("logdir", "report", "profiler_path")


def launched() -> list[Argument]:
    """The launcher's own arguments and those it hands on."""
    return [argument for argument in ARGUMENTS if set("tel") & set(argument.scripts)]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse and check the launcher's arguments; a contradiction is a usage error (status 2) before anything starts."""
    parser = argparse.ArgumentParser(prog="run_smoothnet.py", description=__doc__, allow_abbrev=False)
    add_arguments(parser, "l")
    args = parser.parse_args(argv)
    args.eval = bool(args.eval)
    script = "e" if args.eval else "t"
    if args.eval and not args.checkpoint:
        parser.error("--eval needs --checkpoint PATH, the weights to evaluate")
    if args.epoch is not None and args.step is not None and args.step >= 0:
        parser.error("--step and --epoch exclude each other")
    for argument in launched():
        given = getattr(args, argument.flags[0][2:]) not in (None, [], False)
        if given and "l" not in argument.scripts and script not in argument.scripts:
            parser.error(f"{argument.flags[0]} is for {'training' if args.eval else '--eval'} only")
    if args.nproc_per_node < 1 or not 0 <= args.node_rank < args.nnode:
        parser.error("--nproc_per_node and --nnode are at least 1, --node_rank is from 0 to nnode - 1")
    if args.nproc_per_node > 1 and ":" in (args.device or ""):
        parser.error(f"--device {args.device} is one device; {args.nproc_per_node} processes take one each of a kind")
    return args


def build_command(args: argparse.Namespace) -> list[str]:
    """The child's argument list. Paths given relative to the current folder are made absolute."""
    command = [sys.executable]
    if args.nproc_per_node > 1 or args.nnode > 1:
        command += [str(ROOT / "run_scripts" / "processes.py"), "--nproc_per_node", str(args.nproc_per_node)]
        command += ["--nnodes", str(args.nnode), "--node_rank", str(args.node_rank)]
        command += ["--master_addr", args.master_addr, "--master_port", str(args.master_port)]
    command.append(str(ROOT / ("eval_smoothnet.py" if args.eval else "train_smoothnet.py")))
    for argument in launched():
        name = argument.flags[0][2:]
        value = getattr(args, name)
        if value is None or "l" in argument.scripts or name == "opts":
            continue
        if (name in INPUT_PATHS and Path(value).exists()) or name in OUTPUT_PATHS:
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
        signal.signal(number, pass_on)
    status = child.wait()
    if status == 1 and passed_on:
        return 128 + passed_on[0]
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(run(build_command(parse())))
