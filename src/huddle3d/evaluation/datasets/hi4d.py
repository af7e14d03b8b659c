"""Hi4D (Yin et al. 2023): real pictures of pairs in contact, with a mesh of each person and calibrated cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from huddle3d.errors import InputError
from huddle3d.evaluation.datasets.layout import Layout, LazySample, read_arrays
from huddle3d.evaluation.datasets.scans import smpl_to_coco, to_metres
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.geometry import Camera
from huddle3d.io import MeshData
from huddle3d.scene import PersonMesh, load_photo

__all__ = ["LAYOUT", "open_hi4d"]

LAYOUT = Layout(
    "Hi4D",
    "pairXX/ACTION/ with meta.npz, cameras/rgb_cameras.npz, images/CAMERA/000XXX.jpg, seg/instance/{0,1}/mesh-f00XXX.npz and smpl/000XXX.npz",
    "https://yifeiyin04.github.io/Hi4D/",
)


def open_hi4d(root: Path, *, every: int = 16, contact_only: bool = True) -> tuple[LazySample, ...]:
    """Every ``every``-th frame (of those with contact, as the paper trains) of each sequence, from the sequence's monocular camera.

    The mesh of each person is the data set's instance mesh, which has no colours: measures of colour are undefined. The lens distortion
    is not undone (a few pixels at the border).
    """
    LAYOUT.folder(root)
    samples = []
    for sequence in LAYOUT.some(root, (m.parent for m in root.glob("pair*/*/meta.npz")), "pairXX/ACTION/meta.npz"):
        for part in ("cameras", "images", "seg/instance/0", "seg/instance/1"):
            LAYOUT.folder(sequence / part)
        meta = read_arrays(sequence / "meta.npz", ("start", "end", "contact_ids", "mono_cam"), LAYOUT)
        frames = meta["contact_ids"].reshape(-1) if contact_only else np.arange(int(meta["start"]), int(meta["end"]) + 1)
        camera = int(meta["mono_cam"].reshape(-1)[0])
        for frame in (int(f) for f in frames[::every]):
            LAYOUT.file(sequence / "images" / str(camera) / f"{frame:06d}.jpg")
            name = f"{sequence.parent.name}_{sequence.name}_{frame:06d}_{camera}"
            samples.append(LazySample(name, _loader(name, sequence, frame, camera)))
    LAYOUT.some(root, (Path(s.name) for s in samples), "frame with contact")
    return tuple(samples)


def _camera(sequence: Path, number: int, width: int, height: int) -> Camera:
    path = sequence / "cameras" / "rgb_cameras.npz"
    data = read_arrays(path, ("ids", "intrinsics", "extrinsics"), LAYOUT)
    rows = np.flatnonzero(data["ids"].reshape(-1) == number)
    if len(rows) != 1 or data["intrinsics"].shape[1:] != (3, 3) or data["extrinsics"].shape[1:] != (3, 4):
        raise LAYOUT.wrong(path, f"It has no calibration of camera {number}: 3 × 3 intrinsics and 3 × 4 extrinsics.")
    T = torch.eye(4)
    T[:3] = torch.from_numpy(data["extrinsics"][rows[0]].astype(np.float32))
    return Camera("perspective", torch.from_numpy(data["intrinsics"][rows[0]].astype(np.float32)), T, width, height)


def _person(sequence: Path, person: int, frame: int) -> PersonMesh:
    path = sequence / "seg" / "instance" / str(person) / f"mesh-f{frame:05d}.npz"
    data = read_arrays(path, ("vertices", "faces"), LAYOUT)
    try:
        mesh = MeshData(f"person_{person}", data["vertices"].astype(np.float32), data["faces"].astype(np.int64))
    except InputError as e:
        raise InputError(f"{path}: the mesh in this file cannot be used.", why=str(e), next_step="Unpack it again.") from e
    return PersonMesh.from_mesh_data(mesh)


def _loader(name: str, sequence: Path, frame: int, number: int):
    def load() -> EvaluationSample:
        picture = load_photo(sequence / "images" / str(number) / f"{frame:06d}.jpg")
        camera = _camera(sequence, number, picture.width, picture.height)
        photo = load_photo(sequence / "images" / str(number) / f"{frame:06d}.jpg", focal_px=float(camera.K[1, 1]))
        people, _, _ = to_metres([_person(sequence, k, frame) for k in (0, 1)], 1.0, sequence)
        smpl = read_arrays(sequence / "smpl" / f"{frame:06d}.npz", ("verts", "joints_3d"), LAYOUT)
        notes = ("the truth has no colours; the lens distortion is not undone",)
        bodies, joints = torch.from_numpy(smpl["verts"].astype(np.float32)), smpl_to_coco(torch.from_numpy(smpl["joints_3d"].astype(np.float32)))
        return EvaluationSample(name, sequence.name, photo, people, camera, textured=False, body_vertices=bodies, joints=joints, notes=notes)

    return load
