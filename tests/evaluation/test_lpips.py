"""LPIPS from weights: against a computation with scipy; absent weights are absent values."""

import hashlib
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.errors import InputError, ShapeError, WeightsMissingError
from huddle3d.evaluation import EvaluateConfig, Lpips, evaluate_scene, load_lpips
from huddle3d.weights import _registry, registry, verify

from .shapes import cube, person

LAYERS = (("features.0", 3, 64, 11, 4, 2), ("features.3", 64, 192, 5, 1, 2), ("features.6", 192, 384, 3, 1, 1),
          ("features.8", 384, 256, 3, 1, 1), ("features.10", 256, 256, 3, 1, 1))  # fmt: skip


@pytest.fixture(scope="module")
def weights():
    """Random numbers in the shapes of the real ones: the arithmetic is the same."""
    rng = torch.Generator().manual_seed(0)
    out = {}
    for k, (name, inputs, outputs, kernel, _, _) in enumerate(LAYERS):
        out[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=rng) / (inputs * kernel**2) ** 0.5
        out[f"{name}.bias"] = 0.1 * torch.randn(outputs, generator=rng)
        out[f"lin{k}.weight"] = torch.rand(outputs, generator=rng)
    return out


@pytest.fixture
def file(weights, tmp_path):
    from safetensors.torch import save_file

    save_file(weights, str(tmp_path / "lpips.safetensors"))
    return tmp_path / "lpips.safetensors"


def features(image, weights):
    """The network in numpy, window by window."""
    from numpy.lib.stride_tricks import sliding_window_view

    x = ((image * 2 - 1 - np.array([-0.030, -0.088, -0.188])) / np.array([0.458, 0.448, 0.450])).transpose(2, 0, 1)
    for k, (name, _, _, kernel, stride, padding) in enumerate(LAYERS):
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        windows = sliding_window_view(x, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
        x = np.einsum("chwij,ocij->ohw", windows, weights[f"{name}.weight"].double().numpy(), optimize=True)
        x = np.maximum(x + weights[f"{name}.bias"].double().numpy()[:, None, None], 0)
        yield x
        if k < 2:
            x = sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max((-1, -2))


def test_equals_numpy(file, weights, rng):
    a, b = (torch.rand(67, 70, 3, generator=rng) for _ in range(2))
    peer = 0.0
    for k, (p, t) in enumerate(zip(features(a.double().numpy(), weights), features(b.double().numpy(), weights))):
        p, t = (f / (np.sqrt((f**2).sum(0)) + 1e-10) for f in (p, t))
        peer += ((p - t) ** 2 * weights[f"lin{k}.weight"].double().numpy()[:, None, None]).sum(0).mean()
    net = load_lpips(file)
    assert net.distance(a, b) == pytest.approx(peer, rel=1e-3)
    assert net.distance(a, a) == 0 and net.distance(a, b) == pytest.approx(net.distance(b, a), rel=1e-6)


def test_a_worse_picture_is_farther(file, rng):
    a, noise = torch.rand(80, 80, 3, generator=rng), torch.randn(80, 80, 3, generator=rng)
    net = load_lpips(file)
    assert net.distance((a + 0.02 * noise).clamp(0, 1), a) < net.distance((a + 0.3 * noise).clamp(0, 1), a)


def published(weights, tmp_path, monkeypatch):
    """A cache with the fetched set's form: a pickle of nested arrays, kernels as height x width x in x out; numpy's old module name, as in the real file."""
    monkeypatch.delenv("HUDDLE3D_LPIPS", raising=False)
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    tree = {"AlexNet_0": {}}
    for k, (name, *_) in enumerate(LAYERS):
        kernel = np.ascontiguousarray(weights[f"{name}.weight"].numpy().transpose(2, 3, 1, 0))
        tree["AlexNet_0"][f"Conv_{k}"] = {"kernel": kernel, "bias": weights[f"{name}.bias"].numpy()}
        tree[f"NetLinLayer_{k}"] = {"Conv_0": {"kernel": weights[f"lin{k}.weight"].numpy().reshape(1, 1, -1, 1)}}
    place = tmp_path / "cache" / "weights" / "lpips-alex"
    place.mkdir(parents=True)
    data = pickle.dumps(tree, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    return place / "alexnet.ckpt", data


def register(monkeypatch, data):
    entry = registry()["lpips-alex"]
    file = replace(entry.files[0], size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(_registry, "registry", lambda: {"lpips-alex": replace(entry, files=(file,))})


def test_the_fetched_file_gives_the_same_network(file, weights, tmp_path, monkeypatch, rng):
    path, data = published(weights, tmp_path, monkeypatch)
    register(monkeypatch, data)
    path.write_bytes(data)
    a, b = (torch.rand(64, 64, 3, generator=rng) for _ in range(2))
    assert load_lpips().distance(a, b) == pytest.approx(load_lpips(file).distance(a, b), rel=1e-6)


def test_a_fetched_file_that_asks_for_code_is_refused(weights, tmp_path, monkeypatch):
    path, _ = published(weights, tmp_path, monkeypatch)
    data = b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    register(monkeypatch, data)
    path.write_bytes(data)
    with pytest.raises(InputError, match="not the weights"):
        load_lpips()
    assert not (tmp_path / "ran").exists()


def test_absent_weights_are_an_absent_value(monkeypatch, tmp_path):
    monkeypatch.delenv("HUDDLE3D_LPIPS", raising=False)
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="models fetch lpips-alex"):
        load_lpips()
    people = [person("a", cube())]
    tree = evaluate_scene(people, people, EvaluateConfig(samples=500, image_size=64)).to_dict()
    assert tree["image"]["lpips"] is None and "weights" in tree["undefined"]["lpips"]


def test_present_weights_are_used(file, monkeypatch):
    monkeypatch.setenv("HUDDLE3D_LPIPS", str(file))
    red, blue = [person("a", cube(), (0.9, 0.1, 0.1))], [person("a", cube(), (0.1, 0.1, 0.9))]
    m = evaluate_scene(blue, red, EvaluateConfig(samples=500, image_size=64))
    assert m.image.lpips > 0 and not m.undefined


def test_bad_files_and_pictures(tmp_path, weights, rng):
    from safetensors.torch import save_file

    with pytest.raises(WeightsMissingError):
        load_lpips(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(InputError):
        load_lpips(tmp_path / "text.safetensors")
    save_file({**weights, "lin2.weight": torch.zeros(3)}, str(tmp_path / "short.safetensors"))
    with pytest.raises(InputError, match="lin2"):
        load_lpips(tmp_path / "short.safetensors")
    net = Lpips(weights)
    with pytest.raises(ShapeError):
        net.distance(torch.zeros(64, 64, 3), torch.zeros(64, 65, 3))
    with pytest.raises(InputError):
        net.distance(torch.zeros(32, 64, 3), torch.zeros(32, 64, 3))


@pytest.mark.shared
@pytest.mark.skipif(
    not os.environ.get("HUDDLE3D_LPIPS") and bool(verify("lpips-alex")), reason="needs LPIPS weights: huddle3d models fetch lpips-alex"
)
def test_the_published_example(shared):
    from huddle3d.io import read_image

    ref, p0, p1 = (torch.from_numpy(read_image(shared / f"data/fixtures/lpips/ex_{k}.png").image) for k in ("ref", "p0", "p1"))
    net = load_lpips()
    # The authors' own program prints these for their example pictures (AlexNet, version 0.1).
    assert net.distance(p0, ref) == pytest.approx(0.722, abs=1e-3) and net.distance(p1, ref) == pytest.approx(0.138, abs=1e-3)
