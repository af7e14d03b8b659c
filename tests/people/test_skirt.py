"""Skirts: found where a mask closes the gap between the legs down to a hem, not in trousers; then the legs of the mesh close as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import Camera, look_at
from huddle3d.people._skirt import Skirt, SkirtConfig, _onto_half_ellipse, dress_legs, find_skirt, put_on
from huddle3d.people.report import skirt_notes
from huddle3d.render import mask, rasterize
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX

CONFIG = SkirtConfig()


@dataclass
class Standing:
    """Somebody who stands with feet apart, before a camera at 3.5 m."""

    body: BodyModel
    vertices: Tensor
    landmarks: Tensor
    camera: Camera

    def naked(self, vertices: Tensor | None = None) -> Tensor:
        return mask(rasterize(self.vertices if vertices is None else vertices, self.body.faces.long(), self.camera))[0]

    def row(self, share: float) -> int:
        """Row of the picture at a share of the way from hip to ankle."""
        ends = [self.landmarks[[LANDMARK_INDEX[f"left_{j}"], LANDMARK_INDEX[f"right_{j}"]]].mean(0) for j in ("hip", "knee", "ankle")]
        point = torch.lerp(ends[0], ends[1], 2 * share) if share < 0.5 else torch.lerp(ends[1], ends[2], 2 * share - 1)
        return int(self.camera.project(point[None])[0][0, 1])

    def skirted(self, hem: float, flare_m: float = 0.0) -> Tensor:
        """The naked mask, and everything between and a little beside the legs from the hips down to the hem."""
        out = self.naked().numpy().astype(np.uint8)
        raster = rasterize(self.vertices, self.body.faces.long(), self.camera)
        region = self.body.regions[self.body.faces.long()[raster.face_id[0].clamp_min(0).long(), 0]]
        names = [i for i, name in enumerate(self.body.region_names) if name.endswith(("thigh", "shin"))]
        legs = (torch.isin(region, torch.tensor(names)) & mask(raster)[0]).numpy().astype(np.uint8)
        legs[self.row(hem) :] = 0
        points = np.argwhere(legs)[:, ::-1].astype(np.float32)
        wide = flare_m * float(self.camera.K[0, 0]) / 3.5 * (points[:, 1] - self.row(0.0)) / max(1, self.row(hem) - self.row(0.0))
        points[:, 0] += np.sign(points[:, 0] - self.camera.width / 2) * wide
        cv2.fillConvexPoly(out, cv2.convexHull(points.round().astype(np.int32)), 1)
        return torch.from_numpy(out > 0)

    def find(self, shown: Tensor, hidden: Tensor | None = None, config: SkirtConfig = CONFIG) -> Skirt | None:
        hidden = torch.zeros_like(shown) if hidden is None else hidden
        return find_skirt(shown, hidden, self.camera, self.vertices, self.landmarks, config, body=self.body)


@pytest.fixture(scope="module")
def standing(scene):
    body = scene.body
    neutral = body.neutral(1)
    pose = torch.zeros(1, body.num_joints, 3)
    for i, name in enumerate(body.joint_names):
        side = 1.0 if name.endswith(".L") else -1.0
        if "upperarm01" in name:
            pose[0, i, 2] = -0.2 * side
        if "upperleg01" in name:
            pose[0, i, 2] = 0.12 * side
    out = body(BodyParams(neutral.shape, pose, torch.zeros(1, 3), neutral.expression))
    centre = (out.vertices[0].amin(0) + out.vertices[0].amax(0)) / 2
    camera = Camera.perspective(700.0, 512, 512, look_at(centre + torch.tensor([0.0, 0.0, 3.5]), centre))
    return Standing(body, out.vertices[0], out.landmarks[0], camera)


@pytest.mark.parametrize("hem", [0.55, 0.75, 1.0])
def test_a_skirt_is_found_with_its_hem(standing, hem):
    found = standing.find(standing.skirted(hem))
    assert found is not None and found.hem == pytest.approx(hem, abs=0.05)


def test_legs_trousers_and_short_skirts_are_none(standing):
    naked = standing.naked()
    assert standing.find(naked) is None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))  # 3 cm wider all around
    wide = torch.from_numpy(cv2.dilate(naked.numpy().astype(np.uint8), kernel) > 0)
    assert standing.find(wide) is None
    assert standing.find(standing.skirted(0.3)) is None


def test_what_opens_gradually_down_to_the_feet_is_trousers(standing):
    """The mask closes the upper gap wholly and, near the feet, ever less of it, as wide legs do that stand apart."""
    shown = standing.skirted(1.0)
    naked = standing.naked()
    top, bottom = standing.row(0.85), standing.row(1.0)
    middle = standing.camera.width // 2
    for row in range(top, bottom):
        half = round(14 * (row - top) / (bottom - top))
        shown[row, middle - half : middle + half] = naked[row, middle - half : middle + half]
    assert standing.find(shown) is None


def test_an_edge_below_which_nothing_is_seen_is_no_hem(standing):
    """Somebody in a dress behind a table: nobody knows where the dress ends."""
    shown = standing.skirted(0.75)
    assert standing.find(shown) is not None
    shown[standing.row(0.75) :] = False
    assert standing.find(shown) is None


def test_a_gap_above_what_is_covered_is_no_skirt(standing):
    shown = standing.skirted(1.0)
    slit = slice(standing.row(0.45), standing.row(0.55))
    shown[slit] = standing.naked()[slit]
    assert standing.find(standing.skirted(1.0)) is not None and standing.find(shown) is None


def test_who_is_hidden_or_in_a_strange_mask_wears_none(standing):
    shown = standing.skirted(0.9)
    assert standing.find(shown, torch.ones_like(shown)) is None
    moved = shown.clone()
    moved[: standing.row(0.0) - 20] = False  # a mask without anything above the legs is another's
    assert standing.find(moved) is None
    assert standing.find(torch.ones_like(shown)) is None


def test_a_dress_that_the_picture_cuts_reaches_the_ankles(standing):
    """The photo ends at the shins: what it shows is cloth. If it ends at the knees, wide trousers would look the same."""
    for share, wears in ((0.88, True), (0.6, False)):
        rows = standing.row(share)
        cut = replace(standing, camera=Camera("perspective", standing.camera.K, standing.camera.T_cam_world, 512, rows))
        found = cut.find(standing.skirted(1.0)[:rows])
        assert (found is not None and found.hem == 1.0) if wears else found is None


@pytest.mark.parametrize("flare", [0.0, 0.12])
def test_the_mesh_closes_and_covers_the_mask(standing, flare):
    shown = standing.skirted(0.8, flare)
    skirt = standing.find(shown)
    assert skirt is not None
    worn = put_on(skirt, standing.vertices, standing.landmarks, body=standing.body)
    legs = slice(standing.row(0.25), standing.row(0.76))
    got, wanted, before = standing.naked(worn)[legs], shown[legs], standing.naked()[legs]

    def iou(a: Tensor) -> float:
        return float((a & wanted).sum() / (a | wanted).sum())

    assert iou(got) > 0.93 and iou(before) < 0.85
    filled = cv2.morphologyEx(got.numpy().astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3)))
    assert (filled.sum(1) > 0).all() and all(np.diff(np.flatnonzero(row)).max(initial=1) == 1 for row in filled)  # no gap in any row
    legs_only = torch.tensor([any(p in standing.body.region_names[r] for p in ("thigh", "shin")) for r in standing.body.regions])
    assert torch.equal(worn[~legs_only], standing.vertices[~legs_only])
    below = worn[:, 1] < standing.landmarks[LANDMARK_INDEX["left_ankle"], 1]
    assert torch.equal(worn[below], standing.vertices[below])


def test_from_behind_it_is_the_same_skirt(standing):
    """Left and right belong to the wearer: seen from behind they change sides in the picture, not on the body."""
    centre = (standing.vertices.amin(0) + standing.vertices.amax(0)) / 2
    behind = replace(standing, camera=Camera.perspective(700.0, 512, 512, look_at(centre - torch.tensor([0.0, 0.0, 3.5]), centre)))
    lopsided = behind.skirted(0.8)
    edge = int(lopsided[behind.row(0.5)].nonzero().max())
    lopsided[behind.row(0.3) : behind.row(0.8), edge : edge + 14] = True  # the wearer's right is to the right, seen from behind
    skirt = behind.find(lopsided)
    assert skirt is not None and float(skirt.right[35]) > float(skirt.left[35]) + 0.03


def test_nobody_changes_without_a_skirt(scene):
    people, bodies = scene.people, scene.bodies
    same, skirts = dress_legs(people, bodies, CONFIG, body=scene.body)
    assert torch.equal(same, bodies.vertices) and skirts == (None,) * len(bodies.names)


def test_it_can_be_switched_off(standing, scene):
    one = {"names": ("a",), "vertices": standing.vertices[None], "landmarks": standing.landmarks[None], "camera": standing.camera}
    bodies = replace(scene.bodies, **one)
    people = replace(scene.people, masks=standing.skirted(0.8)[None])
    worn, skirts = dress_legs(people, bodies, CONFIG, body=scene.body)
    assert skirts[0] is not None and not torch.equal(worn, bodies.vertices)
    same, skirts = dress_legs(people, bodies, replace(CONFIG, enabled=False), body=scene.body)
    assert torch.equal(same, bodies.vertices) and skirts == (None,)


def test_rays_end_on_the_ellipse_or_just_past_the_middle():
    angle = torch.linspace(-3.1, 3.1, 101)
    centre, wide, deep = (torch.full_like(angle, v) for v in (0.1, 0.3, 0.15))
    u, v = _onto_half_ellipse(angle.cos(), angle.sin(), centre, wide, deep)
    on = u > 0
    assert torch.allclose((u[on] / wide[on]) ** 2 + (v[on] / deep[on]) ** 2, torch.ones(int(on.sum())), atol=1e-5)
    assert float(u.min()) == pytest.approx(-0.06, abs=1e-6)
    past = ~on
    assert ((u[past] / wide[past]) ** 2 + (v[past] / deep[past]) ** 2 <= 1).all()  # below the other half's surface
    turned = torch.atan2(v, u - centre)
    assert (turned.diff() > 0).all()  # nothing folds over


def test_the_report_says_who_was_taken_to_wear_a_skirt():
    result = SimpleNamespace(bodies=SimpleNamespace(names=("a", "b")), views=SimpleNamespace(skirt_hems=(0.0, 0.8)))
    (note,) = skirt_notes(result)  # type: ignore[arg-type]
    assert note.startswith("b: taken to wear a skirt")
