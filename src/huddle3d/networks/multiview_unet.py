"""The multi-view denoiser of HUG-MVD: a stock UNet of diffusers whose transformer blocks look across views and domains.

Names and shapes of its state are PSHuman's (Li et al., 2024): those of Stable Diffusion 2.1 and, in each transformer block, ``norm_mv`` and
``attn_mv``. The same class serves both tiers; diffusers is imported when a network is made, not with this module.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from huddle3d.errors import ShapeError
from huddle3d.networks._multiview_block import Grid, MultiViewBlock
from huddle3d.networks.multiview import DOMAINS, ControlResiduals, MultiViewConfig

__all__ = ["MultiViewUNet", "multiview_shapes"]


class MultiViewUNet(nn.Module):
    """Predicts noise, clean picture or velocity (its schedule says which) of V views in two domains from noisy ones.

    Pictures are in network space: mirrored back and left views, encoded normals, background as its adapter says
    (:class:`huddle3d.diffusion.multiview.ViewAdapter`).
    """

    conv_in: nn.Conv2d
    time_proj: nn.Module
    time_embedding: nn.Module
    class_embedding: nn.Module
    down_blocks: nn.ModuleList
    mid_block: nn.Module
    up_blocks: nn.ModuleList
    conv_norm_out: nn.Module
    conv_act: nn.Module
    conv_out: nn.Conv2d

    def __init__(self, config: MultiViewConfig) -> None:
        super().__init__()
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        self.config = config
        stock: Any = UNet2DConditionModel(**config.stock())  # type: ignore[arg-type]
        for name, child in stock.named_children():
            self.add_module(name, child)
        for module in list(self.modules()):
            if blocks := getattr(module, "transformer_blocks", None):
                for i, block in enumerate(blocks):
                    blocks[i] = MultiViewBlock(block, joint=config.joint, rowwise=config.rowwise)

    def forward(
        self,
        sample: Float[Tensor, "B D V C H W"],
        condition: Float[Tensor, "B D V E H W"],
        t: Int[Tensor, "B"],
        *,
        text: Float[Tensor, "B D V L T"],
        image_embedding: Float[Tensor, "B D V P"] | None = None,
        control: ControlResiduals | None = None,
    ) -> Float[Tensor, "B D V C H W"]:
        """One prediction for B samples.

        Args:
            sample: noisy pictures; domain 0 normals, 1 colours. V is the number of body views (any up to ``config.views``, which is what the
                row-wise attention is trained with), or one more if the config has a face slot: the last one then is the face.
            condition: the image condition of each picture.
            t: step of the noise schedule of each sample; all its pictures share it.
            text: tokens of each picture's prompt.
            image_embedding: the class vector of each picture; None is the zero vector (unconditional).
            control: of a ControlNet.

        Raises:
            ShapeError: a tensor of another shape than the config's, or sides that the resolutions do not divide.
        """
        grid = self._grid(sample, condition, t, text, image_embedding)
        flat = nn.functional.pixel_unshuffle(torch.cat([sample, condition.to(sample)], 3).transpose(0, 1).flatten(0, 2), self.config.patch)
        if flat.is_cuda or self.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
            flat = flat.contiguous(memory_format=torch.channels_last)
        words = text.to(sample).transpose(0, 1).flatten(0, 2)
        emb = self._embedding(sample, t, image_embedding, grid)
        out = nn.functional.pixel_shuffle(self._denoise(flat, emb, words, grid, control), self.config.patch)
        return out.reshape(len(DOMAINS), grid.samples, grid.views, *out.shape[1:]).transpose(0, 1)

    def _grid(self, sample: Tensor, condition: Tensor, t: Tensor, text: Tensor, image_embedding: Tensor | None) -> Grid:
        c = self.config
        most = c.views + c.face_slot
        if sample.ndim != 6 or sample.shape[1] != len(DOMAINS) or sample.shape[3] != c.channels or not 1 <= sample.shape[2] <= most:
            raise ShapeError("sample", sample.shape, ("B", len(DOMAINS), f"V <= {most}", c.channels, "H", "W"))
        B, D, V, _, H, W = sample.shape
        if H % c.stride or W % c.stride:
            raise ShapeError("sample", sample.shape, ("B", D, "V", c.channels, f"H = n * {c.stride}", f"W = n * {c.stride}"))
        if condition.shape != (B, D, V, c.condition_channels, H, W):
            raise ShapeError("condition", condition.shape, (B, D, V, c.condition_channels, H, W))
        if t.shape != (B,):
            raise ShapeError("t", t.shape, (B,))
        if text.ndim != 5 or text.shape[:3] != (B, D, V) or text.shape[-1] != c.text_width:
            raise ShapeError("text", text.shape, (B, D, V, "L", c.text_width))
        if image_embedding is not None and image_embedding.shape != (B, D, V, c.class_width):
            raise ShapeError("image_embedding", image_embedding.shape, (B, D, V, c.class_width))
        return Grid(D, B, V, c.face_slot and most == V, H // c.patch, W // c.patch)

    def _embedding(self, sample: Tensor, t: Tensor, image_embedding: Tensor | None, grid: Grid) -> Tensor:
        emb = self.time_embedding(self.time_proj(t).to(sample))
        emb = emb[None, :, None].expand(grid.domains, -1, grid.views, -1).flatten(0, 2)
        if not self.config.class_width:
            return emb
        code = sample.new_zeros(*sample.shape[:3], self.config.class_width) if image_embedding is None else image_embedding.to(sample)
        return emb + self.class_embedding(code.transpose(0, 1).flatten(0, 2))

    def _denoise(self, x: Tensor, emb: Tensor, words: Tensor, grid: Grid, control: ControlResiduals | None) -> Tensor:
        told: dict[str, Any] = {"encoder_hidden_states": words, "cross_attention_kwargs": {"grid": grid}}
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            x, made = block(hidden_states=x, temb=emb, **_told(block, told))
            skips += made
        x = self.mid_block(x, emb, **told)
        if control is not None:
            if len(control.down) != len(skips):
                raise ShapeError("control.down", (len(control.down),), (len(skips),))
            skips = [skip + more.to(skip) for skip, more in zip(skips, control.down)]
            x = x + control.mid.to(x)
        for block in self.up_blocks:
            count = len(block.resnets)  # type: ignore[arg-type]
            used, skips = tuple(skips[-count:]), skips[:-count]
            x = block(hidden_states=x, temb=emb, res_hidden_states_tuple=used, **_told(block, told))
        return self.conv_out(self.conv_act(self.conv_norm_out(x)))

    def multiview_parameters(self) -> list[nn.Parameter]:
        """The parameters that a single-view network does not have (``norm_mv``, ``attn_mv``), for training in two phases."""
        return [p for name, p in self.named_parameters() if "_mv." in name]

    @classmethod
    def meta(cls, config: MultiViewConfig) -> Self:
        """The network without memory: for its key names and shapes."""
        with torch.device("meta"):
            return cls(config)


def _told(block: Any, told: dict[str, Any]) -> dict[str, Any]:
    return told if getattr(block, "has_cross_attention", False) else {}


def multiview_shapes(config: MultiViewConfig) -> dict[str, tuple[int, ...]]:
    """Key names and shapes of the network's state."""
    return {key: tuple(value.shape) for key, value in MultiViewUNet.meta(config).state_dict().items()}
