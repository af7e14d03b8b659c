"""What the baked Anny file says about its surface: parts, regions, mirror twins, landmarks and the contact proxy.

Everything is decided on the average adult at rest (y up, facing +z, the subject's left at +x) and on the left half, and carried to the right
half by the mirror map, so that both halves agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np
import torch
import trimesh
from anny import KeypointsRegressor
from anny.face_segmentation import get_face_segmentation_mask
from scipy.spatial import cKDTree

from huddle3d.scene.landmarks import LANDMARK_INDEX

PROXY_VERTICES = 1200
CAVITIES = ("left_eye_cavity", "right_eye_cavity", "mouth_cavity")
INSIDE = (*CAVITIES, "left_eye_front", "left_eye_back", "right_eye_front", "right_eye_back", "tongue")
PARTS = {
    "body": "body", "head": "head", "left_hand": "hand.L", "right_hand": "hand.R", "left_foot": "foot.L", "right_foot": "foot.R",
    "left_eye_front": "eye_front.L", "right_eye_front": "eye_front.R", "left_eye_back": "eye_back.L", "right_eye_back": "eye_back.R",
    "left_eye_cavity": "eye_cavity.L", "right_eye_cavity": "eye_cavity.R", "mouth_cavity": "mouth_cavity", "tongue": "tongue",
}  # fmt: skip
CENTRAL = ("head", "face", "neck", "chest", "upper_back", "belly", "lower_back", "pelvis")
PAIRED = ("shoulder", "upper_arm", "forearm", "hand", "buttock", "thigh", "shin", "foot")
REGIONS = (*CENTRAL, *(f"{side}_{name}" for name in PAIRED for side in ("left", "right")))
LIMB_OF_BONE = {
    "head": "head", "eye": "head", "neck": "neck", "shoulder01": "shoulder", "upperarm": "upper_arm", "lowerarm": "forearm", "wrist": "hand",
    "finger": "hand", "metacarpal": "hand", "upperleg": "thigh", "lowerleg": "shin", "foot": "foot", "toe": "foot",
    "root": "torso", "spine": "torso", "clavicle": "torso", "pelvis": "torso",
}  # fmt: skip
JOINT_LANDMARKS = {
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot",
    "hand_root": "wrist", **{f"{finger}{k}": f"finger{i}-{k}" for i, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), 1) for k in (1, 2, 3)},
}  # fmt: skip


@dataclass
class Adult:
    """The average adult at rest."""

    v: np.ndarray
    heads: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    names: list[str]

    def joint(self, name: str) -> np.ndarray:
        """Position of a joint."""
        return self.heads[self.names.index(name)]


def average_adult(arrays: dict, meta: dict) -> Adult:
    """Neutral shape (all phenotypes at 0.5, age 2/3)."""
    grid = arrays["grid"].reshape(*(len(a) for a in meta["anchors"]), -1)
    coefficients = grid[:, 3, 1, 1].mean((0, 1, 2))
    step = arrays["basis_step"][:, None, None]
    fine = len(arrays["basis_fine"])
    basis = np.concatenate([arrays["basis_fine"] * step[:fine], arrays["basis_coarse"] * step[fine:]])
    v = arrays["template"] + np.einsum("k,kvd->vd", coefficients, basis)
    heads = arrays["head_template"] + np.einsum("k,kvd->vd", coefficients, arrays["head_basis"])
    weights = np.zeros((len(v), len(heads)))
    rows = np.repeat(np.arange(len(v)), arrays["skin_count"])
    weights[rows, arrays["skin_joint"]] = arrays["skin_weight"] / 65535
    n = meta["body_vertices"]
    return Adult(v[:n].astype(np.float64), heads.astype(np.float64), arrays["faces"].astype(np.int64), weights[:n], meta["joint_names"])


def mirror_map(v: np.ndarray) -> tuple[np.ndarray, float]:
    """Nearest vertex of the x-flipped template, and the largest distance [m]."""
    distance, twin = cKDTree(v).query(v * [-1, 1, 1])
    return twin, float(distance.max())


def face_parts(model) -> np.ndarray:
    """Index into PARTS of each face, from Anny's painted part image."""
    part = np.zeros(len(model.faces), dtype=np.int64)
    for i, label in enumerate(PARTS.values()):
        part[get_face_segmentation_mask(model, [label]).numpy()] = i
    return part


def vertex_parts(faces: np.ndarray, part: np.ndarray, count: int) -> np.ndarray:
    """Most frequent part among a vertex's faces; skin wins over cavities on their rim."""
    votes = np.zeros((count, len(PARTS)))
    for k in range(3):
        np.add.at(votes, (faces[:, k], part), 1)
    inner = [i for i, name in enumerate(PARTS) if name in CAVITIES]
    votes[:, inner] *= 1e-3
    return votes.argmax(1)


def limb_of(bone: str) -> str:
    """Limb group of a bone."""
    return next(limb for prefix, limb in LIMB_OF_BONE.items() if bone.startswith(prefix))


def left_regions(body: Adult, limb: np.ndarray, part: np.ndarray) -> list[str]:
    """Region of every vertex as if it were on the left."""
    v = body.v
    torso = np.flatnonzero(limb == "torso")
    middle = {}
    for y in np.unique(np.round(v[torso, 1], 2)):
        slab = torso[np.abs(v[torso, 1] - y) < 0.03]
        middle[y] = (v[slab, 2].min() + v[slab, 2].max()) / 2
    waist, ribs = body.joint("spine04")[1] - 0.02, body.joint("spine02")[1]
    hip, ear, shoulder = body.joint("upperleg01.L"), body.joint("head"), body.joint("upperarm01.L")
    brow, throat = body.joint("eye.L")[1] + 0.045, body.joint("neck03")[1]
    out = []
    for i, (x, y, z) in enumerate(v):
        name = limb[i]
        if name == "torso":
            front = z > middle[np.round(y, 2)]
            if y < waist:
                name = "pelvis" if front or y < hip[1] - 0.12 else "left_buttock"
            elif y < ribs:
                name = "belly" if front else "lower_back"
            else:
                name = "chest" if front else "upper_back"
        elif name == "thigh" and y > hip[1] - 0.1 and z < hip[2] - 0.02 and x > 0.01:
            name = "left_buttock"
        elif name == "head" and z > ear[2] + 0.02 and throat - 0.08 < y < brow:
            name = "face"
        elif name in PAIRED:
            name = f"left_{name}"
        if name in ("chest", "upper_back", "left_upper_arm") and np.linalg.norm(v[i] - shoulder) < 0.1 and y > shoulder[1] - 0.03:
            name = "left_shoulder"
        out.append(name)
    return out


def region_map(body: Adult, part: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """Region of each vertex; the right half is the left half's mirror image."""
    groups = sorted(set(LIMB_OF_BONE.values()))
    weight = np.stack([body.weights[:, [limb_of(n) == g for n in body.names]].sum(1) for g in groups], 1)
    limb = np.array(groups)[weight.argmax(1)]
    left = left_regions(body, limb, part)
    index = {name: i for i, name in enumerate(REGIONS)}
    out = np.array([index[name] for name in left])
    for i in np.flatnonzero(body.v[:, 0] < -1e-5):
        out[i] = index[left[twin[i]].replace("left_", "right_")]
    return out


def extreme(candidates: np.ndarray, value: np.ndarray) -> int:
    """Candidate with the largest value."""
    return int(candidates[value[candidates].argmax()])


def rim(body: Adult, face_part: np.ndarray, cavity: str) -> np.ndarray:
    """Vertices shared by a cavity and the skin of the head."""
    names = list(PARTS)
    inner = np.unique(body.faces[face_part == names.index(cavity)])
    outer = np.unique(body.faces[face_part == names.index("head")])
    return np.intersect1d(inner, outer)


def face_points(body: Adult, face_part: np.ndarray) -> dict[str, int]:
    """Face landmarks of the left half and the midline."""
    v = body.v
    x, y, z = v.T
    skin = np.unique(body.faces[face_part == list(PARTS).index("head")])
    middle = skin[np.abs(x[skin]) < 2e-3]
    lids, lips = rim(body, face_part, "left_eye_cavity"), rim(body, face_part, "mouth_cavity")
    slit = y[lips].mean()
    nose = extreme(middle[z[middle] > 0], z)
    upper = middle[(y[middle] > slit) & (y[middle] < slit + 0.5 * (y[nose] - slit))]
    lower = middle[(y[middle] < slit) & (y[middle] > slit - 0.018)]
    below = middle[(y[middle] < slit - 0.02) & (z[middle] > body.joint("head")[2] + 0.03)]
    ball = np.unique(body.faces[face_part == list(PARTS).index("left_eye_front")])
    pupil = ball[np.linalg.norm(v[ball, :2] - v[lids, :2].mean(0), axis=1).argmin()]
    return {
        "nose": nose, "face_nose_tip": nose, "face_mouth_top": extreme(upper, z), "face_mouth_bottom": extreme(lower, z),
        "face_chin": extreme(below, z - y), "face_left_eye_inner": extreme(lids, -x), "face_left_eye_outer": extreme(lids, x),
        "face_mouth_left": extreme(lips, x), "left_eye": int(pupil),
    }  # fmt: skip


def finger_tips(body: Adult) -> dict[str, int]:
    """Farthest vertex of each last phalanx along the finger."""
    out = {}
    for i, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), 1):
        base, last = body.joint(f"finger{i}-2.L"), body.joint(f"finger{i}-3.L")
        owned = np.flatnonzero(body.weights[:, body.names.index(f"finger{i}-3.L")] > 0.5)
        out[f"left_{finger}4"] = extreme(owned, (body.v - last) @ (last - base))
    return out


def landmark_rows(model, body: Adult, face_part: np.ndarray, twin: np.ndarray) -> dict[int, dict[int, float]]:
    """Landmark to {vertex: weight}; ears, heels and toes are the strong entries of Anny's COCO rows."""
    single = face_points(body, face_part) | finger_tips(body)
    rows = {name: {vertex: 1.0} for name, vertex in single.items()}
    regressor = KeypointsRegressor.coco(model)
    for name in ("left_ear", "left_heel", "left_big_toe", "left_small_toe"):
        weight = regressor.regression_weights[regressor.labels.index(name)].numpy()
        strong = np.flatnonzero(weight > 0.15 * weight.max())
        rows[name] = {int(i): float(weight[i] / weight[strong].sum()) for i in strong}
    for name in list(rows):
        if "left" in name:
            rows[name.replace("left", "right")] = {int(twin[i]): w for i, w in rows[name].items()}
    return {LANDMARK_INDEX[name]: row for name, row in rows.items()}


def landmark_joints(names: list[str]) -> dict[int, int]:
    """Landmarks that are joint centres."""
    sides = (("left", "L"), ("right", "R"))
    return {LANDMARK_INDEX[f"{side}_{k}"]: names.index(f"{bone}.{s}") for k, bone in JOINT_LANDMARKS.items() for side, s in sides}


def closed_skin(body: Adult, face_part: np.ndarray) -> tuple[trimesh.Trimesh, np.ndarray]:
    """The outer skin without cavities, eyes and tongue; the openings of mouth and eyes are capped by a fan.

    Returns:
        The mesh, caps last, and the row of the full body of each vertex that is not the hub of a cap.
    """
    names = list(PARTS)
    skin = body.faces[~np.isin(face_part, [names.index(n) for n in INSIDE])]
    rows, faces = np.unique(skin, return_inverse=True)
    mesh = trimesh.Trimesh(body.v[rows], faces.reshape(-1, 3), process=False)
    edges = mesh.edges[trimesh.grouping.group_rows(mesh.edges_sorted, require_count=1)]
    follow = {int(b): int(a) for a, b in edges}
    v, closed = mesh.vertices.tolist(), mesh.faces.tolist()
    while follow:
        loop = [next(iter(follow))]
        while loop[-1] in follow:
            loop.append(follow.pop(loop[-1]))
        v.append(np.mean([v[i] for i in loop[:-1]], 0).tolist())
        closed += [[a, b, len(v) - 1] for a, b in zip(loop, loop[1:], strict=False)]
    return trimesh.Trimesh(np.array(v), np.array(closed), process=False), rows


def smoothed(mesh: trimesh.Trimesh, steps: np.ndarray) -> np.ndarray:
    """Vertices after ``steps`` rounds (per vertex) of averaging with the neighbours, alternating shrinking and growing (Taubin)."""
    pairs = np.concatenate([mesh.edges_unique, mesh.edges_unique[:, ::-1]])
    degree = np.bincount(pairs[:, 0], minlength=len(mesh.vertices))[:, None]
    v = mesh.vertices.copy()
    for k in range(int(steps.max())):
        mean = np.zeros_like(v)
        np.add.at(mean, pairs[:, 0], v[pairs[:, 1]])
        v += np.where(steps[:, None] > k, (0.5 if k % 2 == 0 else -0.52) * (mean / degree - v), 0)
    return v


def simplified(v: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    """Quadric simplification to PROXY_VERTICES; the first setting that keeps the surface closed (low aggressiveness keeps it even)."""
    for agg in (3, 4, 5, 2, 6):
        coarse = trimesh.Trimesh(*fast_simplification.simplify(v, faces, target_count=2 * PROXY_VERTICES - 4, agg=agg), process=False)
        print(f"proxy: aggressiveness {agg}, {len(coarse.vertices)} vertices, closed {coarse.is_watertight}")
        if coarse.is_watertight and coarse.is_winding_consistent and coarse.body_count == 1:
            return coarse
    raise SystemExit("simplification opened the proxy with every setting")


def proxy_tables(body: Adult, face_part: np.ndarray, regions: np.ndarray) -> dict[str, np.ndarray]:
    """A coarse closed surface whose vertices are barycentric points of the full one.

    Face, ears and feet are smoothed before the simplification, which would otherwise spend half of the vertices on them.
    """
    mesh, rows = closed_skin(body, face_part)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.body_count == 1
    calm = np.isin(regions[rows], [REGIONS.index(n) for n in ("face", "head", "left_foot", "right_foot")])
    steps = np.full(len(mesh.vertices), 40)
    steps[: len(rows)] = np.where(calm, 40, 10)
    v = smoothed(mesh, steps)
    coarse = simplified(v, mesh.faces)
    skin = mesh.faces[(mesh.faces < len(rows)).all(1)]
    triangles = v[skin]
    _, near = cKDTree(triangles.mean(1)).query(coarse.vertices, k=24)
    closest = trimesh.triangles.closest_point(triangles[near.ravel()], np.repeat(coarse.vertices, 24, 0)).reshape(*near.shape, 3)
    best = np.linalg.norm(closest - coarse.vertices[:, None], axis=-1).argmin(1)
    pick = np.arange(len(near))
    face, point = near[pick, best], closest[pick, best]
    bary = np.clip(trimesh.triangles.points_to_barycentric(triangles[face], point), 0, 1)
    bary /= bary.sum(1, keepdims=True)
    rows = rows[skin[face]]
    return {
        "proxy_rows": rows.astype(np.uint16),
        "proxy_weights": bary.astype(np.float32),
        "proxy_faces": coarse.faces.astype(np.uint16),
        "proxy_regions": regions[rows[pick, bary.argmax(1)]].astype(np.uint8),
    }


def surface_tables(model, arrays: dict, meta: dict) -> tuple[dict[str, np.ndarray], dict]:
    """All arrays and metadata of this module."""
    torch.manual_seed(0)
    body = average_adult(arrays, meta)
    twin, error = mirror_map(arrays["template"][: meta["body_vertices"]].astype(np.float64))
    print(f"mirror twins: largest distance {error * 1000:.3f} mm, bijective {len(np.unique(twin)) == len(twin)}")
    face_part = face_parts(model)
    parts = vertex_parts(body.faces, face_part, len(body.v))
    regions = region_map(body, parts, twin)
    rows = landmark_rows(model, body, face_part, twin)
    arrays_out = {
        "mirror": twin.astype(np.uint16),
        "parts": parts.astype(np.uint8),
        "regions": regions.astype(np.uint8),
        **proxy_tables(body, face_part, regions),
    }
    meta_out = {
        "part_names": list(PARTS),
        "region_names": list(REGIONS),
        "landmark_joints": landmark_joints(meta["joint_names"]),
        "landmark_rows": {k: {v: round(w, 6) for v, w in row.items()} for k, row in rows.items()},
    }
    return arrays_out, meta_out
