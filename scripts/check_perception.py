"""Measures the embedded perception on a folder of annotated photos.

Usage: ``python scripts/check_perception.py FOLDER [NAME …] [--overlays FOLDER] [--light]``. FOLDER holds photos and ``annotations.json`` (COCO). Prints, for
each photo, how many annotated people taller than 25 % of the picture were found, the OKS and the mean key point error (in percent of the box
height) where key points are annotated, the mask IoU where polygons are, people who are not annotated, and the warnings.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from huddle3d.io import CocoPerson, read_coco, write_image
from huddle3d.perception import PerceiveConfig, load_networks, perceive_with
from huddle3d.scene import People2D, Photo, load_photo
from huddle3d.scene.landmarks import BODY, COCO_SIGMAS, SKELETON
from huddle3d.weights import weights_path

TALL = 0.25
COLOURS = ((230, 60, 60), (60, 200, 60), (70, 110, 255), (240, 200, 40), (220, 80, 220), (60, 210, 210), (250, 140, 40), (150, 150, 255))


def box_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes xyxy."""
    inter = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(inter / max(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter, 1e-9))


def oks(found: np.ndarray, truth: np.ndarray, area: float) -> float:
    """Object keypoint similarity of COCO over the annotated points."""
    seen = truth[:, 2] > 0
    e = ((found[:, :2] - truth[:, :2]) ** 2).sum(axis=1) / (2 * area * (2 * np.array(COCO_SIGMAS)) ** 2)
    return float(np.exp(-e)[seen].mean())


def likeness(person: CocoPerson, people: People2D, k: int) -> dict[str, float]:
    """All measures of one annotated person against one found person."""
    out = {"box": box_iou(person.box, people.boxes[k].numpy())}
    if person.keypoints is not None and (person.keypoints[:, 2] > 0).any():
        found = people.keypoints[k, BODY].numpy()
        truth = person.keypoints[:17]
        height = float(person.box[3] - person.box[1])
        area = float(person.mask.sum()) if person.mask is not None else 0.53 * float(np.prod(person.box[2:] - person.box[:2]))
        distance = np.linalg.norm(found[:, :2] - truth[:, :2], axis=1)[truth[:, 2] > 0] / height
        out |= {"oks": oks(found, truth, area), "error": float(distance.mean())}
    if person.mask is not None:
        mask = people.masks[k].numpy()
        out["mask"] = float((mask & person.mask).sum() / max((mask | person.mask).sum(), 1))
    return out


def match(annotated: list[CocoPerson], people: People2D) -> list[tuple[int, dict[str, float]] | None]:
    """The found person of each annotated one: the best assignment by OKS, mask and box."""
    table = [[likeness(a, people, k) for k in range(len(people.names))] for a in annotated]
    value = np.array([[m["box"] + m.get("oks", 0) + m.get("mask", 0) for m in row] for row in table]).reshape(len(annotated), len(people.names))
    result: list[tuple[int, dict[str, float]] | None] = [None] * len(annotated)
    for i, k in zip(*linear_sum_assignment(-value), strict=True):
        if max(table[i][k].get("oks", 0), table[i][k].get("mask", 0), table[i][k]["box"]) > 0.3:
            result[i] = (int(k), table[i][k])
    return result


def overlay(photo: Photo, people: People2D, path: Path) -> None:
    """Boxes, masks and skeletons over the photo."""
    scale = 960 / max(photo.width, photo.height)
    size = (round(photo.width * scale), round(photo.height * scale))
    image = cv2.resize((photo.image.numpy() * 255).astype(np.uint8), size)
    for k in range(len(people.names)):
        colour = np.array(COLOURS[k % len(COLOURS)])
        mask = cv2.resize(people.masks[k].numpy().astype(np.uint8), size) > 0
        image[mask] = (0.6 * image[mask] + 0.4 * colour).astype(np.uint8)
        edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
        image[edge] = colour
    for k, table in enumerate(people.keypoints.numpy()):
        colour = COLOURS[k % len(COLOURS)]
        points = np.round(table[:, :2] * scale).astype(int)
        for a, b in SKELETON:
            sure = float(min(table[a, 2], table[b, 2]))
            if sure > 0.1:
                cv2.line(image, tuple(points[a]), tuple(points[b]), [int((0.3 + 0.7 * sure) * c) for c in colour], 2 if a < 17 else 1, cv2.LINE_AA)
        for row in range(65, 75):
            if table[row, 2] > 0.1:
                cv2.circle(image, tuple(points[row]), 2, (255, 255, 255), -1)
        x0, y0, x1, y1 = (people.boxes[k].numpy() * scale).astype(int).tolist()
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, 1)
        cv2.putText(image, f"{k} {people.scores[k]:.2f}", (x0 + 3, y0 + 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    write_image(path, image.astype(np.float32) / 255, overwrite=True)


def check(path: Path, annotated: list[CocoPerson], people: People2D, photo: Photo, seconds: float) -> list[dict[str, float] | None]:
    """Print one photo's lines and return the measures of its tall people."""
    matches = match(annotated, people)
    tall = [i for i, a in enumerate(annotated) if a.box[3] - a.box[1] > TALL * photo.height]
    hits = [matches[i] for i in tall]
    others = set(range(len(people.names))) - {m[0] for m in matches if m is not None}
    print(f"{path.stem}: {sum(h is not None for h in hits)}/{len(tall)} tall people found, {len(others)} not annotated, {seconds:.1f} s CPU")
    for i, hit in zip(tall, hits, strict=True):
        box = "–".join(f"{x:.0f}" for x in annotated[i].box)
        text = "not found" if hit is None else f"person_{hit[0]} " + " ".join(f"{k} {v:.2f}" for k, v in hit[1].items())
        print(f"    box {box}: {text}")
    for k in sorted(others):
        print(f"    not annotated: person_{k} score {people.scores[k]:.2f} box {people.boxes[k].round().int().tolist()}")
    for warning in people.warnings:
        print(f"    ! {warning}")
    return [None if h is None else h[1] for h in hits]


def main() -> None:
    """Run over all photos of the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only photos whose name contains one of these")
    parser.add_argument("--overlays", type=Path, help="write overlays into this folder")
    parser.add_argument("--light", action="store_true", help="without the larger landmark network")
    arguments = parser.parse_args()
    coco = read_coco(arguments.folder / "annotations.json")
    heavy = None if arguments.light else weights_path("blazepose-heavy")
    networks = load_networks(weights_path("blazepose"), 2, heavy=heavy)
    totals: list[dict[str, float] | None] = []
    for path in sorted(p for p in arguments.folder.iterdir() if p.suffix == ".jpg"):
        if arguments.names and not any(n in path.name for n in arguments.names):
            continue
        photo = load_photo(path)
        start = time.process_time()
        people = perceive_with(photo, networks, PerceiveConfig())
        seconds = time.process_time() - start
        annotated = [p for i in coco.images if Path(i.file_name).name == path.name for p in i.people]
        totals += check(path, annotated, people, photo, seconds)
        if arguments.overlays:
            arguments.overlays.mkdir(parents=True, exist_ok=True)
            overlay(photo, people, arguments.overlays / f"{path.stem}.png")
    found = [t for t in totals if t is not None]
    print(f"all: {len(found)}/{len(totals)} tall people found", end="")
    for name in ("oks", "error", "mask"):
        values = [t[name] for t in found if name in t]
        print(f"; mean {name} {np.mean(values):.3f} (n={len(values)})" if values else "", end="")
    print()


if __name__ == "__main__":
    main()
