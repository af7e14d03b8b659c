"""CHI3D (Fieraru et al. 2020): videos of pairs in contact, with motion-capture joints and calibrated cameras."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import HuddleError, InputError
from huddle3d.evaluation.datasets.layout import Layout, LazySample
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.geometry import Camera, rotation_x
from huddle3d.io import MAX_JSON_BYTES, display_name, parse_json, read_regular_file
from huddle3d.scene import BodyParams, PersonMesh, Photo

__all__ = ["LAYOUT", "open_chi3d"]

LAYOUT = Layout(
    "CHI3D",
    "train/sXX/ with interaction_contact_signature.json, videos/CAMERA/ACTION.mp4, camera_parameters/CAMERA/ACTION.json, joints3d_25/ACTION.json and "
    "smplx/ACTION.json",
    "https://ci3d.imar.ro",
)
_COCO_OF_H36M = {5: 11, 6: 14, 7: 12, 8: 15, 9: 13, 10: 16, 11: 4, 12: 1, 13: 5, 14: 2, 15: 6, 16: 3}
"""COCO row of each limb joint in the first 17 of the 25 joints (Human3.6M's order: 1-3 right leg, 4-6 left leg, 11-13 left arm, 14-16 right arm)."""
_MAX_JSON = 8 * MAX_JSON_BYTES
_SMPLX_POSE = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")


def open_chi3d(root: Path, *, subjects: tuple[str, ...] = ()) -> tuple[LazySample, ...]:
    """The annotated contact frame of each sequence from each of its cameras; of all subjects, or of those named (BUDDI tests on ``s03``).

    Truth: the twelve limb joints that COCO and the motion capture share. With your own SMPL-X file also meshes and bodies from the data set's
    fits. The lens distortion is not undone.
    """
    LAYOUT.folder(root)
    samples = []
    for notes in LAYOUT.some(root, root.glob("train/s*/interaction_contact_signature.json"), "train/sXX/interaction_contact_signature.json"):
        subject = notes.parent
        if subjects and subject.name not in subjects:
            continue
        for part in ("videos", "camera_parameters", "joints3d_25"):
            LAYOUT.folder(subject / part)
        for action, entry in sorted(_json(notes).items()):
            if not isinstance(entry, dict) or not isinstance(entry.get("fr_id"), int) or entry["fr_id"] < 0:
                raise LAYOUT.wrong(notes, f"{action!r} has no frame 'fr_id'.")
            LAYOUT.file(subject / "joints3d_25" / f"{action}.json")
            for video in LAYOUT.some(subject / "videos", (subject / "videos").glob(f"*/{action}.mp4"), f"CAMERA/{action}.mp4"):
                camera = video.parent.name
                LAYOUT.file(subject / "camera_parameters" / camera / f"{action}.json")
                name = f"{subject.name}_{action.replace(' ', '_')}_{entry['fr_id']:06d}_{camera}"
                samples.append(LazySample(name, _loader(name, subject, action, camera, entry["fr_id"])))
    LAYOUT.some(root, (Path(s.name) for s in samples), "annotated sequence")
    return tuple(samples)


def _json(path: Path) -> Any:
    LAYOUT.file(path)
    tree = parse_json(read_regular_file(path, _MAX_JSON), path)
    if not isinstance(tree, dict):
        raise LAYOUT.wrong(path, "It is not a JSON object.")
    return tree


def _array(tree: dict[str, Any], key: str, path: Path) -> np.ndarray:
    try:
        value = np.asarray(tree[key], np.float64)
    except (KeyError, ValueError, TypeError) as e:
        raise LAYOUT.wrong(path, f"It has no numbers {key!r}.") from e
    if not np.isfinite(value).all():
        raise InputError(f"{display_name(path)}: {key} holds numbers that are not finite.", next_step="Unpack it again.")
    return value


def _camera(path: Path, width: int, height: int) -> Camera:
    """The published convention: ``X_camera = R (X_world - T)``, T the camera's place; world z up, ours y up."""
    tree = _json(path)
    parts = {key: tree.get(key) for key in ("extrinsics", "intrinsics_wo_distortion")}
    if not all(isinstance(p, dict) for p in parts.values()):
        raise LAYOUT.wrong(path, "It has no extrinsics and intrinsics_wo_distortion.")
    R, T = _array(parts["extrinsics"], "R", path), _array(parts["extrinsics"], "T", path).reshape(-1)
    f, c = (_array(parts["intrinsics_wo_distortion"], key, path).reshape(-1) for key in ("f", "c"))
    if R.shape != (3, 3) or T.shape != (3,) or f.shape != (2,) or c.shape != (2,):
        raise LAYOUT.wrong(path, "R is not 3 × 3, or T, f, c have the wrong length.")
    K = torch.tensor([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]], dtype=torch.float32)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.from_numpy(R) @ _to_y_up().T.double()
    pose[:3, 3] = -torch.from_numpy(R @ T)
    return Camera("perspective", K, pose.float(), width, height)


def _to_y_up() -> Float[Tensor, "3 3"]:
    return rotation_x(torch.tensor(-math.pi / 2))


def _frame(path: Path, number: int) -> Float[Tensor, "height width 3"]:
    """One frame of a video, counted from 0."""
    import av

    try:
        with av.open(str(path)) as container:
            for k, frame in enumerate(container.decode(video=0)):
                if k == number:
                    return torch.from_numpy(frame.to_ndarray(format="rgb24")).float() / 255
    except (av.FFmpegError, OSError, ValueError, IndexError) as e:
        raise InputError(f"{display_name(path)}: not a readable video.", why=f"{e}.", next_step="Unpack it again.") from e
    raise LAYOUT.wrong(path, f"The video has no frame {number}.")


def _joints(path: Path, frame: int) -> Float[Tensor, "2 17 3"]:
    """COCO-17 joints in the y-up world; NaN for the head."""
    all_joints = _array(_json(path), "joints3d_25", path)
    if all_joints.ndim != 4 or all_joints.shape[0] != 2 or all_joints.shape[2:] != (25, 3) or frame >= all_joints.shape[1]:
        raise LAYOUT.wrong(path, f"joints3d_25 has shape {all_joints.shape}, expected (2, T > {frame}, 25, 3).")
    out = torch.full((2, 17, 3), math.nan)
    for coco, row in _COCO_OF_H36M.items():
        out[:, coco] = torch.from_numpy(all_joints[:, frame, row]).float() @ _to_y_up().T
    return out


def _meshes(path: Path, frame: int) -> tuple[PersonMesh, ...]:
    """The data set's SMPL-X fits as meshes; none without the user's SMPL-X file or the fits."""
    from huddle3d.bodies import load_body
    from huddle3d.geometry import so3_log

    try:
        body = load_body("smplx")
    except HuddleError:
        return ()
    if not path.is_file():
        return ()
    tree = _json(path)
    rotations = [torch.from_numpy(_array(tree, key, path)[:, frame]).reshape(2, -1, 3, 3) for key in _SMPLX_POSE]
    pose = so3_log(torch.cat(rotations, 1)).to(body.dtype)
    shape = torch.from_numpy(_array(tree, "betas", path)[:, frame]).reshape(2, -1)[:, : body.num_shape].to(body.dtype)
    expression = torch.zeros(2, body.num_expression, dtype=body.dtype)
    root = body.skeleton.rest_heads(body.shape_space.coefficients(shape, expression))[:, 0]
    place = torch.from_numpy(_array(tree, "transl", path)[:, frame]).to(body.dtype)
    with torch.no_grad():
        vertices = body(BodyParams(shape, pose, place + root, expression)).vertices @ _to_y_up().T.to(body.dtype)
    grey, corner = torch.full((1, 1, 3), 0.6), torch.zeros(1, 2)
    return tuple(
        PersonMesh(f"person_{k}", v.float(), body.faces, corner, torch.zeros_like(body.faces), grey, torch.ones(len(v)))
        for k, v in enumerate(vertices)
    )


def _loader(name: str, subject: Path, action: str, camera_name: str, frame: int):
    def load() -> EvaluationSample:
        image = _frame(subject / "videos" / camera_name / f"{action}.mp4", frame)
        camera = _camera(subject / "camera_parameters" / camera_name / f"{action}.json", image.shape[1], image.shape[0])
        digest = hashlib.sha256((image * 255).to(torch.uint8).numpy().tobytes()).hexdigest()
        photo = Photo(image, name, digest, float(camera.K[1, 1]), "user")
        meshes = _meshes(subject / "smplx" / f"{action}.json", frame)
        notes = ("the truth has no colours; the lens distortion is not undone",)
        notes += () if meshes else ("no meshes: the data set's SMPL-X fits need your own SMPL-X file",)
        vertices = torch.stack([m.vertices for m in meshes]) if meshes else None
        sample = EvaluationSample(name, action.rstrip("0123456789 "), photo, meshes, camera, textured=False, body_vertices=vertices, notes=notes)
        return replace(sample, joints=_joints(subject / "joints3d_25" / f"{action}.json", frame))

    return load
