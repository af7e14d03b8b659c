"""Configurations of the multi-view denoiser and what they mean: sizes, the published layout, the code of a picture's place.

D = 2 domains in this order: :data:`DOMAINS`. V views in the order of the canonical cameras (:data:`VIEWS`), then the face slot if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.errors import InputError

__all__ = ["DOMAINS", "EMBEDDED_128", "EMBEDDED_64", "PSHUMAN", "VIEWS", "ControlResiduals", "MultiViewConfig", "identity_code"]

DOMAINS = ("normals", "colours")
"""Index 0 and 1 of the domain axis."""

VIEWS = ("front", "front_right", "right", "back", "left", "front_left")
"""Azimuths 0, 45, 90, 180, 270, 315 degrees; azimuth grows towards the image right of the front view."""


@dataclass(frozen=True)
class MultiViewConfig:
    """Sizes of a multi-view denoiser; the defaults are PSHuman's published ones."""

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    """Channels of each resolution, finest first; every further one halves the side."""
    layers: int = 2
    """Residual blocks of a resolution on the way down (one more on the way up)."""
    heads: tuple[int, ...] = (5, 10, 20, 20)
    """Attention heads of each resolution."""
    attention: tuple[bool, ...] = (True, True, True, False)
    """Which resolutions have transformer blocks; the middle always has one."""
    size: int = 96
    """Side of a picture that it is trained on, in cells (latent ones at foundation size, pixels in the embedded tier)."""
    channels: int = 4
    """C: channels of a noisy picture and of the output. Foundation: latents. Embedded: three of the picture, then opacity."""
    condition_channels: int = 4
    """E: channels of the image condition, concatenated behind the noisy ones."""
    text_width: int = 1024
    """T: width of a text token."""
    class_width: int = 2048
    """P: width of the vector that is projected and added to the time embedding; 0 for none."""
    views: int = 6
    """Body views."""
    face_slot: bool = True
    """Whether one more view, the last, may hold a close-up of the face that is blended into the front view."""
    rowwise: bool = True
    """Whether a token attends to its image row in all body views (``attn_mv``)."""
    joint: bool = True
    """Whether normals and colours of a view attend to each other; else each to itself."""
    norm_groups: int = 32
    """Groups of the group norms."""
    patch: int = 1
    """Side of the squares of pixels that become channels before the first convolution, and pixels again after the last: cheap full resolution."""

    @property
    def in_channels(self) -> int:
        """Channels of the first convolution."""
        return self.patch**2 * (self.channels + self.condition_channels)

    @property
    def stride(self) -> int:
        """Sides of pictures must be multiples of this."""
        return self.patch * 2 ** (len(self.widths) - 1)

    def stock(self) -> dict[str, object]:
        """Arguments of diffusers' ``UNet2DConditionModel`` with the same layers, the multi-view ones left out."""
        down = tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in self.attention)
        up = tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(self.attention))
        return {
            "sample_size": self.size // self.patch,
            "in_channels": self.in_channels,
            "out_channels": self.patch**2 * self.channels,
            "down_block_types": down,
            "up_block_types": up,
            "block_out_channels": self.widths,
            "layers_per_block": self.layers,
            # diffusers' historical name: it is the number of heads
            "attention_head_dim": self.heads,
            "cross_attention_dim": self.text_width,
            "use_linear_projection": True,
            "norm_num_groups": self.norm_groups,
            **({"class_embed_type": "projection", "projection_class_embeddings_input_dim": self.class_width} if self.class_width else {}),
        }

    def published(self) -> dict[str, object]:
        """The content of ``unet/config.json`` in PSHuman's layout."""
        own = {
            "_class_name": "UNetMV2DConditionModel",
            "num_views": self.views + self.face_slot,
            "multiview_attention": self.rowwise,
            "selfattn_block": "self_rowwise",
            "mvcd_attention": self.joint,
        }
        return own | self.stock()

    @staticmethod
    def from_published(config: Mapping[str, object], *, name: str = "unet/config.json") -> MultiViewConfig:
        """Read PSHuman's ``unet/config.json``; keys that it leaves out have the values of Stable Diffusion 2.1.

        Args:
            config: the parsed file.
            name: how errors call it.

        Raises:
            InputError: a value that would need other layers than these.
        """
        c = dict(PSHUMAN.published()) | {k: v for k, v in config.items() if v is not None}
        for key, allowed in _FIXED.items():
            if c.get(key, allowed[0]) not in allowed:
                raise InputError(f"{name}: {key} is {c[key]!r}.", why=f"This network knows {' or '.join(map(repr, allowed))}.", next_step=_NEXT)
        try:
            down = tuple(str(t) for t in _tuple(c["down_block_types"]))
            views = int(str(c["num_views"]))
            out = MultiViewConfig(
                widths=tuple(int(str(w)) for w in _tuple(c["block_out_channels"])),
                layers=int(str(c["layers_per_block"])),
                heads=tuple(int(str(h)) for h in _tuple(c["attention_head_dim"])),
                attention=tuple(t.startswith("CrossAttn") for t in down),
                size=int(str(c["sample_size"])),
                channels=int(str(c["out_channels"])),
                condition_channels=int(str(c["in_channels"])) - int(str(c["out_channels"])),
                text_width=int(str(c["cross_attention_dim"])),
                class_width=int(str(c["projection_class_embeddings_input_dim"])) if c.get("class_embed_type") else 0,
                views=len(VIEWS),
                face_slot=views == len(VIEWS) + 1,
                rowwise=bool(c["multiview_attention"]),
                joint=bool(c["mvcd_attention"]),
                norm_groups=int(str(c["norm_num_groups"])),
            )
            if views not in (len(VIEWS), len(VIEWS) + 1) or out.condition_channels < 0 or len({len(out.widths), len(out.heads), len(down)}) != 1:
                raise ValueError(f"{views} views, {out.condition_channels} condition channels, {len(out.widths)} widths, {len(out.heads)} heads")
        except (TypeError, ValueError, KeyError) as e:
            raise InputError(f"{name}: not the configuration of a multi-view network.", why=f"{e}.", next_step=_NEXT) from e
        return out


_NEXT = "Give the folder of a network in PSHuman's layout."
_FIXED: dict[str, tuple[object, ...]] = {
    "class_embed_type": ("projection", None),
    "selfattn_block": ("self_rowwise",),
    "cd_attention_mid": (False,),
    "cd_attention_last": (False,),
    "use_dino": (False,),
    "addition_downsample": (False,),
    "regress_elevation": (False,),
    "regress_focal_length": (False,),
    "use_linear_projection": (True,),
    "dual_cross_attention": (False,),
}


def _tuple(value: object) -> tuple[object, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{value!r} is not a list")
    return tuple(value)


PSHUMAN = MultiViewConfig()
"""Foundation size: names and shapes of PSHuman's published UNet (Stable Diffusion 2.1 unCLIP and 112 tensors of ours in 16 blocks)."""

_CODE = len(VIEWS) + len(DOMAINS) + 2
"""Width of :func:`identity_code`."""

EMBEDDED_64 = MultiViewConfig(
    widths=(32, 64, 128, 128),
    layers=1,
    heads=(1, 2, 4, 4),
    attention=(False, True, True, False),
    size=64,
    channels=4,
    condition_channels=11,
    text_width=96,
    class_width=_CODE,
    face_slot=False,
    norm_groups=8,
    patch=2,
)
"""Embedded tier: pixels at 64², 6.1 million parameters, 14.8 GFLOP for the twelve pictures of a sample: trains and runs on a CPU."""

EMBEDDED_128 = MultiViewConfig(
    widths=(48, 96, 160, 224),
    layers=1,
    heads=(2, 3, 5, 7),
    attention=(False, False, True, True),
    size=128,
    channels=4,
    condition_channels=11,
    text_width=128,
    class_width=_CODE,
    face_slot=False,
    norm_groups=8,
    patch=2,
)
"""Embedded tier for the training budget of a GPU: pixels at 128², 16.8 million parameters, 100 GFLOP for the twelve pictures of a sample."""


@dataclass(frozen=True)
class ControlResiduals:
    """What a ControlNet adds to the denoiser; pictures in PSHuman's order, domains outermost: ``(D B V)``."""

    down: tuple[Float[Tensor, "DBV c h w"], ...]
    """One for each skip connection, from the first convolution on."""
    mid: Float[Tensor, "DBV c h w"]
    """Added behind the middle block."""


def identity_code(group: Bool[Tensor, "B"], views: int = len(VIEWS)) -> Float[Tensor, "B D V P"]:
    """What an embedded network is told about each picture as its class vector: which view, which domain, a group or one person.

    Args:
        group: of each sample, whether it shows all people (else one alone).
        views: how many views there are.

    Returns:
        One-hot codes: view, domain, then (person, group).
    """
    B, D = len(group), len(DOMAINS)
    view = torch.eye(len(VIEWS), device=group.device)[:views].expand(B, D, views, -1)
    domain = torch.eye(D, device=group.device)[None, :, None].expand(B, D, views, -1)
    level = torch.eye(2, device=group.device)[group.long()][:, None, None].expand(B, D, views, -1)
    return torch.cat([view, domain, level], -1)
