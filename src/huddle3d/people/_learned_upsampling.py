"""The learned upsampler of completed views: what it reads and writes, its file, and its use behind the denoiser."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, normalize

from huddle3d.diffusion.multiview import ViewInputs, Views
from huddle3d.networks import UpsamplerConfig, ViewUpsampler
from huddle3d.people._view_maps import ViewMaps, picture_of
from huddle3d.weights import NetworkKind, half_precision, loaded

__all__ = ["large_pictures", "learned_upsampler", "read_upsampler", "save_upsampler", "upsampler_guide"]

_KIND = NetworkKind("huddle3d-view-upsampler", "the weights of an upsampler", "huddle3d train upsampler")


def large_pictures(
    normals: Float[Tensor, "*n h w 3"], colours: Float[Tensor, "*n h w 3"], alpha: Float[Tensor, "*n h w"]
) -> Float[Tensor, "*n 7 h w"]:
    """Normals (mean of a pixel's area), colours on white and opacity, in [-1, 1], channels first: what is enlarged."""
    return torch.cat([normals, picture_of(colours, alpha), 2 * alpha[..., None] - 1], -1).movedim(-1, -3).contiguous()


def upsampler_guide(given: ViewMaps) -> Float[Tensor, "*n 14 h w"]:
    """What is known at full size: body normals 3, seen colours 3 (0 elsewhere), their mask 1, the baseline's normals 3, colours on white 3, opacity 1."""
    seen = given.seen[..., None]
    parts = [given.body_normals, (2 * given.rgb - 1) * seen, seen, given.prior_normals, picture_of(given.prior_rgb, given.prior_alpha)]
    return torch.cat([*parts, 2 * given.prior_alpha[..., None] - 1], -1).movedim(-1, -3).contiguous()


def save_upsampler(path: str | os.PathLike[str], model: ViewUpsampler, *, note: dict[str, object]) -> None:
    """One file of :class:`huddle3d.weights.NetworkKind`; replaces what was there."""
    _KIND.write(path, half_precision(model.state_dict()), {"version": 1, "config": asdict(model.config), "note": note}, overwrite=True)


def read_upsampler(path: str | os.PathLike[str]) -> ViewUpsampler:
    """A network written by :func:`save_upsampler`, in evaluation mode on the CPU.

    Raises:
        InputError: not such a file, or tensors of another shape than its config says.
    """
    return _KIND.read(path, _built)


def _built(header: dict[str, Any], tensors: dict[str, Tensor]) -> ViewUpsampler:
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["config"].items()}
    return loaded(lambda: ViewUpsampler(UpsamplerConfig(**settings)), tensors)


def _area(x: Float[Tensor, "V H W c"], size: int, weight: Float[Tensor, "V H W 1"] | None = None) -> Float[Tensor, "V size size c"]:
    """Mean over areas, weighted."""

    def pooled(t: Tensor) -> Tensor:
        return interpolate(t.movedim(-1, 1), (size, size), mode="area").movedim(1, -1)

    return pooled(x) if weight is None else pooled(x * weight) / pooled(weight).clamp_min(1e-6)


def _guide(inputs: ViewInputs, size: int) -> Float[Tensor, "V 14 size size"]:
    """The guide of one set at the network's large size."""
    seen, alpha = inputs.seen[0][..., None].float(), inputs.prior.alpha[0][..., None]
    inside = (alpha > 0.5).float()
    given = ViewMaps(
        _area(inputs.body_normals[0], size),
        _area(inputs.silhouette[0][..., None].float(), size)[..., 0],
        _area(inputs.rgb[0], size, seen),
        _area(seen, size)[..., 0],
        _area(inputs.prior.normals[0], size),
        _area(inputs.prior.rgb[0], size, inside),
        _area(alpha, size)[..., 0],
    )
    return upsampler_guide(given)


@torch.no_grad()
def _one_set(network: ViewUpsampler, made: Views, inputs: ViewInputs) -> Views:
    side, size = inputs.rgb.shape[2], network.config.factor * made.alpha.shape[-1]
    guide = _guide(inputs, size)
    small = large_pictures(made.normals[0] * made.alpha[0][..., None], made.rgb[0], made.alpha[0])
    device = next(network.parameters()).device
    told = torch.cat([network(s[None].to(device), g[None].to(device)) for s, g in zip(small, guide)]).float().to(guide)
    # a larger view than the network's has the baseline's details, moved by what the network says
    change = interpolate(told - guide[:, 7:], (side, side), mode="bilinear", align_corners=False)
    prior = large_pictures(inputs.prior.normals[0], inputs.prior.rgb[0], inputs.prior.alpha[0])
    full = (prior + change).movedim(1, -1)
    seen = inputs.seen[0][:, None].float()
    shown = ((2 * avg_pool2d(seen, 7, 1, 3) - 1).clamp(0, 1) * seen)[:, 0, ..., None]  # the photo's pixels stay, fading at their border
    alpha = torch.where(inputs.seen[0], inputs.prior.alpha[0], ((full[..., 6] + 1) / 2).clamp(0, 1))
    alpha = torch.where(alpha < 0.02, 0.0, alpha)
    visible = (alpha > 0)[..., None]
    rgb = ((full[..., 3:6] - 1) / alpha[..., None].clamp_min(0.1) + 1 + 1) / 2  # the white is taken out again
    rgb = torch.lerp(rgb.clamp(0, 1), inputs.rgb[0], shown)
    return Views((normalize(full[..., :3], dim=-1) * visible)[None], (rgb * visible)[None], alpha[None])


def learned_upsampler(network: ViewUpsampler) -> Callable[[Views, ViewMaps, ViewInputs], Views]:
    """A trained network as the last step of :class:`huddle3d.people.DiffusionCompleter`; views larger than its own get the baseline's finest details.

    Args:
        network: in evaluation mode; it is called picture by picture.
    """

    def enlarge(made: Views, maps: ViewMaps, inputs: ViewInputs) -> Views:
        sets = range(len(made.alpha))
        parts = [
            _one_set(network, Views(made.normals[s : s + 1], made.rgb[s : s + 1], made.alpha[s : s + 1]), inputs.part(slice(s, s + 1))) for s in sets
        ]
        return Views(*(torch.cat([getattr(p, name) for p in parts]) for name in ("normals", "rgb", "alpha")))

    return enlarge
