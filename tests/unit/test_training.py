# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The training loop: other losses, other kinds of networks, and what a resume takes up again."""

from __future__ import annotations

import copy
import logging
import shutil
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, SMALL, write_poses
from torch import nn

from lib.config import load_config
from lib.dataset.general import generated_recordings
from lib.dataset.named import load_all
from lib.evaluation.evaluate import evaluate
from lib.models import kinds
from lib.models.checkpoints import load_model
from lib.models.general import GeneralSmoother
from lib.models.kinds import Kind
from lib.models.smoothnet import SmoothNet
from lib.training import loop, pools, recipes
from lib.training.loop import train
from lib.training.loss import Batch, Loss, smoothnet_loss
from lib.training.objective import TrainingObjective
from lib.training.recipes import Recipe, find_recipe
from lib.training.records import TensorBoard
from lib.training.state import TrainingState, find_resume
from lib.utils import device as devices
from lib.utils.distributed import World
from lib.utils.errors import SmoothNetError

CPU = torch.device("cpu")
NAMED = {"DATASET_NAME": "toy", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D", "DEVICE": "cpu"}


def squares(output: torch.Tensor, batch: Batch) -> tuple[torch.Tensor]:
    return (((output - batch.truth) ** 2).sum(),)


MSE = Loss((1.0,), squares, lambda shape, mask: (shape[0] * shape[1] * shape[2],))


def run_training(tmp_path: Path, name: str, *opts: str, cfg_file: Path | None = None) -> dict:
    """Train into tmp_path/name and return its last checkpoint."""
    named = NAMED if cfg_file is None else {"DEVICE": "cpu"}
    small = SMALL if cfg_file is None else ()
    settings = [*small, "DATASET.BASE_DIR", str(tmp_path / "poses"), "TRAIN.VALIDATE", "False", *opts]
    cfg = load_config(cfg_file, named, settings)
    run = tmp_path / name
    run.mkdir(exist_ok=True)
    train(cfg, find_recipe(cfg.MODEL.NAME).data(cfg), [], run, CPU, progress=False)
    return torch.load(run / "checkpoint.pth.tar", weights_only=True)


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(value, b[key]) for key, value in a.items())


@pytest.mark.parametrize("path", ["cpu", "micro batches", "autocast"])
def test_another_loss_is_what_is_trained(tmp_path, monkeypatch, path):
    """On the CPU the hand-written pass of the old loss must not go on."""
    write_poses(tmp_path / "poses", phases=("train",))
    recipe = replace(recipes.RECIPES["smoothnet"], loss=lambda cfg: MSE)
    monkeypatch.setitem(recipes.RECIPES, "smoothnet", recipe)
    extra = {"cpu": (), "micro batches": ("TRAIN.MICRO_BATCH", "5"), "autocast": ("TRAIN.AUTOCAST", "True")}[path]
    options = ["TRAIN.EPOCH", "1", "TRAIN.STEP", "1", "MODEL.DROPOUT", "0.0", "TRAIN.BATCH_SIZE", "64", *extra]
    found = run_training(tmp_path, "run", *options)

    cfg = load_config(None, {**NAMED, "DATASET.BASE_DIR": str(tmp_path / "poses")}, [*SMALL, *options])
    model = recipes.build_model(cfg)
    optimizer = recipes.make_optimizer(model, cfg)
    source = recipe.source(recipe.data(cfg), cfg, recipes.World(), CPU)
    source.begin(0)
    batch = source.batch(0, 0)
    loss = nn.functional.mse_loss(model(batch.x), batch.truth)
    loss.backward()
    optimizer.step()
    tolerance = 0.05 if path == "autocast" else 1e-5
    assert found["history"][0]["loss"] == pytest.approx(loss.item(), rel=tolerance)
    if path != "autocast":  # the first step of Adam is the sign of the gradient
        for key, value in model.state_dict().items():
            assert (found["state_dict"][key] - value).abs().mean() < 1e-5, key


def test_a_compiled_network_learns_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "compile_backend", lambda device: "aot_eager")  # which needs no C++ compiler
    write_poses(tmp_path / "poses")
    plain = run_training(tmp_path, "plain", "TRAIN.EPOCH", "1", "MODEL.DROPOUT", "0.0")
    compiled = run_training(tmp_path, "compiled", "TRAIN.EPOCH", "1", "MODEL.DROPOUT", "0.0", "TRAIN.COMPILE", "True")
    for name, value in plain["state_dict"].items():
        torch.testing.assert_close(compiled["state_dict"][name], value, rtol=1e-4, atol=1e-6)


def test_a_network_that_cannot_be_compiled_is_one_sentence(tmp_path, monkeypatch):
    def no_compiler(graph: object, inputs: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(devices, "compile_backend", lambda device: no_compiler)
    write_poses(tmp_path / "poses")
    with pytest.raises(SmoothNetError, match=r"cpu cannot compile .*No working C\+\+ compiler.* without TRAIN.COMPILE"):
        run_training(tmp_path, "run", "TRAIN.COMPILE", "True")


def test_a_gradient_that_is_not_that_of_the_loss_is_refused():
    model, published = SmoothNet(8, None, 16, 8, 1), smoothnet_loss(1.0, 0.3)
    TrainingObjective(model, published)
    for changed in (
        replace(published, totals=lambda output, batch: tuple(2 * total for total in published.totals(output, batch))),
        replace(published, gradient=lambda output, batch, factors: (published.totals(output, batch), output.sign())),
    ):
        with pytest.raises(SmoothNetError, match="not the derivative"):
            TrainingObjective(model, changed)


def test_a_loss_without_a_gradient_leaves_out_the_hand_written_pass(monkeypatch):
    monkeypatch.setattr("lib.training.objective.fused_gradients", lambda *a, **k: pytest.fail("the old loss"))
    model = SmoothNet(8, None, 16, 8, 1, 0.0)
    x, truth = torch.randn(2, 5, 3, 8, generator=torch.Generator().manual_seed(0))
    for pieces in (0, 2):
        model.zero_grad()
        loss, term = TrainingObjective(model, MSE, micro_batch=pieces)(x, truth)
        loss.backward()
        gradients = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        expected = nn.functional.mse_loss(model(x), truth)
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6) and term.item() == pytest.approx(loss.item())
        for gradient, parameter in zip(gradients, model.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-7)


class Kernel(nn.Module):
    """A learned kernel: nothing that the training loop could know."""

    def __init__(self, window_size: int, width: int):
        super().__init__()
        self.window_size = window_size
        self.width = width
        self.weight = nn.Parameter(torch.eye(window_size) + 0.01 * torch.randn(window_size, window_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


class Waves:
    """Sines with noise, out of nowhere."""

    windows, size, channels = 12, 4, 3

    def __init__(self, data, cfg, world, device):
        self.noise, self.window = data, cfg.MODEL.SLIDE_WINDOW_SIZE

    def begin(self, epoch):
        self.generator = np.random.default_rng(epoch)
        self.phase = self.generator.random((3, 4, 3, 1))

    def __len__(self):
        return len(self.phase)

    def batch(self, number, seed):
        truth = torch.from_numpy(np.sin(6 * self.phase[number] + np.arange(self.window) / 3)).float()
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
        return Batch(truth + self.noise * noise, truth, None, len(truth))


def test_a_kind_of_network_is_two_rows(tmp_path, monkeypatch):
    """Its own data, batches, loss, optimiser; trained, saved, resumed exactly, loaded and evaluated as any other."""

    def load(checkpoint):
        model = Kernel(checkpoint["model"]["window_size"], checkpoint["model"]["width"])
        model.load_state_dict(checkpoint["state_dict"])
        return model

    kind = Kind(
        Kernel,
        build=lambda settings: Kernel(settings.SLIDE_WINDOW_SIZE, 7),
        load=load,
        channels=lambda model, normalize, dims, shown, strength, fps: model,
        multiply_adds=lambda model: model.window_size**2,
        settings=lambda model: {"window_size": model.window_size, "width": model.width},
    )
    recipe = Recipe(
        data=lambda cfg: 0.5,  # of noise
        source=Waves,
        loss=lambda cfg: MSE,
        optimizer=lambda model, cfg: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        rate=lambda cfg, epoch, done: 0.3 / (1 + epoch + done),
    )
    monkeypatch.setitem(kinds.KINDS, "kernel", kind)
    monkeypatch.setitem(recipes.RECIPES, "kernel", recipe)
    write_poses(tmp_path / "poses")
    options = ["MODEL.NAME", "kernel", "TRAIN.EPOCH", "3"]
    straight = run_training(tmp_path, "straight", *options)
    losses = [entry["loss"] for entry in straight["history"]]
    assert losses[-1] < losses[0] and straight["model"] == {"name": "kernel", "window_size": 8, "width": 7}

    run_training(tmp_path, "parts", *options, "TRAIN.STEP", "4")
    resumed = run_training(tmp_path, "parts", *options, "TRAIN.RESUME", "auto")
    assert same(resumed["state_dict"], straight["state_dict"]) and resumed["iteration"] == 9

    model, known = load_model(tmp_path / "straight/checkpoint.pth.tar")
    assert isinstance(model, Kernel) and model.width == 7 and known["epoch"] == 3
    cfg = load_config(None, {**NAMED, "DATASET.BASE_DIR": str(tmp_path / "poses")}, [])
    rows, _ = evaluate(cfg, model, known["normalize"], load_all(cfg, "test"), CPU)
    assert 0 < rows[0]["metrics"]["smoothnet_mpjpe"] != rows[0]["metrics"]["input_mpjpe"]
    with pytest.raises(SmoothNetError, match=r"MODEL\.NAME kernel, not smoothnet"):
        run_training(tmp_path, "parts", "TRAIN.RESUME", "auto")


def test_an_unknown_kind_of_network_is_refused(tmp_path):
    with pytest.raises(SmoothNetError, match=r"MODEL.NAME must be one of smoothnet, general, not 'other'"):
        find_recipe("other")
    torch.save({"model": {"name": "other"}, "state_dict": SmoothNet(8).state_dict()}, tmp_path / "c.pth.tar")
    with pytest.raises(SmoothNetError, match=r"c.pth.tar.* kind 'other'; there are smoothnet, general"):
        load_model(tmp_path / "c.pth.tar")


def test_the_general_smoother_trains_by_its_config_and_resumes_exactly(tmp_path, monkeypatch):
    """Also across pools, with its running mean of weights, and it is that mean that is used."""
    monkeypatch.setattr(pools, "generated_recordings", lambda rng: generated_recordings(rng, 3, 60))
    cfg = ROOT / "configs/general.yaml"
    options = ["GENERAL.WINDOWS", "100", "GENERAL.EPOCHS_PER_POOL", "1", "TRAIN.EPOCH", "2", "MODEL.HIDDEN_SIZE", "12",
               "MODEL.RES_HIDDEN_SIZE", "8", "MODEL.NUM_BLOCK", "1", "MODEL.SLIDE_WINDOW_SIZE", "16"]  # fmt: skip
    straight = run_training(tmp_path, "straight", *options, cfg_file=cfg)
    steps = straight["iteration"]
    run_training(tmp_path, "parts", *options, "TRAIN.STEP", str(steps // 2 + 3), cfg_file=cfg)
    resumed = run_training(tmp_path, "parts", *options, "TRAIN.RESUME", "auto", cfg_file=cfg)
    for key in ("state_dict", "learning"):
        assert same(resumed[key], straight[key])
    assert not same(straight["learning"], straight["state_dict"])
    model, known = load_model(tmp_path / "straight/checkpoint.pth.tar")
    assert isinstance(model, GeneralSmoother) and same(model.state_dict(), straight["state_dict"])
    assert straight["model"] == {"name": "general", **model.settings} and known["normalize"] == "none"


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'matplotlib'"), OSError("disk full")])
def test_a_picture_that_cannot_be_drawn_fails_no_run(tmp_path, monkeypatch, caplog, error):
    def draw(history, path):
        raise error

    monkeypatch.setattr(loop, "plot_history", draw)
    write_poses(tmp_path / "poses", phases=("train",))
    assert run_training(tmp_path, "run", "TRAIN.EPOCH", "1")["epoch"] == 1
    assert f"curves.png was not drawn: {error}" in caplog.text
    with pytest.raises(SmoothNetError, match="the loss became"):
        run_training(tmp_path, "run", "TRAIN.EPOCH", "5", "TRAIN.RESUME", "auto", "TRAIN.LR", "1e30")


def test_memory_holds_one_pool(monkeypatch):
    monkeypatch.setattr(pools, "generated_recordings", lambda rng: generated_recordings(rng, 3, 60))
    cfg = load_config(ROOT / "configs/general.yaml", {}, ["GENERAL.WINDOWS", "100", "GENERAL.EPOCHS_PER_POOL", "1"])
    source = pools.Pools([], cfg, World(), CPU)
    source.begin(0)
    before, make_pool = weakref.ref(source.groups[0].truth), pools.make_pool

    def alone(*arguments):
        assert before() is None
        return make_pool(*arguments)

    monkeypatch.setattr(pools, "make_pool", alone)
    source.begin(1)
    assert len(source.batch(0, 0).x)


def test_a_resume_names_the_settings_that_have_changed(tmp_path, caplog):
    write_poses(tmp_path / "poses", phases=("train",))
    run_training(tmp_path, "run", "TRAIN.EPOCH", "1")
    with caplog.at_level(logging.WARNING):
        run_training(tmp_path, "run", "TRAIN.EPOCH", "2", "TRAIN.RESUME", "auto", "LOG.ECHO", "no")
    assert "other settings" not in caplog.text
    write_poses(tmp_path / "poses", "other", phases=("train",))
    with caplog.at_level(logging.WARNING):
        changed = ["DATASET_NAME", "other", "SEED_VALUE", "5", "TRAIN.LR", "0.5", "TRAIN.RESUME", "auto"]
        run_training(tmp_path, "run", "TRAIN.EPOCH", "3", *changed)
    said = [record.getMessage() for record in caplog.records if "other settings" in record.getMessage()]
    assert len(said) == 3
    for words in ("DATASET_NAME is 'other', was 'toy'", "SEED_VALUE is 5, was 4321", "TRAIN.LR is 0.5, was 0.001"):
        assert any(words in line for line in said)


def test_a_run_keeps_to_the_products_that_it_began_with(tmp_path, monkeypatch):
    """They round differently, and which are faster may change with what else the machine does."""
    write_poses(tmp_path / "poses", phases=("train",))
    monkeypatch.setattr(loop, "fastest_products", lambda *arguments: "torch.mm")
    straight = run_training(tmp_path, "straight", "TRAIN.EPOCH", "2")
    run_training(tmp_path, "parts", "TRAIN.EPOCH", "1")
    monkeypatch.setattr(loop, "fastest_products", lambda *arguments: "oneDNN")
    resumed = run_training(tmp_path, "parts", "TRAIN.EPOCH", "2", "TRAIN.RESUME", "auto")
    assert straight["products"] == resumed["products"] == "torch.mm"
    assert same(resumed["state_dict"], straight["state_dict"])


@pytest.mark.parametrize(("kind", "chosen"), [("bfloat16", True), ("float16", False)])
def test_the_plan_says_who_does_the_products_where_that_is_chosen(tmp_path, caplog, kind, chosen):
    write_poses(tmp_path / "poses", phases=("train",))
    with caplog.at_level(logging.INFO):
        run_training(tmp_path, "run", "TRAIN.STEP", "1", "TRAIN.AUTOCAST", "True", "TRAIN.AUTOCAST_DTYPE", kind)
    (plan,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("plan: ")]
    assert f"products in {kind}" in plan and ("products by" in plan) == chosen


def test_the_running_mean_follows_the_weights():
    model = nn.Linear(1, 1, bias=False)
    average = copy.deepcopy(model).requires_grad_(False)
    state = TrainingState(model, torch.optim.SGD(model.parameters(), 0.1), None, average)
    values = []
    for step in range(1, 400):
        with torch.no_grad():
            model.weight.fill_(float(step % 2))
        state.position.iteration = step
        state.follow(0.99)
        values.append(average.weight.item())
    assert values[-1] == pytest.approx(0.5, abs=0.02)


def test_a_resume_removes_what_a_killed_run_left_half_written(tmp_path):
    ours = [tmp_path / f".{name}.x1y2.tmp" for name in ("epoch_3.pth.tar", "metrics.json", "curves.png", "config.yaml")]
    theirs = tmp_path / ".notes.tmp"
    for path in (*ours, theirs):
        path.touch()
    assert find_resume("auto", tmp_path, recipes.World()) is None
    assert list(tmp_path.iterdir()) == [theirs]


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("general", ["TRAIN.BATCH_SIZE", "8"], ["TRAIN.BATCH_SIZE 8"]),
        ("general", ["AUGMENT.FLIP", "0.5", "MODEL.NORMALIZE", "body"], ["AUGMENT.FLIP 0.5", "MODEL.NORMALIZE body"]),
        ("general", ["GENERAL.WINDOWS", "100", "TRAIN.LR", "0.1"], []),
        ("smoothnet", ["GENERAL.PAIRS", "0.5"], ["GENERAL.PAIRS 0.5"]),
        ("smoothnet", ["TRAIN.BATCH_SIZE", "8", "AUGMENT.FLIP", "0.5"], []),
    ],
)
def test_settings_that_a_kind_of_network_does_not_read_are_known(kind, given, said):
    cfg = load_config(None, {}, ["MODEL.NAME", kind, *given])
    assert sorted(find_recipe(kind).ignored(cfg)) == said


def test_a_run_says_which_settings_have_no_effect_and_that_nothing_is_left_to_do(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_poses(tmp_path / "poses", phases=("train",))
    run_training(tmp_path, "run", "TRAIN.EPOCH", "1", "GENERAL.PAIRS", "0.5")
    assert "GENERAL.PAIRS 0.5 has no effect on MODEL.NAME smoothnet" in caplog.text
    assert "nothing is left to train" not in caplog.text
    run_training(tmp_path, "run", "TRAIN.EPOCH", "1", "TRAIN.RESUME", "auto")
    assert "nothing is left to train" in caplog.text


def test_shares_of_pairs_that_are_not_there_are_refused():
    with pytest.raises(SmoothNetError, match=r"GENERAL.PAIR_SHARES is 'uiprmd 1', but .*no real pairs"):
        pools.read_motion(load_config(None, {}, ["GENERAL.PAIR_SHARES", "uiprmd 1"]))


def test_a_run_goes_on_without_curves_that_cannot_be_written(tmp_path, caplog, capfd):
    """A full disk, say: no traceback of TensorBoard's thread, and no error that hides what the run has to say."""
    before = threading.excepthook
    board = TensorBoard(tmp_path / "tensorboard")
    shutil.rmtree(tmp_path / "tensorboard")
    for i in range(200):
        board.add("loss", 1.0, i)
        time.sleep(0.01)
        if "end here" in caplog.text:
            break
    board.close()
    assert caplog.text.count("tensorboard end here: No such file or directory") == 1
    assert "Traceback" not in capfd.readouterr().err
    assert threading.excepthook is before


def test_curves_that_cannot_be_begun_are_one_sentence(tmp_path):
    (tmp_path / "tensorboard").touch()
    with pytest.raises(SmoothNetError, match=r"cannot write .*tensorboard: File exists"):
        TensorBoard(tmp_path / "tensorboard")


@pytest.mark.parametrize(("phase", "said"), [("*", True), ("train", False)])
def test_to_be_evaluated_on_what_is_learned_from_is_a_warning(tmp_path, caplog, phase, said):
    """A folder of the official layout holds both phases."""
    write_poses(tmp_path, "two_words")
    files = tmp_path if phase == "*" else tmp_path / "two_words_est_3D/detected/two_words_est_3D_train.npz"
    named = {"DATASET_NAME": "two_words", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D"}
    options = ["GENERAL.FILES", str(files)]
    assert pools.read_motion(load_config(None, named, options))
    assert ("two_words_est_3D_test.npz is among GENERAL.FILES" in caplog.text) == said
    caplog.clear()
    pools.read_motion(load_config(None, {}, options))  # evaluated on nothing
    assert not caplog.text
