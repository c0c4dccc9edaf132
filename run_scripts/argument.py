# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The arguments of run_smoothnet.py: its own, and those of training and evaluation, which it hands on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.commands.arguments import Argument, Parser, add_arguments, arguments

COMMANDS = ("launch", "train", "eval")


def launched() -> list[Argument]:
    """The launcher's own arguments and those it hands on."""
    return arguments(*COMMANDS)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse and check the launcher's arguments; a contradiction is a usage error (status 2) before anything starts."""
    parser = Parser(
        prog="run_smoothnet.py",
        description="Launch training, or with --eval evaluation, on one or several devices.",
        allow_abbrev=False,
    )
    add_arguments(parser, *COMMANDS)
    args = parser.parse_args(argv)
    args.eval = bool(args.eval)
    if args.eval and not args.checkpoint:
        parser.error("--eval needs --checkpoint PATH, the weights to evaluate")
    if args.epoch is not None and args.step is not None and args.step >= 0:
        parser.error("--step and --epoch exclude each other")
    command, other = ("eval", "training") if args.eval else ("train", "--eval")
    for argument in launched():
        given = getattr(args, argument.name) not in (None, [], False)
        if given and not {"launch", command} & set(argument.commands.split()):
            parser.error(f"{argument.flags[0]} is for {other} only")
    if args.node_rank >= args.nnode:
        parser.error("--node_rank is from 0 to --nnode - 1")
    if args.nproc_per_node > 1 and ":" in (args.device or ""):
        parser.error(f"--device {args.device} is one device; {args.nproc_per_node} processes take one each of a kind")
    return args
