"""Networks in PSHuman's folder layout, read sub-folder by sub-folder.

``model_index.json`` is never read: the published one names a module that is not in the repository. Only safetensors files are read; nothing is
fetched, and nothing in a folder is run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from huddle3d.diffusion.multiview.schedule import NoiseSchedule
from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.io import display_name
from huddle3d.networks import MultiViewConfig, MultiViewUNet

__all__ = ["PAGE", "PARTS", "PublishedNetworks", "read_control", "read_published", "read_unet"]

PAGE = "https://huggingface.co/pengHTYX/PSHuman_Unclip_768_6views"
"""Where the networks are published (licence: see there)."""

PARTS = ("unet", "vae", "scheduler", "tokenizer", "text_encoder", "image_encoder", "image_normalizer", "image_noising_scheduler")
"""Sub-folders that are needed."""

_AGAIN = f"Download it again from {PAGE}, with all sub-folders."
_LIMIT = 16 << 20
_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError, SafetensorError)


@dataclass(frozen=True)
class PublishedNetworks:
    """All networks of a checkpoint, in evaluation mode."""

    unet: MultiViewUNet
    schedule: NoiseSchedule
    vae: Any
    """diffusers' ``AutoencoderKL``."""
    tokenizer: Any
    """CLIP's."""
    text_encoder: Any
    """CLIP's text model."""
    image_encoder: Any
    """CLIP's vision model with projection."""
    image_normalizer: Any
    """Mean and spread of its embeddings."""
    image_noise: NoiseSchedule
    """Noise of the embeddings (level 0 at inference)."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> PublishedNetworks:
        """All networks on a device (they are moved in place)."""
        for module in (self.unet, self.vae, self.text_encoder, self.image_encoder):
            module.to(device, dtype)
        self.image_normalizer.to(device, torch.float32)
        self.unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self


def read_published(folder: Path) -> PublishedNetworks:
    """Read a checkpoint, on the CPU.

    Raises:
        WeightsMissingError: the folder, one of its sub-folders or the package ``transformers`` is missing.
        InputError: a file is damaged, pickled, or of other shapes; the message names it.
    """
    if not folder.is_dir():
        raise WeightsMissingError(f"{display_name(folder)}: no such folder.", next_step=f"Download {PAGE} and name its folder.")
    if missing := [part for part in PARTS if not (folder / part).is_dir()]:
        raise WeightsMissingError(f"{display_name(folder)}: {', '.join(missing)} missing.", next_step=_AGAIN, missing=missing)
    if importlib.util.find_spec("transformers") is None:
        raise WeightsMissingError("The networks for text and images need the package transformers.", next_step="pip install 'huddle3d[transformers]'")
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

    return PublishedNetworks(
        unet=read_unet(folder / "unet"),
        schedule=_schedule(folder / "scheduler"),
        vae=_library(AutoencoderKL, folder / "vae"),
        tokenizer=_tokenizer(CLIPTokenizer, folder / "tokenizer"),
        text_encoder=_library(CLIPTextModel, folder / "text_encoder"),
        image_encoder=_library(CLIPVisionModelWithProjection, folder / "image_encoder"),
        image_normalizer=_library(StableUnCLIPImageNormalizer, folder / "image_normalizer"),
        image_noise=_schedule(folder / "image_noising_scheduler"),
    )


def read_unet(folder: Path) -> MultiViewUNet:
    """The denoiser alone, from ``config.json`` and safetensors files.

    Raises:
        WeightsMissingError: there are no weights.
        InputError: damaged, or other names and shapes than its configuration says.
    """
    config = MultiViewConfig.from_published(_settings(folder / "config.json"), name=display_name(folder / "config.json"))
    try:
        network = MultiViewUNet.meta(config)
    except _ERRORS as e:  # numbers of layers, channels or groups that do not fit each other
        why = f"{' '.join(str(e).split())[:300]}."
        raise InputError(f"{display_name(folder / 'config.json')}: describes no network that can be built.", why=why, next_step=_AGAIN) from e
    state: dict[str, Tensor] = {}
    for path in _weights(folder):
        with safe_open(str(path), framework="pt") as file:
            state |= {key: file.get_tensor(key) for key in file.keys()}
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    _compare(folder, wanted, {key: tuple(value.shape) for key, value in state.items()})
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def read_control(folder: Path) -> Any:
    """A ControlNet that is fed normals (diffusers' ``ControlNetModel``), frozen.

    Raises:
        WeightsMissingError: there is no such folder, or it has no weights.
        InputError: damaged, or of other shapes than its configuration says.
    """
    if not folder.is_dir():
        raise WeightsMissingError(
            f"{display_name(folder)}: no such folder.", next_step="Name the folder of a ControlNet for Stable Diffusion 2.1 that is fed normals."
        )
    from diffusers.models.controlnets.controlnet import ControlNetModel

    return _library(ControlNetModel, folder)


def _library(kind: Any, folder: Path) -> Any:
    """A network of a library, loaded from files that were looked at first; every parameter must be in them."""
    _settings(folder / "config.json")
    _weights(folder)
    variant = "fp16" if any(".fp16." in p.name for p in folder.glob("*.safetensors")) else None
    try:
        with _quiet():
            network, told = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, variant=variant)
    except _ERRORS as e:
        raise InputError(f"{display_name(folder)}: cannot be loaded.", why=f"{' '.join(str(e).split())[:300]}.", next_step=_AGAIN) from e
    # a key that older files spell otherwise is renamed by the library; position ids are counted anew
    missing = [k for k in told.get("missing_keys", []) if not k.endswith("position_ids")]
    wrong = [str(k[0] if isinstance(k, (list, tuple)) else k) for k in told.get("mismatched_keys", [])]
    if missing or wrong:
        raise InputError(
            f"{display_name(folder)}: not the network that its configuration describes.", why=_listed(missing, wrong, []), next_step=_AGAIN
        )
    return network.eval().requires_grad_(False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A library does not print: no progress bars, no advice about weights."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in (diffusers_logging, transformers_logging)]
    for log, _, _ in before:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level, bars in before:
            log.set_verbosity(level)
            if bars:
                log.enable_progress_bar()


def _tokenizer(kind: Any, folder: Path) -> Any:
    # without these files the library makes an empty one, which reads every word as unknown
    if not (folder / "tokenizer.json").is_file() and not all((folder / n).is_file() for n in ("vocab.json", "merges.txt")):
        raise InputError(f"{display_name(folder)}: no vocab.json and merges.txt, no tokenizer.json.", next_step=_AGAIN)
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except _ERRORS as e:
        raise InputError(f"{display_name(folder)}: not a tokenizer.", why=f"{' '.join(str(e).split())[:300]}.", next_step=_AGAIN) from e


def _schedule(folder: Path) -> NoiseSchedule:
    path = folder / "scheduler_config.json"
    return NoiseSchedule.from_config(_settings(path), name=display_name(path))


def _settings(path: Path) -> dict[str, object]:
    """A configuration file of a sub-folder."""
    try:
        if path.stat().st_size > _LIMIT:
            raise ValueError("it is too large for a configuration")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"{display_name(path)}: absent or damaged.", why=f"{' '.join(str(e).split())[:200]}.", next_step=_AGAIN) from e
    return content


def _weights(folder: Path) -> list[Path]:
    """The safetensors files of a sub-folder, each looked at: whole, and not something else under that name."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        pickled = sorted(p.name for kind in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(kind))
        why = f"It has only pickled weights ({', '.join(pickled)}), which could run code and are not read." if pickled else ""
        raise WeightsMissingError(f"{display_name(folder)}: no safetensors file.", why=why, next_step=_AGAIN)
    halves = [p for p in paths if ".fp16." in p.name]
    paths = halves if halves and len(halves) < len(paths) else paths
    for path in paths:
        try:
            with safe_open(str(path), framework="pt") as file:
                if not list(file.keys()):
                    raise ValueError("it holds no tensors")
        except _ERRORS as e:
            why = f"{' '.join(str(e).split())[:200]}."
            raise InputError(f"{display_name(path)}: not a whole safetensors file.", why=why, next_step=_AGAIN) from e
    return paths


def _compare(folder: Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    missing, spare = [k for k in wanted if k not in found], [k for k in found if k not in wanted]
    wrong = [f"{k} {found[k]} instead of {wanted[k]}" for k in wanted if k in found and found[k] != wanted[k]]
    if missing or spare or wrong:
        why = _listed(missing, wrong, spare)
        raise InputError(f"{display_name(folder)}: not the network that its configuration describes.", why=why, next_step=_AGAIN)


def _listed(missing: list[str], wrong: list[str], spare: list[str]) -> str:
    named = (("missing", missing), ("of another shape", wrong), ("unknown", spare))
    return "; ".join(f"{len(k)} tensors {what}: {', '.join(k[:4])}{' …' if len(k) > 4 else ''}" for what, k in named if k) + "."
