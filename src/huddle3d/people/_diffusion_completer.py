"""Completion by multi-view diffusion (HUG-MVD): the group and each person denoised together, on top of the ``body-prior`` baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from huddle3d.bodies import BodyModel
from huddle3d.diffusion.multiview import (
    MULTIVIEW_WEIGHTS,
    MultiViewModel,
    SamplerConfig,
    ViewAdapter,
    ViewInputs,
    Views,
    load_multiview,
    read_multiview,
)
from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.io import display_name
from huddle3d.people._body_prior import BodyPrior
from huddle3d.people._guided_upsampling import UpsamplingConfig, upsample_views
from huddle3d.people._learned_upsampling import learned_upsampler, read_upsampler
from huddle3d.people._view_maps import ViewMaps, condition_of, picture_of, view_maps
from huddle3d.progress import Progress, silent
from huddle3d.scene import CompletedViews, ViewSet
from huddle3d.weights import registry

__all__ = [
    "DiffusionCompleter",
    "DiffusionConfig",
    "Upsampler",
    "completed_views",
    "completion_digest",
    "known_photo",
    "own_model",
    "part_of",
    "view_inputs",
    "views_of",
    "views_of_maps",
]

Upsampler = Callable[[Views, ViewMaps, ViewInputs], Views]
"""The network's small pictures, what it was told at that size, and the same at full size, to full pictures."""


@dataclass(frozen=True)
class DiffusionConfig:
    """Completion by a multi-view diffusion model."""

    weights: Path | None = None
    """A model of your own: the safetensors file that `huddle3d train mvd` wrote (the first one of several), or a folder in PSHuman's layout (foundation
    size). Default: the embedded model."""
    control: Path | None = None
    """Folder of a ControlNet for Stable Diffusion 2.1 that is fed normals; foundation size only."""
    guidance: float = 1.0
    """Classifier-free guidance; foundation size only."""
    steps: int = 0
    """Calls of the network; 0: as many as its weights say, at foundation size 40."""
    seed: int = 0
    """Of the noise."""
    wears: tuple[str, ...] = ()
    """What each person wears, from left to right: "red t-shirt, blue jeans". Empty: the photo alone decides."""
    share_group: float = 0.8
    """How much of each person's picture goes into the group's at every step (α_gi); 0 switches it off."""
    share_photo: float = 0.8
    """How much of the photo's pixels goes into the views at 45° and 315° at every step (α_pcd); 0 switches it off."""
    noise: Literal["correlated", "literal"] = "correlated"
    """``"literal"``: mix noisy pictures as the paper's formulas say, although their noise shrinks."""
    max_memory_gb: float = 0.0
    """Memory for the networks, their pictures and feature maps [GB]; 0: 1.5, at foundation size 12. Less runs fewer sets of views at a time, with the same
    result; what one set does not fit into is refused."""
    upsampler: Path | None = None
    """A learned upsampler: the file that `huddle3d train upsampler` wrote. Default: joint bilateral upsampling, which needs no training."""
    upsampling: UpsamplingConfig = field(default_factory=UpsamplingConfig)
    """From the network's pictures to the views' size."""

    def sampler(self, steps: int) -> SamplerConfig:
        """The sampler's settings, with this number of steps if none is given."""
        return SamplerConfig(steps=self.steps or steps, share_group=self.share_group, share_photo=self.share_photo, noise=self.noise)

    def max_bytes(self, gigabytes: float) -> float:
        """The memory [bytes], so much if none is given."""
        return 1e9 * (self.max_memory_gb or gigabytes)

    def captions(self, people: int) -> list[str]:
        """Captions of the group and of each person.

        Raises:
            InputError: more captions than people.
        """
        if len(self.wears) > people:
            raise InputError(f"{len(self.wears)} captions for {people} people.", next_step="Give one for each person, from left to right.")
        wears = [*self.wears, *[""] * (people - len(self.wears))]
        return [", and ".join(w for w in wears if w), *wears]


def view_inputs(views: ViewSet, prior: CompletedViews) -> ViewInputs:
    """What a multi-view network is given: the group's views first, then each person's.

    Args:
        views: of ``canonicalise``.
        prior: the first completion, of the same views.
    """

    def sets(group: torch.Tensor, each: torch.Tensor) -> torch.Tensor:
        return torch.cat([group[None], each])

    return ViewInputs(
        body_normals=sets(views.normals_group, views.normals_inst),
        rgb=sets(views.rgb_group, views.rgb_inst),
        seen=sets(views.seen_group, views.seen_inst),
        prior=Views(
            normals=sets(prior.normals_group, prior.normals_inst),
            rgb=sets(prior.rgb_group, prior.rgb_inst),
            alpha=sets(prior.alpha_group, prior.alpha_inst),
        ),
    )


def completed_views(full: Views, method: str) -> CompletedViews:
    """The result of a completer from the views of all sets, the group first."""
    return CompletedViews(
        method=method,
        normals_group=full.normals[0],
        normals_inst=full.normals[1:],
        rgb_group=full.rgb[0],
        rgb_inst=full.rgb[1:],
        alpha_group=full.alpha[0],
        alpha_inst=full.alpha[1:],
    )


def views_of(pictures: Float[Tensor, "S D V 4 h w"]) -> Views:
    """What an embedded network's clean pictures show: the mean normal of a pixel's area, colours on white, each with its opacity, in [-1, 1].

    The opacity is the mean of both domains'; the white is taken out again, so that an outline keeps its person's colour.
    """
    pictures = pictures.float().movedim(3, -1)
    alpha = ((pictures[..., 3].mean(1) + 1) / 2).clamp(0, 1)
    rgb = (pictures[:, 1, ..., :3] - 1) / alpha[..., None].clamp_min(0.1) + 1
    return Views(normalize(pictures[:, 0, ..., :3], dim=-1), ((rgb + 1) / 2).clamp(0, 1), alpha)


def views_of_maps(maps: ViewMaps) -> Views:
    """The first completion at the network's size."""
    return Views(normalize(maps.prior_normals, dim=-1), maps.prior_rgb, maps.prior_alpha)


def known_photo(maps: ViewMaps) -> tuple[Float[Tensor, "S V 4 h w"], Float[Tensor, "S V h w"]]:
    """The photo's pixels as clean pictures of the colour domain, opaque; and the pixels whose whole area it shows."""
    colour = picture_of(maps.rgb, torch.ones_like(maps.seen))
    return torch.cat([colour, torch.ones_like(colour[..., :1])], -1).movedim(-1, -3), (maps.seen > 0.99).float()


def completion_digest(config: DiffusionConfig) -> str:
    """Which weights a configuration names, for a result's provenance; empty if there are none."""
    own, paths, embedded = config.weights, [], ""
    if own is None:
        name = next((n for n in MULTIVIEW_WEIGHTS if n in registry()), None)
        embedded = registry()[name].sha256 if name else ""
    else:
        paths = sorted(own.rglob("*.safetensors")) if own.is_dir() else sorted(own.parent.glob(f"{_stem(own)}*.safetensors"))
        paths += sorted(config.control.glob("*.safetensors")) if config.control else []
    paths += [config.upsampler] if config.upsampler is not None and config.upsampler.is_file() else []
    if own is None and not paths:
        return embedded
    digest = hashlib.sha256(embedded.encode())
    for path in paths:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _stem(path: Path) -> str:
    """Name of a model that may lie in several files."""
    return path.stem.split("-00001-of-")[0]


def part_of(progress: Progress, start: float, end: float) -> Progress:
    def report(fraction: float, note: str = "") -> None:
        progress(start + (end - start) * fraction, note)

    return report


def own_model(path: Path) -> MultiViewModel:
    """The model in a file that ``huddle3d train mvd`` wrote (the first one of several).

    Raises:
        WeightsMissingError: no such file, or not all of them.
        InputError: not such a model.
    """
    if not path.is_file():
        raise WeightsMissingError(
            f"{display_name(path)}: no such file.", next_step="Name the file that `huddle3d train mvd` wrote, or a folder in PSHuman's layout."
        )
    return read_multiview(path.parent, _stem(path))


class DiffusionCompleter:
    """Completes views with a multi-view diffusion model of pixels.

    The baseline runs first: it is one of the network's inputs, and what the network's small pictures are laid over. People who are entirely hidden are
    completed from their body's normals and the caption alone; a view in which nobody stands stays empty.

    Args:
        model: trained; in evaluation mode.
        config: steps, seed, shares.
        prior: the baseline.
        upsampler: default joint bilateral upsampling of the difference to the baseline.
    """

    def __init__(
        self, model: MultiViewModel, config: DiffusionConfig | None = None, *, prior: BodyPrior | None = None, upsampler: Upsampler | None = None
    ) -> None:
        self.model, self.config, self.prior = model, config or DiffusionConfig(), prior or BodyPrior()
        self.upsampler = upsampler or (lambda made, maps, inputs: upsample_views(made, views_of_maps(maps), inputs, self.config.upsampling))

    @staticmethod
    def of(config: DiffusionConfig, *, prior: BodyPrior | None = None, device: torch.device | str = "cpu") -> DiffusionCompleter:
        """With the embedded model, or with the one that the configuration names.

        Raises:
            WeightsMissingError: there is none.
            InputError: the named file is not such a model.
        """
        model = load_multiview() if config.weights is None else own_model(config.weights)
        enlarge = None if config.upsampler is None else learned_upsampler(read_upsampler(config.upsampler).to(device))
        return DiffusionCompleter(model.to(device), config, prior=prior, upsampler=enlarge)

    @property
    def name(self) -> str:
        """``diffusion-64``: the method and the side of the network's pictures."""
        return f"diffusion-{self.model.size}"

    def __call__(self, views: ViewSet, *, body: BodyModel, progress: Progress = silent) -> CompletedViews:
        """Complete all views.

        Raises:
            InputError: more captions than people.
        """
        c, K = self.config, len(views.normals_inst)
        captions = c.captions(K)
        first = self.prior(views, body=body, progress=part_of(progress, 0.0, 0.25))
        maps = view_maps(views, first, self.model.size)
        made = self.model.generate(
            condition_of(maps),
            ViewAdapter(mirrored=()).instance_masks(views.ids, K, self.model.size),
            captions,
            known_photo(maps),
            c.sampler(self.model.steps),
            generator=torch.Generator().manual_seed(c.seed),
            max_bytes=c.max_bytes(1.5),
            progress=part_of(progress, 0.25, 0.9),
        )
        full = self.upsampler(views_of(made), maps, view_inputs(views, first))
        progress(1.0, "views")
        return completed_views(full, self.name)
