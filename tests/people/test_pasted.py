"""The photo in place of its reprojection: an ablation of Pers2Ortho."""

from dataclasses import replace

import torch

from huddle3d.geometry import Camera, canonical_cameras, look_at, similarity
from huddle3d.people._frame import camera_in_frame
from huddle3d.people._reproject import paste_photo
from huddle3d.people.canonical import CanonicalConfig, canonicalise


def test_a_plane_at_the_depth_of_the_people_is_seen_as_it_is():
    """Points of the plane through the mean vertex, parallel to the picture: their pixels in view 0 show the photo's pixels of the same points."""
    T_canon_world = similarity(torch.tensor(1 / 1.25), torch.eye(3), torch.tensor([0.1, -0.8, 0.0]))
    world = Camera.perspective(300.0, 200, 160, look_at(torch.tensor([0.3, 1.0, 3.5]), torch.tensor([0.3, 1.0, 0.0])))
    camera, cameras = camera_in_frame(world, T_canon_world), canonical_cameras(64)
    v, u = torch.meshgrid(torch.arange(160) + 0.5, torch.arange(200) + 0.5, indexing="ij")
    image = torch.stack([u / 200, v / 160, 0 * u], -1)  # a pixel's colour is its place
    vertices = torch.tensor([[[-0.5, -0.2, -0.3], [0.1, 0.6, 0.1]], [[0.2, -0.1, 0.2], [0.6, 0.3, 0.4]]])
    masks = torch.zeros(2, 160, 200, dtype=torch.bool)
    masks[0, :, :100], masks[1, 30:, 100:] = True, True
    rgb, seen = paste_photo(image, masks, camera, vertices, cameras)
    assert rgb.shape == (3, 6, 64, 64, 3) and not seen[:, 1:].any() and torch.equal(seen[0], seen[1] | seen[2])
    assert float(rgb[~seen].abs().max()) == 0
    z = float(vertices[..., 2].mean())
    plane = cameras[0].unproject(cameras[0].pixel_centres().reshape(-1, 2), torch.full((64 * 64,), 3.0 - z))
    assert torch.allclose(plane[:, 2], torch.tensor(z), atol=1e-5)
    expected = camera.project(plane)[0].reshape(64, 64, 2)
    here = seen[0, 0]
    assert int(here.sum()) > 500 and float((rgb[0, 0][here][:, :2] * torch.tensor([200.0, 160.0]) - expected[here]).abs().max()) < 0.51
    own = masks[0][expected[..., 1].long().clamp(0, 159), expected[..., 0].long().clamp(0, 199)]
    assert bool((own | ~seen[1, 0]).all())


def test_a_person_nearer_to_the_camera_stays_larger(scene):
    """What Pers2Ortho undoes is not undone here; the partial meshes stay the bodies if they are not fitted either."""
    config = CanonicalConfig(size=128, reprojection="none", clothing="none")
    config = replace(config, partial=replace(config.partial, iterations=0))
    out = canonicalise(scene.photo, scene.people, scene.bodies, config, body=scene.body)
    assert torch.equal(out.partial_vertices, out.body_vertices)
    assert not out.seen_inst[:, 1:].any() and bool(out.seen_inst[:, 0].any())
    ratio = [float(s[0].sum()) for s in out.seen_inst]
    true = [float(m.sum()) for m in scene.people.masks]
    assert abs(ratio[0] / ratio[1] / (true[0] / true[1]) - 1) < 0.05  # one scale for both: shares of the photo's pixels
    centre = out.cameras[0].project(out.body_vertices.reshape(1, -1, 3).mean(1))[0]
    shown = out.seen_group[0].nonzero().float().mean(0).flip(0)
    assert float((shown - centre[0]).norm()) < 15
