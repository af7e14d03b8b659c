"""What the fit sees of each person: keypoints with weights, bone directions, masks, scales."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.geometry import rotation_between
from huddle3d.scene import People2D, Photo
from huddle3d.scene.landmarks import BODY, COCO_SIGMAS, FACE, FEET, LANDMARK_INDEX, LEFT_HAND, NUM_LANDMARKS, RIGHT_HAND

__all__ = ["BONES", "Observations", "bone_matrix", "bone_noise", "observe", "occluded_joints"]

_SIDES = ("left", "right")
BONES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("left_shoulder",), ("right_shoulder",)),
    (("left_hip",), ("right_hip",)),
    (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")),
    (("left_ear", "right_ear"), ("nose",)),
    (("left_ear",), ("right_ear",)),
    *(((f"{s}_{a}",), (f"{s}_{b}",)) for s in _SIDES for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))),
    *(((f"{s}_heel",), (f"{s}_big_toe",)) for s in _SIDES),
    *(((f"{s}_wrist",), (f"{s}_{f}1",)) for s in _SIDES for f in ("index", "pinky")),
)
"""Bones whose directions the 3D landmarks give: from the mean of some landmarks to the mean of others."""


_NOISE = {
    "shoulder": 0.6,
    "hip": 0.7,
    "nose": 0.7,
    "ear": 0.7,
    "elbow": 0.9,
    "wrist": 1.6,
    "knee": 0.6,
    "ankle": 0.6,
    "toe": 1.5,
    "index1": 1.5,
    "pinky1": 1.7,
}
"""Noise of the directions of 3D landmarks by the bone's far end, relative to ``direction_sigma_deg``: torso and legs are told to 6-12 degrees, a
forearm to 20 and hardly at all along the line of sight (measured on rendered pictures with known bodies)."""


def bone_noise() -> Float[Tensor, "bones"]:
    """Relative noise of each of :data:`BONES`."""
    return torch.tensor([_NOISE[end[0].rpartition("_")[2]] for _, end in BONES])


def bone_matrix(dtype: torch.dtype = torch.float32) -> Float[Tensor, "bones L"]:
    """``bone_matrix() @ landmarks`` are the bone vectors of :data:`BONES`."""
    out = torch.zeros(len(BONES), NUM_LANDMARKS, dtype=dtype)
    for row, (start, end) in enumerate(BONES):
        for name in start:
            out[row, LANDMARK_INDEX[name]] -= 1 / len(start)
        for name in end:
            out[row, LANDMARK_INDEX[name]] += 1 / len(end)
    return out


@dataclass(frozen=True)
class Observations:
    """Observations of B bodies (people, or people times hypotheses)."""

    uv: Float[Tensor, "B L 2"]
    """Keypoints [px]."""
    weight: Float[Tensor, "B L"]
    """Weight of each keypoint in L_kp: confidence, kind of landmark and visibility."""
    sigma: Float[Tensor, "L"]
    """Noise of each keypoint [m]."""
    confidence: Float[Tensor, "B L"]
    """Confidence in [0, 1] as given."""
    bones: Float[Tensor, "B bones 3"]
    """Unit bone directions in view axes (x right, y up, z towards the camera); zero where unknown."""
    bone_weight: Float[Tensor, "B bones"]
    """Squared confidence of each bone direction over its relative noise."""
    points3d: Float[Tensor, "B L 3"]
    """Hip-centred 3D landmarks in view axes [m]."""
    points3d_weight: Float[Tensor, "B L"]
    """Their confidences."""
    box_height: Float[Tensor, "B"]
    """Height of the box [px]."""
    trust: Float[Tensor, "B"]
    """How much a person may say about what all share (floor, gravity): squared detection score, and less for those much smaller than the
    largest, whose scale and stance are measured on few pixels and among whom false detections are common."""
    rest: Float[Tensor, "B F 3"] | float = 0.0
    """Where the pose prior rests: rotation vectors [rad] of the fitted joints; 0 = the rest pose."""
    held: Float[Tensor, "B F"] | None = None
    """How surely joints of legs that the picture cuts off are held by told directions, in [0, 1]: those need not rest."""

    def repeated(self, times: int) -> Observations:
        """Each observation ``times`` times in a row (hypotheses of one person lie side by side)."""
        return Observations(**{k: v if k == "sigma" or not isinstance(v, Tensor) else v.repeat_interleave(times, 0) for k, v in vars(self).items()})

    def take(self, rows: Int[Tensor, "n"]) -> Observations:
        """Observations of some of the bodies, in any order and as often as wanted."""
        return Observations(**{k: v if k == "sigma" or not isinstance(v, Tensor) else v[rows] for k, v in vars(self).items()})


def _window_any(mask: Bool[Tensor, "H W"], uv: Float[Tensor, "n 2"], radius: float) -> Bool[Tensor, "n"]:
    """Whether the mask holds a pixel within a square of half side ``radius`` around each point; by an integral image."""
    h, w = mask.shape
    total = torch.nn.functional.pad(mask.to(torch.int64).cumsum(0).cumsum(1), (1, 0, 1, 0))
    x0, x1 = ((uv[:, 0] - radius).floor().clamp(0, w).long(), (uv[:, 0] + radius).ceil().clamp(0, w).long())
    y0, y1 = ((uv[:, 1] - radius).floor().clamp(0, h).long(), (uv[:, 1] + radius).ceil().clamp(0, h).long())
    return total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0] > 0


def occluded_joints(people: People2D, margin: float) -> Bool[Tensor, "K L"]:
    """Joints that lie outside their own mask or inside another person's (the reading of "occluded" in HUG3D A.1).

    A person without a mask has no occluded joints. ``margin`` [longer box side] forgives joints on the contour.
    """
    out = torch.zeros(people.keypoints.shape[:2], dtype=torch.bool)
    masks = people.masks.cpu()
    for k in range(len(people.names)):
        if not masks[k].any():
            continue
        box, uv = people.boxes[k].cpu(), people.keypoints[k, :, :2].cpu().float()
        radius = margin * float((box[2:] - box[:2]).max())
        others = masks[[j for j in range(len(masks)) if j != k]].any(0) if len(masks) > 1 else torch.zeros_like(masks[k])
        outside = ~_window_any(masks[k], uv, radius)
        in_other = _window_any(others, uv, 0.5) & ~_window_any(masks[k], uv, radius / 2)
        out[k] = outside | in_other
    return out


def _kind_weights(config: FitConfig) -> Float[Tensor, "L"]:
    w = torch.ones(NUM_LANDMARKS)
    w[FEET], w[FACE], w[LEFT_HAND], w[RIGHT_HAND] = config.weight_feet, config.weight_face, config.weight_hands, config.weight_hands
    for name in ("left_eye", "right_eye"):
        w[LANDMARK_INDEX[name]] = 0.3  # five head points would outvote the limbs; nose and ears carry the head's orientation
    return w


def _sigmas(config: FitConfig) -> Float[Tensor, "L"]:
    spread = torch.full((NUM_LANDMARKS,), 0.03)
    spread[BODY] = torch.tensor(COCO_SIGMAS)
    spread[FEET] = 0.07
    return config.keypoint_sigma + config.keypoint_spread * spread


def observe(photo: Photo, people: People2D, focal_px: float, config: FitConfig, valid: Bool[Tensor, "L"]) -> Observations:
    """Observations of all people of one photo; landmarks that the body model does not define (``valid`` false) are dropped.

    The 3D landmarks come from a crop, whose virtual camera looks along the ray through the person; they are rotated to the axes of the
    photo's camera here (25° at the border of a wide picture).
    """
    keypoints = people.keypoints.float().cpu()
    confidence = keypoints[..., 2].nan_to_num(0.0).clamp(0, 1) * valid
    uv = keypoints[..., :2].nan_to_num(0.0)
    seen = torch.where(occluded_joints(people, config.mask_margin), config.occluded_weight, 1.0)
    share = config.standard_share
    weight = confidence.square() * (share + (1 - share) * seen) * _kind_weights(config)

    points = people.landmarks3d.float().cpu()
    conf3d = points[..., 3].nan_to_num(0.0).clamp(0, 1) * valid
    boxes = people.boxes.float().cpu()
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    ray = torch.cat([(centre - torch.tensor([photo.width / 2, photo.height / 2])) / focal_px, torch.ones(len(boxes), 1)], -1)
    R_cam_crop = rotation_between(torch.tensor([0.0, 0, 1]).expand_as(ray), ray)
    points3d = (points[..., :3].nan_to_num(0.0) @ R_cam_crop.transpose(-1, -2)) * torch.tensor([1.0, -1, -1])
    box_height = (boxes[:, 3] - boxes[:, 1]).clamp_min(1.0)
    relative = (box_height / (0.5 * box_height.max())).clamp_max(1)
    trust = (people.scores.float().cpu().nan_to_num(0.0).clamp(0.05, 1) * relative).square()
    D = bone_matrix()
    involved = (D != 0).float()
    bones = torch.nn.functional.normalize(D @ points3d, dim=-1)
    bone_weight = (torch.where(involved[None] > 0, conf3d[:, None, :], 1.0).amin(-1) / bone_noise()).square()
    return Observations(
        uv,
        weight,
        _sigmas(config),
        confidence,
        bones,
        bone_weight,
        points3d,
        conf3d,
        box_height,
        trust,
    )
