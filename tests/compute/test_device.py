import pytest
import torch

from huddle3d.compute import choose_device, kernel_backend
from huddle3d.errors import DeviceError


def test_auto_gives_a_reason():
    choice = choose_device("auto")
    assert choice.reason
    assert choice.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "CPU"])
def test_unknown_device_is_answered(name):
    with pytest.raises(DeviceError):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_missing_cuda_is_answered():
    with pytest.raises(DeviceError, match="not available"):
        choose_device("cuda")


def test_kernel_switch(monkeypatch):
    monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
    assert kernel_backend() == "torch"
    monkeypatch.setenv("HUDDLE3D_KERNELS", "metal")
    with pytest.raises(DeviceError, match="metal"):
        kernel_backend()
