"""The edge of the multi-view networks: the one place where pictures are mirrored, normals become colours, and backgrounds are painted.

In memory (:class:`huddle3d.scene.ViewSet`): channels last, normals are unit vectors in the frame of the front view (x right, y up, z towards its
camera) in *all* views, colours in [0, 1], opacity apart. In network space: channels first, values in [-1, 1], composited over white; the back and
the left view are mirrored, pixels only: the vectors' x is not negated, so that the back is a see-through picture in the front's outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from huddle3d.errors import ShapeError

__all__ = ["ViewAdapter", "ViewInputs", "Views"]


@dataclass(frozen=True)
class Views:
    """Complete pictures of S sets (the group, then each person alone) in V views."""

    normals: Float[Tensor, "S V H W 3"]
    """Unit vectors, front frame; anything where the opacity is 0."""
    rgb: Float[Tensor, "S V H W 3"]
    """In [0, 1]; anything where the opacity is 0."""
    alpha: Float[Tensor, "S V H W"]
    """Opacity in [0, 1]."""


@dataclass(frozen=True)
class ViewInputs:
    """What is known of S sets (the group, then each person alone) before completion, at the views' size."""

    body_normals: Float[Tensor, "S V H W 3"]
    """Of the fitted bodies; zero outside of them. They also say where to complete: their outline is the silhouette."""
    rgb: Float[Tensor, "S V H W 3"]
    """Reprojected colours of the photo."""
    seen: Bool[Tensor, "S V H W"]
    """Where ``rgb`` is known."""
    prior: Views
    """A first completion without a network: the named baseline ``body-prior``."""

    def __post_init__(self) -> None:
        shape = self.body_normals.shape
        for name, value, end in (
            ("rgb", self.rgb, 3), ("seen", self.seen, 0), ("prior.normals", self.prior.normals, 3), ("prior.rgb", self.prior.rgb, 3),
            ("prior.alpha", self.prior.alpha, 0),
        ):  # fmt: skip
            if value.shape != (*shape[:4], *([end] if end else [])):
                raise ShapeError(name, value.shape, (*shape[:4], *([end] if end else [])))

    def part(self, sets: slice) -> ViewInputs:
        """Some of the sets."""
        prior = Views(self.prior.normals[sets], self.prior.rgb[sets], self.prior.alpha[sets])
        return ViewInputs(self.body_normals[sets], self.rgb[sets], self.seen[sets], prior)

    @property
    def silhouette(self) -> Bool[Tensor, "S V H W"]:
        """Outline of the bodies."""
        return self.body_normals.abs().sum(-1) > 0


@dataclass(frozen=True)
class ViewAdapter:
    """Conventions of one family of checkpoints; the defaults are PSHuman's.

    The embedded networks mirror the same views; what else they read and write is in :func:`huddle3d.people.condition_of`.
    """

    mirrored: tuple[int, ...] = (3, 4)
    """Views that live flipped left to right inside the network."""
    background: float = 1.0
    """Grey level behind the people, in [0, 1]; of normals too."""
    dilation: float = 61 / 768
    """Kernel by which the bodies' outline grows before what is outside counts as background, as a share of the side."""

    def mirror(self, x: Tensor, axis: int) -> Tensor:
        """Flip the mirrored views; its own inverse.

        Args:
            x: any tensor whose last axis is the picture's width.
            axis: of the views.
        """
        flip = torch.zeros(x.shape[axis], dtype=torch.bool, device=x.device)
        flip[[v for v in self.mirrored if v < x.shape[axis]]] = True
        shape = [1] * x.ndim
        shape[axis] = -1
        return torch.where(flip.reshape(shape), x.flip(-1), x)

    def to_network(self, values: Float[Tensor, "S V H W c"], alpha: Float[Tensor, "S V H W"], size: int) -> Float[Tensor, "S V c h w"]:
        """Composited over the background, averaged over areas down to ``size``, mirrored. ``values`` in [-1, 1]."""
        ground = 2 * self.background - 1
        composed = ground + (values - ground) * alpha[..., None]
        return self.mirror(shrink(composed.movedim(-1, 2), size), 1)

    def from_network(self, pictures: Float[Tensor, "S V c h w"]) -> Float[Tensor, "S V h w c"]:
        """Channels last and no longer mirrored; values as they are."""
        return self.mirror(pictures, 1).movedim(2, -1)

    def x_mask(self, inputs: ViewInputs, size: int) -> tuple[Float[Tensor, "S V 3 h w"], Float[Tensor, "S V 1 h w"]]:
        """The image condition of HUG3D: background white, missing parts black, else the photo's pixels, in [-1, 1]; and how much of a cell is seen.

        Missing is what lies inside the bodies' outline, grown by 61/768 of the side for clothes and hair (A.3.3), and is not seen. A cell that the
        photo shows in part has the mean of its seen pixels, not a mixture with black.
        """
        seen = shrink(inputs.seen[:, :, None].float(), size)
        colour = shrink(((2 * inputs.rgb - 1) * inputs.seen[..., None]).movedim(-1, 2), size) / seen.clamp_min(1e-6)
        kernel = 2 * round((self.dilation * size - 1) / 2) + 1
        covered = shrink(inputs.silhouette[:, :, None].float(), size)
        inside = max_pool2d(covered.flatten(0, 1), kernel, 1, kernel // 2).reshape(covered.shape) > 0.5
        empty = torch.where(inside, -1.0, 2 * self.background - 1)
        return self.mirror(torch.where(seen > 0.05, colour.clamp(-1, 1), empty), 1), self.mirror(seen, 1)

    def instance_masks(self, ids: Int[Tensor, "V H W"], people: int, size: int) -> Float[Tensor, "K V h w"]:
        """Disjoint masks of the people in network space: the z-buffered instance ids, sampled at the centres of the cells."""
        H, W = ids.shape[-2:]
        y = ((torch.arange(size, device=ids.device) + 0.5) * H / size).long()
        x = ((torch.arange(size, device=ids.device) + 0.5) * W / size).long()
        small = self.mirror(ids[:, y][:, :, x], 0)
        return (small[None] == torch.arange(people, device=ids.device)[:, None, None, None]).float()


def shrink(x: Float[Tensor, "S V c H W"], size: int) -> Float[Tensor, "S V c h w"]:
    """Means over areas; or, upwards, bilinear."""
    if x.shape[-1] == size and x.shape[-2] == size:
        return x
    flat = x.flatten(0, 1)
    small = (
        interpolate(flat, (size, size), mode="area") if size <= x.shape[-1] else interpolate(flat, (size, size), mode="bilinear", align_corners=False)
    )
    return small.reshape(*x.shape[:2], *small.shape[1:])
