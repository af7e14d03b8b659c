"""Conversion between two body models with different surfaces, skeletons and shape spaces."""

import sys
from pathlib import Path

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.fitting import SurfaceFitConfig, convert_bodies, correspondence
from huddle3d.geometry import Camera, look_at
from huddle3d.scene import Bodies, BodyParams

sys.path.insert(0, str(Path(__file__).parent))
from scenes import random_pose
from smplx_like import write_smplx_like

QUICK = SurfaceFitConfig(steps_landmarks=40, steps_surface=60)


@pytest.fixture(scope="module")
def anny():
    return load_body()


@pytest.fixture(scope="module")
def smplx(tmp_path_factory, anny):
    return load_body("smplx", path=write_smplx_like(tmp_path_factory.mktemp("smplx") / "SMPLX_NEUTRAL.npz", anny))


def bodies_of(body, params):
    out = body(params)
    camera = Camera.perspective(500.0, 640, 480, look_at(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 0.9, 0.0])))
    count = len(params.shape)
    names = tuple(f"person_{k}" for k in range(count))
    return Bodies(body.name, names, params, out.vertices, out.landmarks, camera, torch.zeros(count), torch.ones(count))


@pytest.fixture(scope="module")
def people(anny):
    """Two people in unusual poses, of unlike builds, one of them turned away."""
    g = torch.Generator().manual_seed(4)
    pose = random_pose(anny, 2, g)
    pose[:, 0] = torch.tensor([[0.1, 0.4, 0.0], [0.0, 2.6, 0.1]])
    shape = anny.neutral_shape.repeat(2, 1)
    shape[0, 3], shape[1, 4] = 0.7, 0.35
    return bodies_of(anny, BodyParams(shape, pose, torch.tensor([[0.0, 0.9, 0.0], [0.6, 0.95, 0.3]]), torch.zeros(2, 0)))


@pytest.mark.slow
def test_there_and_back(anny, smplx, people):
    there = convert_bodies(people, anny, smplx, QUICK)
    assert there.bodies.model == "smplx" and there.bodies.vertices.shape[1] == smplx.num_vertices
    assert float(there.mean_mm.max()) < 12, there.mean_mm
    # The residual is what it says: the same points, measured here.
    match = correspondence(anny, smplx, QUICK)
    error = 1000 * (there.bodies.vertices[:, match.rows] - match.points(people.vertices)).norm(dim=-1)
    assert torch.allclose((error * match.weights).sum(-1) / match.weights.sum(), there.mean_mm, rtol=1e-4)
    assert match.registration_mm < 5 and float((match.weights > 0.5).float().mean()) > 0.85
    back = convert_bodies(there.bodies, smplx, anny, QUICK)
    error = 1000 * (back.bodies.landmarks[:, 5:17] - people.landmarks[:, 5:17]).norm(dim=-1).mean(-1)
    assert float(error.max()) < 25, error
    limits = anny.joint_limits
    beyond = torch.maximum(back.bodies.params.pose - limits[..., 1], limits[..., 0] - back.bodies.params.pose)[:, 1:]
    assert float(beyond.max()) < 0.35
    assert "Converted from smplx to anny" in back.bodies.warnings[-1]


@pytest.mark.slow
def test_the_same_model_comes_back_as_it_was(anny, people):
    found = convert_bodies(people, anny, anny, QUICK)
    assert float(found.mean_mm.max()) < 8, found.mean_mm


def test_bodies_of_another_model_are_refused(anny, smplx, people):
    with pytest.raises(InputError, match="anny with 13718"):
        convert_bodies(people, smplx, anny)
