"""Evaluate a checkpoint: `python eval_smoothnet.py --checkpoint results/RUN/epoch_23.pth.tar --dataset_name ...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .arguments import add_arguments, named_settings, program
from .runs import make_run_folder, start_logging


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=program("eval"), description=__doc__, allow_abbrev=False)
    add_arguments(parser, "e")
    args = parser.parse_args(argv)

    from ..config import as_yaml, load_config
    from ..dataset.named import body_for, load_all
    from ..evaluation.evaluate import evaluate
    from ..evaluation.report import csv_text, report_text, write_report
    from ..models.checkpoints import load_model
    from ..models.smoothnet import count_parameters, multiply_adds
    from ..utils.device import describe_device, explain_out_of_memory, select_device
    from ..utils.distributed import join, leave, local_rank
    from ..utils.errors import SmoothNetError
    from ..utils.files import write_json, write_text
    from ..weights import find_weights

    cfg = load_config(args.cfg, named_settings(args), args.opts)
    if not cfg.EVALUATE.PRETRAINED:
        raise SmoothNetError("name the weights to evaluate with --checkpoint")
    model, known = load_model(find_weights(cfg.EVALUATE.PRETRAINED, args.slide_window_size), args.slide_window_size)
    device = select_device(cfg.DEVICE, local_rank())
    datasets = load_all(cfg, cfg.EVALUATE.PHASE)
    body = body_for(datasets, cfg.SMPL_MODEL_DIR)
    world = join(device, cfg.TRAIN.TIMEOUT)
    if world.main:
        run = make_run_folder(cfg, resume=True)
        start_logging(run, "eval_log.txt", cfg.DEBUG)
        write_text(run / "eval_config.yaml", as_yaml(cfg))
        print(as_yaml(cfg))
        print(f"device: {describe_device(device)}\nrun folder: {run}", flush=True)

    with explain_out_of_memory(device, "use a shorter window or fewer other programs on it"):
        rows, per_sequence = evaluate(
            cfg, model.to(device), known["normalize"], datasets, device, world=world, body=body
        )
    leave()
    if not world.main:
        return 0
    write_json(run / "metrics.json", {"results": rows})
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
