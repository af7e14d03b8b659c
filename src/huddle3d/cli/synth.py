"""``huddle3d synth``: seeded synthetic scenes, and the evaluation's suites, with their truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from tyro.extras import SubcommandApp

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.synthesis import FAMILIES, Assets, ClothesRange, Family, build_scene, families_for, render_scene, sample_spec, write_sample
from huddle3d.synthesis.suites.files import holds_only, is_written, refuse_other_scene, write_suite
from huddle3d.synthesis.suites.lists import SuiteName, open_suite_list

__all__ = ["build_app"]


def build_app() -> SubcommandApp:
    """The ``synth`` group; without a name it is ``scenes``."""
    app = SubcommandApp()
    app.command(scenes)
    app.command(suite)
    return app


def scenes(
    output: Path = Path("out/synth"),
    count: int = 10,
    seed: int = 0,
    family: Family | None = None,
    people: int = 2,
    clothes: ClothesRange = "all",
    assets: Path | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Write seeded scenes of dressed people who touch: the picture, and its truth.

    Meshes, bodies, keypoints with visibility, masks, normals, depth, ids of people and body parts, contacts: docs/how-to/synthesis.md lists the files.
    A stopped run goes on where it stopped: complete scenes are kept, half-written ones made anew.

    Args:
        output: Folder that gets one folder per scene.
        count: Number of scenes.
        seed: Seed of the first scene; the next ones count up.
        family: Only this interaction; default all in turn.
        people: People per scene.
        clothes: all: coats, dresses, hoods, loose cuts, too; tight: only clothes that follow the body, the people of the demo and of eval.
        assets: Folder of MakeHuman clothes, hair and skins to dress the people from; default clothes made here.
        overwrite: Write into a folder that holds other scenes or anything else.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if count < 1 or people < 1:
        raise InputError("--count and --people must be at least 1.", next_step="For example --count 10 --people 2.")
    if seed < 0:
        raise InputError(f"--seed {seed} is negative.", next_step="Use 0 or more.")
    if family == "motion":
        step = "The suite salsa shows recorded couples; from Python: sample_spec(7, family='motion', motion=MotionSpec('01', 30))."
        raise InputError("--family motion needs a recording and a frame, which this command cannot name.", next_step=step)
    wardrobe = None if assets is None else Assets.open(assets)
    kinds = FAMILIES if people <= 2 else families_for(people)
    sample_spec(seed, people=people, family=family or kinds[0])  # what cannot be is told before anything is written
    chosen: list[Family] = [family or kinds[k % len(kinds)] for k in range(count)]
    plan: dict[str, tuple[int, Family]] = {f"{k:04d}_{kind}_{seed + k}": (seed + k, kind) for k, kind in enumerate(chosen)}
    prepare_output_dir(output, overwrite or holds_only(output, plan))
    body = load_body()
    for done, (name, (number, kind)) in enumerate(plan.items(), 1):
        spec = sample_spec(number, people=people, family=kind, assets=wardrobe, clothes=clothes)
        kept = is_written(output / name, spec)
        if not kept:
            if not overwrite:
                refuse_other_scene(output / name)
            write_sample(render_scene(build_scene(spec, body=body, assets=wardrobe)), output / name, overwrite=True)
        print_line(f"{done}/{count} {output / name}{' (was there)' if kept else ''}", log_format)
    return 0


def suite(
    name: Annotated[SuiteName, tyro.conf.Positional],
    output: Annotated[Path, tyro.conf.Positional],
    scenes: int | None = None,
    assets: Path | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Write one of the evaluation's suites: fixed scenes of people, clothes and lights that no training scene has.

    A stopped run goes on where it stopped: complete scenes are kept, half-written ones made anew.

    Args:
        name: heldout (couples), salsa (rigged people on recorded motion), crowd (three to six people), hard (tight, cut off, wide lens).
        output: Folder of the suite: one folder per scene and suite.json.
        scenes: Only so many of the first ones, a balanced sample; default all.
        assets: Folder with makehuman, mocap and avatars; salsa needs it (or HUDDLE3D_ASSETS), the others are dressed from it.
        overwrite: Write into a folder that holds another suite or anything else.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if scenes is not None and scenes < 1:
        raise InputError("--scenes must be at least 1.", next_step="For example --scenes 4.")
    folder = suite_assets(name, assets)
    chosen = open_suite_list(name, assets=folder)
    chosen = replace(chosen, scenes=chosen.scenes[:scenes])

    def told(done: int, name: str, kept: bool) -> None:
        print_line(f"{done}/{len(chosen.scenes)} {output / name}{' (was there)' if kept else ''}", log_format)

    write_suite(chosen, output, body=load_body(), assets=folder, overwrite=overwrite, told=told)
    return 0


def suite_assets(name: SuiteName, assets: Path | None) -> Assets | None:
    """The folder that a suite is drawn with: the one that is named; for ``salsa`` also the environment's."""
    if name == "salsa":
        return Assets.at(assets)
    return None if assets is None else Assets.open(assets)
