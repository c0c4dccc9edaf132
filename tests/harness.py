# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Try the promise of tests/promise on many cases: `python tests/harness.py --cases 20000 --seed 0 [--jobs 2]`.

A case is its number: `--seed 17 --cases 1 --keep FOLDER` runs case 17 alone and keeps its folder. With `--log FILE`
each case is a line of the file, and a run that was cut short goes on where it was, with the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from promise.judge import complaints, describe
from promise.run import Place, make_case, run

from lib.utils.signals import ending_cleanly


def try_case(place: Place, seed: int, keep: Path | None = None) -> tuple[str, int, list[str], str]:
    """Run the case of a seed: its scene, status, complaints and description."""
    case, folder = place.case(seed)
    outcome = run(case, folder)
    found = complaints(case, outcome, folder)
    if keep is not None and found:
        target = keep / f"{seed}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        report = [
            describe(case),
            repr(case.argv),
            *found,
            f"status {outcome.status}, {outcome.seconds:.1f} s",
            outcome.stderr,
        ]
        (target / "report.txt").write_text("\n".join(report), errors="backslashreplace")
        if sum(p.lstat().st_size for p in folder.rglob("*")) < 1 << 20:
            subprocess.run(["cp", "-a", folder / "work", target], check=True)
    shutil.rmtree(folder)
    return case.scene, outcome.status, found, describe(case)


def signature(command: str, complaint: str) -> str:
    """What complaints of one cause have in common."""
    numbers = r"0x[0-9a-f]+|[-+]?[0-9][0-9.e+-]*|(?<=[:,( ])[^ ]*case[^ ]*"
    return f"{command.split()[0]} {re.sub(numbers, '#', complaint)[:110]}"


@contextmanager
def a_place() -> Iterator[Place]:
    """Where cases are made, in memory if possible, gone in the end."""
    folder = Path(tempfile.mkdtemp(prefix="promise.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    with ending_cleanly():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                place = Place(folder)
            yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def try_seeds(seeds: Sequence[int], keep: Path | None = None) -> Iterator[tuple[int, str, int, list[str], str]]:
    with a_place() as place:
        for seed in seeds:
            yield seed, *try_case(place, seed, keep)


def try_scenes() -> list[str]:
    """Run every scene before it is spoiled; gives those that fail, which would hold any promise."""
    bad = []
    with a_place() as place:
        for name, scene in place.scenes.items():
            work = place.folder / "good" / name.replace(" ", "_")
            shutil.copytree(place.template(name), work / "work", symlinks=True)
            (work / "tmp").mkdir()
            outcome = run(make_case(0, name, replace(scene, options=()), random.Random(0)), work)
            if outcome.status not in (0, 1 if scene.command == "loss" else 0):
                bad.append(f"{name}: status {outcome.status}, {outcome.stderr}")
    return bad


def jobs(seeds: Sequence[int], count: int, keep: Path | None) -> Iterator[tuple[int, str, int, list[str], str]]:
    """The same from several processes at once."""
    if count == 1:
        yield from try_seeds(seeds, keep)
        return
    pipes = []
    for job in range(count):
        reader, writer = os.pipe()
        if not os.fork():
            os.close(reader)
            with open(writer, "wb") as file:
                for result in try_seeds(seeds[job::count], keep):
                    pickle.dump(result, file)
                    file.flush()
            os._exit(0)
        os.close(writer)
        pipes.append(os.fdopen(reader, "rb"))
    while pipes:
        for pipe in list(pipes):
            try:
                yield pickle.load(pipe)
            except EOFError:
                pipes.remove(pipe)


def logged(log: Path | None, wanted: range) -> list[tuple[int, str, int, list[str], str]]:
    """The results that a log has of these cases; what was cut short in it is left out."""
    results = []
    for line in log.read_text().splitlines() if log is not None and log.exists() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        if result[0] in wanted:
            results.append(tuple(result))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the reports and input of broken promises")
    parser.add_argument("--log", type=Path, help="file with a line for each case, to go on from")
    parser.add_argument("--good", action="store_true", help="only run every scene before it is spoiled")
    args = parser.parse_args()
    if args.good:
        bad = try_scenes()
        print("\n".join(bad))
        return int(bool(bad))
    start = time.time()
    outcomes: Counter[str] = Counter()
    broken: dict[str, list[int]] = {}
    wanted = range(args.seed, args.seed + args.cases)
    before = logged(args.log, wanted)
    done = {result[0] for result in before}
    seeds = [seed for seed in wanted if seed not in done]
    with open(args.log, "a", encoding="ascii") if args.log else nullcontext() as log:
        for n, result in enumerate(chain(before, jobs(seeds, args.jobs, args.keep)), 1):
            seed, scene, status, found, text = result
            if log is not None and n > len(before):
                log.write(json.dumps(result) + "\n")
                log.flush()
            outcomes[f"{scene.split()[0]:10} {'broken' if found else status}"] += 1
            for complaint in found:
                group = broken.setdefault(signature(scene, complaint), [])
                group.append(seed)
                if len(group) == 1:
                    print(f"case {seed}: {complaint[:300]!a}\n    {text[:300]}", flush=True)
            if n % 500 == 0:
                count = sum(map(len, broken.values()))
                print(
                    f"... {n} cases, {count} complaints of {len(broken)} kinds, {time.time() - start:.0f} s", flush=True
                )
    print(f"\ncases {args.seed} to {args.seed + args.cases - 1}, {len(seeds)} of them now, {time.time() - start:.0f} s")
    for name, count in sorted(outcomes.items()):
        print(f"{count:7} {name}")
    for kind, numbers in sorted(broken.items(), key=lambda item: -len(item[1])):
        print(f"{len(numbers):5} {kind!a}  (cases {', '.join(map(str, numbers[:3]))})")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
