# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Train SmoothNet: `python train_smoothnet.py --cfg configs/h36m_fcn_3D.yaml`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TextIO, cast

from .arguments import make_parser, named_settings
from .runs import Output, StopOnSignal, hold, make_run_folder, refuse_to_mix, start_run


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("train", __doc__).parse_args(argv)

    from ..config import load_config
    from ..dataset.named import load_all
    from ..models.body import body_for
    from ..training.loop import OUT_OF_MEMORY, train
    from ..training.recipes import find_recipe
    from ..utils.device import explain_out_of_memory, select_device
    from ..utils.distributed import explain_lost_contact, join, local_rank

    cfg = load_config(args.cfg, named_settings(args), args.opts)
    device = select_device(cfg.DEVICE, local_rank())
    train_data = find_recipe(cfg.MODEL.NAME).data(cfg)
    test_sets = load_all(cfg, "test") if cfg.TRAIN.VALIDATE and cfg.DATASET_NAME else []
    body = body_for(test_sets, cfg.SMPL_MODEL_DIR)
    stop = StopOnSignal()
    out = cast(TextIO, Output(stop))
    world = join(device, cfg.TRAIN.TIMEOUT)
    with ExitStack() as until_the_end:
        made = make_run_folder(cfg) if world.main else None
        if made is not None:
            until_the_end.enter_context(hold(made))
            refuse_to_mix(made, resume=bool(cfg.TRAIN.RESUME))
            start_run(cfg, made, device, "train", out)
        run = world.from_main(made)
        assert run is not None  # rank 0 made it
        # the progress bar is for people, the iteration lines for tools
        echoed = {"yes": True, "no": False, "auto": not sys.stdout.isatty()}[cfg.LOG.ECHO]
        with explain_out_of_memory(device, OUT_OF_MEMORY), explain_lost_contact():
            train(
                cfg, train_data, test_sets, run, device, world=world, body=body, stop=stop, echo=out if echoed else None
            )
    return stop.status
