"""A body in the file layout of SMPL-X, made from the free body: another surface (its coarse proxy), another skeleton, other shape directions."""

from pathlib import Path

import numpy as np
import torch

from huddle3d.bodies import BodyModel
from huddle3d.geometry import so3_log
from huddle3d.scene import BodyParams

PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15]
PARENTS += [p for wrist, first in ((20, 25), (21, 40)) for f in range(5) for p in (wrist, first + 3 * f, first + 3 * f + 1)]
_SIDED = {
    "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "foot": "toe2-1", "collar": "clavicle", "shoulder": "upperarm01",
    "elbow": "lowerarm01", "wrist": "wrist",
}  # fmt: skip
_MIDDLE = {"pelvis": "root", "spine1": "spine04", "spine2": "spine03", "spine3": "spine02", "neck": "neck01", "head": "head"}
_FINGERS = (("index", 2), ("middle", 3), ("pinky", 5), ("ring", 4), ("thumb", 1))


def _names() -> list[str]:
    body = [
        "pelvis", "hip.L", "hip.R", "spine1", "knee.L", "knee.R", "spine2", "ankle.L", "ankle.R", "spine3", "foot.L", "foot.R", "neck", "collar.L",
        "collar.R", "head", "shoulder.L", "shoulder.R", "elbow.L", "elbow.R", "wrist.L", "wrist.R",
    ]  # fmt: skip
    out = [_MIDDLE.get(n) or f"{_SIDED[n[:-2]]}{n[-2:]}" for n in body]
    out += ["head", "eye.L", "eye.R"]
    return out + [f"finger{k}-{i}.{side}" for side in "LR" for _, k in _FINGERS for i in (1, 2, 3)]


def t_pose(body: BodyModel) -> BodyParams:
    """Arms and forearms level, straight."""
    params = body.neutral()
    for side, sign in (("L", 1.0), ("R", -1.0)):
        level = torch.tensor([sign, 0.0, 0.0])
        R_parent = torch.eye(3)
        for start, end in (("upperarm01", "lowerarm01"), ("lowerarm01", "wrist")):
            j, k = (body.joint_names.index(f"{n}.{side}") for n in (start, end))
            rest = body.joints(body.neutral())[0]
            bone = torch.nn.functional.normalize(rest[k] - rest[j], dim=0)
            v, c = torch.linalg.cross(bone, level), float(bone @ level)
            K = torch.tensor([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
            R = torch.eye(3) + K + K @ K / (1 + c)
            params.pose[0, j] = so3_log(R_parent.T @ R)
            R_parent = R
    return params


def write_smplx_like(path: Path, body: BodyModel) -> Path:
    """The file; its template is the free body in a T-pose, its betas are differences of the free body's phenotypes."""
    with torch.no_grad():
        params = t_pose(body)
        out = body(params)
        rows, bary = body.proxy.rows, body.proxy.weights

        def proxy(vertices):
            return (vertices[rows] * bary[..., None]).sum(1).double().numpy()

        template = proxy(out.vertices[0])
        shapes = []
        for k in range(10):
            axis, step = k % body.num_shape, 0.15 if k < body.num_shape else -0.15
            other = params.shape.clone()
            other[0, axis] = (other[0, axis] + step).clamp(*body.shape_limits[axis].tolist())
            moved = body(BodyParams(other, params.pose, params.translation, params.expression))
            shapes.append(proxy(moved.vertices[0]) - template)
        joints = out.joints[0].double().numpy()
    names = _names()
    place = [body.joint_names.index(n) for n in names]
    nearest = [_ancestor(body, j, place) for j in range(body.num_joints)]
    fine = (body.surface.weights[rows] * bary[..., None]).sum(1).double().numpy()
    weights = np.zeros((len(template), 55))
    for j, owner in enumerate(nearest):
        weights[:, owner] += fine[:, j]
    regressor = np.zeros((55, len(template)))
    for j, k in enumerate(place):
        # Least squares weights of the nearest vertices that give the joint exactly: any such row is a valid regressor.
        near = np.argsort(np.linalg.norm(template - joints[k], axis=1))[:24]
        A = np.vstack([template[near].T, np.ones(24)])
        regressor[j, near] = np.linalg.lstsq(A, np.append(joints[k], 1.0), rcond=None)[0]
    np.savez(
        path,
        v_template=template,
        f=body.proxy.faces.numpy().astype(np.uint32),
        weights=weights / weights.sum(1, keepdims=True),
        J_regressor=regressor,
        kintree_table=np.array([[4294967295, *PARENTS[1:]], np.arange(55)]),
        shapedirs=np.stack([*shapes, *([np.zeros_like(template)] * 10)], -1),
        posedirs=np.zeros((len(template), 3, 9 * 54)),
    )
    return path


def _ancestor(body: BodyModel, joint: int, place: list[int]) -> int:
    """Index of the nearest ancestor that the other skeleton has."""
    while joint not in place:
        joint = body.joint_parents[joint]
    return place.index(joint)
