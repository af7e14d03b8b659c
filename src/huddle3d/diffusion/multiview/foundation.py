"""Completion at foundation size: PSHuman's networks with HUG3D's conditions, composition and, if given, a frozen ControlNet for body normals.

PSHuman repeats the front picture in every view; HUG3D gives each view its own ``x_mask`` (its section 3.2) in the same channels. The face slot is bypassed:
its crop window is fixed for one person who stands in the middle, which nobody does in a group's cameras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, normalize

from huddle3d.diffusion.multiview.adapter import ViewAdapter, ViewInputs, Views
from huddle3d.diffusion.multiview.denoiser import Control, NetworkDenoiser, PictureConditions
from huddle3d.diffusion.multiview.memory import SetMemory, weight_bytes
from huddle3d.diffusion.multiview.published import PublishedNetworks
from huddle3d.diffusion.multiview.sampling import Composition, SamplerConfig, sample_views
from huddle3d.diffusion.multiview.schedule import check_prediction
from huddle3d.networks import VIEWS, ControlResiduals
from huddle3d.progress import Progress, silent

__all__ = ["FoundationModel", "view_prompts"]

_CLIP_MEAN, _CLIP_SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def view_prompts(caption: str = "", views: int = len(VIEWS)) -> list[list[str]]:
    """PSHuman's prompts of each domain and view, with the clothing put in if it is known.

    Example:
        >>> view_prompts("red t-shirt")[1][0]
        'a rendering image of 3D human, red t-shirt, front view, color map.'
    """
    told = f", {caption}" if caption else ""
    return [[f"a rendering image of 3D human{told}, {view} view, {name} map." for view in VIEWS[:views]] for name in ("normal", "color")]


@dataclass(frozen=True)
class FoundationModel:
    """Published networks, and how HUG3D uses them."""

    networks: PublishedNetworks
    control: Any = None
    """A frozen ControlNet (diffusers) that is fed body normals; None for none."""
    control_scale: float = 1.0
    """How much of its residuals is added."""
    guidance: float = 1.0
    """Classifier-free guidance; HUG3D: 1 (none), PSHuman: 3."""
    adapter: ViewAdapter = field(default_factory=ViewAdapter)

    @property
    def cell(self) -> int:
        """Side of a latent cell [px]."""
        return 2 ** (len(self.networks.vae.config.block_out_channels) - 1)

    @property
    def size(self) -> int:
        """Side of its pictures [px]."""
        return self.networks.unet.config.size * self.cell

    @property
    def device(self) -> torch.device:
        """Where its networks are."""
        return next(self.networks.unet.parameters()).device

    @property
    def weight_bytes(self) -> int:
        """Of all its networks."""
        n = self.networks
        return weight_bytes(n.unet, n.vae, n.text_encoder, n.image_encoder, n.image_normalizer, self.control)

    @torch.no_grad()
    def encode(self, pictures: Float[Tensor, "*n 3 H W"]) -> Float[Tensor, "*n 4 h w"]:
        """Latents of pictures in [-1, 1], one at a time: batches are what fills a GPU's memory here."""
        vae, flat = self.networks.vae, pictures.flatten(0, -4)
        made = [vae.encode(p[None].to(vae.device, vae.dtype)).latent_dist.mode() for p in flat]
        return (torch.cat(made).float() * vae.config.scaling_factor).reshape(*pictures.shape[:-3], *made[0].shape[1:])

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "*n 4 h w"]) -> Float[Tensor, "*n 3 H W"]:
        """Pictures of latents, one at a time."""
        vae, flat = self.networks.vae, latents.flatten(0, -4)
        made = [vae.decode((z[None] / vae.config.scaling_factor).to(vae.device, vae.dtype)).sample.float() for z in flat]
        return torch.cat(made).reshape(*latents.shape[:-3], *made[0].shape[1:])

    @torch.no_grad()
    def text(self, captions: list[str]) -> Float[Tensor, "S D V L T"]:
        """Tokens of the prompts of each set, domain and view."""
        n = self.networks
        prompts = [p for caption in captions for domain in view_prompts(caption) for p in domain]
        length = n.text_encoder.config.max_position_embeddings
        ids = n.tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        unique, back = torch.unique(ids, dim=0, return_inverse=True)
        told = torch.cat([n.text_encoder(row[None].to(self.device))[0] for row in unique])[back.to(self.device)]
        return told.reshape(len(captions), 2, len(VIEWS), *told.shape[1:]).float()

    @torch.no_grad()
    def image_vector(self, fronts: Float[Tensor, "S 3 H W"], generator: torch.Generator) -> Float[Tensor, "S P"]:
        """Class vectors: the CLIP embedding of the front picture at noise level 0, then that level's code (half ones, half zeros)."""
        n = self.networks
        side = n.image_encoder.config.image_size
        small = interpolate((fronts + 1) / 2, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        mean, spread = (torch.tensor(c, device=small.device)[:, None, None] for c in (_CLIP_MEAN, _CLIP_SPREAD))
        encoder = n.image_encoder
        embeds = encoder(((small - mean) / spread).to(self.device, encoder.dtype)).image_embeds.float()
        scaled = n.image_normalizer.scale(embeds)
        noise = torch.randn(scaled.shape, generator=generator).to(scaled)
        noised = n.image_normalizer.unscale(n.image_noise.noised(scaled, torch.zeros(len(scaled), dtype=torch.long, device=scaled.device), noise))
        half = noised.shape[1] // 2
        level = torch.cat([torch.ones_like(noised[:, :half]), torch.zeros_like(noised[:, half:])], 1)
        return torch.cat([noised, level], 1)

    def conditions(self, inputs: ViewInputs, captions: list[str], generator: torch.Generator) -> tuple[PictureConditions, Float[Tensor, "S V 1 h w"]]:
        """What the denoiser is told about S sets; and the share of each latent cell that the photo shows."""
        partial, seen = self.adapter.x_mask(inputs, self.size)
        latents = self.encode(partial)[:, None].expand(-1, 2, -1, -1, -1, -1).to(self.device)
        vector = self.image_vector(partial[:, 0], generator)[:, None, None].expand(-1, 2, len(VIEWS), -1)
        cells = torch.nn.functional.avg_pool2d(seen.flatten(0, 1), self.cell).unflatten(0, seen.shape[:2])
        return PictureConditions(latents, self.text(captions), vector), cells.to(self.device)

    def control_pictures(self, inputs: ViewInputs) -> Float[Tensor, "S V 3 H W"]:
        """Body normals as colours in [0, 1] for the ControlNet: the same frame and mirroring as the denoiser's own normals."""
        return (self.adapter.to_network(inputs.body_normals, inputs.silhouette.float(), self.size) + 1) / 2

    def residuals(self, pictures: Float[Tensor, "S V 3 H W"]) -> Control:
        """The ControlNet with its pictures, as :class:`NetworkDenoiser` calls it."""

        def control(x: Tensor, t: int, text: Tensor, sets: slice) -> ControlResiduals:
            B, D, V = x.shape[:3]
            shown = pictures[sets][:, None].expand(-1, D, -1, -1, -1, -1)
            flat, words, seen = (y.transpose(0, 1).flatten(0, 2).to(self.device) for y in (x, text, shown))
            time = torch.full((len(flat),), t, device=flat.device)
            kind = self.control.dtype
            with torch.autocast("cuda", torch.bfloat16, enabled=flat.is_cuda):
                down, mid = self.control(flat.to(kind), time, words.to(kind), seen.to(kind), conditioning_scale=self.control_scale, return_dict=False)
            return ControlResiduals(tuple(d.float() for d in down), mid.float())

        return control

    def generate(
        self,
        inputs: ViewInputs,
        captions: list[str],
        people: Float[Tensor, "K V h w"],
        config: SamplerConfig | None = None,
        *,
        generator: torch.Generator,
        max_bytes: float = 12e9,
        progress: Progress = silent,
    ) -> Views:
        """Complete pictures of all sets at the model's size.

        Args:
            inputs: set 0 is the group, the others are the people.
            captions: what the people of each set wear; may be empty.
            people: disjoint masks of latent cells in network space (:meth:`ViewAdapter.instance_masks` at the size of the latents).
            config: default 40 steps.
            generator: on the CPU.
            max_bytes: memory for all networks, pictures and the denoiser's feature maps.
            progress: hears every step.

        Raises:
            ResourceLimitError: not even one set at a time fits into the memory.
        """
        unet = self.networks.unet
        told, cells = self.conditions(inputs, captions, generator)
        known = (cells[:, :, 0] > 0.99).float()
        # one cell of margin: a latent knows its neighbours
        known = 1 - max_pool2d(1 - known, 3, 1, 1)
        control = self.residuals(self.control_pictures(inputs)) if self.control is not None else None
        with_control, side, words = self.control is not None, told.image.shape[-1], told.text.shape[-2]
        # single precision on a GPU, too: under autocast the norms and the residual stream stay in it
        memory = SetMemory.of(unet.config, len(captions), len(VIEWS), side, weights=self.weight_bytes, words=words, control=with_control)
        sets = memory.sets_at_once(len(captions), max_bytes)
        latents = sample_views(
            NetworkDenoiser(unet, told, sets=sets, guidance=self.guidance, control=control),
            (len(captions), 2, len(VIEWS), unet.config.channels, told.image.shape[-2], told.image.shape[-1]),
            self.networks.schedule,
            Composition(people.to(self.device), told.image[:, 1], known),
            config or SamplerConfig(),
            generator=generator,
            device=self.device,
            progress=progress,
        )
        return self.views_of(self.decode(latents))

    def views_of(self, pictures: Float[Tensor, "S D V 3 H W"]) -> Views:
        """Decoded pictures; the opacity is read off the normals: white, the background, is 0.73 away from every unit vector."""
        normals, rgb = (self.adapter.from_network(pictures[:, d]) for d in range(2))
        ground = 2 * self.adapter.background - 1
        alpha = (((normals - ground).norm(dim=-1) - 0.2) / 0.35).clamp(0, 1)
        return Views(normalize(normals, dim=-1), ((rgb + 1) / 2).clamp(0, 1), alpha)

    def check(self, inputs: ViewInputs, captions: list[str], *, generator: torch.Generator) -> dict[str, float]:
        """Whether the denoiser predicts what its scheduler says, on the first completion as a known picture (:func:`check_prediction`)."""
        told, _ = self.conditions(inputs, captions, generator)
        pictures = [self.adapter.to_network(p, inputs.prior.alpha, self.size) for p in (inputs.prior.normals, 2 * inputs.prior.rgb - 1)]
        known = self.encode(torch.stack(pictures, 1)).to(self.device)
        return check_prediction(NetworkDenoiser(self.networks.unet, told), known, self.networks.schedule, generator)
