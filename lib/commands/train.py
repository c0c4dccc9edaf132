"""Train SmoothNet: `python train_smoothnet.py --cfg configs/h36m_fcn_3D.yaml`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .arguments import add_arguments, named_settings, program
from .runs import StopOnSignal, make_run_folder, start_logging


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=program("train"), description=__doc__, allow_abbrev=False)
    add_arguments(parser, "t")
    args = parser.parse_args(argv)

    from ..config import as_yaml, load_config
    from ..dataset.named import body_for, load_all
    from ..training.loop import OUT_OF_MEMORY, train
    from ..utils.device import describe_device, explain_out_of_memory, select_device
    from ..utils.distributed import explain_lost_contact, join, leave, local_rank
    from ..utils.files import write_text

    cfg = load_config(args.cfg, named_settings(args), args.opts)
    device = select_device(cfg.DEVICE, local_rank())
    train_sets = load_all(cfg, "train")
    test_sets = load_all(cfg, "test") if cfg.TRAIN.VALIDATE else []
    body = body_for(test_sets, cfg.SMPL_MODEL_DIR)
    stop = StopOnSignal()
    world = join(device, cfg.TRAIN.TIMEOUT)
    run = world.from_main(make_run_folder(cfg, resume=bool(cfg.TRAIN.RESUME)) if world.main else None)
    if world.main:
        start_logging(run, "train_log.txt", cfg.DEBUG)
        write_text(run / "config.yaml", as_yaml(cfg))
        print(as_yaml(cfg))
        print(f"device: {describe_device(device)}\nrun folder: {run}", flush=True)
    # the progress bar is for people, the iteration lines for tools
    echoed = {"yes": True, "no": False, "auto": not sys.stdout.isatty()}[cfg.LOG.ECHO]
    echo = sys.stdout if echoed else None
    with explain_out_of_memory(device, OUT_OF_MEMORY), explain_lost_contact():
        train(cfg, train_sets, test_sets, run, device, world=world, body=body, stop=stop, echo=echo)
    leave()
    return stop.status
