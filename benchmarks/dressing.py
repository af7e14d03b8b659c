"""Dressing: seconds per person, and how deep dressed people stand in each other before and after they are pressed apart.

python benchmarks/dressing.py [--assets FOLDER]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from huddle3d.bodies import load_body
from huddle3d.evaluation import group_penetration
from huddle3d.scene import PersonMesh
from huddle3d.synthesis import Assets, SolveConfig, draw_person, draw_wardrobe, solve_interaction
from huddle3d.synthesis.clothes.apart import keep_apart
from huddle3d.synthesis.clothes.dress import dress_person
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.wardrobe.wear import wear

FAMILIES = (
    "hug", "side_hug", "arm_over_shoulder", "hug_from_behind", "linked_arms", "hands_on_shoulders", "back_to_back", "handshake", "whispering",
    "piggyback",
)  # fmt: skip


def depth(meshes: list[PersonMesh]) -> str:
    """Deepest and mean depth of vertices [mm], shared volume [cm3]."""
    found = group_penetration([(m.vertices, m.faces) for m in meshes])
    return f"{found[0]:.2f} / {found[1]:.2f} / {found[2]:.1f}"


def main() -> None:
    """One row per scene of two people."""
    parser = argparse.ArgumentParser(description="Dressing: seconds and penetration")
    parser.add_argument("--assets", type=Path, default=None, help="dress from this folder; default: clothes made here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    body = load_body()
    assets = None if args.assets is None else Assets.open(args.assets)
    print(
        "| scene | skins: max / mean mm / cm3 | dressed | pressed apart | moved at most mm | CPU s to dress one | CPU s apart |\n|---|---|---|---|---|---|---|"
    )
    for n, family in enumerate(FAMILIES):
        people = [draw_person(torch.Generator().manual_seed(100 * n + 7 + k), f"person_{k}") for k in range(2)]
        if assets is not None:
            people = [replace(p, wardrobe=draw_wardrobe(assets, 100 * n + k, woman=p.shape[0] > 0.5)) for k, p in enumerate(people)]
        plan = plan_interaction(family, body, torch.tensor([p.shape for p in people]), torch.Generator().manual_seed(n))  # type: ignore[arg-type]
        params = solve_interaction(plan, body, SolveConfig())
        with torch.no_grad():
            skins = body(params).vertices
            start = time.process_time()
            before = [
                dress_person(p, body, params, skins, k) if assets is None else wear(p, body, params, skins, k, assets) for k, p in enumerate(people)
            ]
            dressed = time.process_time()
            after = keep_apart(before)
            end = time.process_time()
        moved = max(float((a.vertices - b.vertices).norm(dim=-1).max()) for a, b in zip(after, before))
        naked = group_penetration([(v, body.faces) for v in skins])
        print(
            f"| {family} | {naked[0]:.2f} / {naked[1]:.2f} / {naked[2]:.1f} | {depth(before)} | {depth(after)} | {1e3 * moved:.1f} | "
            f"{(dressed - start) / 2:.2f} | {end - dressed:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
