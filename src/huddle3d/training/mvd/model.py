"""The denoiser with its text, schedule and parameterisation as one module: what is trained."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from huddle3d.diffusion import CosineSchedule
from huddle3d.diffusion.multiview import Composition, MultiViewModel, SamplerConfig, ViewAdapter, clean_around, first_completion
from huddle3d.diffusion.multiview import sample_views as _sample
from huddle3d.networks import ClothingText, MultiViewConfig, MultiViewUNet, identity_code
from huddle3d.people import known_photo
from huddle3d.training.mvd.batches import ViewBatch
from huddle3d.training.mvd.config import Prediction

__all__ = ["ViewDenoiser", "sample_views"]


class ViewDenoiser(nn.Module):
    """Clean views from noisy ones.

    Args:
        config: sizes of the network.
        prediction: what the network tells.
    """

    prediction: Prediction

    def __init__(self, config: MultiViewConfig, prediction: Prediction = "preconditioned") -> None:
        super().__init__()
        self.config, self.prediction, self.schedule = config, prediction, CosineSchedule()
        self.unet, self.text = MultiViewUNet(config), ClothingText(config.text_width)
        if prediction in ("residual", "preconditioned"):
            nn.init.zeros_(self.unet.conv_out.weight)
            if self.unet.conv_out.bias is not None:
                nn.init.zeros_(self.unet.conv_out.bias)

    def forward(
        self,
        noisy: Float[Tensor, "B 2 V C h h"],
        condition: Float[Tensor, "B 2 V E h h"],
        time: Int[Tensor, "B"],
        tokens: Int[Tensor, "B phrases words"],
        group: Bool[Tensor, "B"],
    ) -> Float[Tensor, "B 2 V C h h"]:
        """The clean pictures that the network believes in, whatever it predicts."""
        views = noisy.shape[2]
        code = identity_code(group, views) if self.config.class_width else None
        text = self.text(tokens, views)

        def network(shown: Tensor) -> Tensor:
            return self.unet(shown, condition, time, text=text, image_embedding=code).float()

        a = self.schedule.at(time.cpu()).to(noisy)[:, :, None, None, None, None]
        if self.prediction == "preconditioned":
            return clean_around(first_completion(condition), noisy, a, network)
        told = network(noisy)
        if self.prediction == "x0":
            return told
        if self.prediction == "residual":
            return first_completion(condition) + told
        return a.sqrt() * noisy - (1 - a).sqrt() * told

    def stored(self, note: dict[str, object], steps: int = MultiViewModel.steps) -> MultiViewModel:
        """As the inference knows it and files hold it; the modules are shared.

        Args:
            note: how it was trained, kept in the file's header.
            steps: sampling steps that it is best with.
        """
        return MultiViewModel(self.unet, self.text, self.prediction, note, steps)


@torch.no_grad()
def sample_views(model: ViewDenoiser, batch: ViewBatch, steps: int, generator: torch.Generator) -> Float[Tensor, "B 2 V C h h"]:
    """Clean pictures by the inference's own sampler (:meth:`huddle3d.diffusion.multiview.MultiViewModel.generate`), in network space.

    Its schedule, fresh noise at every step (η = 1), which all sets share, and the photo's pixels in the views at 45° and 315° (S14). Only the
    composition of people into their group (S13) is left out: a bank does not keep whose pixel is whose.

    Args:
        model: in evaluation mode.
        batch: sets of one photograph, on the model's device.
        steps: calls of the network.
        generator: of the noise, on the CPU.
    """
    sets, domains, views, channels, height, width = batch.clean.shape
    photo, seen = known_photo(batch.given)
    mirror = ViewAdapter().mirror
    return _sample(
        lambda x, t: model(x, batch.condition, torch.full((sets,), t, device=x.device), batch.tokens, batch.group),
        (sets, domains, views, channels, height, width),
        replace(model.stored({}).schedule, prediction="sample"),
        Composition(torch.zeros(sets - 1, views, height, width), mirror(photo, 1), mirror(seen, 1)),
        SamplerConfig(steps=steps, share_group=0.0),
        generator=generator,
        device=batch.clean.device,
    )
