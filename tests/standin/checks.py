# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the stand-in for sdaa must do. Run by tests/slow/test_standin.py in a process of its own."""

import copy
import io

import pytest
import torch
import torch_sdaa
from helpers import SMALL, write_poses
from torch.nn.functional import dropout, linear

from lib.config import load_config
from lib.dataset.poses import load_poses
from lib.models.smoothnet import SmoothNet
from lib.training.loop import train as train_network
from lib.utils import device as devices
from lib.utils.errors import SmoothNetError

SDAA = torch.device("sdaa", 0)
CPU = torch.device("cpu")


def sample(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small_network(dropout=0.0):
    torch.manual_seed(0)
    return SmoothNet(8, hidden_size=16, res_hidden_size=4, num_blocks=2, dropout=dropout)


def train(device, steps=4, state=None):
    """A few steps of Adam(amsgrad) on a device: (last loss, (weights, optimizer state) on the cpu)."""
    network = small_network().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, amsgrad=True)
    if state is not None:
        network.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    x, target = sample(4, 3, 8).to(device), sample(4, 3, 8, seed=1).to(device)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (network(x) - target).abs().mean()
        loss.backward()
        optimizer.step()
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    moments = torch.utils._pytree.tree_map(
        lambda x: x.cpu() if isinstance(x, torch.Tensor) else x, optimizer.state_dict()
    )
    return loss.item(), (weights, moments)


def test_copies_there_and_back_keep_the_values():
    x = sample(4, 5)
    there = x.to(SDAA)
    assert there.device == SDAA and there.dtype == torch.float32
    assert torch.equal(there.cpu(), x)
    there.add_(1)
    assert torch.equal(x, sample(4, 5))  # a copy, not the same memory
    back = there.cpu()
    there.zero_()
    assert torch.equal(back, x + 1)
    with pytest.raises((TypeError, RuntimeError)):
        there.numpy()


def test_mixing_cpu_and_device_raises():
    x = sample(4, 5)
    for mixed in (
        lambda: x.to(SDAA) + x,
        lambda: x.to(SDAA).add_(x),
        lambda: linear(x.to(SDAA), x),
        lambda: torch.cat([x.to(SDAA), x]),
        lambda: x.to(SDAA)[torch.tensor([0, 1])],
        lambda: small_network().to(SDAA)(sample(1, 2, 8)),
    ):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()
    assert torch.equal((x.to(SDAA) * torch.tensor(2.0)).cpu(), x * 2)


def test_float64_and_decompositions_raise():
    with pytest.raises(RuntimeError, match="float64"):
        torch.ones(2, dtype=torch.float64).to(SDAA)
    with pytest.raises(RuntimeError, match="float64"):
        torch.ones(2, device=SDAA).double()
    for function in (torch.linalg.svd, torch.linalg.det, torch.linalg.eigh):
        with pytest.raises(NotImplementedError):
            function(torch.eye(3).to(SDAA))


def test_indexing_equals_the_cpu():
    x, rows = sample(6, 3, 8), torch.tensor([4, 0, 5])
    there, rows_there = x.to(SDAA), rows.to(SDAA)
    starts = torch.arange(3)[:, None] + torch.arange(4)
    assert torch.equal(there.index_select(0, rows_there).cpu(), x.index_select(0, rows))
    assert torch.equal(there[rows_there].cpu(), x[rows])
    assert torch.equal(there[starts.to(SDAA)].cpu(), x[starts])
    assert torch.equal(there.unfold(2, 3, 1).cpu(), x.unfold(2, 3, 1))
    index = torch.zeros(6, 3, 1, dtype=torch.int64)
    assert torch.equal(there.gather(2, index.to(SDAA)).cpu(), x.gather(2, index))
    total = torch.zeros(6, 2, device=SDAA).index_add_(0, rows_there, torch.ones(3, 2, device=SDAA))
    assert total.cpu().sum(1).tolist() == [2, 0, 0, 0, 2, 2]
    there[1:3, :, ::2] = 7
    assert (there.cpu()[1:3, :, ::2] == 7).all() and torch.equal(there.cpu()[3:], x[3:])
    assert torch.arange(2, 8, 3, device=SDAA).cpu().tolist() == [2, 5]
    assert torch.tensor([[1.5]], device=SDAA).cpu().item() == 1.5


def test_training_equals_the_cpu():
    loss_cpu, (weights_cpu, moments_cpu) = train(CPU)
    loss, (weights, moments) = train(SDAA)
    assert loss == loss_cpu
    for name, value in weights_cpu.items():
        assert torch.equal(weights[name], value), name
    for index, values in moments_cpu["state"].items():
        assert torch.equal(moments["state"][index]["max_exp_avg_sq"], values["max_exp_avg_sq"])


def test_resuming_from_a_saved_state_equals_going_on():
    file = io.BytesIO()
    torch.save(train(SDAA, steps=2)[1], file)
    file.seek(0)
    _, (resumed, _) = train(SDAA, steps=3, state=torch.load(file, weights_only=True))
    _, (straight, _) = train(SDAA, steps=5)
    assert all(torch.equal(resumed[name], value) for name, value in straight.items())


def test_device_tensors_cannot_be_pickled():
    with pytest.raises(RuntimeError, match="copy it to the cpu"):
        torch.save(torch.ones(2, device=SDAA), io.BytesIO())
    assert copy.deepcopy(small_network().to(SDAA)).decoder.weight.device == SDAA


def test_autocast_runs_linear_layers_in_float16():
    network, x = small_network().to(SDAA), sample(4, 3, 8).to(SDAA)
    assert network(x).dtype == torch.float32
    with devices.autocast(SDAA, torch.float16):
        assert network(x).dtype == torch.float16
        assert (network(x) - x).abs().sum().dtype == torch.float32
    with devices.autocast(SDAA, None):
        assert network(x).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):  # somebody else's autocast does nothing here
        assert network(x).dtype == torch.float32
    with devices.autocast(SDAA, torch.float16):
        half = network(x)
    error = (half.float() - network(x)).abs().max().item()
    assert 0 < error < 1e-2


def test_gradient_scaler_skips_the_step_on_overflow_only():
    network = small_network().to(SDAA)
    optimizer = torch.optim.Adam(network.parameters(), amsgrad=True)
    scaler = devices.make_grad_scaler(SDAA, True, init_scale=1024.0)

    def step(factor):
        optimizer.zero_grad()
        before = network.decoder.weight.detach().cpu()
        with devices.autocast(SDAA, torch.float16):
            output = network(sample(4, 3, 8).to(SDAA))
        scaler.scale(output.float().abs().mean() * factor).backward()
        scaler.unscale_(optimizer)
        gradient = network.decoder.weight.grad.cpu()
        scaler.step(optimizer)
        scaler.update()
        return gradient, not torch.equal(before, network.decoder.weight.detach().cpu())

    gradient, moved = step(1.0)
    assert moved and scaler.get_scale() == 1024 and 0 < gradient.abs().max() < 1  # unscaled: not 1024 times too big
    _, moved = step(1e30)
    assert not moved and scaler.get_scale() == 512


def test_the_device_has_its_own_random_numbers():
    ones = torch.ones(64)
    devices.manual_seed(SDAA, 5)
    cpu_mask = dropout(ones)
    devices.manual_seed(SDAA, 5)
    state_cpu = torch.get_rng_state()
    state = devices.rng_state(SDAA)
    mask = dropout(ones.to(SDAA)).cpu()
    assert not torch.equal(mask, cpu_mask)
    assert torch.equal(torch.get_rng_state(), state_cpu)
    assert not torch.equal(dropout(ones.to(SDAA)).cpu(), mask)
    devices.set_rng_state(SDAA, state)
    assert torch.equal(dropout(ones.to(SDAA)).cpu(), mask)


def test_every_device_decision_for_sdaa(monkeypatch):
    assert devices.select_device("auto") == SDAA
    assert devices.select_device("sdaa:1") == torch.device("sdaa", 1)
    assert torch.sdaa.current_device() == 1
    assert devices.select_device("sdaa", local_rank=3) == torch.device("sdaa", 3)
    with pytest.raises(SmoothNetError, match="sdaa:0 to sdaa:3"):
        devices.select_device("sdaa:4")
    with pytest.raises(SmoothNetError, match="write --device sdaa"):
        devices.select_device("sdaa:0", local_rank=1)
    assert devices.select_device("sdaa") == SDAA
    assert devices.describe_device(SDAA) == "sdaa:0 (stand-in for tests, 16.0 GiB)"
    assert devices.autocast_dtype(SDAA) == torch.float16
    assert devices.distributed_backend(SDAA) == "tccl"
    assert devices.compile_backend(SDAA) == "teco_inductor"
    assert torch.profiler.ProfilerActivity.PrivateUse1 in devices.profiler_activities(SDAA)
    assert type(devices.make_grad_scaler(SDAA, True)).__module__ == "torch_sdaa"
    monkeypatch.delattr(torch.sdaa, "amp")
    assert type(devices.make_grad_scaler(SDAA, True)) is torch.amp.GradScaler
    monkeypatch.setattr(torch.sdaa, "is_available", lambda: False)
    with pytest.raises(SmoothNetError, match="no card"):
        devices.select_device("sdaa")
    assert devices.select_device("auto").type != "sdaa"


def test_memory_is_counted():
    devices.reset_peak_memory(SDAA)
    base = devices.peak_memory(SDAA)
    x = torch.zeros(1000, device=SDAA)
    assert devices.peak_memory(SDAA) == base + 4000
    free = devices.memory_free(SDAA)
    del x
    assert devices.memory_free(SDAA) == free + 4000
    assert devices.peak_memory(SDAA) == base + 4000


def test_out_of_memory_is_recognised(monkeypatch):
    monkeypatch.setenv("SDAA_STANDIN_MEMORY", "1000")
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(1000, device=SDAA)
    assert devices.is_out_of_memory(caught.value)
    assert not devices.is_out_of_memory(RuntimeError("shape mismatch"))


@pytest.mark.parametrize("lengths", [(60, 40), (60, 40, 5)], ids=["whole windows", "a padded clip"])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_training_step_moves_nothing_between_host_and_device(tmp_path, lengths, autocast):
    """Each such move waits for all that is queued. The loss is read once at the end, as LOG_EVERY is larger."""
    base = write_poses(tmp_path / "poses", lengths=lengths, channels=6, phases=("train",))
    data = load_poses(base, "toy", "est", "3D", "train")
    moved = []
    for steps in (2, 7):
        settings = [*SMALL, "TRAIN.VALIDATE", "False", "TRAIN.BATCH_SIZE", "8", "TRAIN.STEP", str(steps)]
        settings += ["TRAIN.AUTOCAST", str(autocast), "TRAIN.AUTOCAST_DTYPE", "bfloat16"]
        run = tmp_path / str(steps)
        run.mkdir()
        before = torch_sdaa.transfers
        train_network(load_config(None, {}, settings), [data], [], run, SDAA, progress=False)
        moved.append(torch_sdaa.transfers - before)
    assert moved[0] == moved[1] > 0
