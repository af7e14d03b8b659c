"""The part of the truth that the photo does not see, on shapes whose hidden share is known."""

import math
from dataclasses import replace

import pytest
import torch

from huddle3d.evaluation import EvaluateConfig, SightMap, evaluate_scene, image_metrics, sample_with_normals
from huddle3d.geometry import Camera, look_at

from .shapes import cube, person, sphere

QUICK = EvaluateConfig(samples=5000, image_size=96)


def front_camera(distance: float = 4.0, size: int = 400) -> Camera:
    """Looks along -z at the origin."""
    return Camera.perspective(1.2 * size, size, size, look_at(torch.tensor([0.0, 0.0, distance]), torch.zeros(3)))


def test_a_sphere_shows_less_than_its_half():
    vertices, faces = sphere(0.5)
    samples = sample_with_normals(vertices, faces, 40_000, generator=torch.Generator().manual_seed(0))
    seen = SightMap.of(front_camera(), vertices, faces).sees(samples.points, samples.normals)
    # From distance d the cap z > r² / d is seen: a share of (1 - r / d) / 2. 40 000 samples: standard error 0.0025.
    assert float(seen.double().mean()) == pytest.approx((1 - 0.5 / 4) / 2, abs=0.01)
    assert float(samples.points[seen][:, 2].min()) > 0.5**2 / 4 - 0.03


def test_who_stands_behind_is_not_seen_and_neither_is_what_the_picture_cuts_off():
    front, back = cube((0, 0, 1.0), 0.5), cube((0, 0, -1.0), 0.4)
    sight = SightMap.of(front_camera(), torch.cat([front[0], back[0]]), torch.cat([front[1], back[1] + len(front[0])]))
    towards = torch.tensor([[0.0, 0, 1], [0.0, 0, 1], [0.0, 0, 1], [0, 0, -1.0]])
    points = torch.tensor([[0.0, 0, 1.25], [0.0, 0, -0.8], [3.0, 0, 1.25], [0.0, 0, 1.25]])
    assert sight.sees(points, towards).tolist() == [True, False, False, False]


def test_an_error_on_the_back_counts_as_unseen_only():
    truth = [person("a", sphere(0.5))]
    vertices, faces = sphere(0.5)
    dented = vertices.clone()
    dented[:, 2] = torch.where(dented[:, 2] < -0.1, dented[:, 2] - 0.1, dented[:, 2])
    wrong = [replace(truth[0], vertices=dented)]
    good = evaluate_scene(truth, truth, QUICK, camera=front_camera())
    bad = evaluate_scene(wrong, truth, QUICK, camera=front_camera())
    assert bad.unseen.p2s_cm > 3 > bad.group.p2s_cm > 100 * good.group.p2s_cm
    # The unseen part is a share s of the surface; the seen part is untouched: whole = s × unseen, up to where the dent begins.
    assert bad.group.p2s_cm == pytest.approx(bad.unseen_share * bad.unseen.p2s_cm, rel=0.1)
    assert bad.people[0].unseen.p2s_cm == pytest.approx(bad.unseen.p2s_cm, rel=0.1)
    assert bad.image.unseen_normal_l2 > bad.image.normal_l2 > 0
    assert good.image.unseen_normal_l2 == pytest.approx(0, abs=1e-9) and good.image.unseen_psnr_db == 100


def test_unseen_pixels_are_those_of_the_sides_and_the_back():
    truth = [person("a", cube((0, 0, 0), 0.5), (0.5, 0.5, 0.5))]
    wrong = [replace(truth[0], texture=torch.full((4, 4, 3), 0.6))]
    camera = front_camera()
    sight = SightMap.of(camera, truth[0].vertices, truth[0].faces)
    group, _ = image_metrics(wrong, truth, camera=camera, size=96, sight=sight)
    assert group.unseen_psnr_db == pytest.approx(20, abs=0.01)  # 0.1 off on every unseen pixel; the whole pictures hold white ground too
    assert group.psnr_db > 20.5


def test_without_a_camera_nothing_is_unseen():
    people = [person("a", sphere(0.5))]
    m = evaluate_scene(people, people, QUICK)
    assert m.unseen is None and math.isnan(m.unseen_share) and math.isnan(m.image.unseen_psnr_db)
