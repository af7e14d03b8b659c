"""A little articulated body of boxes with the interface of a body model: fast, and its truth is known by construction."""

from dataclasses import dataclass, field

import torch

from huddle3d.geometry import so3_exp
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX, NUM_LANDMARKS

# name, parent, rest position [m] (y up, facing +z, subject's left = +x), limit per axis [deg] as (lo, hi) x 3
_J = [
    ("root", -1, (0, 0, 0), None),
    ("spine", 0, (0, 0.12, 0), ((-20, 40), (-30, 30), (-20, 20))),
    ("neck", 1, (0, 0.45, 0), ((-30, 40), (-50, 50), (-25, 25))),
]
for _s, _x in (("left", 1), ("right", -1)):
    _i = len(_J)
    arm_z = (-100, 100)
    _J += [
        (f"{_s}_arm", 1, (0.18 * _x, 0.42, 0), ((-170, 60), (-90, 90), arm_z)),
        (f"{_s}_forearm", _i, (0.38 * _x, 0.22, 0), ((-150, 5), (-100, 100), (-60, 60))),
        (f"{_s}_hand", _i + 1, (0.56 * _x, 0.06, 0.02), ((-40, 40), (-30, 30), (-40, 40))),
        (f"{_s}_thigh", 0, (0.10 * _x, -0.05, 0), ((-130, 30), (-40, 40), (-40, 40))),
        (f"{_s}_shin", _i + 3, (0.11 * _x, -0.47, 0.01), ((-2, 150), (-5, 5), (-5, 5))),
        (f"{_s}_foot", _i + 4, (0.11 * _x, -0.88, -0.02), ((-40, 40), (-20, 20), (-20, 20))),
    ]
_NAMES = [j[0] for j in _J]
_POINTS = {"nose": ("neck", (0, 0.15, 0.11)), "left_eye": ("neck", (0.03, 0.19, 0.09)), "right_eye": ("neck", (-0.03, 0.19, 0.09)),
           "left_ear": ("neck", (0.08, 0.17, 0.0)), "right_ear": ("neck", (-0.08, 0.17, 0.0))}  # fmt: skip
for _s, _x in (("left", 1), ("right", -1)):
    for lm, j in (("shoulder", "arm"), ("elbow", "forearm"), ("wrist", "hand"), ("hip", "thigh"), ("knee", "shin"), ("ankle", "foot")):
        _POINTS[f"{_s}_{lm}"] = (f"{_s}_{j}", (0, 0, 0))
    for lm, o in (("big_toe", (0.0, -0.06, 0.18)), ("small_toe", (0.05 * _x, -0.06, 0.15)), ("heel", (0, -0.06, -0.05))):
        _POINTS[f"{_s}_{lm}"] = (f"{_s}_foot", o)
    for lm, o in (("index1", (0.06 * _x, -0.06, 0.03)), ("pinky1", (0.06 * _x, -0.06, -0.03))):
        _POINTS[f"{_s}_{lm}"] = (f"{_s}_hand", o)
_BOX_HALF = {"root": (0.15, 0.1, 0.09), "spine": (0.17, 0.22, 0.1), "neck": (0.08, 0.12, 0.1), "arm": (0.045,) * 3, "forearm": (0.04,) * 3,
             "hand": (0.035,) * 3, "thigh": (0.075,) * 3, "shin": (0.055,) * 3, "foot": (0.05, 0.05, 0.12)}  # fmt: skip
_CUBE = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
_CUBE_FACES = torch.tensor(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)


@dataclass(frozen=True)
class TinyOutput:
    vertices: torch.Tensor
    landmarks: torch.Tensor


def _boxes():
    """One box per joint, spanning from the joint half way to where its limb goes."""
    ends = {"spine": (0, 0.3, 0), "neck": (0, 0.15, 0.02), "root": (0, 0, 0)}
    verts, owner, faces = [], [], []
    for j, name in enumerate(_NAMES):
        kind = name.split("_")[-1]
        child = [c for c in range(len(_J)) if _J[c][1] == j]
        start = torch.tensor(_J[j][2], dtype=torch.float32)
        half = torch.tensor(_BOX_HALF[kind])
        if name in ends:
            centre, box = start + torch.tensor(ends[name]) * 0.6, half
        elif child:
            end = torch.tensor(_J[child[0]][2], dtype=torch.float32)
            centre, box = (start + end) / 2, torch.maximum((end - start).abs() / 2, half)
        else:
            centre, box = start + torch.tensor([0, -0.03, 0.05 if kind == "foot" else 0.0]), half
        faces.append(_CUBE_FACES + 8 * j)
        verts.append(centre + _CUBE * box - start)
        owner += [j] * 8
    return torch.cat(verts), torch.tensor(owner), torch.cat(faces)


@dataclass(frozen=True)
class TinyBody:
    """Joint 0 = root; shape = (height, weight) phenotypes around 0.5."""

    name: str = "tiny"
    joint_names: tuple = tuple(_NAMES)
    joint_parents: tuple = tuple(j[1] for j in _J)
    shape_names: tuple = ("height", "weight")
    num_shape: int = 2
    num_expression: int = 0
    neutral_shape: torch.Tensor = field(default_factory=lambda: torch.full((2,), 0.5))
    shape_limits: torch.Tensor = field(default_factory=lambda: torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    fit_joints: torch.Tensor = field(default_factory=lambda: torch.arange(len(_J)))
    joint_limits: torch.Tensor = field(
        default_factory=lambda: torch.deg2rad(
            torch.tensor([[(-180.0, 180.0)] * 3 if j[3] is None else [tuple(map(float, a)) for a in j[3]] for j in _J])
        )
    )
    landmark_valid: torch.Tensor = field(
        default_factory=lambda: torch.tensor([i in {LANDMARK_INDEX[n] for n in _POINTS} for i in range(NUM_LANDMARKS)])
    )
    faces: torch.Tensor = field(default_factory=lambda: _boxes()[2])

    def neutral(self, count):
        return BodyParams(torch.full((count, 2), 0.5), torch.zeros(count, len(_J), 3), torch.zeros(count, 3), torch.zeros(count, 0))

    def _joints(self, params):
        rest = torch.tensor([j[2] for j in _J], dtype=params.pose.dtype)
        scale = 1 + 0.3 * (params.shape[:, :1] - 0.5)
        R = so3_exp(params.pose)
        G, t = [R[:, 0]], [params.translation]
        for j in range(1, len(_J)):
            p = _J[j][1]
            G.append(G[p] @ R[:, j])
            t.append(t[p] + (G[p] @ (rest[j] - rest[p])[:, None])[..., 0] * scale)
        return torch.stack(G, 1), torch.stack(t, 1), scale

    def landmarks(self, params):
        G, t, scale = self._joints(params)
        out = [t[:, 0]] * NUM_LANDMARKS
        for name, (joint, offset) in _POINTS.items():
            j = _NAMES.index(joint)
            out[LANDMARK_INDEX[name]] = t[:, j] + scale * (G[:, j] @ torch.tensor(offset, dtype=t.dtype))
        return torch.stack(out, 1)

    def __call__(self, params):
        G, t, scale = self._joints(params)
        local, owner, _ = _boxes()
        fat = 1 + 0.6 * (params.shape[:, 1:] - 0.5)
        v = (G[:, owner] @ (local * torch.ones(1))[..., None])[..., 0] * (scale * fat)[..., None] + t[:, owner]
        return TinyOutput(v, self.landmarks(params))

    @property
    def proxy_faces(self):
        return self.faces

    @property
    def region_names(self):
        return self.joint_names

    @property
    def proxy_regions(self):
        return _boxes()[1]

    def proxy_vertices(self, vertices):
        return vertices

    def proxy_skinned(self, params):
        return self(params).vertices
