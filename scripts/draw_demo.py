"""Draws the picture of README.md from a finished ``make demo``: the input, then the reconstructed meshes from several sides."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from huddle3d.io import read_glb
from huddle3d.render import RenderMesh, orbit_cameras, shade, to_uint8

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "demo.jpg"
AZIMUTHS_DEG = (0.0, 55.0, 180.0, 305.0)
HEIGHT = 420


def views(run: Path) -> list[np.ndarray]:
    """The meshes of a run from :data:`AZIMUTHS_DEG`, cropped to the columns that people fill in any of them."""
    people = [RenderMesh.of(mesh) for mesh in read_glb(run / "scene.glb")]
    points = torch.cat([p.vertices for p in people])
    cameras = orbit_cameras(points, AZIMUTHS_DEG, HEIGHT, HEIGHT, elevation_deg=6.0, margin=1.0)
    images = [to_uint8(shade(people, cameras[i])) for i in range(len(AZIMUTHS_DEG))]
    u = cameras.project(points)[0][..., 0]
    left, right = max(0, int(u.min()) - 12), min(HEIGHT, int(u.max()) + 12)
    return [image[:, left:right] for image in images]


def main() -> None:
    """Read ``out/demo`` (or the folder given) and write docs/pictures/demo.jpg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=Path("out/demo"), help="folder that `make demo` wrote")
    run = parser.parse_args().run
    photo = Image.open(run / "truth" / "photo.jpg").convert("RGB")
    photo = photo.resize((round(photo.width * HEIGHT / photo.height), HEIGHT), Image.Resampling.LANCZOS)
    Image.fromarray(np.concatenate([np.asarray(photo), *views(run)], 1)).save(OUT, quality=86)
    print(OUT)


if __name__ == "__main__":
    main()
