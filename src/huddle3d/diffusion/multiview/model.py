"""An embedded multi-view model: network, words and schedule together; how it samples, is stored and loaded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.diffusion.multiview.adapter import ViewAdapter
from huddle3d.diffusion.multiview.denoiser import NetworkDenoiser, PictureConditions
from huddle3d.diffusion.multiview.memory import SetMemory, weight_bytes
from huddle3d.diffusion.multiview.preconditioning import clean_around
from huddle3d.diffusion.multiview.sampling import Composition, Denoiser, SamplerConfig, sample_views
from huddle3d.diffusion.multiview.schedule import NoiseSchedule
from huddle3d.errors import ShapeError, WeightsMissingError
from huddle3d.io import display_name
from huddle3d.networks import VOCABULARY, ClothingText, MultiViewConfig, MultiViewUNet, encode_captions, identity_code
from huddle3d.progress import Progress, silent
from huddle3d.weights import NetworkKind, half_precision, loaded, registry, weights_path

__all__ = ["MULTIVIEW_WEIGHTS", "MultiViewModel", "first_completion", "load_multiview", "read_multiview", "save_multiview"]

MULTIVIEW_WEIGHTS = ("multiview-128", "multiview-64")
"""Names of the embedded weights in the registry, the preferred one first."""

Prediction = Literal["preconditioned", "residual", "x0", "v"]
"""What an embedded network tells."""

_ADAPTER = ViewAdapter()
_KIND = NetworkKind("huddle3d-mvd", "a multi-view model", "huddle3d train mvd")
FILE_BYTES = 16_000_000
"""Embedded files are at most this large."""


@dataclass(frozen=True)
class MultiViewModel:
    """A denoiser of pixels that completes the views of a group and its people.

    What its pictures and conditions hold is said by :func:`huddle3d.people.condition_of`; here they are only mirrored, denoised and composed.
    """

    network: MultiViewUNet
    """In evaluation mode for :meth:`generate`."""
    text: ClothingText
    """Captions to tokens."""
    prediction: Prediction = "preconditioned"
    """``"x0"``: the network tells the clean pictures; ``"v"``: the velocity; ``"residual"``: what is to be added to the first completion;
    ``"preconditioned"``: the same beyond a linear guess (:func:`clean_around`)."""
    note: Mapping[str, object] = field(default_factory=dict)
    """How it was trained."""
    steps: int = 12
    """Calls of the network with which its pictures were best; a young network is best asked once."""

    @staticmethod
    def fresh(config: MultiViewConfig, prediction: Prediction = "preconditioned") -> MultiViewModel:
        """An untrained model; its random numbers come from torch's global generator."""
        return MultiViewModel(MultiViewUNet(config), ClothingText(config.text_width), prediction)

    @property
    def schedule(self) -> NoiseSchedule:
        """The cosine schedule that it is trained with (:class:`huddle3d.diffusion.CosineSchedule`), visited from pure noise on."""
        meaning = "v_prediction" if self.prediction == "v" else "sample"
        return NoiseSchedule(betas="squaredcos_cap_v2", prediction=meaning, spacing="trailing", ends_clean=True, clip=1.2)

    def to(self, device: torch.device | str) -> MultiViewModel:
        """The model with its modules on a device (they are moved in place); convolutions get the memory layout that is fastest there."""
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.text.to(device)
        return self

    @property
    def size(self) -> int:
        """Side of its pictures [px]."""
        return self.network.config.size

    @property
    def device(self) -> torch.device:
        """Where its modules are."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def generate(
        self,
        condition: Float[Tensor, "S D V E h w"],
        people: Float[Tensor, "K V h w"],
        captions: list[str],
        photo: tuple[Float[Tensor, "S V C h w"], Float[Tensor, "S V h w"]] | None = None,
        config: SamplerConfig | None = None,
        *,
        generator: torch.Generator,
        max_bytes: float = 1.5e9,
        progress: Progress = silent,
    ) -> Float[Tensor, "S D V C h w"]:
        """Complete pictures of all sets. Nothing that goes in or comes out is mirrored.

        Everything is computed on the model's device; the pictures come back on that of the condition.

        Args:
            condition: of the group (set 0) and of each person.
            people: disjoint masks of the people in the group's pictures.
            captions: what the people of each set wear; empty where nothing is known.
            photo: the photo's pixels as clean pictures of the colour domain, and where they are seen (S14); None for none.
            config: default as many steps as are best for it.
            generator: on the CPU.
            max_bytes: memory for weights, pictures and feature maps; less lets fewer sets at a time through the network, with the same result.
            progress: hears every step.

        Raises:
            ShapeError: sets, views or sizes that do not fit each other.
            ResourceLimitError: not even one set at a time fits into the memory.
        """
        c, device, home, (S, D, V) = self.network.config, self.device, condition.device, condition.shape[:3]
        if len(captions) != S:
            raise ShapeError("captions", (len(captions),), (S,))
        condition, people = condition.to(device), people.to(device)
        group = torch.zeros(S, dtype=torch.bool, device=device)
        group[0] = S != 2  # of one person both sets show the same: as in training, one person
        told = PictureConditions(_ADAPTER.mirror(condition, 2), self.text(encode_captions(captions).to(device), V), identity_code(group, V))
        weights = round(weight_bytes(self.network, self.text) * (1.5 if condition.is_cuda else 1))  # half-precision copies beside them
        memory = SetMemory.of(c, S, V, condition.shape[-1], weights=weights, words=told.text.shape[-2])
        network = NetworkDenoiser(self.network, told, sets=memory.sets_at_once(S, max_bytes))
        first = first_completion(told.image)
        known = None if photo is None else (_ADAPTER.mirror(photo[0].to(device), 1), _ADAPTER.mirror(photo[1].to(device), 1))
        made = sample_views(
            self._denoiser(network, first),
            (S, D, V, c.channels, condition.shape[-2], condition.shape[-1]),
            self.schedule,
            Composition(_ADAPTER.mirror(people, 1), *(known or (None, None))),
            config or SamplerConfig(steps=self.steps),
            generator=generator,
            device=device,
            progress=progress,
        )
        return _ADAPTER.mirror(made, 2).to(home)

    def _denoiser(self, network: NetworkDenoiser, first: Float[Tensor, "S D V C h w"]) -> Denoiser:
        """What the schedule's prediction type stands for, from what the network tells."""
        if self.prediction == "residual":
            return lambda x, t: first + network(x, t)
        if self.prediction == "preconditioned":
            return lambda x, t: clean_around(first, x, self.schedule.at(torch.tensor([t], device=x.device), x), lambda shown: network(shown, t))
        return network


def first_completion(condition: Float[Tensor, "S D V E h w"]) -> Float[Tensor, "S D V C h w"]:
    """The baseline's completion inside a condition, in the channels of the clean pictures: its picture, then its opacity in [-1, 1]."""
    return torch.cat([condition[:, :, :, 8:11], 2 * condition[:, :, :, 7:8] - 1], 3)


def save_multiview(
    folder: str | os.PathLike[str], name: str, model: MultiViewModel, *, overwrite: bool = False, limit: int = FILE_BYTES
) -> list[Path]:
    """Write a model in half precision as one safetensors file, or as several (``NAME-00001-of-00003.safetensors``) of at most ``limit`` bytes.

    Keys: ``unet.…`` (published names), ``text.…``; every file's header carries the configuration.
    """
    tensors = {f"unet.{k}": v for k, v in model.network.state_dict().items()} | {f"text.{k}": v for k, v in model.text.state_dict().items()}
    tensors = half_precision(tensors)
    parts: list[dict[str, Tensor]] = [{}]
    for key, value in tensors.items():
        if parts[-1] and _bytes(parts[-1]) + value.nbytes > limit - (1 << 13) - 200 * len(parts[-1]):
            parts.append({})
        parts[-1][key] = value
    header = {
        "version": 1,
        "config": dataclasses.asdict(model.network.config),
        "prediction": model.prediction,
        "steps": model.steps,
        "parts": len(parts),
        "note": dict(model.note),
    }
    written = []
    for i, part in enumerate(parts):
        path = Path(folder) / (f"{name}.safetensors" if len(parts) == 1 else f"{name}-{i + 1:05d}-of-{len(parts):05d}.safetensors")
        _KIND.write(path, part, header, overwrite=overwrite)
        written.append(path)
    return written


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(t.nbytes for t in tensors.values())


def read_multiview(folder: str | os.PathLike[str], name: str) -> MultiViewModel:
    """A model from the files of :func:`save_multiview`, on the CPU, in single precision and evaluation mode.

    Raises:
        WeightsMissingError: no such file, or not all of them.
        InputError: not such a file, damaged, or its keys and shapes are not those of its own config.
    """
    paths = sorted(Path(folder).glob(f"{name}-?????-of-?????.safetensors")) or [Path(folder) / f"{name}.safetensors"]
    if not paths[0].is_file():
        raise WeightsMissingError(f"{display_name(paths[0])}: no such file.", next_step="Train a model with `huddle3d train mvd`.")
    header, model = _KIND.read(paths, lambda header, tensors: (header, _built(header, tensors) if header.get("parts", 1) == len(paths) else None))
    if model is None:
        raise WeightsMissingError(
            f"{display_name(paths[0])}: {len(paths)} of its {header.get('parts')} files are there.",
            next_step="Bring the others into the same folder.",
        )
    return model


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> MultiViewModel:
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["config"].items()}
    config = MultiViewConfig(**settings)
    if header["prediction"] not in get_args(Prediction):
        raise ValueError(f"its network predicts {header['prediction']!r}")
    words = {k.removeprefix("text."): v for k, v in tensors.items() if k.startswith("text.")}
    words["words.weight"] = _widened(words["words.weight"], len(VOCABULARY) + 1)
    network = loaded(lambda: MultiViewUNet(config), {k.removeprefix("unet."): v for k, v in tensors.items() if k.startswith("unet.")})
    text, steps = loaded(lambda: ClothingText(config.text_width), words), int(header.get("steps", MultiViewModel.steps))
    if steps < 1:
        raise ValueError(f"it is called {steps} times")
    return MultiViewModel(network, text, header["prediction"], header.get("note", {}), steps)


def _widened(words: Tensor, count: int) -> Tensor:
    """Rows for words that are newer than the weights: zero, without effect."""
    return torch.cat([words, words.new_zeros(max(0, count - len(words)), words.shape[1])])


def load_multiview() -> MultiViewModel:
    """The embedded model of this version.

    Raises:
        WeightsMissingError: this version embeds none, or the installation is damaged.
    """
    name = next((n for n in MULTIVIEW_WEIGHTS if n in registry()), None)
    if name is None:
        raise WeightsMissingError(
            "This version embeds no weights for multi-view diffusion.",
            why="They are not trained yet.",
            next_step="Train a model with `huddle3d train mvd` and name its file (--config.complete.diffusion.weights FILE), or complete with the method "
            '"body-prior".',
        )
    return read_multiview(weights_path(name), name)
