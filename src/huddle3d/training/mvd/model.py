"""The denoiser with its text, schedule and parameterisation as one module: what is trained."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from huddle3d.diffusion import CosineSchedule
from huddle3d.diffusion.multiview import MultiViewModel, first_completion
from huddle3d.networks import ClothingText, MultiViewConfig, MultiViewUNet, identity_code
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

    def __init__(self, config: MultiViewConfig, prediction: Prediction = "residual") -> None:
        super().__init__()
        self.config, self.prediction, self.schedule = config, prediction, CosineSchedule()
        self.unet, self.text = MultiViewUNet(config), ClothingText(config.text_width)
        if prediction == "residual":
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
        told = self.unet(noisy, condition, time, text=self.text(tokens, views), image_embedding=code).float()
        if self.prediction == "x0":
            return told
        if self.prediction == "residual":
            return first_completion(condition) + told
        a = self.schedule.at(time.cpu()).to(noisy)[:, :, None, None, None, None]
        return a.sqrt() * noisy - (1 - a).sqrt() * told

    def stored(self, note: dict[str, object]) -> MultiViewModel:
        """As the inference knows it and files hold it; the modules are shared.

        Args:
            note: how it was trained, kept in the file's header.
        """
        return MultiViewModel(self.unet, self.text, self.prediction, note)


@torch.no_grad()
def sample_views(model: ViewDenoiser, batch: ViewBatch, steps: int, generator: torch.Generator, *, eta: float = 0.0) -> Float[Tensor, "B 2 V C h h"]:
    """Clean pictures by DDIM from pure noise, in network space.

    Args:
        model: in evaluation mode.
        batch: conditions, on the model's device.
        steps: calls of the network.
        generator: of the noise, on the CPU.
        eta: 0 deterministic, 1 as much fresh noise as in ancestral sampling.
    """
    shape, device = batch.clean.shape, batch.condition.device
    visited = model.schedule.visited(steps) if steps > 1 else [model.schedule.steps - 1]
    x = torch.randn(shape, generator=generator).to(device)
    for i, step in enumerate(visited):
        time = torch.full((len(x),), step)
        clean = model(x, batch.condition, time.to(device), batch.tokens, batch.group).clamp(-1.2, 1.2)
        before = torch.full_like(time, visited[i + 1] if i + 1 < len(visited) else -1)
        noise = torch.randn(shape, generator=generator).to(device) if eta > 0 else torch.zeros_like(x)
        x = model.schedule.step(x.flatten(1), clean.flatten(1), time.to(device), before.to(device), noise.flatten(1), eta).reshape(shape)
    return x
