"""Joint names, landmark vertices and regions of the SMPL family. Numbers are positions in the published templates."""

from __future__ import annotations

from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["JOINTS", "TEMPLATE_VERTICES", "landmark_joints", "landmark_vertices", "region_of_joint"]

_BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3", "left_foot",
    "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist",
)  # fmt: skip
_FINGERS = tuple(f"{finger}{k}" for finger in ("index", "middle", "pinky", "ring", "thumb") for k in (1, 2, 3))
JOINTS: dict[str, tuple[str, ...]] = {
    "smpl": (*_BODY, "left_hand", "right_hand"),
    "smplx": (*_BODY, "jaw", "left_eye_centre", "right_eye_centre", *(f"left_{f}" for f in _FINGERS), *(f"right_{f}" for f in _FINGERS)),
    "mano_left": ("left_wrist", *(f"left_{f}" for f in _FINGERS)),
    "mano_right": ("right_wrist", *(f"right_{f}" for f in _FINGERS)),
}
"""Names in file order; the number of joints in a file must match."""
TEMPLATE_VERTICES = {"smpl": 6890, "smplx": 10475, "mano_left": 778, "mano_right": 778}
"""Vertex landmarks are known for these templates only."""

_TIPS = ("thumb4", "index4", "middle4", "ring4", "pinky4")
_FEET = ("big_toe", "small_toe", "heel")


def _sided(side: str, names: tuple[str, ...], vertices: tuple[int, ...]) -> dict[str, int]:
    return {f"{side}_{name}": v for name, v in zip(names, vertices, strict=True)}


_VERTICES: dict[str, dict[str, int]] = {
    "smpl": {
        "nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071,
        **_sided("left", _TIPS, (2746, 2319, 2445, 2556, 2673)), **_sided("right", _TIPS, (6191, 5782, 5905, 6016, 6133)),
        **_sided("left", _FEET, (3216, 3226, 3387)), **_sided("right", _FEET, (6617, 6624, 6787)),
    },
    "smplx": {
        "nose": 9120, "left_eye": 9448, "right_eye": 9929, "left_ear": 6, "right_ear": 616,
        **_sided("left", _TIPS, (5361, 4933, 5058, 5169, 5286)), **_sided("right", _TIPS, (8079, 7669, 7794, 7905, 8022)),
        **_sided("left", _FEET, (5770, 5780, 8846)), **_sided("right", _FEET, (8463, 8474, 8635)),
    },
    "mano_left": _sided("left", _TIPS, (744, 320, 443, 554, 671)),
    "mano_right": _sided("right", _TIPS, (744, 320, 443, 554, 671)),
}  # fmt: skip


def landmark_joints(kind: str) -> dict[int, int]:
    """Landmark row to joint: COCO's shoulders to ankles, the hand roots, and three points of each finger where the model has fingers."""
    names = JOINTS[kind]
    place = {name: j for j, name in enumerate(names)}
    out = {LANDMARK_INDEX[name]: j for name, j in place.items() if name in LANDMARK_INDEX}
    out |= {LANDMARK_INDEX[f"{side}_hand_root"]: place[f"{side}_wrist"] for side in ("left", "right") if f"{side}_wrist" in place}
    return out


def landmark_vertices(kind: str, count: int) -> dict[int, dict[int, float]]:
    """Landmark row to {vertex: 1}; empty for a template of another size."""
    return {LANDMARK_INDEX[name]: {v: 1.0} for name, v in _VERTICES[kind].items()} if count == TEMPLATE_VERTICES[kind] else {}


_REGION = {
    "pelvis": ("pelvis", "pelvis"), "spine1": ("belly", "lower_back"), "spine2": ("belly", "lower_back"), "spine3": ("chest", "upper_back"),
    "collar": ("chest", "upper_back"), "neck": ("neck", "neck"), "head": ("face", "head"), "jaw": ("face", "face"), "eye_centre": ("face", "face"),
    "shoulder": ("upper_arm", "upper_arm"), "elbow": ("forearm", "forearm"), "wrist": ("hand", "hand"), "hand": ("hand", "hand"),
    "hip": ("thigh", "thigh"), "knee": ("shin", "shin"), "ankle": ("foot", "foot"), "foot": ("foot", "foot"),
}  # fmt: skip
_SIDED = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot")


def region_of_joint(name: str) -> tuple[str, str]:
    """Names of the regions in front of and behind the joint that dominates a vertex."""
    side, _, stem = name.partition("_")
    if side not in ("left", "right"):
        return _REGION[name]
    front, back = _REGION.get(stem, ("hand", "hand"))
    if stem in _SIDED or stem in _FINGERS:
        return f"{side}_{front}", f"{side}_{back}"
    return front, back
