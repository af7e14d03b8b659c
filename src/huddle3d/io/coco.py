"""COCO JSON in and out: people's boxes, keypoints (17 or 133) and masks that come from the user or go to other tools."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io._coco_schema import AnnotationEntry, CocoDocument, RunLengths
from huddle3d.io.files import safe_name, write_bytes
from huddle3d.io.json_files import parse_json, validate_json
from huddle3d.io.limits import MAX_JSON_BYTES, MAX_PIXELS, display_name, read_regular_file, require_budget
from huddle3d.io.rle import decode_rle, encode_rle, pack_counts, polygon_mask, unpack_counts

__all__ = ["CocoFile", "CocoImage", "CocoPerson", "read_coco", "write_coco"]

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip


@dataclass(frozen=True)
class CocoPerson:
    """One annotated person in one image, in pixels of that image."""

    box: NDArray[np.float32] | None = None
    """(4,) xyxy [px], clipped to the image; None if not given."""
    score: float = 1.0
    """Confidence in [0, 1]."""
    keypoints: NDArray[np.float32] | None = None
    """(17, 3) or (133, 3): u, v [px] and confidence in [0, 1] (0 = not given; COCO's flags 1 "hidden" and 2 "visible" become 0.5 and 1)."""
    mask: NDArray[np.bool_] | None = None
    """(height, width) of the image; None if not given."""


@dataclass(frozen=True)
class CocoImage:
    """One image of a file, with its people."""

    file_name: str
    width: int
    """Columns [px]; 0 if the file does not say."""
    height: int
    """Rows [px]; 0 if the file does not say."""
    people: tuple[CocoPerson, ...] = ()
    notes: tuple[str, ...] = ()
    """What was clipped or left out, in words."""

    def resized(self, width: int, height: int) -> CocoImage:
        """The same annotations on the image scaled to another size; :class:`InputError` if its shape differs.

        If the file says nothing of the image's size, its pixels are taken for those of the other size; refused if somebody's middle lies outside.
        """
        if (self.width, self.height) == (0, 0) and any(_middle_outside(p, width, height) for p in self.people):
            raise InputError(
                f"{display_name(self.file_name)}: people are annotated outside of the picture.",
                why=f"The file does not say how large its image is; the picture is worked on at {width} × {height} pixels.",
                next_step="Write the image's width and height into the file (images: id, file_name, width, height).",
            )
        if (self.width, self.height) in ((width, height), (0, 0)):
            return self
        sx, sy = width / self.width, height / self.height
        # Rounding to whole pixels changes the aspect of a scaled image by at most half a pixel on a side; 1 % leaves room for tiny images.
        if abs(sx / sy - 1) > 0.01 + 1 / min(width, height):
            why = f"The annotations are for {self.width} × {self.height} pixels, the picture has {width} × {height}."
            raise InputError(
                f"{display_name(self.file_name)}: the annotations do not fit the picture.",
                why=why,
                next_step="Annotate the picture as it is shown upright.",
            )
        return replace(self, width=width, height=height, people=tuple(_scaled(p, sx, sy, width, height) for p in self.people))


@dataclass(frozen=True)
class CocoFile:
    """A COCO file: images with people."""

    path: str
    images: tuple[CocoImage, ...]

    def select(self, name: str, width: int, height: int) -> CocoImage:
        """The image called ``name`` (file name, with or without folder and suffix), scaled to ``width × height`` pixels.

        A file with a single image is taken to mean that image, whatever its name.

        Raises:
            InputError: no image or more than one has this name, it has no people, or its shape differs.
        """
        wanted = safe_name(Path(name).name)
        found = [i for i in self.images if wanted in (safe_name(_base(i.file_name)), safe_name(Path(_base(i.file_name)).stem))]
        found = found or (list(self.images) if len(self.images) == 1 else [])
        where = display_name(self.path)
        if len(found) != 1:
            names = ", ".join(display_name(i.file_name) for i in self.images[:5])
            why = f"{len(found)} of its {len(self.images)} images have this name ({names} …)."
            raise InputError(f"{where}: which annotations belong to '{display_name(name)}'?", why=why, next_step="Set file_name to the photo's name.")
        image = found[0]
        if not image.people:
            raise InputError(f"{where}: no people are annotated in '{display_name(image.file_name)}'.", next_step="Add annotations of category 1.")
        image = image.resized(width, height)
        if wanted not in (safe_name(_base(image.file_name)), safe_name(Path(_base(image.file_name)).stem)):
            note = f"The annotations of '{display_name(image.file_name)}' were used for '{display_name(name)}': the file names no other picture."
            image = replace(image, notes=(*image.notes, note))
        return image


def read_coco(path: str | os.PathLike[str]) -> CocoFile:
    """Read people from a COCO file (``images``, ``annotations``), or from a list of COCO results (one image, sizes unknown).

    Only people are read (the category called "person", or category 1), crowds are left out. Masks may be polygons or run lengths, plain
    or packed. Whole-body points may come as 133 keypoints or as COCO-WholeBody's separate lists.

    Raises:
        InputError: not JSON, NaN or infinite numbers, wrong lengths, a box outside its image, an unknown image id, run lengths that do not
            fit; the message names the place in the document.
        ResourceLimitError: over budget.
    """
    tree = parse_json(read_regular_file(path, MAX_JSON_BYTES), path)
    if isinstance(tree, list):
        tree = {"annotations": tree}
    document = validate_json(tree, CocoDocument, path)
    return _Reader(document, path).file()


@dataclass(frozen=True)
class _Reader:
    document: CocoDocument
    path: str | os.PathLike[str]

    def file(self) -> CocoFile:
        document = self.document
        person_ids = {c.id for c in document.categories if c.name == "person"} or {1}
        images: dict[int | str, CocoImage] = {}
        for k, entry in enumerate(document.images):
            if entry.id in images:
                self._refuse(f"images[{k}].id", f"{entry.id!r} occurs twice")
            if (entry.width is None) != (entry.height is None):
                self._refuse(f"images[{k}]", "width and height must be given together")
            require_budget(self.path, "pixels in one image", (entry.width or 0) * (entry.height or 0), MAX_PIXELS)
            images[entry.id] = CocoImage(entry.file_name, entry.width or 0, entry.height or 0)
        for k, entry in enumerate(document.annotations):
            if not document.images:
                images.setdefault(entry.image_id, CocoImage(str(entry.image_id), 0, 0))
            if entry.image_id not in images:
                self._refuse(f"annotations[{k}].image_id", f"there is no image {entry.image_id!r}")
            if entry.category_id in person_ids and not entry.iscrowd:
                images[entry.image_id] = self._with_person(images[entry.image_id], entry, f"annotations[{k}]")
        return CocoFile(os.fspath(self.path), tuple(images.values()))

    def _with_person(self, image: CocoImage, entry: AnnotationEntry, where: str) -> CocoImage:
        notes = list(image.notes)
        box = self._box(image, entry.bbox, where, notes) if entry.bbox is not None else None
        score = 1.0 if entry.score is None else entry.score
        if not 0 <= score <= 1:
            self._refuse(f"{where}.score", f"{score} is not in [0, 1]")
        person = CocoPerson(box, score, self._keypoints(entry, where), self._mask(image, entry, where))
        if person.box is None and person.keypoints is None and person.mask is None:
            self._refuse(where, "a person needs a bbox, keypoints or a segmentation")
        # where the file does not say how large the image is, a mask does
        height, width = (image.height, image.width) if image.width or person.mask is None else person.mask.shape
        return replace(image, width=width, height=height, people=(*image.people, person), notes=tuple(notes))

    def _box(self, image: CocoImage, xywh: list[float], where: str, notes: list[str]) -> NDArray[np.float32]:
        x, y, w, h = xywh
        if w <= 0 or h <= 0:
            self._refuse(f"{where}.bbox", f"the box has no area ({w} × {h})")
        box = np.array([x, y, x + w, y + h])
        if image.width:
            clipped = np.clip(box, 0, [image.width, image.height] * 2)
            if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
                self._refuse(f"{where}.bbox", f"the box {xywh} lies outside the image of {image.width} × {image.height} pixels")
            if np.abs(clipped - box).max() > 1:
                notes.append(f"{where}.bbox reached outside the image and was clipped.")
            box = clipped
        return box.astype(np.float32)

    def _keypoints(self, entry: AnnotationEntry, where: str) -> NDArray[np.float32] | None:
        if not entry.keypoints:
            return None
        parts = [entry.keypoints]
        if len(entry.keypoints) == 51 and (entry.foot_kpts or entry.face_kpts or entry.lefthand_kpts or entry.righthand_kpts):
            lengths = (6, 68, 21, 21)
            lists = (entry.foot_kpts, entry.face_kpts, entry.lefthand_kpts, entry.righthand_kpts)
            parts += [part or [0.0] * (3 * n) for part, n in zip(lists, lengths, strict=True)]
        points = np.array([number for part in parts for number in part], dtype=np.float32).reshape(-1, 3)
        flags = points[:, 2]
        if flags.min() < 0 or flags.max() > 2:
            row = int(np.argmax((flags < 0) | (flags > 2)))
            self._refuse(f"{where}.keypoints[{3 * row + 2}]", f"{flags[row]} is neither a COCO flag (0, 1, 2) nor a confidence in [0, 1]")
        # Whole numbers are COCO's visibility flags; anything else is a detector's score, which may exceed 1 by a little.
        confidence = flags / 2 if np.isin(flags, (0, 1, 2)).all() else np.minimum(flags, 1)
        points[:, 2] = confidence
        return points

    def _mask(self, image: CocoImage, entry: AnnotationEntry, where: str) -> NDArray[np.bool_] | None:
        mask = entry.segmentation
        if mask is None:
            return None
        if isinstance(mask, RunLengths):
            height, width = mask.size
            require_budget(self.path, "pixels in one mask", height * width, MAX_PIXELS)
            if image.width and (width, height) != (image.width, image.height):
                self._refuse(f"{where}.segmentation.size", f"{mask.size} is not the image's height and width [{image.height}, {image.width}]")
            try:
                return decode_rle(unpack_counts(mask.counts) if isinstance(mask.counts, str) else mask.counts, height, width)
            except ValueError as e:
                self._refuse(f"{where}.segmentation.counts", str(e))
        if not image.width:
            self._refuse(f"{where}.segmentation", "polygons need the image's width and height")
        for k, polygon in enumerate(mask):
            if len(polygon) % 2:
                self._refuse(f"{where}.segmentation[{k}]", "an odd number of coordinates")
        return polygon_mask(mask, image.height, image.width)

    def _refuse(self, where: str, why: str) -> NoReturn:
        raise InputError(f"{display_name(self.path)}: {where}: {why}.", next_step="Correct the annotation.", paths=(where,))


def write_coco(path: str | os.PathLike[str], images: Sequence[CocoImage], *, flags: bool = False, overwrite: bool = False) -> None:
    """Write people as a COCO file that :func:`read_coco` and other tools read; the same people give the same bytes.

    Keypoint confidences are written as they are, or with ``flags`` as COCO's visibility (2 visible: at least 0.75; 1 hidden; 0 not given: 0) with
    the confidences beside them (``keypoint_scores``), which annotation programs need. Masks are written as packed run lengths, scores as
    ``score``.
    """
    document: dict[str, Any] = {
        "images": [{"id": k + 1, "file_name": i.file_name, "width": i.width, "height": i.height} for k, i in enumerate(images)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_KEYPOINTS)}],
        "annotations": [],
    }
    for k, image in enumerate(images):
        for person in image.people:
            document["annotations"].append({"id": len(document["annotations"]) + 1, "image_id": k + 1, **_annotation(person, flags)})
    try:
        text = json.dumps(document, allow_nan=False, indent=1)
    except ValueError as e:
        raise InputError(f"{display_name(path)}: people with NaN or infinite numbers cannot be written.") from e
    write_bytes(path, text.encode() + b"\n", overwrite=overwrite)


def _annotation(person: CocoPerson, flags: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"category_id": 1, "iscrowd": 0, "score": float(person.score)}
    if person.box is not None:
        x0, y0, x1, y1 = (float(x) for x in person.box)
        out["bbox"], out["area"] = [x0, y0, x1 - x0, y1 - y0], (x1 - x0) * (y1 - y0)
    if person.keypoints is not None:
        points = person.keypoints.astype(np.float64)
        if flags:
            out["keypoint_scores"] = [round(float(x), 4) for x in points[:, 2]]
            points[:, 2] = np.where(points[:, 2] >= 0.75, 2, np.where(points[:, 2] > 0, 1, 0))
            points[points[:, 2] == 0] = 0
        out["keypoints"] = [float(x) for x in points.reshape(-1)]
        out["num_keypoints"] = int((person.keypoints[:, 2] > 0).sum())
    if person.mask is not None:
        height, width = person.mask.shape
        out["segmentation"] = {"size": [height, width], "counts": pack_counts(encode_rle(person.mask))}
        out["area"] = int(person.mask.sum())
    return out


def _middle_outside(person: CocoPerson, width: int, height: int) -> bool:
    """Whether the middle of the box, else of the key points that are given, lies outside of a picture."""
    if person.box is not None:
        x, y = (person.box[:2] + person.box[2:]) / 2
    elif person.keypoints is not None and (person.keypoints[:, 2] > 0).any():
        x, y = person.keypoints[person.keypoints[:, 2] > 0, :2].mean(0)
    else:
        return False
    return not (0 <= x <= width and 0 <= y <= height)


def _base(file_name: str) -> str:
    return file_name.replace("\\", "/").rpartition("/")[2]


def _scaled(person: CocoPerson, sx: float, sy: float, width: int, height: int) -> CocoPerson:
    box = None if person.box is None else person.box * np.array([sx, sy, sx, sy], np.float32)
    points = None if person.keypoints is None else person.keypoints * np.array([sx, sy, 1], np.float32)
    mask = person.mask
    if mask is not None:
        rows = np.minimum(((np.arange(height) + 0.5) / sy).astype(int), mask.shape[0] - 1)
        columns = np.minimum(((np.arange(width) + 0.5) / sx).astype(int), mask.shape[1] - 1)
        mask = mask[rows[:, None], columns]
    return replace(person, box=box, keypoints=points, mask=mask)
