"""Train SmoothNet: `python train_smoothnet.py --cfg configs/h36m_fcn_3D.yaml`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from run_scripts.argument import StopOnSignal, add_arguments, make_run_folder, named_settings, run_main, start_logging


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train_smoothnet.py", description=__doc__, allow_abbrev=False)
    add_arguments(parser, "t")
    args = parser.parse_args(argv)

    from lib.core.config import as_yaml, load_config
    from lib.core.training import train
    from lib.dataset.poses import load_all
    from lib.models.body import body_for
    from lib.utils.device import describe_device, select_device
    from lib.utils.files import write_text

    cfg = load_config(args.cfg, named_settings(args), args.opts)
    device = select_device(cfg.DEVICE)
    train_sets = load_all(cfg, "train")
    test_sets = load_all(cfg, "test") if cfg.TRAIN.VALIDATE else []
    body = body_for(test_sets, cfg.SMPL_MODEL_DIR)
    stop = StopOnSignal()
    run = make_run_folder(cfg, resume=bool(cfg.TRAIN.RESUME))
    start_logging(run, "train_log.txt", cfg.DEBUG)
    write_text(run / "config.yaml", as_yaml(cfg))
    print(as_yaml(cfg))
    print(f"device: {describe_device(device)}\nrun folder: {run}")
    train(cfg, train_sets, test_sets, run, device, body=body, stop=stop)
    return stop.status


if __name__ == "__main__":
    sys.exit(run_main(main))
