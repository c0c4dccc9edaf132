# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The whole way on generated data: make it, train, evaluate beside the filters, draw. `make demo` calls this."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

NAMES = ["--dataset_name", "demo", "--estimator", "synthetic", "--body_representation", "3D"]


def run(script: str, *arguments: object) -> None:
    """Run one of the repository's commands, shown as a user would type it; its failure ends the demo."""
    command = [script, *map(str, arguments)]
    print(f"\n$ python {' '.join(command)}", flush=True)
    status = subprocess.run([sys.executable, *command], cwd=ROOT).returncode
    if status:
        sys.exit(status)


def verdict(metrics: dict[str, float], filters: list[str]) -> list[str]:
    """Sentences that say where the network stands against the input and each filter."""

    def against(name: str) -> str:
        words = []
        for metric, label in (("mpjpe", "MPJPE"), ("accel", "Accel")):
            ours, theirs = metrics[f"smoothnet_{metric}"], metrics[f"{name}_{metric}"]
            words.append(f"{label} {ours:.2f} against {theirs:.2f} ({100 * (ours / theirs - 1):+.0f} %)")
        return f"SmoothNet and {name}: " + ", ".join(words)

    return [against(name) for name in ["input", *filters]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__)
    parser.add_argument("--folder", default="demo", help="where everything goes")
    parser.add_argument("--sequences", type=int, default=60, help="training sequences to generate")
    parser.add_argument("--epoch", type=int, default=None, help="epochs, if not the config's")
    args = parser.parse_args()

    start = time.time()
    folder = Path(args.folder)
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    poses, trained, evaluated = folder / "poses", folder / f"{stamp}_train", folder / f"{stamp}_eval"
    at = ["--opts", "DATASET.BASE_DIR", poses.resolve()]
    cfg = ["--cfg", "configs/demo_synthetic_3D.yaml", "--device", "cpu"]
    epoch = [] if args.epoch is None else ["--epoch", args.epoch]
    run("data/make_demo.py", "--output", poses, "--train", args.sequences, "--force")
    run("run_scripts/run_smoothnet.py", *cfg, *NAMES, *epoch, "--logdir", trained, *at, "LOG.ECHO", "no")
    checkpoint = trained / "best.pth.tar"
    run(
        "run_scripts/run_smoothnet.py", *cfg, *NAMES, "--checkpoint", checkpoint, "--eval", "--tradition", "all",
        "--report", evaluated / "table.md", "--logdir", evaluated, *at,
    )  # fmt: skip
    run(
        "visualize_smoothnet.py", *cfg, *NAMES, "--checkpoint", checkpoint, "--visualize_video_id", 0,
        "--format", "png,html", "--output_video_path", evaluated, *at,
    )  # fmt: skip

    metrics = json.loads((evaluated / "metrics.json").read_text())["results"][0]["metrics"]
    filters = [key.removesuffix("_mpjpe") for key in metrics if key.endswith("_mpjpe")]
    filters = [name for name in filters if name not in ("input", "smoothnet", "improvement")]
    print("\n" + "\n".join(verdict(metrics, filters)))
    print("\ncheckpoint and curves:", trained)
    print("table:", evaluated / "table.md")
    for path in sorted([*evaluated.glob("*.png"), *evaluated.glob("*.html")]):
        print("look at:", path)
    print(f"{time.time() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
