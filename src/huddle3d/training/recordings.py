"""Pairs of bodies in data sets of the user's own: Hi4D, CHI3D, and folders of AMASS-style motion files of two people. Nothing is fetched."""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.bodies import BodiesFile
from huddle3d.errors import InputError
from huddle3d.geometry import so3_exp, so3_log
from huddle3d.io import MAX_JSON_BYTES, Layout, display_name, parse_json, read_arrays, read_regular_file

__all__ = ["RECORDED_SETS", "RecordedPair", "RecordedSet", "Recording", "open_recordings"]

RecordedSet = Literal["hi4d", "chi3d", "amass"]
RECORDED_SETS: tuple[RecordedSet, ...] = typing.get_args(RecordedSet)

_HI4D = Layout("Hi4D", "pairXX/ACTION/ with meta.npz and smpl/000XXX.npz", "https://yifeiyin04.github.io/Hi4D/")
_CHI3D = Layout("CHI3D", "train/sXX/ with interaction_contact_signature.json and smplx/ACTION.json", "https://ci3d.imar.ro")
_AMASS = Layout(
    "pairs of AMASS-style files",
    "folders with two .npz files of one length each, with poses or root_orient and pose_body, trans and betas",
    "https://amass.is.tue.mpg.de",
)
_MAX_JSON = 8 * MAX_JSON_BYTES
_SMPLX_KEYS = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
_AROUND = 30
"""Frames before and after an annotated contact of CHI3D in which the two are taken to interact (0.6 s at 50 frames a second)."""


@dataclass(frozen=True)
class RecordedPair:
    """Two bodies at one moment, as published."""

    bodies: BodiesFile
    """In the data set's world."""
    R_up: Float[Tensor, "3 3"]
    """Rotation that makes the data set's up y."""


@dataclass(frozen=True)
class Recording:
    """One moment of one sequence, read when it is needed."""

    source: str
    """The kind of interaction: ``hi4d:hug`` …"""
    take: str
    """The sequence; its moments are neighbours."""
    frame: int
    """Of the sequence."""
    load: Callable[[], RecordedPair]
    """Reads it."""

    @property
    def group(self) -> int:
        """A number of the sequence, far from the seeds of solved pairs."""
        return (1 << 60) + int.from_bytes(hashlib.sha256(f"{self.source}|{self.take}".encode()).digest()[:6], "big")


def open_recordings(dataset: RecordedSet, folder: Path, *, every: int = 16, leave: tuple[str, ...] = ()) -> tuple[Recording, ...]:
    """The moments of a data set at which two people interact, sequence by sequence.

    Hi4D: every so many of the frames with contact. CHI3D: the annotated contact and frames around it. AMASS style: every so many frames of each pair of
    files.

    Args:
        dataset: which layout.
        folder: as published.
        every: so many frames apart.
        leave: subjects or pairs (``s03``, ``pair15``; folders of AMASS-style files) that are left out, for tests.

    Raises:
        InputError: another layout; the message says what is missing.
    """
    if every < 1:
        raise InputError("Frames must be at least one apart.", next_step="For example --every 16.")
    layout, opened = {"hi4d": (_HI4D, _hi4d), "chi3d": (_CHI3D, _chi3d), "amass": (_AMASS, _amass)}[dataset]
    layout.folder(folder)
    found = tuple(opened(folder, every, leave))
    if not found:
        raise layout.wrong(folder, "It holds no two people who interact, or all are left out.")
    return found


def _plain_name(name: str) -> str:
    return name.rstrip("0123456789 _-").lower().replace(" ", "_") or name


# Hi4D ---------------------------------------------------------------------------------------------------------------------------------


def _hi4d(root: Path, every: int, leave: tuple[str, ...]) -> Iterator[Recording]:
    for meta in _HI4D.some(root, root.glob("pair*/*/meta.npz"), "pairXX/ACTION/meta.npz"):
        sequence = meta.parent
        if sequence.parent.name in leave:
            continue
        _HI4D.folder(sequence / "smpl")
        frames = [int(f) for f in read_arrays(meta, ("contact_ids",), _HI4D)["contact_ids"].reshape(-1)[::every]]
        files = [_HI4D.file(sequence / "smpl" / f"{f:06d}.npz") for f in frames]
        for frame, file in zip(frames, files, strict=True):
            load = _hi4d_loader(file, files[:: max(1, len(files) // 8)])
            yield Recording(f"hi4d:{_plain_name(sequence.name)}", f"{sequence.parent.name}/{sequence.name}", frame, load)


def _hi4d_loader(file: Path, some: list[Path]) -> Callable[[], RecordedPair]:
    def load() -> RecordedPair:
        trunks = [so3_exp(torch.from_numpy(_hi4d_arrays(f)["global_orient"]))[:, :, 1] for f in some]
        data = _hi4d_arrays(file)
        pose = np.concatenate([data["global_orient"][:, None], data["body_pose"].reshape(2, -1, 3)], 1)
        return RecordedPair(_bodies("smpl", data["betas"], pose, data["transl"]), up_to_y(torch.cat(trunks)))

    return load


def _hi4d_arrays(file: Path) -> dict[str, np.ndarray]:
    data = read_arrays(file, ("global_orient", "body_pose", "betas", "transl"), _HI4D)
    sizes = {"global_orient": 3, "body_pose": 69, "betas": 10, "transl": 3}
    for key, size in sizes.items():
        if data[key].size != 2 * size:
            raise _HI4D.wrong(file, f"{key!r} has shape {data[key].shape}, expected (2, {size}).")
    return {key: _finite(data[key].reshape(2, size), file, key) for key, size in sizes.items()}


def up_to_y(trunks: Float[Tensor, "n 3"]) -> Float[Tensor, "3 3"]:
    """The quarter turns that bring the axis nearest to the mean trunk onto y: worlds whose vertical is not documented, with people who mostly stand."""
    mean = trunks.mean(0)
    axis = int(mean.abs().argmax())
    sign = 1.0 if float(mean[axis]) > 0 else -1.0
    if axis == 1:
        return torch.diag(torch.tensor([1.0, sign, sign], dtype=trunks.dtype))
    other = torch.zeros(3, 3, dtype=trunks.dtype)
    # Rows: new x, y, z in old axes; y is the old axis, the third axis keeps the handedness.
    keep = 2 if axis == 0 else 0
    other[1, axis] = sign
    other[keep, keep] = 1.0
    free = ({0, 1, 2} - {1, keep}).pop()
    other[free, 1] = -sign
    return other


# CHI3D --------------------------------------------------------------------------------------------------------------------------------


def _chi3d(root: Path, every: int, leave: tuple[str, ...]) -> Iterator[Recording]:
    for notes in _CHI3D.some(root, root.glob("train/s*/interaction_contact_signature.json"), "train/sXX/interaction_contact_signature.json"):
        subject = notes.parent
        if subject.name in leave:
            continue
        _CHI3D.folder(subject / "smplx")
        for action, entry in sorted(_json(notes).items()):
            contact = entry.get("fr_id") if isinstance(entry, dict) else None
            if not isinstance(contact, int) or contact < 0:
                raise _CHI3D.wrong(notes, f"{action!r} has no frame 'fr_id'.")
            file = _CHI3D.file(subject / "smplx" / f"{action}.json")
            first = max(0, contact - _AROUND // every * every, int(entry.get("start_fr", 0)))
            last = min(contact + _AROUND, int(entry.get("end_fr", contact)))
            frames = sorted({contact, *range(contact, first - 1, -every), *range(contact, last + 1, every)})
            for frame in frames:
                yield Recording(f"chi3d:{_plain_name(action)}", f"{subject.name}/{action}", frame, _chi3d_loader(file, frame))


def _json(path: Path) -> dict[str, Any]:
    tree = parse_json(read_regular_file(_CHI3D.file(path), _MAX_JSON), path)
    if not isinstance(tree, dict):
        raise _CHI3D.wrong(path, "It is not a JSON object.")
    return tree


def _chi3d_loader(file: Path, frame: int) -> Callable[[], RecordedPair]:
    def load() -> RecordedPair:
        tree = _json(file)
        parts = []
        for key in _SMPLX_KEYS:
            value = _numbers(tree, key, file)
            if value.ndim != 5 or value.shape[0] != 2 or value.shape[3:] != (3, 3) or frame >= value.shape[1]:
                raise _CHI3D.wrong(file, f"{key!r} has shape {value.shape}, expected (2, more than {frame}, joints, 3, 3).")
            parts.append(value[:, frame])
        pose = so3_log(torch.from_numpy(np.concatenate(parts, 1))).numpy()
        betas, place = (_numbers(tree, key, file) for key in ("betas", "transl"))
        if betas.ndim != 3 or place.ndim != 3 or min(betas.shape[1], place.shape[1]) <= frame:
            raise _CHI3D.wrong(file, f"betas and transl have shapes {betas.shape} and {place.shape}, expected (2, frames, numbers).")
        return RecordedPair(_bodies("smplx", betas[:, frame], pose, place[:, frame]), _Z_UP)

    return load


def _numbers(tree: dict[str, Any], key: str, path: Path) -> np.ndarray:
    try:
        return _finite(np.asarray(tree[key], np.float64), path, key)
    except (KeyError, ValueError, TypeError) as e:
        raise _CHI3D.wrong(path, f"It has no numbers {key!r}.") from e


# AMASS style --------------------------------------------------------------------------------------------------------------------------


def _amass(root: Path, every: int, leave: tuple[str, ...]) -> Iterator[Recording]:
    folders = sorted({f.parent for f in root.rglob("*.npz")})
    for folder in folders:
        name = folder.relative_to(root).as_posix()
        if set(folder.relative_to(root).parts) & set(leave):
            continue
        files = sorted(folder.glob("*.npz"))
        if len(files) != 2:
            raise _AMASS.wrong(folder, f"It holds {len(files)} .npz files; the two people of a pair have one each.")
        motions = [_amass_motion(f) for f in files]
        if motions[0].kind != motions[1].kind or len(motions[0].pose) != len(motions[1].pose):
            raise _AMASS.wrong(folder, "The files of the two people are of different models or lengths.")
        for frame in range(0, len(motions[0].pose), every):
            yield Recording(f"amass:{_plain_name(folder.name)}", name, frame, _amass_loader(files, frame))


@dataclass(frozen=True)
class _Motion:
    kind: str
    pose: np.ndarray
    transl: np.ndarray
    betas: np.ndarray


def _amass_motion(file: Path) -> _Motion:
    keys = read_arrays(file, ("trans", "betas"), _AMASS)
    try:
        parts = [read_arrays(file, ("poses",), _AMASS)["poses"]]
    except InputError:
        body = read_arrays(file, ("root_orient", "pose_body"), _AMASS)
        count = len(body["root_orient"])
        parts = [body["root_orient"].reshape(count, 3), body["pose_body"].reshape(count, -1)]
    count = len(parts[0])
    pose = np.concatenate(parts, 1) if all(p.ndim == 2 for p in parts) else parts[0]
    kinds = {165: "smplx", 66: "smplx", 156: "smpl", 72: "smpl"}
    if pose.ndim != 2 or pose.shape[1] not in kinds or keys["trans"].shape != (count, 3):
        raise _AMASS.wrong(file, f"The pose has shape {pose.shape} (66 or 165 numbers a frame for SMPL-X, 72 for SMPL, 156 for SMPL+H).")
    kind = kinds[pose.shape[1]]
    # SMPL+H has SMPL's body; its fingers have no place in SMPL. A pose of the body alone leaves face and fingers at rest.
    body = pose[:, :66] if pose.shape[1] == 156 else pose
    full = np.zeros((count, 165 if kind == "smplx" else 72))
    full[:, : body.shape[1]] = body
    betas = _finite(np.asarray(keys["betas"], np.float64).reshape(-1)[:10], file, "betas")
    return _Motion(kind, _finite(full, file, "poses").reshape(count, -1, 3), _finite(keys["trans"].astype(np.float64), file, "trans"), betas)


def _amass_loader(files: list[Path], frame: int) -> Callable[[], RecordedPair]:
    def load() -> RecordedPair:
        a, b = (_amass_motion(f) for f in files)
        columns = [np.stack(pair) for pair in ((a.betas, b.betas), (a.pose[frame], b.pose[frame]), (a.transl[frame], b.transl[frame]))]
        trunks = [so3_exp(torch.from_numpy(m.pose[:: max(1, len(m.pose) // 50), 0]))[:, :, 1] for m in (a, b)]
        return RecordedPair(_bodies(a.kind, *columns), up_to_y(torch.cat(trunks)))

    return load


# All ----------------------------------------------------------------------------------------------------------------------------------

_Z_UP = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]], dtype=torch.float64)


def _finite(value: np.ndarray, path: Path, key: str) -> np.ndarray:
    if not np.isfinite(value).all():
        raise InputError(f"{display_name(path)}: {key} holds numbers that are not finite.", next_step="Unpack it again.")
    return value.astype(np.float64)


def _bodies(kind: str, betas: np.ndarray, pose: np.ndarray, transl: np.ndarray) -> BodiesFile:
    return BodiesFile(kind, ("person_0", "person_1"), betas[:, :10], pose, transl, np.zeros((2, 0)))
