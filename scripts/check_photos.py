"""Measures finished reconstructions of annotated photos: who was found, and how well the fitted bodies reproject.

Usage: ``huddle3d people FOLDER/*.jpg --output RUNS`` and then ``python scripts/check_photos.py FOLDER RUNS``. FOLDER holds photos and
``annotations.json`` (COCO). For each annotated person taller than 25 % of the picture it prints the reconstructed person (matched by box and
joints), the mean distance of the fitted body's reprojected joints from the annotated ones in percent of the box height (all annotated joints, and
those annotated as visible), and PCK at 0.2 torso lengths.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from check_perception import TALL, box_iou
from scipy.optimize import linear_sum_assignment

from huddle3d.io import CocoPerson, read_coco

TORSO = (5, 6, 11, 12)


def errors(person: CocoPerson, joints: np.ndarray) -> tuple[float, float, float]:
    """Mean error of all annotated and of the visible joints [share of the box height]; share of visible joints within 0.2 torso lengths."""
    assert person.keypoints is not None
    truth = person.keypoints[:17]
    distance = np.linalg.norm(joints[:, :2] - truth[:, :2], axis=1)
    height = float(person.box[3] - person.box[1])
    annotated, visible = truth[:, 2] > 0, truth[:, 2] > 0.75
    shoulders, hips = truth[[5, 6], :2].mean(0), truth[[11, 12], :2].mean(0)
    torso = np.linalg.norm(shoulders - hips) if (truth[list(TORSO), 2] > 0).all() else 0.3 * height
    return (
        float(distance[annotated].mean() / height),
        float(distance[visible].mean() / height) if visible.any() else float("nan"),
        float((distance[visible] < 0.2 * torso).mean()) if visible.any() else float("nan"),
    )


def main() -> None:
    """Print one line for each tall annotated person and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path)
    arguments = parser.parse_args()
    found, total, rows = 0, 0, []
    for image in read_coco(arguments.folder / "annotations.json").images:
        name = Path(image.file_name).stem
        path = arguments.runs / name / "scene.json"
        if not path.exists():
            continue
        document = json.loads(path.read_text())
        people = document["people"]
        boxes = [np.array(p["box"], float) for p in people]
        joints = [np.array(p["joints"], float) for p in people]
        value = np.zeros((len(image.people), len(people)))
        for i, a in enumerate(image.people):
            for k in range(len(people)):
                value[i, k] = box_iou(a.box, boxes[k])
                if a.keypoints is not None and (a.keypoints[:17, 2] > 0).any():
                    value[i, k] += float(np.exp(-10 * errors(a, joints[k])[0]))
        matched = {int(i): int(k) for i, k in zip(*linear_sum_assignment(-value), strict=True) if value[i, k] > 0.3}
        print(f"{name}: {len(people)} people")
        for i, a in enumerate(image.people):
            if a.box[3] - a.box[1] <= TALL * image.height:
                continue
            total += 1
            where = "–".join(f"{x:.0f}" for x in a.box)
            if i not in matched:
                print(f"    box {where}: not found")
                continue
            found += 1
            text = f"    box {where}: {people[matched[i]]['name']}"
            if a.keypoints is not None and (a.keypoints[:17, 2] > 0).any():
                row = errors(a, joints[matched[i]])
                rows.append(row)
                text += f", all joints {100 * row[0]:.1f} %, visible {100 * row[1]:.1f} %, PCK@0.2 {100 * row[2]:.0f} %"
            print(text)
        for warning in document["warnings"]:
            print(f"    ! {warning}")
    mean = np.nanmean(np.array(rows).reshape(-1, 3), axis=0)
    print(f"{found}/{total} tall people; {len(rows)} with joints: mean error {100 * mean[0]:.1f} % of the box height, ", end="")
    print(f"visible {100 * mean[1]:.1f} %, PCK@0.2 torso {100 * mean[2]:.0f} %")


if __name__ == "__main__":
    main()
