# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""lib/utils/device.py where there is no accelerator: choices, errors, and what holds on the cpu."""

import textwrap

import pytest
import torch
from helpers import ROOT, command

from lib.utils import device as devices
from lib.utils.errors import SmoothNetError

CPU = torch.device("cpu")


def select_with_torch_sdaa(folder, body, name="sdaa"):
    """What selecting `name` prints in a process whose torch_sdaa consists of `body`."""
    if body is not None:
        (folder / "torch_sdaa.py").write_text(textwrap.dedent(body))
    program = folder / "program.py"
    program.write_text(f"""
import logging, sys
sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from lib.utils.device import select_device
from lib.utils.errors import SmoothNetError
try:
    print("chosen", select_device({name!r}).type)
except SmoothNetError as error:
    print(error)
""")
    result = command(program)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "sdaa:", "cuda:-1", "sdaa:x", "", "auto:0", "cuda 0"])
def test_unknown_names_are_refused(name):
    with pytest.raises(SmoothNetError, match="is not one of"):
        devices.select_device(name)


def test_cpu_and_auto():
    assert devices.select_device("cpu") == CPU
    assert devices.select_device("cpu", local_rank=3) == CPU
    assert devices.select_device("auto").type in ("sdaa", "cuda", "cpu")
    assert devices.describe_device(CPU).startswith("cpu (") and "GiB" in devices.describe_device(CPU)


def test_a_device_that_is_not_there_is_an_error_that_says_why(tmp_path):
    stdout, _ = select_with_torch_sdaa(tmp_path, None)
    assert "torch_sdaa is not installed" in stdout
    if not torch.cuda.is_available():
        with pytest.raises(SmoothNetError, match="--device cuda:1: "):
            devices.select_device("cuda:1")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise OSError('libsdaart.so: cannot open shared object file')", "OSError: libsdaart.so"),
        (
            "import a_module_that_is_missing",
            "ModuleNotFoundError: No module named 'a_module_that_is_missing'",
        ),
        ("raise RuntimeError('driver too old')", "RuntimeError: driver too old"),
    ],
)
def test_a_broken_torch_sdaa_is_named_and_never_hidden(tmp_path, body, reason):
    stdout, _ = select_with_torch_sdaa(tmp_path, body)
    assert "importing torch_sdaa failed with " + reason in stdout
    assert "chosen" not in stdout
    stdout, _ = select_with_torch_sdaa(tmp_path, body, name="auto")
    assert "sdaa is left out: importing torch_sdaa failed" in stdout
    assert "chosen" in stdout


def test_the_banner_stays_out_of_stdout_and_no_card_is_said(tmp_path):
    body = """
        import torch, types
        print("BANNER")
        torch.sdaa = types.SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
    """
    stdout, stderr = select_with_torch_sdaa(tmp_path, body)
    assert "BANNER" in stderr and "BANNER" not in stdout
    assert "no card was found" in stdout


def test_cpu_decisions():
    assert devices.autocast_dtype(CPU) in (torch.bfloat16, None)
    assert devices.autocast_dtype(CPU, "float16") == torch.float16
    assert devices.autocast_dtype(CPU, "bfloat16") == torch.bfloat16
    with pytest.raises(SmoothNetError, match="AUTOCAST_DTYPE"):
        devices.autocast_dtype(CPU, "float8")
    assert devices.distributed_backend(CPU) == "gloo"
    assert devices.compile_backend(CPU) == "inductor"
    assert devices.profiler_activities(CPU) == [torch.profiler.ProfilerActivity.CPU]
    assert devices.peak_memory(CPU) is None and devices.memory_free(CPU) is None
    x = torch.ones(2)
    assert devices.to_device(x, CPU) is x


@pytest.mark.parametrize("supported", [False, True])
def test_autocast_uses_float32_and_says_why_where_bfloat16_does_not_pay(monkeypatch, caplog, supported):
    """Without bfloat16 instructions, and with ones that PyTorch calls supported but that are slow."""
    if supported:
        monkeypatch.setattr(devices, "BFLOAT16_PAYS", 0.0)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported, raising=False)
    devices._slow_bfloat16.cache_clear()
    try:
        assert devices.autocast_dtype(CPU) is None
        assert devices.autocast_dtype(CPU, "bfloat16") == torch.bfloat16  # asked for by name
        assert len(caplog.records) == 1 and "float32 is used on the cpu, since" in caplog.text
        assert ("take" if supported else "no bfloat16 instructions") in caplog.text
    finally:
        devices._slow_bfloat16.cache_clear()


def test_switches_of_cudnn_are_set_where_it_computes(monkeypatch):
    switches = ("enabled", "benchmark", "deterministic")
    for name in switches:
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    for values in ((False, True, True), (True, False, False)):
        assert devices.apply_cudnn(torch.device("cuda"), *values)
        assert tuple(getattr(torch.backends.cudnn, name) for name in switches) == values
    assert not devices.apply_cudnn(CPU, False, True, True)
    assert torch.backends.cudnn.enabled


def test_autocast_and_scaler_on_the_cpu():
    layer = torch.nn.Linear(4, 4)
    with devices.autocast(CPU, torch.bfloat16):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with devices.autocast(CPU, None):
        assert layer(torch.ones(1, 4)).dtype == torch.float32
    scaler = devices.make_grad_scaler(CPU, False)
    loss = layer(torch.ones(1, 4)).sum()
    assert scaler.scale(loss) is loss and scaler.state_dict() == {}
    assert devices.make_grad_scaler(CPU, True, init_scale=8.0).state_dict()["scale"] == 8.0


def test_random_state_is_restored():
    devices.manual_seed(CPU, 3)
    state = devices.rng_state(CPU)
    first = torch.rand(4)
    assert not torch.equal(torch.rand(4), first)
    devices.set_rng_state(CPU, state)
    assert torch.equal(torch.rand(4), first)


def test_out_of_memory_is_recognised():
    assert devices.is_out_of_memory(MemoryError())
    assert devices.is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory."))
    assert devices.is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not devices.is_out_of_memory(ValueError("out of memory"))


def test_no_other_module_decides_about_devices():
    """Device types are named in lib/utils/device.py alone."""
    forbidden = ("torch_sdaa", "torch.cuda", "torch.sdaa", ".cuda()", '"tccl"', '"nccl"', "pin_memory")
    files = [*ROOT.glob("*.py"), *ROOT.glob("lib/**/*.py"), *ROOT.glob("run_scripts/*.py")]
    assert files
    for path in files:
        if path.name == "device.py":
            continue
        source = path.read_text(encoding="utf-8")
        assert [word for word in forbidden if word in source] == [], path
