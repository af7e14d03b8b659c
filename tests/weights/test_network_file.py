"""Our own network files: what is written comes back, and a file that is not of its kind is named with its fault."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from huddle3d.errors import InputError
from huddle3d.weights import NetworkKind, half_precision, loaded

KIND = NetworkKind("huddle3d-test", "a test network", "huddle3d train test")


class Net(nn.Module):
    """One convolution and one buffer that is not stored."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.register_buffer("grid", torch.arange(4.0))


def build(header, tensors):
    return loaded(lambda: Net(header["width"]), tensors, fixed=("grid",))


def write(path, width=5, **header):
    torch.manual_seed(0)
    net = Net(width).to(memory_format=torch.channels_last)
    state = half_precision({k: v for k, v in net.state_dict().items() if k != "grid"})
    KIND.write(path, state, {"width": width, **header})
    return net


def test_written_and_read(tmp_path):
    net = write(tmp_path / "n.safetensors")
    back = KIND.read(tmp_path / "n.safetensors", build)
    assert not back.training and not any(p.requires_grad for p in back.parameters())
    assert torch.equal(back.conv.weight, net.conv.weight.half().float()) and torch.equal(back.grid, torch.arange(4.0))
    with pytest.raises(InputError):
        write(tmp_path / "n.safetensors")  # nothing is replaced unless asked for
    assert (tmp_path / "n.safetensors").stat().st_size < 1000


def test_a_network_in_several_files(tmp_path):
    net = Net(5)
    state = half_precision(net.state_dict())
    paths = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for path, name in zip(paths, ("conv.weight", "conv.bias")):
        KIND.write(path, {name: state[name]}, {"width": 5})
    assert torch.equal(KIND.read(paths, build).conv.bias, state["conv.bias"].float())
    paths[1].write_bytes(b"\x00" * 20)
    with pytest.raises(InputError, match=r"1\.safetensors: not a test network"):
        KIND.read(paths, build)


@pytest.mark.parametrize("text", ["[]", "3", '"huddle3d-test"', '{"kind": "other"}', "{", "[" * 100_000, ""])
def test_headers_of_others(text, tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "n.safetensors", metadata={"huddle3d": text})
    with pytest.raises(InputError, match=r"n\.safetensors: not a test network") as e:
        KIND.read(tmp_path / "n.safetensors", build)
    assert e.value.why and "huddle3d train test" in e.value.next_step


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t | {"conv.weight": torch.zeros(5, 3, 1, 1)}, "conv.weight has shape"),
        (lambda t: {"conv.weight": t["conv.weight"]}, "conv.bias is missing"),
        (lambda t: t | {"more": torch.zeros(1)}, "more is not known"),
    ],
)
def test_tensors_that_do_not_fit(change, named, tmp_path):
    state = half_precision({k: v for k, v in Net(5).state_dict().items() if k != "grid"})
    KIND.write(tmp_path / "n.safetensors", change(state), {"width": 5})
    with pytest.raises(InputError, match=named):
        KIND.read(tmp_path / "n.safetensors", build)


def test_a_header_cannot_ask_for_more_memory_than_its_file_holds(tmp_path):
    """108 TB of weights are never made: their shapes are compared with the file's first."""
    path = tmp_path / "n.safetensors"
    save_file({"conv.weight": torch.zeros(1)}, path, metadata={"huddle3d": json.dumps({"kind": "huddle3d-test", "width": 10**12})})
    made = []

    def watched(header, tensors):
        def make():
            net = Net(header["width"])
            made.append(net.conv.weight.device.type)
            return net

        return loaded(make, tensors)

    with pytest.raises(InputError, match=r"expected \(1000000000000, 3, 3, 3\)"):
        KIND.read(path, watched)
    assert made == ["meta"]
