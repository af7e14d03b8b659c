"""Result files of SAM 3D Body (Meta 2025): points in space, points in the picture and the camera of each person.

The estimator returns Python objects and its users save them in their own ways. Read here, without running code: ``.npz`` with the estimator's own
keys stacked over people, or ``.json`` with a list of people. Its body model (MHR) is not needed: parameters and vertices are ignored.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io.json_files import parse_json
from huddle3d.io.limits import MAX_IMAGE_BYTES, MAX_JSON_BYTES, display_name, read_regular_file
from huddle3d.io.npz import BROKEN_NPZ

__all__ = ["BodyResults", "read_body_results"]

POINTS = 70
_MAX_PEOPLE = 100
_MAX_MEMBER = 1 << 22
_KEYS = ("pred_keypoints_3d", "pred_cam_t", "focal_length", "pred_keypoints_2d", "bbox", "image_size")
_SHAPES: dict[str, tuple[int, ...]] = {
    "pred_keypoints_3d": (POINTS, 3),
    "pred_cam_t": (3,),
    "focal_length": (),
    "pred_keypoints_2d": (POINTS, 2),
    "bbox": (4,),
}


@dataclass(frozen=True)
class BodyResults:
    """People of one picture, as the file has them."""

    points3d: Float[np.ndarray, "K 70 3"]
    """MHR's 70 points in camera axes (x right, y down, z away), from the camera [m]: ``pred_keypoints_3d + pred_cam_t``."""
    points2d: Float[np.ndarray, "K 70 2"] | None
    """The same in the picture [px]; None if the file has none."""
    boxes: Float[np.ndarray, "K 4"] | None
    """xyxy [px]; None if the file has none."""
    focal_px: float
    """Focal length [px of the picture]."""
    image_size: tuple[int, int] | None
    """Width and height of the picture that the pixels are of; None if the file does not say."""


def read_body_results(path: str | os.PathLike[str]) -> BodyResults:
    """Read a result file.

    ``.npz``: arrays ``pred_keypoints_3d`` (K, 70, 3), ``pred_cam_t`` (K, 3), ``focal_length`` (K,) or one number, and, if they are there,
    ``pred_keypoints_2d`` (K, 70, 2), ``bbox`` (K, 4), ``image_size`` (width, height); the leading K may be left out for one person.
    ``.json``: a list of objects with these keys, one per person, or ``{"people": [...], "image_size": [width, height]}``.

    Raises:
        InputError: another format, a missing key, wrong shapes, numbers that are not finite, people behind the camera, or focal lengths that differ.
        ResourceLimitError: over budget.
    """
    data = read_regular_file(path, MAX_IMAGE_BYTES)
    table = _from_json(data, path) if Path(path).suffix.lower() == ".json" else _from_npz(data, path)
    name = display_name(path)
    for key in _KEYS[:3]:
        if key not in table:
            hint = "Save the estimator's own keys: pred_keypoints_3d, pred_cam_t, focal_length, pred_keypoints_2d, bbox."
            raise InputError(f"{name}: {key} is missing.", why=f"It has {', '.join(sorted(table)) or 'nothing that is known'}.", next_step=hint)
    count = _count(table, name)
    values = {key: _stacked(table[key], key, count, name) for key in _KEYS[:5] if key in table}
    points = values["pred_keypoints_3d"] + values["pred_cam_t"][:, None]
    if not (points[..., 2] > 0.05).all():
        why = "pred_keypoints_3d + pred_cam_t must lie in front of the camera (z away from it, metres)."
        raise InputError(f"{name}: a person is behind the camera.", why=why, next_step="Check the axes and the units (metres, not centimetres).")
    if points[..., 2].max() > 500:
        raise InputError(f"{name}: a person is {points[..., 2].max():.0f} m away.", next_step="Check the units: metres.")
    focal = values["focal_length"]
    if not (focal > 0).all() or focal.max() > 1.05 * focal.min():
        why = f"They are {', '.join(f'{f:.0f}' for f in focal[:5])} px."
        raise InputError(
            f"{name}: the people's focal lengths differ or are no lengths.", why=why, next_step="Run the estimator with one camera for all."
        )
    return BodyResults(points, values.get("pred_keypoints_2d"), values.get("bbox"), float(np.median(focal)), _size(table, name))


def _from_npz(data: bytes, path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    name = display_name(path)
    table = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for key in _KEYS:
                if f"{key}.npy" in archive.namelist():
                    with archive.open(f"{key}.npy") as stream:
                        table[key] = _array(stream.read(_MAX_MEMBER + 1), key, name)
    except BROKEN_NPZ as e:
        raise InputError(f"{name}: is no .npz file.", why=str(e), next_step="Save it with numpy.savez, or as .json.") from e
    return table


def _array(data: bytes, key: str, name: str) -> np.ndarray:
    """One member; its header is checked against the bytes that are there before anything is allocated."""
    if len(data) > _MAX_MEMBER:
        raise ResourceLimitError(f"{name}: {key} has more than {_MAX_MEMBER} bytes.")
    try:
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.hasobject or dtype.kind not in "fiu":
            raise InputError(f"{name}: {key} holds Python objects or text, which are not read.", next_step="Save arrays of numbers.")
        if math.prod(shape) * dtype.itemsize > len(data):
            raise ValueError("its header claims more than there is")
        return np.load(io.BytesIO(data), allow_pickle=False).astype(np.float64)
    except (ValueError, EOFError, OSError, TypeError, SyntaxError) as e:
        raise InputError(f"{name}: {key} is damaged.", why=str(e), next_step="Save the file again.") from e


def _from_json(data: bytes, path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    name = display_name(path)
    if len(data) > MAX_JSON_BYTES:
        raise ResourceLimitError(f"{name}: {len(data):,} bytes, the limit is {MAX_JSON_BYTES:,}.")
    tree = parse_json(data, path)
    people = tree.get("people") if isinstance(tree, dict) else tree
    if not isinstance(people, list) or not people or not all(isinstance(p, dict) for p in people):
        raise InputError(f"{name}: is no list of people.", next_step='Write [{"pred_keypoints_3d": …}, …] or {"people": [...]}.')
    if len(people) > _MAX_PEOPLE:
        raise ResourceLimitError(f"{name}: {len(people)} people, the limit is {_MAX_PEOPLE}.")
    table = {}
    for key in _KEYS[:5]:
        values = [p[key] for p in people if p.get(key) is not None]
        if values and len(values) != len(people):
            raise InputError(
                f"{name}: {key} is missing for {len(people) - len(values)} of {len(people)} people.", next_step="Give it for all or none."
            )
        if values:
            table[key] = _stack([_numbers(v, key, name) for v in values], key, name)
    if isinstance(tree, dict) and tree.get("image_size") is not None:
        table["image_size"] = _numbers(tree["image_size"], "image_size", name)
    return table


def _numbers(value: Any, key: str, name: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as e:
        raise InputError(f"{name}: {key} is no array of numbers.", why=str(e), next_step="Write nested lists of numbers.") from e


def _stack(values: list[np.ndarray], key: str, name: str) -> np.ndarray:
    if len({v.shape for v in values}) != 1:
        raise InputError(f"{name}: {key} has other sizes for other people.", next_step="Save the estimator's own arrays.")
    return np.stack(values)


def _count(table: Mapping[str, np.ndarray], name: str) -> int:
    shape = table["pred_keypoints_3d"].shape
    if shape == (POINTS, 3):
        return 1
    if len(shape) != 3 or shape[1:] != (POINTS, 3) or not 1 <= shape[0] <= _MAX_PEOPLE:
        want = f"(K, {POINTS}, 3) with K from 1 to {_MAX_PEOPLE}"
        raise InputError(f"{name}: pred_keypoints_3d has shape {shape}, not {want}.", next_step="Save all people of one picture.")
    return shape[0]


def _stacked(value: np.ndarray, key: str, count: int, name: str) -> np.ndarray:
    want = (count, *_SHAPES[key])
    if key == "focal_length":
        value = np.full(count, value.reshape(-1)[0]) if value.size == 1 else value.reshape(-1)
    elif count == 1 and value.shape == _SHAPES[key]:
        value = value[None]
    if value.shape != want:
        raise InputError(f"{name}: {key} has shape {value.shape}, not {want}.", next_step="Save the estimator's own arrays, stacked over people.")
    if not np.isfinite(value).all():
        raise InputError(f"{name}: {key} has numbers that are not finite.", next_step="Leave such people out.")
    return value


def _size(table: Mapping[str, np.ndarray], name: str) -> tuple[int, int] | None:
    size = table.get("image_size")
    if size is None:
        return None
    if size.shape != (2,) or not np.isfinite(size).all() or size.min() < 1 or size.max() > 100_000:
        raise InputError(f"{name}: image_size is not (width, height).", next_step="Correct it, or leave it out.")
    return int(size[0]), int(size[1])
