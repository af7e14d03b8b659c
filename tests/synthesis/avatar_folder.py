"""A rigged person made from the body model itself, in the layout of VALID: same surface, coarser skeleton, a pair of teeth to be dropped."""

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from huddle3d.bodies import BodyModel
from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.posing import PoseAuthor

SPINE = (("Hips", None, "root"), ("Spine", "Hips", "spine05"), ("Spine1", "Spine", "spine03"), ("Spine2", "Spine1", "spine01"),
         ("Neck", "Spine2", "neck02"), ("Head", "Neck", "head"))  # fmt: skip
LIMB = (("Shoulder", "Spine2", "shoulder01"), ("Arm", "Shoulder", "upperarm01"), ("ForeArm", "Arm", "lowerarm01"), ("Hand", "ForeArm", "wrist"),
        ("UpLeg", "Hips", "upperleg01"), ("Leg", "UpLeg", "lowerleg01"), ("Foot", "Leg", "foot"))  # fmt: skip


def spread(body: BodyModel) -> BodyParams:
    """The body with its arms out, standing at 0."""
    author = PoseAuthor.start(body, body.neutral_shape)
    author.arm("left", (1, 0, 0), (1, 0, 0.05))
    author.arm("right", (-1, 0, 0), (-1, 0, 0.05))
    params = replace(body.neutral(1), pose=author.pose[None])
    low = body(params).vertices[0, :, 1].amin()
    return replace(params, translation=params.translation - torch.tensor([[0.0, 1.0, 0.0]]) * low)


def arrays(body: BodyModel) -> dict[str, np.ndarray]:
    """The file's arrays."""
    out = body(spread(body))
    joints = [(n, p, a) for n, p, a in SPINE]
    for side, end in (("Left", "L"), ("Right", "R")):
        joints += [(side + n, p if p in ("Spine2", "Hips") else side + p, f"{a}.{end}") for n, p, a in LIMB]
    names, row = [n for n, _, _ in joints], {n: j for j, n in enumerate(body.joint_names)}
    own = {row[a]: names.index(n) for n, _, a in joints}
    follows = []
    for j in range(body.num_joints):
        k = j
        while k not in own:
            k = body.joint_parents[k]
        follows.append(own[k])
    weights = torch.zeros(body.num_vertices, len(names)).index_add_(1, torch.tensor(follows), body.surface.weights)
    top = weights.topk(4, dim=1)
    rest = np.tile(np.eye(4, dtype=np.float32), (len(names), 1, 1))
    rest[:, :3, 3] = out.joints[0, [row[a] for _, _, a in joints]].numpy()
    faces = body.faces.numpy()
    teeth = np.array([[0.0, 1.5, 0.0], [0.1, 1.5, 0.0], [0.0, 1.6, 0.0]], np.float32)
    n = body.num_vertices
    return {
        "v": np.concatenate([out.vertices[0].numpy(), teeth]),
        "f": np.concatenate([faces, [[n, n + 1, n + 2]]]).astype(np.int32),
        "uv": np.full((n + 3, 2), 0.5, np.float32),
        "joints": np.concatenate([top.indices.numpy(), np.zeros((3, 4), np.int64)]).astype(np.int16),
        "weights": np.concatenate([(top.values / top.values.sum(1, keepdim=True)).numpy(), np.tile(np.float32([1, 0, 0, 0]), (3, 1))]).astype(
            np.float32
        ),
        "joint_names": np.array(names),
        "joint_parents": np.array([-1 if p is None else names.index(p) for _, p, _ in joints], np.int16),
        "joint_rest": rest,
        "part": np.array([0] * n + [1] * 3, np.uint8),
        "part_names": np.array(["H_body", "h_TeethUp"]),
    }


def make(folder, body, names=("Any_F_1_Casual",), **changes) -> None:
    """Write ``avatars`` below the folder; ``changes`` replace arrays."""
    (folder / "avatars").mkdir(parents=True, exist_ok=True)
    for name in names:
        np.savez(folder / "avatars" / f"{name}.npz", **(arrays(body) | changes))
        Image.fromarray(np.full((16, 16, 3), (200, 120, 80), np.uint8)).save(folder / "avatars" / f"{name}.jpg")
