"""LPIPS, the learned perceptual distance of Zhang et al. 2018 (AlexNet, version 0.1).

Its weights come only on request (``huddle3d models fetch lpips-alex``; the card tells their terms) or from a file of the user's. Without them the
value is absent, with the reason, never zero.
"""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from huddle3d.errors import InputError, ShapeError, WeightsMissingError
from huddle3d.weights import weights_path

__all__ = ["LPIPS_VARIABLE", "Lpips", "load_lpips"]

LPIPS_VARIABLE = "HUDDLE3D_LPIPS"
"""Environment variable that names the weights' file."""

_SET = "lpips-alex"

_CONVOLUTIONS = (("features.0", 3, 64, 11, 4, 2), ("features.3", 64, 192, 5, 1, 2), ("features.6", 192, 384, 3, 1, 1),
                 ("features.8", 384, 256, 3, 1, 1), ("features.10", 256, 256, 3, 1, 1))  # fmt: skip
"""AlexNet: name, channels in and out, kernel, stride, padding; each is followed by a ReLU, the first two also by a 3 × 3 maximum, stride 2."""
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_MIN_SIDE = 64


@dataclass(frozen=True)
class Lpips:
    """The network's tensors, by the names of the file."""

    weights: dict[str, Tensor]
    """``features.N.weight``, ``features.N.bias`` (torchvision's AlexNet) and ``linK.weight`` (the 1 × 1 layers of LPIPS, K = 0 … 4)."""

    def _features(self, image: Float[Tensor, "height width 3"]) -> list[Float[Tensor, "1 channels h w"]]:
        x = image.float().permute(2, 0, 1)[None] * 2 - 1
        x = (x - x.new_tensor(_SHIFT).view(1, 3, 1, 1)) / x.new_tensor(_SCALE).view(1, 3, 1, 1)
        out = []
        for k, (name, _, _, _, stride, padding) in enumerate(_CONVOLUTIONS):
            x = functional.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], stride=stride, padding=padding).relu()
            out.append(x)
            if k < 2:
                x = functional.max_pool2d(x, 3, 2)
        return out

    @torch.no_grad()
    def distance(self, predicted: Float[Tensor, "height width 3"], truth: Float[Tensor, "height width 3"]) -> float:
        """LPIPS of two images in [0, 1], at least 64 px a side; 0 for equal ones, larger is worse.

        Sum over five layers of the spatial mean of the weighted squared difference of channel-normalised features (Zhang et al. 2018, eq. 1).
        """
        if predicted.shape != truth.shape:
            raise ShapeError("predicted image", predicted.shape, tuple(truth.shape))
        if min(truth.shape[:2]) < _MIN_SIDE:
            raise InputError(f"LPIPS needs pictures of at least {_MIN_SIDE} px a side, got {tuple(truth.shape[:2])}.")
        total = 0.0
        for k, (a, b) in enumerate(zip(self._features(predicted), self._features(truth))):
            a, b = (f / (f.norm(dim=1, keepdim=True) + 1e-10) for f in (a, b))
            total += float(((a - b).square() * self.weights[f"lin{k}.weight"].view(1, -1, 1, 1)).sum(1).mean())
        return total


class _Arrays(pickle.Unpickler):
    """Knows what builds a numpy array, and nothing else."""

    _KNOWN: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return self._KNOWN[module_name, global_name]


def _read_published(path: Path) -> dict[str, Tensor]:
    """Tensors by our names from the fetched file: nested dictionaries of arrays, kernels as height × width × in × out."""
    try:
        tree = _Arrays(io.BytesIO(path.read_bytes())).load()
        out = {}
        for k, (name, *_) in enumerate(_CONVOLUTIONS):
            layer, linear = tree["AlexNet_0"][f"Conv_{k}"], tree[f"NetLinLayer_{k}"]["Conv_0"]["kernel"]
            out[f"{name}.weight"] = torch.tensor(layer["kernel"].transpose(3, 2, 0, 1).copy())
            out[f"{name}.bias"] = torch.tensor(layer["bias"])
            out[f"lin{k}.weight"] = torch.tensor(linear.reshape(-1))
    except (OSError, pickle.UnpicklingError, KeyError, TypeError, AttributeError, ValueError, EOFError) as e:
        raise InputError(f"{path}: not the weights of LPIPS.", why=f"{e}.", next_step=f"Run `huddle3d models fetch {_SET}` again.") from e
    return out


def load_lpips(path: str | os.PathLike[str] | None = None) -> Lpips:
    """The network from a safetensors file; default: the file that ``HUDDLE3D_LPIPS`` names, else the fetched set ``lpips-alex``.

    Raises:
        WeightsMissingError: no file is named and nothing was fetched, or the file does not exist.
        InputError: another file than LPIPS's weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    chosen = path or os.environ.get(LPIPS_VARIABLE)
    if not chosen:
        return Lpips(_read_published(weights_path(_SET) / "alexnet.ckpt"))
    step = f"Make the file as docs/evaluation.md says and name it in {LPIPS_VARIABLE}, or run `huddle3d models fetch {_SET}`."
    if not Path(chosen).is_file():
        raise WeightsMissingError(f"{chosen}: no such file of LPIPS weights.", next_step=step)
    try:
        weights = load_file(str(chosen))
    except (SafetensorError, OSError) as e:
        raise InputError(f"{chosen}: not a safetensors file.", why=str(e), next_step=step) from e
    expected = {f"lin{k}.weight": (c[2],) for k, c in enumerate(_CONVOLUTIONS)}
    for name, inputs, outputs, kernel, _, _ in _CONVOLUTIONS:
        expected |= {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}
    for name, shape in expected.items():
        found = weights.get(name)
        if found is None or (tuple(found.shape) != shape and not (name.startswith("lin") and found.numel() == shape[0])):
            raise InputError(
                f"{chosen}: not the weights of LPIPS.", why=f"{name} should have shape {shape}, got {None if found is None else tuple(found.shape)}."
            )
        if not bool(torch.isfinite(found).all()):
            raise InputError(f"{chosen}: {name} holds NaN or infinite values.", next_step="Make the file again.")
    return Lpips({name: weights[name].float() for name in expected})
