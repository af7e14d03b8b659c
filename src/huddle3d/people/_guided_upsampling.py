"""From the small pictures of a multi-view network to the size of the views: its difference to the first completion, upsampled along the body's shape.

The network's pictures are coarse, the first completion (``body-prior``) is fine but knows nothing beyond the body. So only the *difference* of the two
at the coarse size is brought up, by joint bilateral upsampling (Kopf et al., 2007): coarse cells whose body normals look like the pixel's lend it
theirs, so that an arm does not take on the change of the trunk behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, normalize

from huddle3d.diffusion.multiview import ViewInputs, Views

__all__ = ["UpsamplingConfig", "resize_views", "upsample_views"]


@dataclass(frozen=True)
class UpsamplingConfig:
    """Joint bilateral upsampling of differences."""

    likeness: float = 0.35
    """Spread over which guiding normals (and opacity) count as alike."""
    reach: float = 0.7
    """Spread of the spatial weight, in coarse cells."""
    growth: float = 0.06
    """How far hair and clothes may leave the first completion's outline, as a share of the picture's side."""
    quiet: float = 0.15
    """Differences of opacity below this are the coarse grid's, not the network's: they are ignored."""
    steepness: float = 4.0
    """How much steeper the opacity that is changed becomes about one half: where somebody is less likely there than not, there is nobody, instead of a halo."""


def upsample_views(made: Views, coarse: Views, inputs: ViewInputs, config: UpsamplingConfig | None = None) -> Views:
    """The network's pictures at the size of its inputs; where the photo shows a pixel, it stays.

    Args:
        made: the network's output, small.
        coarse: the first completion at that size.
        inputs: what is known and the first completion, at full size.
        config: spreads.
    """
    config = config or UpsamplingConfig()
    parts = [_one_set(_part(made, s), _part(coarse, s), inputs.part(slice(s, s + 1)), config) for s in range(len(made.rgb))]
    return Views(*(torch.cat([getattr(p, name) for p in parts]) for name in ("normals", "rgb", "alpha")))


def _part(views: Views, s: int) -> Views:
    return Views(views.normals[s : s + 1], views.rgb[s : s + 1], views.alpha[s : s + 1])


def _one_set(made: Views, coarse: Views, inputs: ViewInputs, config: UpsamplingConfig) -> Views:
    side, prior = inputs.rgb.shape[2], inputs.prior
    both = (coarse.alpha > 0.3) & (made.alpha > 0.3)
    change = torch.cat([(made.normals - coarse.normals) * both[..., None], (made.rgb - coarse.rgb) * both[..., None]], -1)
    guide = torch.cat([prior.normals * prior.alpha[..., None], prior.alpha[..., None]], -1)
    coarse_guide = torch.cat([coarse.normals * coarse.alpha[..., None], coarse.alpha[..., None]], -1)
    change = _bilateral(_first(change), _first(coarse_guide), _first(guide), both[0][:, None].float(), config)
    normals, rgb = prior.normals + _last(change[:, :3]), prior.rgb + _last(change[:, 3:])
    # outside of the first completion only the network knows anything
    beyond = _up(torch.cat([_first(made.normals), _first(made.rgb)], 1) * made.alpha[0][:, None], side)
    share = _up(made.alpha[0][:, None], side).clamp_min(1e-3)
    inside = prior.alpha[..., None]
    normals = torch.lerp(_last(beyond[:, :3] / share), normals, inside)
    rgb = torch.lerp(_last(beyond[:, 3:] / share), rgb, inside)
    alpha = _opacity(made, coarse, inputs, config)
    return _finished(normals, rgb, alpha, inputs)


def _finished(normals: Tensor, rgb: Tensor, alpha: Tensor, inputs: ViewInputs) -> Views:
    rgb = torch.lerp(rgb.clamp(0, 1), inputs.rgb, _shown(inputs)[..., None])
    visible = alpha > 0
    return Views(normalize(normals, dim=-1) * visible[..., None], rgb * visible[..., None], alpha)


def resize_views(made: Views, inputs: ViewInputs, config: UpsamplingConfig | None = None) -> Views:
    """Pictures of about the views' own size, brought to it; where the photo shows a pixel, it stays.

    Args:
        made: the network's output.
        inputs: what is known and the first completion, at full size.
        config: how far something may leave the first completion's outline.
    """
    config, side, out = config or UpsamplingConfig(), inputs.rgb.shape[2], []
    for s in range(len(made.rgb)):
        one, known = _part(made, s), inputs.part(slice(s, s + 1))
        flat = torch.cat([one.normals, one.rgb, one.alpha[..., None]], -1)[0].movedim(-1, 1)
        # antialiased: foundation pictures are larger than the views
        sized = _last(interpolate(flat, (side, side), mode="bilinear", align_corners=False, antialias=True))
        out.append(_finished(sized[..., :3], sized[..., 3:6], _near(sized[..., 6], known, config), known))
    return Views(*(torch.cat([getattr(p, name) for p in out]) for name in ("normals", "rgb", "alpha")))


def _opacity(made: Views, coarse: Views, inputs: ViewInputs, config: UpsamplingConfig) -> Float[Tensor, "1 V H W"]:
    side = inputs.rgb.shape[2]
    change = made.alpha - coarse.alpha
    change = torch.sign(change) * (change.abs() - config.quiet).clamp_min(0) / (1 - config.quiet)
    change = _up(change[0][:, None], side)[:, 0][None]
    steep = (config.steepness * (inputs.prior.alpha + change - 0.5) + 0.5).clamp(0, 1)
    return _near(torch.where(change == 0, inputs.prior.alpha, steep), inputs, config)


def _near(alpha: Float[Tensor, "1 V H W"], inputs: ViewInputs, config: UpsamplingConfig) -> Float[Tensor, "1 V H W"]:
    """Nothing far from the first completion; and a pixel that the photo shows belongs to the person, whatever the network says."""
    radius = max(1, round(config.growth * alpha.shape[-1]))
    k = 2 * radius + 1  # along the rows, then the columns: the same maximum at a fraction of the cost
    near = max_pool2d(max_pool2d(inputs.prior.alpha[0][:, None], (1, k), 1, (0, radius)), (k, 1), 1, (radius, 0))[:, 0][None]
    return torch.where(inputs.seen, inputs.prior.alpha, alpha.clamp(0, 1) * (near > 0.5))


def _shown(inputs: ViewInputs) -> Float[Tensor, "1 V H W"]:
    """1 on the photo's pixels, fading over their last three before the border."""
    seen = inputs.seen[0][:, None].float()
    return (2 * avg_pool2d(seen, 7, 1, 3) - 1).clamp(0, 1)[:, 0][None] * seen[:, 0][None]


def _first(x: Float[Tensor, "1 V H W c"]) -> Float[Tensor, "V c H W"]:
    return x[0].movedim(-1, 1)


def _last(x: Float[Tensor, "V c H W"]) -> Float[Tensor, "1 V H W c"]:
    return x.movedim(1, -1)[None]


def _up(x: Float[Tensor, "V c h w"], side: int) -> Float[Tensor, "V c H W"]:
    return interpolate(x, (side, side), mode="bilinear", align_corners=False)


def _bilateral(
    values: Float[Tensor, "V c h w"],
    coarse: Float[Tensor, "V g h w"],
    guide: Float[Tensor, "V g H W"],
    known: Float[Tensor, "V 1 h w"],
    config: UpsamplingConfig,
) -> Float[Tensor, "V c H W"]:
    """Weighted means of the nine coarse cells around each pixel; 0 where none of them is known or alike, and outside of the guide's outline."""
    (c, h, w), (H, W) = values.shape[1:], guide.shape[-2:]
    # people cover a small part of the pictures: only their pixels are worked on, as rows
    view, row, column = (guide[:, -1] > 0).nonzero(as_tuple=True)
    own = guide.movedim(1, -1)[view, row, column]
    y, x = ((i + 0.5) * m / n - 0.5 for i, m, n in ((row, h, H), (column, w, W)))
    table = torch.cat([values * known, known, coarse], 1).movedim(1, -1).reshape(-1, c + 1 + coarse.shape[1])
    total = own.new_zeros(len(own), c + 1)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near_y, near_x = (y.round() + dy).clamp(0, h - 1), (x.round() + dx).clamp(0, w - 1)
            found = table[view * (h * w) + near_y.long() * w + near_x.long()]
            distance, apart = (y - near_y).square() + (x - near_x).square(), (own - found[:, c + 1 :]).square().sum(1)
            weight = torch.exp(-0.5 * distance / config.reach**2 - 0.5 * apart / config.likeness**2)
            total += weight[:, None] * found[:, : c + 1]
    out = guide.new_zeros(len(guide), H, W, c)
    out[view, row, column] = total[:, :c] / (total[:, c:] + 1e-6)
    return out.movedim(-1, 1)
