"""Limbs whose key points belong to somebody else: found by the rendered bodies and the masks, settled by one assignment for all people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from huddle3d.people.identity._changes import IdentityChange
from huddle3d.people.identity._limbs import LIMBS, Limb
from huddle3d.people.identity._rendered_ids import RenderedIds, grown, looked_up
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["LimbRules", "repair_limbs"]

_SEEN = 0.1
"""Confidence from which a joint is taken for observed."""
_SURE = 0.5
"""Confidence from which a joint is taken for visible: hidden ones are guessed, and may well lie on another's mask."""
_TORSO = [LANDMARK_INDEX[f"{s}_{n}"] for s in ("left", "right") for n in ("shoulder", "hip")]
_FAR = 0.5
"""Distances beyond this say no more [m]."""
_STEP = 0.1
"""What an exchange must gain over leaving things as they are, per limb [m]."""
_MASK = 0.3
"""What a limb off its owner's mask costs, beside metres."""
_NEVER = 1e3


@dataclass(frozen=True)
class LimbRules:
    """When a limb is taken away from a person."""

    agree: float = 0.15
    """Key points agree with a fitted limb if they lie this near to its joints on average [m at the body]."""
    gain: float = 0.1
    """How much nearer they must lie to the other person's limb than to their own [m]."""
    same: float = 0.06
    """Two people claim one limb if its middle and end lie this near to each other [m]; twice as far if the masks tell whose it is."""
    kept: float = 0.7
    """Confidence that remains of key points that are given to somebody else."""
    doubted: float = 0.5
    """Confidence that remains of a leg that two people claim, if the masks do not tell whose it is."""


@dataclass(frozen=True)
class _Tracks:
    """The observed limbs of one kind, person by person, and how they fit each fitted limb (in the same order)."""

    people: list[int]
    limbs: list[Limb]
    seen: Bool[Tensor, "n"]
    distance: Float[Tensor, "n n"]
    """From the key points (rows) to the fitted joints (columns) [m]."""
    on_body: Float[Tensor, "n K"]
    """Share of the key points that lie where a person's body is rendered in front."""
    in_mask: Float[Tensor, "n K"]
    """Share of the lower bone that lies in a person's mask."""
    on_torso: Float[Tensor, "n K"]
    """Share of the lower bone that lies on a person's fitted torso, behind or before it."""
    sure: Bool[Tensor, "n"]
    """Whether middle and end are visible."""
    reachable: Bool[Tensor, "n n"]
    """Whether the fitted limb is long enough for the observed middle joint."""

    @staticmethod
    def of(people: People2D, seen: RenderedIds, kind: str) -> _Tracks:
        count = len(people.names)
        pairs = [(k, limb) for k in range(count) for limb in LIMBS if limb.kind == kind]
        persons, limbs = [k for k, _ in pairs], [limb for _, limb in pairs]
        rows = torch.tensor([[limb.middle, limb.end] for limb in limbs])
        roots = torch.tensor([limb.root for limb in limbs])
        at = torch.tensor(persons)
        points = people.keypoints[at[:, None], rows].float().cpu()
        weight = torch.where(points[..., 2] >= _SEEN, points[..., 2], 0.0)
        total = weight.sum(-1).clamp_min(1e-9)
        joints = seen.joints[at[:, None], rows]
        offset = (points[:, None, :, :2] - joints[None]).norm(dim=-1) / seen.px_per_m[at][None, :, None]
        distance = (offset * weight[:, None]).sum(-1) / total[:, None]
        bodies = [grown(seen.ids == k, seen.reach(0.03, k)) for k in range(count)]
        on_body = torch.stack([(looked_up(b, points[..., :2] * seen.scale).float() * weight).sum(-1) / total for b in bodies], -1)
        line = _line(people, limbs, persons)
        in_mask = torch.stack([looked_up(m, line).float().mean(-1) for m in people.masks.cpu()], -1)
        on_torso = torch.stack([looked_up(m, line * seen.scale).float().mean(-1) for m in _torsos(seen)], -1)
        sure = points[..., 2].amin(-1) >= _SURE
        upper = seen.bones[at, roots, rows[:, 0]] * seen.px_per_m[at]
        root = seen.joints[at, roots]
        apart = (points[:, None, 0, :2] - root[None]).norm(dim=-1)
        return _Tracks(persons, limbs, weight.sum(-1) > 0, distance, on_body, in_mask, on_torso, sure, apart <= 1.15 * upper)


def _line(people: People2D, limbs: Sequence[Limb], persons: Sequence[int]) -> Float[Tensor, "n s 2"]:
    """Points [px] along the lower bone of each limb, or the one end of it that is seen; the upper bone may hang on the wrong torso."""
    out = []
    share = torch.linspace(0, 1, 9)[:, None]
    for k, limb in zip(persons, limbs, strict=True):
        middle, end = people.keypoints[k, [limb.middle, limb.end]].float().cpu()
        first, last = (middle if float(middle[2]) >= _SEEN else end), (end if float(end[2]) >= _SEEN else middle)
        out.append(first[:2] + share * (last - first)[:2])
    return torch.stack(out)


def _torsos(seen: RenderedIds) -> Bool[Tensor, "K h w"]:
    """The hull of each fitted body's shoulders and hips."""
    height, width = seen.ids.shape
    out = []
    for joints in seen.joints[:, _TORSO] * seen.scale:
        picture = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(picture, cv2.convexHull(joints.round().int().numpy()), 1)
        out.append(torch.from_numpy(picture > 0))
    return torch.stack(out)


def repair_limbs(people: People2D, seen: RenderedIds, rules: LimbRules, number: int) -> tuple[People2D, list[IdentityChange]]:
    """The people with limbs given to whom they belong to, and what was changed.

    A person's limb is in question if its key points lie on another body, near that body's own limb and not near the person's; or if it is
    visible in another's mask and that one's limb in return in this mask. One assignment (Hungarian) of observed limbs to people settles all
    limbs of one kind; a limb in question for which the other has a better one is dropped. Of two people who claim one limb, the one on whose
    mask it lies keeps it; if the masks do not tell, legs count less.

    Args:
        people: as observed.
        seen: the bodies fitted to them.
        rules: thresholds.
        number: of the round, for the changes.
    """
    changes: list[IdentityChange] = []
    for kind in dict.fromkeys(limb.kind for limb in LIMBS):
        tracks = _Tracks.of(people, seen, kind)
        target = _assigned(tracks, people, rules)
        people, made = _moved(people, tracks, target, rules, number)
        left = [i for i, t in enumerate(target) if t == i]
        people, settled = _claimed_twice(people, tracks, left, seen, rules, number)
        changes += made + settled
    return people, changes


def _assigned(t: _Tracks, people: People2D, rules: LimbRules) -> list[int | None]:
    """For each observed limb the fitted limb that it is of; None: of none."""
    n = len(t.people)
    owner = torch.tensor(t.people)
    masked = people.masks.cpu().flatten(1).any(-1)
    other = owner[:, None] != owner[None]
    own_distance = t.distance.diagonal()
    off_mask = 1 - t.in_mask[:, owner]
    off_mask = torch.where(masked[owner][:, None] & masked[owner][None], off_mask, 0.0)
    own_mask = t.in_mask[torch.arange(n), owner]
    by_body = other & (t.on_body[:, owner] >= 0.5) & (t.distance <= rules.agree) & (t.distance + rules.gain <= own_distance[:, None])
    by_mask = other & (t.in_mask[:, owner] >= 0.8) & (own_mask[:, None] <= 0.1) & t.reachable & masked[owner][:, None]
    # A limb behind somebody is hidden, not theirs: it must be visible beside their trunk, and their own limb somewhere else.
    by_mask &= t.seen[None] & t.sure[:, None] & (t.on_torso[:, owner] <= 0.3)
    allowed = (by_body | by_mask) & t.seen[:, None]
    cost = torch.full((n, 2 * n), _NEVER)
    cost[:, :n] = torch.where(allowed, torch.where(by_body, t.distance, 0.0) + _MASK * off_mask + _STEP, _NEVER)
    contradicted = (by_body & t.seen[:, None]).any(-1)
    stay = own_distance.clamp_max(_FAR) + _MASK * off_mask.diagonal()
    cost[range(n), range(n)] = torch.where(t.seen, torch.where(contradicted, _NEVER / 2, stay), 0.0)
    cost[:, n:] = torch.where(contradicted, 2 * _FAR, _NEVER)[:, None]
    # What is not seen claims nothing: its place is free for others.
    cost[~t.seen, n:] = 0.0
    rows, columns = linear_sum_assignment(cost.numpy().astype(np.float64))
    return [(int(c) if c < n else None) if bool(t.seen[r]) else int(r) for r, c in zip(rows, columns, strict=True)]


def _moved(people: People2D, t: _Tracks, target: Sequence[int | None], rules: LimbRules, number: int) -> tuple[People2D, list[IdentityChange]]:
    """Key points written where they belong; places that were left and not taken are unobserved."""
    keypoints, space = people.keypoints.clone(), people.landmarks3d.clone()
    changes: list[IdentityChange] = []
    for i, to in enumerate(target):
        if to == i:
            continue
        keypoints[t.people[i], t.limbs[i].rows, 2] = 0
        space[t.people[i], t.limbs[i].rows, 3] = 0
    for i, to in enumerate(target):
        if to == i:
            continue
        person, limb = t.people[i], t.limbs[i]
        if to is None:
            rival = min((j for j in range(len(t.people)) if t.people[j] != person), key=lambda j: float(t.distance[i, j]))
            changes.append(IdentityChange(number, people.names[person], limb.name, "dropped", people.names[t.people[rival]], t.limbs[rival].name))
            continue
        other, place = t.people[to], t.limbs[to]
        given = people.keypoints[person, limb.rows].clone()
        given[:, 2] *= rules.kept
        if limb.name != place.name:
            given[2:, 2] = 0  # a hand of the other side has its fingers in another order
        keypoints[other, place.rows] = given
        space[other, place.rows, 3] = 0  # they were told from another body's hips
        changes.append(IdentityChange(number, people.names[person], limb.name, "given", people.names[other], place.name))
    return (replace(people, keypoints=keypoints, landmarks3d=space) if changes else people), changes


def _claimed_twice(
    people: People2D, t: _Tracks, left: Sequence[int], seen: RenderedIds, rules: LimbRules, number: int
) -> tuple[People2D, list[IdentityChange]]:
    """Limbs of two people on one place: the one that leaves its own mask is dropped; two legs of whom the masks say nothing count less.

    Arms that are linked do lie on one place, and both are right; so only the masks speak against an arm.
    """
    masks = people.masks.cpu()
    keypoints, space = people.keypoints.clone(), people.landmarks3d.clone()
    changes: list[IdentityChange] = []
    for i, j in combinations(left, 2):
        a, b = t.people[i], t.people[j]
        rows = [[t.limbs[k].middle, t.limbs[k].end] for k in (i, j)]
        both = keypoints[a, rows[0]], keypoints[b, rows[1]]
        if a == b or min(float(p[:, 2].min()) for p in both) < _SEEN:
            continue
        apart = (both[0][:, :2] - both[1][:, :2]).norm(dim=-1) / seen.px_per_m[[a, b]].mean()
        if float(apart.mean()) > 2 * rules.same:
            continue
        own, others = _path_shares(people, masks, (a, t.limbs[i]), (b, t.limbs[j]))
        loser = _loser(own, others)
        if loser is None and (t.limbs[i].kind == "arm" or float(apart.max()) > rules.same):
            continue
        for k, o in ((i, j), (j, i)):
            if loser is None or (i, j)[loser] == k:
                share = rules.doubted if loser is None else 0.0
                keypoints[t.people[k], t.limbs[k].rows, 2] *= share
                space[t.people[k], t.limbs[k].rows, 3] *= share
                action = "doubted" if loser is None else "dropped"
                changes.append(IdentityChange(number, people.names[t.people[k]], t.limbs[k].name, action, people.names[t.people[o]], t.limbs[o].name))
    return (replace(people, keypoints=keypoints, landmarks3d=space) if changes else people), changes


def _path_shares(
    people: People2D, masks: Bool[Tensor, "K H W"], first: tuple[int, Limb], second: tuple[int, Limb]
) -> tuple[list[float], list[float]]:
    """Shares of each limb's line, from the torso to its end, in its person's mask and in the other's."""
    own, others = [], []
    for (k, limb), (other, _) in ((first, second), (second, first)):
        root, middle, end = people.keypoints[k, [limb.root, limb.middle, limb.end], :2].float().cpu()
        share = torch.linspace(0, 1, 10)[:, None]
        path = torch.cat([root + (0.3 + 0.7 * share) * (middle - root), middle + share * (end - middle)])
        own.append(float(looked_up(masks[k], path).float().mean()))
        others.append(float(looked_up(masks[other], path).float().mean()))
    return own, others


def _loser(own: Sequence[float], others: Sequence[float]) -> int | None:
    """Which of two limbs on one place lies on the other's mask all along, while that one's lies on its own; None: neither."""
    for k in (0, 1):
        if own[k] <= 0.25 and others[k] >= 0.75 and own[1 - k] >= 0.75:
            return k
    return None
