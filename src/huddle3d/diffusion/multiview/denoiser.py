"""A multi-view network with its conditions, as the sampler calls it: few sets at a time, half precision on a GPU, guidance if wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.networks import ControlResiduals, MultiViewUNet

__all__ = ["NetworkDenoiser", "PictureConditions"]

Control = Callable[[Float[Tensor, "B D V C h w"], int, Float[Tensor, "B D V L T"], slice], ControlResiduals]
"""A ControlNet with its pictures: noisy pictures, step, text and which sets they are, to residuals."""


@dataclass(frozen=True)
class PictureConditions:
    """What the network is told about S sets, beside the noisy pictures."""

    image: Float[Tensor, "S D V E h w"]
    """The image condition."""
    text: Float[Tensor, "S D V L T"]
    """Tokens of each picture's prompt."""
    vector: Float[Tensor, "S D V P"] | None = None
    """The class vector of each picture."""

    def part(self, sets: slice) -> PictureConditions:
        """Some of the sets."""
        return PictureConditions(self.image[sets], self.text[sets], None if self.vector is None else self.vector[sets])

    def without_image(self) -> PictureConditions:
        """The unconditional twin as PSHuman was trained: image and class vector are zero, the prompts stay."""
        return PictureConditions(torch.zeros_like(self.image), self.text, None)


class NetworkDenoiser:
    """Calls the network for some sets at a time.

    Args:
        network: in evaluation mode.
        conditions: of all sets.
        sets: how many go through the network at once; memory grows with it, the result does not depend on it.
        guidance: scale of classifier-free guidance; 1 calls the network once (HUG3D), PSHuman used 3.
        control: residuals of a ControlNet.
    """

    def __init__(
        self, network: MultiViewUNet, conditions: PictureConditions, *, sets: int = 1, guidance: float = 1.0, control: Control | None = None
    ) -> None:
        self.network, self.conditions, self.sets, self.guidance, self.control = network, conditions, max(1, sets), guidance, control

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, "S D V C h w"], t: int) -> Float[Tensor, "S D V C h w"]:
        """The network's output for all sets at one step."""
        parts = [slice(i, i + self.sets) for i in range(0, len(x), self.sets)]
        return torch.cat([self._call(x[part], t, part) for part in parts])

    def _call(self, x: Tensor, t: int, part: slice) -> Tensor:
        told = self.conditions.part(part)
        control = self.control(x, t, told.text, part) if self.control else None
        out = self._network(x, t, told, control)
        if self.guidance == 1:
            return out
        free = self._network(x, t, told.without_image(), control)
        return free + self.guidance * (out - free)

    def _network(self, x: Tensor, t: int, told: PictureConditions, control: ControlResiduals | None) -> Tensor:
        time = torch.full((len(x),), t, device=x.device)
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            out = self.network(x, told.image, time, text=told.text, image_embedding=told.vector, control=control)
        return out.float()
