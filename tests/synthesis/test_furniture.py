"""Benches: closed boxes below the people who sit, at one height; they hide people in the picture and are nobody."""

from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.contact import MeshQuery
from huddle3d.io import read_glb
from huddle3d.synthesis import SolveConfig, build_scene, render_scene, sample_spec, write_sample
from huddle3d.synthesis.poses.furniture import seat_height


@pytest.fixture(scope="module")
def scene():
    spec = sample_spec(2, people=3, family="sitting_side_by_side")
    spec = replace(spec, camera=replace(spec.camera, azimuth_deg=180.0, elevation_deg=5.0, width=240, height=180, least_visible=0.0))
    return build_scene(spec, body=load_body(), config=SolveConfig(steps=2, repair_steps=1, retries=0))


def test_a_bench_below_everybody(scene):
    (bench,) = scene.props
    heights = [seat_height(v, load_body()) for v in scene.bodies.vertices]
    top = float(bench.vertices[:, 1].max())
    assert max(heights) - min(heights) < 0.002 and 0.0 < top - min(heights) < 0.02 and float(bench.vertices[:, 1].min()) == pytest.approx(0.0)
    # each box is closed and its faces look outwards: winding number 1 inside the board and each leg, 0 between the legs
    middle = bench.vertices[:24].mean(0)
    legs = torch.stack([bench.vertices[24 * k : 24 * k + 24].mean(0) for k in range(1, 5)])
    inside = MeshQuery(bench.vertices, bench.faces).winding_number(torch.cat([middle[None], legs, legs.mean(0, keepdim=True)]))
    assert torch.allclose(inside, torch.tensor([1.0, 1, 1, 1, 1, 0]), atol=1e-2)


def test_a_bench_hides_people_and_is_nobody(scene, tmp_path):
    """From behind, the board hides part of the shins and seats."""
    with_bench, without = render_scene(scene), render_scene(replace(scene, props=()))
    assert int(with_bench.ids.max()) == 2 and torch.equal(with_bench.amodal, without.amodal)
    hidden = (with_bench.ids == -1) & (without.ids >= 0)
    assert int(hidden.sum()) > 50 and bool((with_bench.depth[hidden] == 0).all()) and bool((with_bench.normals[hidden] == 0).all())
    assert torch.equal(with_bench.ids[~hidden], without.ids[~hidden])
    assert not torch.equal(with_bench.photo.image, without.photo.image)
    write_sample(with_bench, tmp_path / "with")
    write_sample(without, tmp_path / "without")
    (read,) = read_glb(tmp_path / "with" / "props.glb")
    assert torch.allclose(torch.from_numpy(read.vertices), scene.props[0].vertices) and read.colours is not None
    assert not (tmp_path / "without" / "props.glb").exists()
