# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Evaluate a checkpoint: `python eval_smoothnet.py --checkpoint results/RUN/epoch_23.pth.tar --dataset_name ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .arguments import make_parser, named_settings
from .runs import holds_training, make_run_folder, start_run


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("eval", __doc__).parse_args(argv)

    from ..config import load_config
    from ..dataset.named import load_all
    from ..evaluation.evaluate import evaluate
    from ..evaluation.report import check_report, csv_text, report_text, write_report
    from ..filters import filter_names
    from ..models.body import body_for
    from ..models.checkpoints import load_model
    from ..models.kinds import multiply_adds
    from ..models.smoothnet import count_parameters
    from ..utils.device import explain_out_of_memory, select_device
    from ..utils.distributed import join, local_rank
    from ..utils.errors import SmoothNetError
    from ..utils.files import write_json, write_text
    from ..weights import find_weights

    cfg = load_config(args.cfg, named_settings(args), args.opts)
    if not cfg.EVALUATE.PRETRAINED:
        raise SmoothNetError("name the weights to evaluate with --checkpoint")
    if cfg.EVALUATE.REPORT:
        check_report(cfg.EVALUATE.REPORT, cfg.LOGDIR or None)
    filter_names(cfg.EVALUATE.TRADITION)  # a misspelt one is told before the work, and leaves no run folder
    model, known = load_model(find_weights(cfg.EVALUATE.PRETRAINED, args.slide_window_size), args.slide_window_size)
    device = select_device(cfg.DEVICE, local_rank())
    datasets = load_all(cfg, cfg.EVALUATE.PHASE)
    body = body_for(datasets, cfg.SMPL_MODEL_DIR)
    world = join(device, cfg.TRAIN.TIMEOUT)
    if world.main:
        run = make_run_folder(cfg)
        start_run(cfg, run, device, "eval", sys.stdout)
    with explain_out_of_memory(device, "use a shorter window or fewer other programs on it"):
        rows, per_sequence = evaluate(
            cfg, model.to(device), known["normalize"], datasets, device, world=world, body=body
        )
    if not world.main:
        return 0
    # a training run keeps its own metrics.json, with its history
    write_json(run / ("eval_metrics.json" if holds_training(run) else "metrics.json"), {"results": rows})
    if cfg.EVALUATE.PER_SEQUENCE:
        write_text(run / "per_sequence.csv", csv_text(*per_sequence))
    if cfg.EVALUATE.REPORT:
        write_report(rows, cfg.EVALUATE.REPORT)
    print(report_text(rows))
    channels, step = datasets[0].detected.shape[1], cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE
    print(
        f"network: {count_parameters(model)} parameters, {multiply_adds(model) * channels / step / 1e6:.1f} M "
        f"multiply-adds and {rows[0]['metrics']['us_per_frame']:.1f} us per frame "
        f"({channels} channels, window {model.window_size}, step {step})"
    )
    return 0
