"""``huddle3d eval``: the metrics table on seeded synthetic scenes, or on a data set of the user's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from tyro.extras import SubcommandApp

from huddle3d.bodies import BodyModel, load_body
from huddle3d.cli import evaluate_fit
from huddle3d.cli.console import LogFormat, StageProgress, print_line
from huddle3d.cli.eval_scenes import choose_scenes, exit_status, write_numbers
from huddle3d.cli.tables import print_comparisons, print_paper_tables, print_results
from huddle3d.compute import choose_device
from huddle3d.errors import InputError
from huddle3d.evaluation import (
    Ablations,
    EvaluationSample,
    Protocol,
    ScenePictures,
    SceneResult,
    compare_variants,
    default_specs,
    draw_scene,
    evaluate_sample,
    evaluation_page,
    paper_tables,
    read_variants,
    results_json,
)
from huddle3d.evaluation import ablations as name_ablations
from huddle3d.evaluation.datasets import DatasetName
from huddle3d.io import prepare_output_dir, write_bytes
from huddle3d.people import PeopleConfig, Reconstruction, plain, versions
from huddle3d.synthesis import Assets, SceneBuilder, build_scene, render_scene
from huddle3d.synthesis.suites.lists import Suite, SuiteName, in_building_order

__all__ = ["build_app"]

_SEED = 1000


def build_app() -> SubcommandApp:
    """The ``eval`` group."""
    app = SubcommandApp()
    app.command(people)
    app.command(evaluate_fit.fit)
    return app


def people(
    scenes: int | None = None,
    seed: int = _SEED,
    suite: SuiteName | None = None,
    bodies: Literal["true", "predicted", "both"] = "both",
    output: Path = Path("out/eval"),
    json: Path | None = None,
    html: Path | None = None,
    variants: Path | None = None,
    ablations: bool = False,
    group_data: Path | None = None,
    instance_data: Path | None = None,
    dataset: DatasetName | None = None,
    data: Path | None = None,
    assets: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PeopleConfig = PeopleConfig(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Reconstruct scenes and compare them with their truth: CD, P2S, NC, F-score, IoU, CP, PSNR, penetration.

    Scenes that are done already in OUTPUT are not repeated.

    Args:
        scenes: Number of scenes: seeded ones (default 10), the families in turn, or the first ones of the suite or data set (default all).
        seed: Seed of the first seeded scene.
        suite: Instead of seeded scenes, a suite, made as it is needed: heldout, salsa, crowd, hard.
        bodies: Give the true bodies, camera and masks, or only the picture and its focal length, or do both.
        output: Folder for the runs.
        json: Also write all numbers to this file; numbers of an earlier evaluation are replaced, anything else only with --overwrite.
        html: Also write a page into this folder: all tables in the paper's layout, every scene side by side.
        variants: JSON file of named settings, for example {"full": {}, "no-carving": {"carve.iterations": 0}}; the others are compared with the first.
        ablations: The ablations of the paper as variants (docs/evaluation.md), in the layout of its tables 1 to 4. Those whose weights are not there are named as left out.
        group_data: For --ablations: weights of `train mvd --data groups`.
        instance_data: For --ablations: weights of `train mvd --data people`.
        dataset: Instead of seeded scenes, the samples of a data set on this machine: a suite that synth wrote, or a published one.
        data: Folder of the data set, unpacked as published; for suite what synth wrote.
        assets: Folder with makehuman, mocap and avatars, for suite: salsa needs it (or HUDDLE3D_ASSETS), the others are dressed from it.
        device: Where the larger networks compute: auto, cpu, cuda or cuda:N.
        overwrite: Replace other runs' outputs in the same folders.
        log_format: Messages and progress as text or as JSON lines (stderr).
        config: Every setting of every stage.
    """
    chosen = choose_scenes(scenes, json, dataset, data, suite, assets, overwrite)
    if seed != _SEED and (suite is not None or dataset is not None):
        raise InputError("--seed goes with seeded scenes only.", next_step="A suite or data set has fixed scenes: leave --seed out.")
    compared = _compared(variants, ablations, group_data, instance_data, config)
    configs, left_out = compared.configs, compared.left_out
    for name, why in left_out.items():
        print_line(f"left out: {name}: {why}", log_format)
    if html is not None:
        prepare_output_dir(html, overwrite, marker="index.html")
    choice = choose_device(device)
    print_line(f"device: {choice.device} ({choice.reason})", log_format)
    body = load_body()
    protocols: tuple[Protocol, ...] = ("true", "predicted") if bodies == "both" else (bodies,)
    results: list[SceneResult] = []
    pictures: list[ScenePictures | None] = []
    if chosen.samples is not None:
        samples = (item.load() for item in chosen.samples)
    elif chosen.suite is not None:
        samples = _of_suite(chosen.suite, scenes, body, chosen.assets)
    else:
        samples = _synthetic(scenes or 10, seed, body)
    for sample in samples:
        for protocol in protocols:
            for variant in configs:
                result, made = _run(sample, protocol, configs, variant, output, body, choice.device, overwrite, log_format)
                results.append(result)
                pictures.append(_draw(sample, made) if html is not None else None)
    print_results(results)
    if ablations:
        print_paper_tables(paper_tables(results, left_out))
    if len(configs) > 1:
        print_comparisons(compare_variants(results), next(iter(configs)))
    facts = {**chosen.facts, **(compared.facts() if ablations else {}), "seed": seed, "versions": versions(), "device": str(choice.device)}
    if json is not None:
        write_numbers(json, results_json(results, **facts))
        print_line(f"numbers: {json}", log_format)
    if html is not None:
        settings_shown = {**facts, "configuration": {name or "huddle3d": plain(c) for name, c in configs.items()}}
        write_bytes(html / "index.html", evaluation_page(results, pictures, settings_shown, left_out if ablations else None).encode(), overwrite=True)
        print_line(f"page: {html / 'index.html'}", log_format)
    return exit_status([r.failure for r in results], log_format)


def _compared(variants: Path | None, ablated: bool, group_data: Path | None, instance_data: Path | None, config: PeopleConfig) -> Ablations:
    """The configurations that run, by name."""
    if not ablated and (group_data is not None or instance_data is not None):
        raise InputError("--group-data and --instance-data go with --ablations.", next_step="Add --ablations, or leave them out.")
    if not ablated:
        return Ablations(read_variants(variants, config) if variants is not None else {"": config}, {})
    if variants is not None:
        raise InputError("--ablations and --variants exclude each other.", next_step="Leave one of them out.")
    return name_ablations(config, group_data=group_data, instance_data=instance_data)


def _synthetic(scenes: int, seed: int, body: BodyModel) -> Iterator[EvaluationSample]:
    for spec in default_specs(scenes, seed=seed):
        yield EvaluationSample.of(render_scene(build_scene(spec, body=body)))


def _of_suite(suite: Suite, scenes: int | None, body: BodyModel, assets: Assets | None) -> Iterator[EvaluationSample]:
    """The first scenes of a suite; the same people one after the other, so that they are solved once."""
    build = SceneBuilder(body, assets=assets)
    for scene in in_building_order(suite.scenes[:scenes]):
        yield EvaluationSample.of(render_scene(build(scene.spec)), name=scene.name, family=scene.tag)


def _run(
    sample: EvaluationSample,
    protocol: Protocol,
    configs: Mapping[str, PeopleConfig],
    variant: str,
    output: Path,
    body: BodyModel,
    device: torch.device,
    overwrite: bool,
    log_format: LogFormat,
) -> tuple[SceneResult, Reconstruction | None]:
    """One variant of a scene; stages that an earlier variant did in the same way are not repeated."""
    names = {v: f"{sample.name}_{protocol}" + (f"_{v}" if v else "") for v in configs}
    name = names[variant]
    with StageProgress(name, log_format) as listener:
        result, made = evaluate_sample(
            sample,
            protocol,
            output / name,
            body=body,
            config=configs[variant],
            device=device,
            overwrite=overwrite,
            listener=listener,
            variant=variant,
            others=[output / n for n in itertools.takewhile(lambda n: n != name, names.values())],
        )
    print_line(f"{name}: {result.failure or 'measured'}", log_format)
    return result, made


def _draw(sample: EvaluationSample, made: Reconstruction | None) -> ScenePictures | None:
    if not sample.meshes:
        return None
    result, camera = (made.meshes, made.bodies.camera) if made is not None else (None, None)
    return draw_scene(sample.photo, sample.meshes, sample.camera, result, camera)
