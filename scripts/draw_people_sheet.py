"""Draws a contact sheet of randomly dressed people: front three-quarter view, one cell per seed.

python scripts/draw_people_sheet.py out/people.png --count 64                       # clothes made here
HUDDLE3D_ASSETS=… python scripts/draw_people_sheet.py out/people.png --clothes both # every other person from the assets folder
HUDDLE3D_ASSETS=… python scripts/draw_people_sheet.py out/people.png --clothes avatars # the folder's rigged people, all of them
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from huddle3d.bodies import BodyModel, load_body
from huddle3d.errors import HuddleError
from huddle3d.render import RenderMesh, orbit_cameras, shade, to_uint8
from huddle3d.scene import BodyParams, PersonMesh
from huddle3d.synthesis import Assets, draw_person, draw_wardrobe
from huddle3d.synthesis.avatars.folder import avatar_names, read_avatar
from huddle3d.synthesis.avatars.rigging import fit_rig
from huddle3d.synthesis.clothes.dress import dress_person
from huddle3d.synthesis.poses.posing import PoseAuthor
from huddle3d.synthesis.wardrobe.wear import wear

WIDTH, HEIGHT = 230, 400


def posed(body: BodyModel, shape: tuple[float, ...], seed: int) -> BodyParams:
    """A relaxed standing pose with random arms, feet on the floor."""
    generator = torch.Generator().manual_seed(seed)
    r = (2 * torch.rand(8, generator=generator) - 1).tolist()
    author = PoseAuthor.start(body, torch.tensor(shape))
    author.trunk(0.05 + 0.08 * r[0], 0.15 * r[1], 0.06 * r[2])
    author.head(0.1 * r[3], 0.25 * r[4])
    for side, sign, bend in (("left", 1.0, 0.5 + 0.5 * r[5]), ("right", -1.0, 0.5 + 0.5 * r[6])):
        author.arm(side, (0.3 * sign, -1.0, 0.15 * bend), (0.3 * sign - 0.4 * sign * bend, -1.0 + 0.9 * bend, 0.2 + 0.9 * bend))  # type: ignore[arg-type]
        author.leg(side, (0.1 * sign, -1.0, 0.2 * r[7] * sign), (0.05 * sign, -1.0, 0.2 * r[7] * sign - 0.1))  # type: ignore[arg-type]
        author.fingers(side, 0.4)  # type: ignore[arg-type]
    params = replace(body.neutral(1), shape=torch.tensor([shape]), pose=author.pose[None])
    low = float(body(params).vertices[..., 1].min())
    return replace(params, translation=params.translation - torch.tensor([[0.0, low, 0.0]]))


def dressed(body: BodyModel, assets: Assets | None, seed: int) -> PersonMesh:
    """A random person."""
    person = draw_person(torch.Generator().manual_seed(seed), "person_0")
    if assets is not None:
        person = replace(person, wardrobe=draw_wardrobe(assets, seed, woman=person.shape[0] > 0.5))
    params = posed(body, person.shape, seed)
    skin = body(params).vertices
    return dress_person(person, body, params, skin, 0) if assets is None else wear(person, body, params, skin, 0, assets)


def rigged(body: BodyModel, assets: Assets, name: str, seed: int) -> PersonMesh:
    """A rigged person of the assets folder."""
    with torch.enable_grad():  # a search by gradients
        rig = fit_rig(read_avatar(assets, name), body)
    out = body(posed(body, tuple(rig.shape.tolist()), seed))
    return rig.mesh("person_0", rig.posed(out.T_world_joint[0]))


def cell(mesh: PersonMesh, azimuths: tuple[float, ...], closeup: bool) -> np.ndarray:
    """One person (or the head alone) from each azimuth, side by side."""
    points = mesh.vertices
    if closeup:
        points = points[points[:, 1] > float(points[:, 1].max()) - 0.3]
        points = points[(points[:, 0] - points[:, 0].median()).abs() < 0.15]
    cameras = orbit_cameras(points, azimuths, WIDTH, HEIGHT, elevation_deg=6.0, margin=0.82 if closeup else 0.62)
    return np.concatenate([to_uint8(shade([RenderMesh.of(mesh)], c)) for c in cameras], 1)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the first person")
    parser.add_argument("--azimuth", type=float, nargs="+", default=[30.0], help="views of each person, side by side [deg]; 0 = front")
    parser.add_argument("--closeup", action="store_true", help="heads only")
    parser.add_argument(
        "--clothes",
        choices=("made", "assets", "both", "avatars"),
        default="made",
        help="made here, from the assets folder, in turn; or rigged people",
    )
    parser.add_argument("--assets", type=Path, default=None, help="folder of MakeHuman assets; default: HUDDLE3D_ASSETS")
    args = parser.parse_args()
    try:
        assets = None if args.clothes == "made" else Assets.open(args.assets)
        body = load_body()
        with torch.no_grad():
            if args.clothes == "avatars" and assets is not None:
                names = avatar_names(assets)[: args.count]
                people = [rigged(body, assets, name, args.seed + k) for k, name in enumerate(names)]
            else:
                own = [args.clothes == "made" or (args.clothes == "both" and k % 2 == 0) for k in range(args.count)]
                people = [dressed(body, None if o else assets, args.seed + k) for k, o in enumerate(own)]
            cells = [cell(mesh, tuple(args.azimuth), args.closeup) for mesh in people]
    except HuddleError as e:
        sys.exit(str(e))
    columns = math.ceil(math.sqrt(2 * len(cells) / len(args.azimuth)))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], 1) for i in range(0, len(cells), columns)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
