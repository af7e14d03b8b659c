"""Rigged people that move as our bodies do: a body is laid into each at rest, and the turns of its joints move the other skeleton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.scene import BodyParams, PersonMesh
from huddle3d.synthesis.avatars.folder import Avatar
from huddle3d.synthesis.avatars.registration import RegisterConfig, Registration, register_body
from huddle3d.synthesis.poses.posing import PoseAuthor

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Rig", "fit_rig", "settle_bodies", "tie_rig"]

_SPINE = {"Hips": "root", "Spine": "spine05", "Spine1": "spine03", "Spine2": "spine01", "Neck": "neck02", "Head": "head"}
_LIMBS = {
    "Shoulder": "shoulder01", "Arm": "upperarm01", "ForeArm": "lowerarm01", "Hand": "wrist", "FingerBase": "wrist",
    "UpLeg": "upperleg01", "Leg": "lowerleg01", "Foot": "foot", "ToeBase": "toe3-1",
    **{f"Hand{name}{k}": f"finger{i}-{k}" for i, name in enumerate(("Thumb", "Index", "Middle", "Ring", "Pinky"), 1) for k in (1, 2, 3)},
}  # fmt: skip
_LEADING = ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")
"""Joints whose places lead the registration, with all finger joints; the others mean different places in the two skeletons."""
_NEEDED = ("Hips", "Spine2", "Head", *(s + n for s in ("Left", "Right") for n in _LEADING))
_TWIST = 0.5
"""Share of a forearm's twist that the other skeleton's only forearm bone takes."""


@dataclass(frozen=True, eq=False)
class Rig:
    """An avatar and the body in it."""

    avatar: Avatar
    registration: Registration
    """The body in the avatar at rest."""
    link: Int[Tensor, "A"]
    """Joint of the body that each joint of the avatar follows."""
    twist: Int[Tensor, "A"]
    """Second joint of the body, of which forearms take a share; else the same joint."""
    rest: Float[Tensor, "A 3 3"]
    """Orientation of those joints at rest."""
    offset: Float[Tensor, "3"]
    """From the body's root to the avatar's, at rest [m]."""

    @property
    def shape(self) -> Float[Tensor, "S"]:
        """Shape of the body in it."""
        return self.registration.params.shape[0]

    def posed(self, T_world_joint: Float[Tensor, "J 4 4"]) -> Float[Tensor, "V 3"]:
        """The avatar's surface when the body's joints are there [m, world]; differentiable."""
        a = self.avatar
        D = _shared(T_world_joint[:, :3, :3], self.link, self.twist) @ self.rest.transpose(1, 2)
        places = [T_world_joint[0, :3, 3] + D[0] @ self.offset]
        for j, parent in enumerate(a.parents[1:], 1):
            places.append(places[parent] + D[parent] @ (a.heads[j] - a.heads[parent]))
        A = torch.cat([D, (torch.stack(places) - (D @ a.heads[..., None])[..., 0])[..., None]], -1)
        blend = (a.weights[..., None] * A.reshape(len(A), 12)[a.joints]).sum(1).reshape(-1, 3, 4)
        return (blend[..., :3] @ a.vertices[..., None])[..., 0] + blend[..., 3]

    def mesh(self, name: str, vertices: Float[Tensor, "V 3"]) -> PersonMesh:
        """A textured person with the given places of the avatar's vertices."""
        a = self.avatar
        return PersonMesh(name, vertices, a.faces, a.uv, a.faces, a.texture, torch.ones(len(vertices)))


def _shared(R: Float[Tensor, "J 3 3"], link: Int[Tensor, "A"], twist: Int[Tensor, "A"]) -> Float[Tensor, "A 3 3"]:
    """Orientation of the joint that each joint of the avatar follows; forearms between two of them."""
    turned, other = R[link], (twist != link).nonzero()[:, 0]
    # The mean of two near rotations, made a rotation again.
    return turned.index_copy(0, other, _orthonormal((1 - _TWIST) * turned[other] + _TWIST * R[twist[other]]))


def _orthonormal(M: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """Rotations from matrices that nearly are, by Gram and Schmidt."""
    x = torch.nn.functional.normalize(M[..., 0], dim=-1)
    y = torch.nn.functional.normalize(M[..., 1] - (x * M[..., 1]).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def _links(avatar: Avatar) -> Mapping[str, str]:
    """Joint of the body for each joint of the avatar, eyes and unknown ones with their parents."""
    missing = [n for n in _NEEDED if n not in avatar.joint_names]
    if missing:
        raise InputError(f"The avatar '{avatar.name}' has another skeleton than those of VALID.", why=f"Joints are missing: {', '.join(missing)}.")
    out: dict[str, str] = {}
    for name, parent in zip(avatar.joint_names, avatar.parents, strict=True):
        side, stem = ("L", name[4:]) if name.startswith("Left") else ("R", name[5:]) if name.startswith("Right") else ("", name)
        if name in _SPINE:
            out[name] = _SPINE[name]
        elif side and stem in _LIMBS:
            out[name] = f"{_LIMBS[stem]}.{side}"
        else:
            out[name] = out[avatar.joint_names[parent]]
    return out


def _spread(body: BodyModel, avatar: Avatar) -> BodyParams:
    """A body with its arms out, of about the avatar's stature, standing where it stands."""
    height = float(avatar.vertices[:, 1].amax() - avatar.vertices[:, 1].amin())
    best = body.neutral_shape.clone()
    row = body.shape_names.index("height")
    options = torch.linspace(0.05, 0.95, 19)
    shapes = best.repeat(len(options), 1)
    shapes[:, row] = options
    some = body(replace(body.neutral(len(options)), shape=shapes)).vertices[..., 1]
    statures = some.amax(1) - some.amin(1)
    best[row] = options[(statures - height).abs().argmin()]
    author = PoseAuthor.start(body, best)
    heads = dict(zip(avatar.joint_names, avatar.heads, strict=True))
    for side, s in (("left", "Left"), ("right", "Right")):
        arm = [heads[s + n] for n in ("Arm", "ForeArm", "Hand")]
        leg = [heads[s + n] for n in ("UpLeg", "Leg", "Foot")]
        author.arm(side, (arm[1] - arm[0]).tolist(), (arm[2] - arm[1]).tolist())  # type: ignore[arg-type]
        author.leg(side, (leg[1] - leg[0]).tolist(), (leg[2] - leg[1]).tolist())  # type: ignore[arg-type]
    pose = author.pose[None]
    params = replace(body.neutral(1), shape=best[None], pose=pose)
    own = body.joints(params)[0]
    hips = [(x + y) / 2 for x, y in ((own[author.row("upperleg01.L")], own[author.row("upperleg01.R")]), (heads["LeftUpLeg"], heads["RightUpLeg"]))]
    return replace(params, translation=(hips[1] - hips[0])[None])


def fit_rig(avatar: Avatar, body: BodyModel) -> Rig:
    """Lay the body into an avatar at rest, and tie the two skeletons. Done once for each avatar and kept.

    Raises:
        InputError: another skeleton than VALID's.
    """
    key = (avatar.name, len(avatar.vertices), float(avatar.vertices.double().abs().sum()), body.name)
    if key not in _KEPT:
        if len(_KEPT) >= _MOST:
            _KEPT.pop(next(iter(_KEPT)))
        _KEPT[key] = _fit(avatar, body)
    return replace(_KEPT[key], avatar=avatar)


_MOST = 64
_KEPT: dict[tuple[object, ...], Rig] = {}


def _fit(avatar: Avatar, body: BodyModel) -> Rig:
    links = _links(avatar)
    heads = dict(zip(avatar.joint_names, avatar.heads, strict=True))
    lead = {links[n]: p for n, p in heads.items() if n.removeprefix("Left").removeprefix("Right") in _LEADING or ("Hand" in n and n[-1].isdigit())}
    skin = avatar.faces[avatar.body[avatar.faces].all(1)]
    return tie_rig(avatar, body, register_body(body, avatar.vertices, skin, _spread(body, avatar), joints=lead))


@torch.no_grad()
def tie_rig(avatar: Avatar, body: BodyModel, registration: Registration) -> Rig:
    """Tie the two skeletons where the body in the avatar is known.

    Raises:
        InputError: another skeleton than VALID's.
    """
    links = _links(avatar)
    T = body(registration.params).T_world_joint[0]
    row = {n: j for j, n in enumerate(body.joint_names)}
    link = torch.tensor([row[links[n]] for n in avatar.joint_names])
    twist = torch.tensor([row[links[n].replace("lowerarm01", "lowerarm02")] for n in avatar.joint_names])
    rest = _shared(T[:, :3, :3], link, twist)
    return Rig(avatar, registration, link, twist, rest, avatar.heads[0] - T[0, :3, 3])


_SETTLE = RegisterConfig(steps=24, learning_rate=0.012, shape=False, every=6)


def settle_bodies(params: BodyParams, rigs: Sequence[Rig | None], surfaces: Sequence[Float[Tensor, "_ 3"]], body: BodyModel) -> BodyParams:
    """The bodies of rigged people laid into their posed surfaces once more, pose and place only: skinning bends the two surfaces differently.

    Args:
        params: all bodies, as they moved the rigged people.
        rigs: the rigged person on each body; None for people whose body stays.
        surfaces: the posed surface of each person [m, world], in the order of the avatar's vertices.
        body: their model.
    """
    people = []
    for k, rig in enumerate(rigs):
        one = BodyParams(*(getattr(params, f)[k : k + 1] for f in _FIELDS))
        if rig is not None:
            skin = rig.avatar.faces[rig.avatar.body[rig.avatar.faces].all(1)]
            one = register_body(body, surfaces[k], skin, one, config=_SETTLE).params
        people.append(one)
    return BodyParams(*(torch.cat([getattr(p, f) for p in people]) for f in _FIELDS))


_FIELDS = ("shape", "pose", "translation", "expression")
