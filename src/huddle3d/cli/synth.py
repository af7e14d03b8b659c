"""``huddle3d synth``: seeded synthetic scenes with their truth."""

from __future__ import annotations

from pathlib import Path

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.synthesis import FAMILIES, Assets, Family, build_scene, families_for, render_scene, sample_spec, write_sample

__all__ = ["synth"]


def synth(
    output: Path = Path("out/synth"),
    count: int = 10,
    seed: int = 0,
    family: Family | None = None,
    people: int = 2,
    assets: Path | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Write seeded scenes of dressed people who touch: the picture, and its truth (meshes, bodies, masks, normals, depth, ids).

    Args:
        output: Folder that gets one folder per scene.
        count: Number of scenes.
        seed: Seed of the first scene; the next ones count up.
        family: Only this interaction; default all in turn.
        people: People per scene.
        assets: Folder of MakeHuman clothes, hair and skins to dress the people from; default clothes made here.
        overwrite: Write into a folder that is not empty.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if count < 1 or people < 1:
        raise InputError("--count and --people must be at least 1.", next_step="For example --count 10 --people 2.")
    if seed < 0:
        raise InputError(f"--seed {seed} is negative.", next_step="Use 0 or more.")
    wardrobe = None if assets is None else Assets.open(assets)
    prepare_output_dir(output, overwrite)
    body = load_body()
    kinds = FAMILIES if people <= 2 else families_for(people)
    for k in range(count):
        chosen = family or kinds[k % len(kinds)]
        spec = sample_spec(seed + k, people=people, family=chosen, assets=wardrobe)
        folder = output / f"{k:04d}_{spec.family}_{spec.seed}"
        write_sample(render_scene(build_scene(spec, body=body, assets=wardrobe)), folder, overwrite=overwrite)
        print_line(f"{k + 1}/{count} {folder}", log_format)
    return 0
