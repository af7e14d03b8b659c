"""Draws the pictures of docs/conventions.md with the project's own renderer: axes, the six canonical views of a marker, normals of a sphere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from huddle3d.geometry import AZIMUTHS_DEG, Camera, canonical_cameras, look_at, vertex_normals
from huddle3d.render import antialias, interpolate, merge_meshes, normal_map, rasterize

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = 240
Mesh = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def cone(start: list[float], end: list[float], r0: float, r1: float, colour: list[float], sides: int = 24) -> Mesh:
    """A closed cone or cylinder between two points."""
    a, b = torch.tensor(start), torch.tensor(end)
    axis = torch.nn.functional.normalize(b - a, dim=0)
    u = torch.nn.functional.normalize(torch.linalg.cross(axis, torch.tensor([0.3, 0.5, 0.8])), dim=0)
    v = torch.linalg.cross(axis, u)
    angle = torch.arange(sides) * (2 * math.pi / sides)
    ring = angle.cos()[:, None] * u + angle.sin()[:, None] * v
    vertices = torch.cat([a + r0 * ring, b + r1 * ring, a[None], b[None]])
    i, j = torch.arange(sides), (torch.arange(sides) + 1) % sides
    low, high = torch.full_like(i, 2 * sides), torch.full_like(i, 2 * sides + 1)
    faces = torch.cat([torch.stack(t, -1) for t in ((i, j, j + sides), (i, j + sides, i + sides), (low, j, i), (high, i + sides, j + sides))])
    return vertices, faces, torch.tensor(colour).expand(len(vertices), 3)


def ball(centre: list[float], radius: float, colour: list[float], rings: int = 32) -> Mesh:
    """A sphere."""
    theta, phi = torch.meshgrid(torch.linspace(0, math.pi, rings + 1), torch.arange(2 * rings) * (math.pi / rings), indexing="ij")
    points = torch.stack([theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], -1).reshape(-1, 3)
    i = torch.arange(rings)[:, None] * (2 * rings)
    j, k = torch.arange(2 * rings)[None], (torch.arange(2 * rings)[None] + 1) % (2 * rings)
    a, b, c, d = (t.reshape(-1) for t in (i + j, i + k, i + 2 * rings + j, i + 2 * rings + k))
    faces = torch.cat([torch.stack([a, c, d], -1), torch.stack([a, d, b], -1)])
    return torch.tensor(centre) + radius * points, faces, torch.tensor(colour).expand(len(points), 3)


def draw(parts: list[Mesh], camera: Camera) -> np.ndarray:
    """Shaded picture of coloured parts on white, one per camera."""
    vertices, faces, _ = merge_meshes([(v, f) for v, f, _ in parts])
    colours = torch.cat([c for _, _, c in parts])
    raster = rasterize(vertices, faces, camera)
    normals = interpolate(raster, faces, vertex_normals(vertices, faces))
    light = torch.nn.functional.normalize(torch.tensor([0.4, 0.8, 0.6]), dim=0)
    shade = 0.55 + 0.45 * (normals @ light).clamp_min(0)
    image = torch.where(raster.face_id[..., None] >= 0, interpolate(raster, faces, colours) * shade[..., None], 1.0)
    image = antialias(image, raster, vertices, faces, camera)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def row(images: list[np.ndarray], captions: list[str], path: Path) -> None:
    """Pictures side by side with captions below."""
    height, width = images[0].shape[:2]
    sheet = Image.new("RGB", (len(images) * (width + 8) - 8, height + 18), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        sheet.paste(Image.fromarray(image), (i * (width + 8), 0))
        pen.text((i * (width + 8) + width / 2, height + 3), caption, fill="black", anchor="ma")
    sheet.save(path, optimize=True)


def marker() -> list[Mesh]:
    """An asymmetric figure: red towards +x, green towards +y, blue towards +z."""
    grey = [0.75, 0.75, 0.78]
    return [
        ball([0, 0, 0], 0.45, grey),
        cone([0.3, 0, 0], [0.9, 0, 0], 0.12, 0.12, [0.9, 0.2, 0.15]),
        cone([0, 0.3, 0], [0, 0.9, 0], 0.12, 0.12, [0.2, 0.7, 0.25]),
        cone([0, 0, 0.35], [0, 0, 0.85], 0.2, 0.0, [0.15, 0.35, 0.9]),
    ]


def axes() -> np.ndarray:
    """World axes at the origin and a camera that looks along -z."""
    parts = [ball([0, 0, 0], 0.05, [0.3, 0.3, 0.3])]
    for direction, colour in (([1, 0, 0], [0.9, 0.2, 0.15]), ([0, 1, 0], [0.2, 0.7, 0.25]), ([0, 0, 1], [0.15, 0.35, 0.9])):
        tip = [0.75 * d for d in direction]
        parts += [cone([0, 0, 0], tip, 0.025, 0.025, colour), cone(tip, direction, 0.07, 0.0, colour)]
    eye = torch.tensor([0.0, 0.35, 2.2])
    R, centre = look_at(eye, torch.tensor([0.0, 0.35, 0]))[:3, :3], eye.tolist()
    parts += [ball(centre, 0.09, [0.35, 0.35, 0.4])]
    for axis, colour in zip(R, ([0.95, 0.55, 0.5], [0.55, 0.85, 0.55], [0.55, 0.65, 0.95]), strict=True):
        mid, tip = (eye + 0.35 * axis).tolist(), (eye + 0.5 * axis).tolist()
        parts += [cone(centre, mid, 0.02, 0.02, colour), cone(mid, tip, 0.05, 0.0, colour)]
    view = Camera.perspective(520, 560, 320, look_at(torch.tensor([2.6, 1.5, 2.7]), torch.tensor([0.0, 0.25, 0.95])))
    return draw(parts, view)[0]


def main() -> None:
    """Draw all pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    row([axes()], ["world axes (bold: x red, y green, z blue) and the input camera's axes (pale)"], OUT / "axes.png")
    cameras = canonical_cameras(SIZE)
    row(list(draw(marker(), cameras)), [f"{a:.0f} deg" for a in AZIMUTHS_DEG], OUT / "six_views.png")
    vertices, faces, _ = ball([0, 0, 0], 0.9, [1, 1, 1])
    fronts = cameras[torch.tensor([0, 3])]
    raster = rasterize(vertices, faces, fronts)
    normals = normal_map(raster, vertices, faces)
    coded = torch.where(raster.face_id[..., None] >= 0, (normals + 1) / 2, 1.0)
    row(list((coded * 255).round().to(torch.uint8).numpy()), ["front view", "back view"], OUT / "normals.png")


if __name__ == "__main__":
    main()
