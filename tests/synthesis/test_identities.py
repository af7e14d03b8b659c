"""Many different people, apart from each other: draws, dressed surfaces that touch, emblems that are gone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.evaluation import group_penetration
from huddle3d.scene import PersonMesh
from huddle3d.synthesis import draw_person
from huddle3d.synthesis.assets.emblems import without_emblem
from huddle3d.synthesis.clothes.apart import keep_apart
from huddle3d.synthesis.suites.identities import identity_distances, outfit_key


def draw(count, first=0):
    return [draw_person(torch.Generator().manual_seed(first + k), "person_0") for k in range(count)]


def test_five_thousand_people_are_pairwise_different_beyond_colour():
    people = draw(5000)
    nearest = identity_distances(people)
    assert float(nearest.min()) > 0.3 and float(nearest.median()) > 1.5
    assert len({outfit_key(p) for p in people}) > 2500
    for p in people:  # nobody is a child, nobody goes without clothes
        kinds = [g.kind for g in p.garments]
        assert p.shape[1] >= 0.6 and "shoes" in kinds
        assert "coat" in kinds or ("shirt" in kinds and ("trousers" in kinds or "skirt" in kinds))


def test_colours_alone_make_nobody_new():
    one, two = draw(2)
    painted = replace(
        one, skin=(0.1, 0.2, 0.3), garments=tuple(replace(g, pattern=replace(g.pattern, colours=((0.0, 0.0, 0.0),) * 3)) for g in one.garments)
    )  # type: ignore[arg-type]
    distance = identity_distances([one, painted, two])
    assert distance[0] == distance[1] == 0 and distance[2] > 1
    taller = replace(one, shape=(*one.shape[:4], one.shape[4] + 0.03, one.shape[5]))
    assert torch.allclose(identity_distances([one, taller]), torch.ones(2), atol=1e-4)  # 3 cm: one difference that one sees


def ball(name, x, radius=0.2, n=40):
    a, b = torch.meshgrid(torch.linspace(0.02, 3.1216, n), torch.linspace(0, 6.2832, 2 * n + 1)[:-1], indexing="ij")
    points = torch.stack([x + radius * a.sin() * b.cos(), 1 + radius * a.cos(), radius * a.sin() * b.sin()], -1).reshape(-1, 3)
    i = torch.arange(n - 1)[:, None] * 2 * n + torch.arange(2 * n)
    j = torch.arange(n - 1)[:, None] * 2 * n + (torch.arange(2 * n) + 1) % (2 * n)
    faces = torch.cat([torch.stack([i, j, i + 2 * n], -1).reshape(-1, 3), torch.stack([j, j + 2 * n, i + 2 * n], -1).reshape(-1, 3)])
    uv = torch.zeros(len(points), 2)
    return PersonMesh(name, points, faces, uv, faces, torch.ones(4, 4, 3), torch.ones(len(points)))


@pytest.mark.parametrize("depth", [0.006, 0.02])
def test_balls_that_overlap_end_touching_at_the_middle(depth):
    a, b = ball("a", -0.2 + depth / 2), ball("b", 0.2 - depth / 2)
    first, second = keep_apart([a, b])
    before, after = (group_penetration([(m.vertices, m.faces) for m in pair]) for pair in ((a, b), (first, second)))
    assert before[0] > 0.8e3 * depth and after[0] < 1.0
    assert abs(float(first.vertices[:, 0].max())) < 0.3 * depth and abs(float(second.vertices[:, 0].min())) < 0.3 * depth
    far = a.vertices[:, 0] < -0.1
    assert torch.equal(first.vertices[far], a.vertices[far])  # only the contact gives way
    assert float((first.vertices - a.vertices).norm(dim=-1).max()) < depth


def test_people_apart_keep_their_bits():
    meshes = [ball("a", -0.25), ball("b", 0.25)]
    assert all(torch.equal(m.vertices, n.vertices) for m, n in zip(meshes, keep_apart(meshes)))


def test_emblems_are_painted_over_and_other_cloth_stays():
    picture = np.full((1024, 1024, 4), 0.4, np.float32)
    picture[150:200, 550:600, :3] = (1.0, 0.5, 0.1)
    clean = without_emblem("male_casualsuit02", picture)
    assert float(np.abs(clean[150:200, 550:600, :3] - 0.4).max()) < 0.05
    assert np.array_equal(clean[300:], picture[300:]) and np.array_equal(clean[..., 3], picture[..., 3])
    assert without_emblem("somebody_elses", picture) is picture
