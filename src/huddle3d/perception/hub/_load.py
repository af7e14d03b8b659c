"""Opens a network of the hub from its folder: no network, no pickles, no code from the folder; and lets go of it afterwards."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from huddle3d.errors import DeviceError, WeightsMissingError
from huddle3d.perception.hub._pixels import Recipe, read_recipe
from huddle3d.weights import hub_folder, hub_models

__all__ = ["Loaded", "has_transformers", "load_network"]

_CLASSES: dict[tuple[str, str], str] = {
    ("boxes", "rt_detr_v2"): "RTDetrV2ForObjectDetection",
    ("boxes", "d_fine"): "DFineForObjectDetection",
    ("keypoints", "vitpose"): "VitPoseForPoseEstimation",
    ("keypoints", "sapiens2"): "Sapiens2ForPoseEstimation",
    ("masks", "sam"): "SamModel",
    ("masks", "sam2"): "Sam2Model",
    ("masks", "sam2_video"): "Sam2Model",  # the published SAM 2.1 folders; the parts for videos are left out
    ("normals", "sapiens2"): "Sapiens2ForNormalEstimation",
    ("depth", "sapiens2"): "Sapiens2ForPointmapEstimation",
    ("depth", "depth_anything"): "DepthAnythingForDepthEstimation",
}
_INSTALL = "Run `pip install 'huddle3d[transformers]'`, or use the embedded backend."


@dataclass(frozen=True)
class Loaded:
    """A network that is ready to run."""

    name: str
    """Key in the registry."""
    family: str
    """``model_type`` of its configuration."""
    model: Any
    """The module, in evaluation mode."""
    recipe: Recipe
    """How it wants its pixels."""
    device: torch.device
    dtype: torch.dtype

    def pixels(self, batch: torch.Tensor) -> torch.Tensor:
        """A batch of pictures where and as the network computes."""
        return batch.to(self.device, self.dtype)


def has_transformers() -> bool:
    """Whether the extra ``transformers`` is installed."""
    return importlib.util.find_spec("transformers") is not None


@contextlib.contextmanager
def load_network(
    name: str, *, given: Mapping[str, Path] | None = None, device: torch.device | str = "cpu", precision: str = "auto"
) -> Iterator[Loaded]:
    """A network of the hub for the time of a ``with`` block; its memory is free afterwards.

    Args:
        name: key in the registry.
        given: folders that the user names.
        device: where it computes.
        precision: ``"float32"``, ``"bfloat16"`` or ``"auto"`` (bfloat16 on CUDA).

    Raises:
        WeightsMissingError: the package ``transformers`` or the files are missing, damaged, or of another network.
        DeviceError: the device has no room for it.
    """
    model = hub_models()[name] if name in hub_models() else None
    if model is not None and not has_transformers():
        raise WeightsMissingError(f"The network '{name}' needs the package transformers.", next_step=_INSTALL, name=name)
    folder = hub_folder(name, given)
    assert model is not None
    device = torch.device(device)
    dtype = torch.bfloat16 if precision == "bfloat16" or precision == "auto" and device.type == "cuda" else torch.float32
    network = None
    try:
        network, family = _open(name, model.task, folder, dtype)
        try:
            network = network.to(device).eval().requires_grad_(False)
        except (RuntimeError, AssertionError) as e:
            what = f"The network '{name}' cannot be put on {device}."
            raise DeviceError(what, why=str(e).splitlines()[0], next_step="Use --device cpu, or a smaller network.") from e
        loaded: Loaded | None = Loaded(name, family, network, read_recipe(folder, family), device, dtype)
        yield loaded  # type: ignore[misc]
    finally:
        if network is not None:
            # Whoever still holds `Loaded` must not hold the weights: they can be gigabytes, and the next network needs the room.
            network.to_empty(device="meta")
        network = loaded = None
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _open(name: str, task: str, folder: Path, dtype: torch.dtype) -> tuple[Any, str]:
    import transformers

    with _quiet():
        try:
            family = transformers.AutoConfig.from_pretrained(folder, local_files_only=True).model_type
            class_name = _CLASSES[task, family]
            if not hasattr(transformers, class_name):
                why = f"transformers {transformers.__version__} has no {class_name}."
                raise WeightsMissingError(f"The network '{name}' cannot be opened.", why=why, next_step="Update transformers.", name=name)
            network, info = getattr(transformers, class_name).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as e:
            raise _damaged(name, folder, (str(e).strip().splitlines() or [type(e).__name__])[0]) from e
        except Exception as e:
            if type(e).__module__.startswith(("safetensors", "huggingface_hub")):  # their errors share no base class
                raise _damaged(name, folder, str(e)) from e
            raise
    # What is missing would be random numbers, silently.
    wrong = sorted({*info.get("missing_keys", ()), *(str(k[0] if isinstance(k, tuple) else k) for k in info.get("mismatched_keys", ()))})
    if wrong:
        raise _damaged(name, folder, f"{len(wrong)} of the network's tensors are absent or of another shape: {', '.join(wrong[:3])} …")
    return network, family


def _damaged(name: str, folder: Path, why: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"{folder}: the network '{name}' cannot be loaded from it.",
        why=why,
        next_step=f"Give another folder, or run `huddle3d models fetch {name}` again.",
        name=name,
        folder=str(folder),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A library does not print: no progress bars, no advice about weights."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
