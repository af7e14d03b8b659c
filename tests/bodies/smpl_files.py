"""Small random files in the layout of the SMPL family, and an independent numpy implementation of the published model."""

from pathlib import Path

import numpy as np

PARENTS = {
    "smpl": [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21],
    "mano_right": [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14],
}
PARENTS["smplx"] = [*PARENTS["smpl"][:22], 15, 15, 15] + [
    p for wrist, first in ((20, 25), (21, 40)) for f in range(5) for p in (wrist, first + 3 * f, first + 3 * f + 1)
]


def random_arrays(kind: str, *, seed: int = 0, vertices: int = 60, shapes: int = 10) -> dict[str, np.ndarray]:
    g = np.random.default_rng(seed)
    J = len(PARENTS[kind])
    weights = g.random((vertices, J)) ** 8
    regressor = g.random((J, vertices)) ** 4
    return {
        "v_template": g.normal(size=(vertices, 3)),
        "f": g.integers(0, vertices, (40, 3)).astype(np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.array([[4294967295, *PARENTS[kind][1:]], np.arange(J)]),
        "shapedirs": 0.1 * g.normal(size=(vertices, 3, shapes)),
        "posedirs": 0.1 * g.normal(size=(vertices, 3, 9 * (J - 1))),
    }


def write_npz(folder: Path, kind: str, **options: int) -> tuple[Path, dict[str, np.ndarray]]:
    arrays = random_arrays(kind, **options)
    path = folder / f"{kind}.npz"
    np.savez(path, **arrays)
    return path, arrays


def rodrigues(r: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(r)
    if angle == 0:
        return np.eye(3)
    x, y, z = r / angle
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


def reference(arrays: dict[str, np.ndarray], coefficients: np.ndarray, directions: np.ndarray, pose: np.ndarray, root: np.ndarray):
    """Vertices and joints of one body, one loop per equation (SMPL 2015, eqs. 2-10), root joint at ``root``."""
    parents = [-1, *arrays["kintree_table"][0, 1:].astype(int)]
    v = arrays["v_template"] + directions @ coefficients
    joints = arrays["J_regressor"] @ v
    R = np.stack([rodrigues(r) for r in pose])
    v = v + arrays["posedirs"] @ (R[1:] - np.eye(3)).reshape(-1)
    G = np.zeros((len(parents), 4, 4))
    for j, p in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = R[j]
        local[:3, 3] = joints[j] - (joints[p] if p >= 0 else 0)
        G[j] = local if p < 0 else G[p] @ local
    G[:, :3, 3] += root - joints[0]
    out = np.zeros_like(v)
    for i, point in enumerate(v):
        for j in range(len(parents)):
            out[i] += arrays["weights"][i, j] * (G[j, :3, :3] @ (point - joints[j]) + G[j, :3, 3])
    return out, G[:, :3, 3]
