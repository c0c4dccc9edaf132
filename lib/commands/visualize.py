# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""See poses before and after smoothing, as video, gif, one sheet or a page that plays the motion.

A sequence of a dataset, beside its ground truth:
    python visualize_smoothnet.py --cfg CFG --checkpoint CKPT --dataset_name h36m --estimator fcn
        --body_representation 3D --slide_window_size 32 --visualize_video_id 2 --output_video_path ./visualize
Any file that smooth_smoothnet.py reads:
    python visualize_smoothnet.py --input FILE [--video original.mp4] --format mp4,html
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import make_parser, named_settings, smoothing_options

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from ..visualize import Clip, Look


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("visualize", __doc__).parse_args(argv)

    from tqdm import tqdm

    from ..config import load_config
    from ..utils.errors import SmoothNetError
    from ..visualize import FORMATS, Look, frame_count, picture_paths, write_clip

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    formats = list(dict.fromkeys(name.strip().lower() for name in args.output_format.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise SmoothNetError(f"--format {name!r} is none of {', '.join(FORMATS)}")
    if formats != ["html"]:
        importlib.import_module("PIL.Image")  # where it is missing, say so before anything is smoothed
    for path, what in ((args.video, "--video"), (args.input, "--input")):
        if path is not None and not Path(path).exists():
            raise SmoothNetError(f"{what} {path} does not exist")
    if args.video is not None and args.input is None:
        raise SmoothNetError("--video goes with --input: which of a dataset's frames it shows is not known")
    cfg = load_config(args.cfg, named_settings(args), args.opts)
    drawn = Look(args.skeleton, args.edges, args.up)
    made: Callable[[], Clip]
    if args.input:
        stem = re.sub(r"[^\w.-]+", "_", Path(args.input).resolve().stem) or "poses"
        made = partial(_recorded, args, cfg, drawn)
    else:
        stem, made = _evaluated(args, cfg, drawn)
    sources = [Path(path) for path in (args.input, args.video) if path is not None]
    folder = Path(args.output)
    paths = picture_paths(folder, stem, formats, sources, args.force)
    clip = made()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SmoothNetError(f"cannot create {folder}: {error.strerror}; name another folder") from error
    for name, path in zip(formats, paths, strict=True):
        video = args.video if name in ("mp4", "gif") else None
        # disable=None: no bar where nobody would see it move
        with tqdm(total=frame_count(clip, name), desc=name, unit=" frames", disable=None) as bar:
            write_clip(clip, path, args.size, video, bar.update, replace=args.force)
        print(path)
    return 0


def _evaluated(args: argparse.Namespace, cfg: CfgNode, look: Look) -> tuple[str, Callable[[], Clip]]:
    """A sequence of a dataset: the stem of its file's name, and what makes the clip."""
    from ..dataset.named import load_all
    from ..evaluation.evaluate import filter_method, input_method, network_method, rate_of
    from ..filters import filter_names
    from ..models.body import body_for
    from ..models.checkpoints import load_model
    from ..utils.device import select_device
    from ..utils.errors import SmoothNetError
    from ..visualize.evaluated import evaluated_clip
    from ..weights import find_weights

    if not cfg.EVALUATE.PRETRAINED:
        raise SmoothNetError("name the weights with --checkpoint, or a file of poses with --input")
    model, known = load_model(find_weights(cfg.EVALUATE.PRETRAINED, args.slide_window_size), args.slide_window_size)
    device = select_device(cfg.DEVICE)
    datasets = load_all(cfg, cfg.EVALUATE.PHASE)
    if len(datasets) > 1:
        raise SmoothNetError("one dataset can be shown at a time; --dataset_name names several")
    (data,) = datasets
    methods = {
        "input": input_method(data),
        "smoothnet": network_method(
            model.to(device),
            data,
            device=device,
            step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
            normalize=known["normalize"],
            fps=rate_of(data, cfg),
        ),
        **{name: filter_method(name, data, cfg) for name in filter_names(cfg.EVALUATE.TRADITION)},
    }
    number = args.visualize_video_id
    body = body_for(datasets, cfg.SMPL_MODEL_DIR)
    stem = f"{data.facts.dataset}_{data.estimator}_{data.facts.representation}_{number}"
    return stem, partial(evaluated_clip, data, methods, number, cfg, body=body, look=look)


def _recorded(args: argparse.Namespace, cfg: CfgNode, look: Look) -> Clip:
    """The clip of a user's file."""
    from ..config import load_config
    from ..inference.methods import Smoothing
    from ..visualize.sources import recorded_clip

    def load_body() -> Any:
        from ..models import body  # of rotations alone, and it needs torch

        return body.load_body(cfg.SMPL_MODEL_DIR)

    # The default is the published one, for sequences of datasets; a file is drawn to its end unless somebody says so.
    ends = "VIS.END" in args.opts[::2] or cfg.VIS.END != load_config().VIS.END
    return recorded_clip(
        args.input,
        Smoothing(smoothing_options(args, cfg)),
        frames=(cfg.VIS.START, cfg.VIS.END if ends else None),
        track=args.track,
        prefer_2d=args.video is not None,
        load_body=load_body,
        look=look,
    )
