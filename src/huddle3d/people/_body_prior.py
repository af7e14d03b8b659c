"""The named baseline ``body-prior``: completes views with the body model's geometry and symmetry, without any network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import vertex_normals
from huddle3d.people._fill import fill_colours, matched_difference
from huddle3d.people._lookup import Picture, inner_distance, look_up
from huddle3d.people._materials import MATERIALS, SurfaceLinks, surface_links
from huddle3d.people._views import render_group, render_person
from huddle3d.progress import Progress, silent
from huddle3d.render import Raster, antialias, mask
from huddle3d.scene import CompletedViews, ViewSet

__all__ = ["BodyPrior", "BodyPriorConfig"]


@dataclass(frozen=True)
class BodyPriorConfig:
    """Weights of the sources of colour."""

    mirrored: float = 0.3
    """Weight of the left-right twin's colour where a vertex is not seen (seen: 1)."""
    opposite: float = 0.1
    """Weight of the colour on the other side of the same garment."""
    material: float = 1e-4
    """Weight of the median colour seen on the same material: enough for a piece that no seen colour reaches, too little to wash out cloth."""
    crossing: float = 0.02
    """How willingly colour crosses from one material to another (inside one: 1)."""
    feather_px: float = 5.0
    """Width over which a seen region fades into a completed one, in pixels of a 512² view."""
    slack: float = 0.015
    """Depth difference at which a point still counts as the one that a view sees, canonical units."""


class BodyPrior:
    """Normals and outlines of the partial meshes; colours seen, mirrored, copied through the garment, then diffused over the surface."""

    name = "body-prior"

    def __init__(self, config: BodyPriorConfig | None = None) -> None:
        self.config = config or BodyPriorConfig()

    def __call__(self, views: ViewSet, *, body: BodyModel, progress: Progress = silent) -> CompletedViews:
        """Complete all views."""
        links = surface_links(body, crossing=self.config.crossing)
        faces, cameras, K = views.faces.long(), views.cameras, len(views.partial_vertices)
        normals, colours, alphas = [], [], []
        for k in range(K):
            vertices = views.partial_vertices[k]
            raster, normal = render_person(vertices, faces, cameras)
            normals.append(normal)
            colours.append(self._colours(views, k, raster, links))
            alphas.append(antialias(mask(raster).float()[..., None], raster, vertices, faces, cameras)[..., 0].clamp(0, 1))
            progress((k + 1) / (K + 1), f"person {k}")
        group = render_group(views.partial_vertices, faces, cameras)
        alpha, rgb = torch.stack(alphas), torch.stack(colours)
        front = group.ids.clamp_min(0).long()[None]
        rgb_group = torch.gather(rgb, 0, front[..., None].expand(1, *rgb.shape[1:]))[0] * (group.ids >= 0)[..., None]
        progress(1.0, "group")
        return CompletedViews(
            method=self.name,
            normals_group=group.normals,
            normals_inst=torch.stack(normals),
            rgb_group=rgb_group,
            rgb_inst=rgb,
            alpha_group=1 - torch.prod(1 - alpha, 0),
            alpha_inst=alpha,
        )

    def _colours(self, views: ViewSet, k: int, raster: Raster, links: SurfaceLinks) -> Float[Tensor, "N H W 3"]:
        faces, vertices = views.faces.long(), views.partial_vertices[k]
        normals = vertex_normals(vertices, faces)
        pictures = self._pictures(views, k, raster)
        known, weight = _blend(pictures, vertices, normals)
        light = {
            name: matched_difference(links.pairs, links.strength, known, weight, source)
            for name, source in (("mirror", links.mirror), ("opposite", links.opposite))
        }
        filled = self._fill(known, weight, links, light)
        view, y, x = mask(raster).nonzero(as_tuple=True)
        corner, bary = faces[raster.face_id[view, y, x].long()], raster.bary[view, y, x]
        colour = _at(filled, corner, bary)
        apart = (vertices[links.opposite][corner] - vertices[links.opposite][corner.roll(1, -1)]).norm(dim=-1).amax(-1)
        through = links.has_opposite[corner].all(-1) & (apart < 0.06)
        sources = (
            (links.opposite[corner], _at(light["opposite"], corner, bary), through.float()),
            (links.mirror[corner], _at(light["mirror"], corner, bary), 1.0),
            (corner, 0.0, 1.0),
        )
        for rows, change, allowed in sources:
            normal = torch.nn.functional.normalize(_at(normals, rows, bary), dim=-1)
            found, w = _blend(pictures, _at(vertices, rows, bary), normal)
            share = (w / 0.25).clamp(0, 1) * allowed
            colour = torch.lerp(colour, (found + change).clamp(0, 1), share[:, None])
        image = torch.zeros_like(views.rgb_inst[k])
        image[view, y, x] = colour
        return image

    def _pictures(self, views: ViewSet, k: int, raster: Raster) -> list[Picture]:
        feather = self.config.feather_px * views.cameras.width / 512
        return [
            Picture(views.cameras[i], views.rgb_inst[k, i], inner_distance(views.seen_inst[k, i], feather), raster.depth[i], self.config.slack)
            for i in range(len(raster.face_id))
            if bool(views.seen_inst[k, i].any())
        ]

    def _fill(
        self, known: Float[Tensor, "V 3"], weight: Float[Tensor, "V"], links: SurfaceLinks, light: dict[str, Float[Tensor, "V 3"]]
    ) -> Float[Tensor, "V 3"]:
        c, total = self.config, weight.clamp_max(1)
        target = known * total[:, None]
        for source, share, change in ((links.mirror, c.mirrored, light["mirror"]), (links.opposite, c.opposite, light["opposite"])):
            w = share * weight.clamp_max(1)[source] * (1 - total)
            target, total = target + w[:, None] * (known[source] + change).clamp(0, 1), total + w
        for index, median in self._medians(known, weight, links).items():
            here = links.material == index
            target = target + c.material * here[:, None] * median
            total = total + c.material * here
        # known colours are to stay as they are: the membrane acts only between them
        return fill_colours(links.pairs, links.strength, target / total.clamp_min(1e-9)[:, None], 50 * total)

    def _medians(self, known: Float[Tensor, "V 3"], weight: Float[Tensor, "V"], links: SurfaceLinks) -> dict[int, Float[Tensor, "3"]]:
        """Median colour of each material that is seen at all; unseen hands take the face's and the other way round."""
        found = {}
        for index in range(len(MATERIALS)):
            seen = (links.material == index) & (weight > 0.1)
            if int(seen.sum()) >= 20:
                found[index] = known[seen].median(0).values
        skin, hands = MATERIALS.index("skin"), MATERIALS.index("hands")
        for missing, twin in ((skin, hands), (hands, skin)):
            if missing not in found and twin in found:
                found[missing] = found[twin]
        return found


def _at(values: Float[Tensor, "V c"], corner: Tensor, bary: Tensor) -> Float[Tensor, "P c"]:
    return (values[corner] * bary[..., None]).sum(-2)


def _blend(pictures: list[Picture], points: Float[Tensor, "P 3"], normals: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "P 3"], Float[Tensor, "P"]]:
    """Colour and total weight from all pictures; the most frontal one dominates, because averages of slightly shifted pictures are blurred."""
    colour, sharp, total = torch.zeros_like(points), points.new_zeros(len(points)), points.new_zeros(len(points))
    for picture in pictures:
        c, w = look_up(picture, points, normals)
        colour, sharp, total = colour + (w**3)[:, None] * c, sharp + w**3, total + w
    return colour / sharp.clamp_min(1e-9)[:, None], total
