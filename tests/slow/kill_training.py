# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Trains in a forked child again and again and kills it with SIGKILL at a random moment, until a run ends by itself.

usage: kill_training.py RUN_FOLDER KILLS SEED TRAIN_ARGUMENT ...

After every kill each checkpoint in the folder is loaded. Forking a warm process keeps 30 kills to a few seconds.
Prints the number of kills that fell into the training and into the writing of a checkpoint.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch.utils.tensorboard import SummaryWriter  # noqa: F401  (slow to import: once, before the forks)

from lib.commands import train as train_smoothnet
from lib.commands.arguments import run_main
from lib.models import checkpoints


def train(arguments: list[str], slow_writes: bool) -> int:
    """Fork a child that trains; with `slow_writes` it dawdles in the middle of each checkpoint."""
    pid = os.fork()
    if pid:
        return pid
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    torch.set_num_threads(1)
    if slow_writes:
        save = torch.save

        def dawdle(content, file):
            save(content, file)
            file.flush()
            os.ftruncate(file.fileno(), 1000)  # half a file, until ...
            time.sleep(0.05)
            file.seek(0)
            file.truncate()
            save(content, file)

        checkpoints.torch.save = dawdle
    os._exit(run_main(train_smoothnet.main, arguments))


def main() -> None:
    run, kills, seed, *arguments = sys.argv[1:]
    run, rng, landed = Path(run), random.Random(int(seed)), 0
    for attempt in range(int(kills)):
        pid = train(arguments, slow_writes=attempt % 2 == 0)
        time.sleep(rng.uniform(0.05, 0.6))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        landed += os.WIFSIGNALED(status)
        for path in run.glob("*.pth.tar"):
            checkpoints.load_model(path)
    _, status = os.waitpid(train(arguments, slow_writes=False), 0)
    print(f"{landed} kills while running")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
