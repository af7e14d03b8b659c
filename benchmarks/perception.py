"""Who is found in the photos of a suite: only perception runs, and its people are compared with the truth.

    python benchmarks/perception.py heldout [--scenes 20] [--assets ../shared/data] [--data FOLDER] [--misses FOLDER]

A person counts as found if one of the people found, each used once, has a mask IoU of at least 0.5 with the person's visible pixels, or an object
keypoint similarity (COCO's OKS, on visible body keypoints) of at least 0.5. ``--data`` reads a written suite instead of making the scenes.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from huddle3d.bodies import load_body
from huddle3d.errors import StageError
from huddle3d.evaluation import EvaluationSample
from huddle3d.evaluation.datasets import open_dataset
from huddle3d.io import write_image
from huddle3d.perception import perceive
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import BODY, COCO_SIGMAS
from huddle3d.synthesis import Assets, SceneBuilder, render_scene
from huddle3d.synthesis.suites.lists import in_building_order, open_suite_list

LEAST = 0.5


def similarities(found: People2D, truth: People2D) -> tuple[np.ndarray, np.ndarray]:
    """Mask IoU and OKS of each person found (rows) with each true one (columns)."""
    iou, oks = np.zeros((len(found.names), len(truth.names))), np.zeros((len(found.names), len(truth.names)))
    variance = (2 * torch.tensor(COCO_SIGMAS)).square()
    for j, mask in enumerate(truth.masks):
        area = float(mask.sum())
        points, seen = truth.keypoints[j, BODY, :2], truth.keypoints[j, BODY, 2] > 0.5
        for i in range(len(found.names)):
            both = float((found.masks[i] & mask).sum())
            iou[i, j] = both / max(1.0, float((found.masks[i] | mask).sum()))
            if bool(seen.any()):
                square = (found.keypoints[i, BODY, :2] - points).square().sum(-1)
                oks[i, j] = float(torch.exp(-square / (2 * max(area, 1.0) * variance))[seen].mean())
    return iou, oks


def samples(options):
    """The photos with their truth."""
    if options.data:
        yield from (item.load() for item in open_dataset("suite", options.data)[: options.scenes])
        return
    assets = Assets.at(options.assets) if options.assets else None
    build = SceneBuilder(load_body(), assets=assets)
    for scene in in_building_order(open_suite_list(options.suite, assets=assets).scenes[: options.scenes]):
        yield EvaluationSample.of(render_scene(build(scene.spec)), name=scene.name, family=scene.tag)


def main() -> None:
    """Print one line per photo, and the shares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("suite", choices=("heldout", "salsa", "crowd", "hard"))
    parser.add_argument("--scenes", type=int, default=None)
    parser.add_argument("--assets", default=None)
    parser.add_argument("--data", default=None)
    parser.add_argument("--misses", type=Path, default=None, help="folder for the photos in which somebody is missed")
    options = parser.parse_args()
    shares: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for sample in samples(options):
        start = time.perf_counter()
        count, invented = 0, 0
        visible = [round(100 * float(m.sum()) / m.numel(), 1) for m in sample.people2d.masks]
        try:
            found = perceive(sample.photo)
            iou, oks = similarities(found, sample.people2d)
            rows, columns = linear_sum_assignment(-np.maximum(iou, oks))
            hits = [(i, j) for i, j in zip(rows, columns, strict=True) if max(iou[i, j], oks[i, j]) >= LEAST]
            count, invented = len(hits), len(found.names) - len(hits)
            detail = ", ".join(f"IoU {iou[i, j]:.2f} OKS {oks[i, j]:.2f}" for i, j in zip(rows, columns, strict=True))
        except StageError:
            detail = "nobody"
        total = len(sample.meshes)
        for key in (sample.family, "all"):
            for place, value in enumerate((count, total, invented, 1)):
                shares[key][place] += value
        print(
            f"{sample.name}: {count}/{total} found, {invented} more; {detail}; visible % {visible}; {time.perf_counter() - start:.1f} s", flush=True
        )
        if options.misses and count < total:
            write_image(options.misses / f"{sample.name}.png", sample.photo.image, overwrite=True)
    print("\n| class | photos | people | found | share | others |\n|---|---|---|---|---|---|")
    for key, (found_people, total, invented, photos) in shares.items():
        print(f"| {key} | {photos} | {total} | {found_people} | {100 * found_people / total:.0f} % | {invented} |")


if __name__ == "__main__":
    main()
