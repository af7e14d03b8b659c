"""Completion at foundation size: PSHuman's published networks, which the user brings, with HUG3D's conditions and composition."""

from __future__ import annotations

from pathlib import Path

import torch

from huddle3d.bodies import BodyModel
from huddle3d.diffusion.multiview import FoundationModel, Views, read_control, read_published
from huddle3d.people._body_prior import BodyPrior
from huddle3d.people._diffusion_completer import DiffusionConfig, completed_views, part_of, view_inputs
from huddle3d.people._guided_upsampling import resize_views
from huddle3d.progress import Progress, silent
from huddle3d.scene import CompletedViews, ViewSet

__all__ = ["FoundationCompleter"]


class FoundationCompleter:
    """Completes views with latent multi-view diffusion at 768 pixels.

    The baseline runs first, only for its outline: what the networks make far away from it is dropped.

    Args:
        model: published networks, on their device.
        config: steps, seed, shares, guidance.
        prior: the baseline.
    """

    def __init__(self, model: FoundationModel, config: DiffusionConfig | None = None, *, prior: BodyPrior | None = None) -> None:
        self.model, self.config, self.prior = model, config or DiffusionConfig(), prior or BodyPrior()

    @staticmethod
    def of(folder: Path, config: DiffusionConfig, *, prior: BodyPrior | None = None, device: torch.device | str = "cpu") -> FoundationCompleter:
        """With the networks in a folder; in half precision on a GPU.

        Raises:
            WeightsMissingError: a part is missing.
            InputError: a part is damaged.
        """
        dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
        networks = read_published(folder).to(device, dtype)
        control = read_control(config.control).to(device, dtype) if config.control else None
        return FoundationCompleter(FoundationModel(networks, control, guidance=config.guidance), config, prior=prior)

    @property
    def name(self) -> str:
        """``diffusion-768``: the method and the side of the networks' pictures."""
        return f"diffusion-{self.model.size}"

    def __call__(self, views: ViewSet, *, body: BodyModel, progress: Progress = silent) -> CompletedViews:
        """Complete all views.

        Raises:
            InputError: more captions than people.
        """
        c, model, K = self.config, self.model, len(views.normals_inst)
        captions = c.captions(K)
        first = self.prior(views, body=body, progress=part_of(progress, 0.0, 0.1))
        inputs = view_inputs(views, first)
        made = model.generate(
            inputs,
            captions,
            model.adapter.instance_masks(views.ids, K, model.networks.unet.config.size),
            c.sampler(40),
            generator=torch.Generator().manual_seed(c.seed),
            max_bytes=c.max_bytes(12.0),
            progress=part_of(progress, 0.1, 0.95),
        )
        home = views.rgb_group.device  # the networks may be elsewhere
        full = resize_views(Views(made.normals.to(home), made.rgb.to(home), made.alpha.to(home)), inputs, c.upsampling)
        progress(1.0, "views")
        return completed_views(full, self.name)
