"""The four stages on a small scene whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from huddle3d.contact import penetrations
from huddle3d.errors import ShapeError
from huddle3d.geometry import apply, inverse, sample_image, vertex_normals
from huddle3d.people._atlas import build_atlas
from huddle3d.people.canonical import CanonicalConfig, NormalsDepth, PartialConfig, canonicalise
from huddle3d.people.complete import complete
from huddle3d.people.paint import PaintConfig, paint
from huddle3d.render import interpolate, merge_meshes, normal_map, rasterize


def region(scene, *names: str) -> torch.Tensor:
    return torch.isin(scene.body.regions, torch.tensor([scene.body.region_names.index(n) for n in names]))


def offset_along_normal(scene, world: torch.Tensor) -> torch.Tensor:
    body = scene.bodies.vertices
    return ((world - body) * vertex_normals(body, scene.body.faces.long())).sum(-1)


def test_the_partial_mesh_finds_the_thickness_of_clothes_from_the_outline(scene) -> None:
    config = CanonicalConfig(size=256, partial=PartialConfig(iterations=50, lr=0.04, size=128), clothing="none")
    views = canonicalise(scene.photo, scene.people, scene.bodies, config, body=scene.body)
    world = apply(inverse(views.T_canon_world), views.partial_vertices)
    found = offset_along_normal(scene, world)
    # truth 15 mm; a third of it may be missing after 50 of 200 steps at 128 px (7 mm per pixel)
    for name in ("belly", "left_thigh", "right_thigh", "lower_back"):
        assert 0.008 < float(found[:, region(scene, name)].mean()) < 0.02, name
    # hands and faces have no clothes and keep the body's detail
    assert found[:, region(scene, "left_hand", "right_hand", "face")].abs().mean() < 0.002


def test_usual_clothes_are_thicker_where_nobody_looks(scene, views) -> None:
    world = apply(inverse(views.T_canon_world), views.partial_vertices)
    found = offset_along_normal(scene, world)
    for name in ("belly", "left_thigh", "right_thigh"):
        assert 0.008 < float(found[:, region(scene, name)].mean()) < 0.02, name
    assert 0.008 < float(found[:, region(scene, "lower_back")].mean()) < 0.03  # most clothes hang over the hollow of the back
    assert found[:, region(scene, "left_hand", "right_hand", "face")].abs().mean() < 0.002


def test_the_views_are_not_mirrored(scene, views) -> None:
    """Left hands are magenta. In the front view of people who face the camera they lie to the right of the right, green ones."""
    left, right = torch.tensor([1.0, 0, 1]), torch.tensor([0.0, 1, 0])
    image, seen = views.rgb_inst[0, 0], views.seen_inst[0, 0]
    columns = [((image - c).abs().sum(-1) < 0.9)[seen].float() for c in (left, right)]
    x = seen.nonzero()[:, 1].float()
    assert (columns[1].sum() > 3) and float((x * columns[1]).sum() / columns[1].sum()) < float(x.mean())
    # the 90° camera stands at +x: the front (+z) of a person is on the left of its picture
    normals = views.normals_group[2]
    half = (views.ids[2] >= 0).nonzero()[:, 1].float().mean()
    z = normals[..., 2]
    columns_of = torch.arange(normals.shape[1]).expand(normals.shape[:2])
    assert columns_of[z > 0.7].float().mean() < half < columns_of[z < -0.7].float().mean()


def test_normals_are_in_the_front_frame(views) -> None:
    for index, axis in ((0, 2), (2, 0), (3, 2), (4, 0)):
        sign = {0: 1, 2: 1, 3: -1, 4: -1}[index]
        shown = views.normals_group[index][views.ids[index] >= 0]
        torch.testing.assert_close(shown.norm(dim=-1), torch.ones(len(shown)), rtol=0, atol=1e-4)
        assert (sign * shown[:, axis] > -0.2).float().mean() > 0.97


def test_colours_land_where_they_belong(scene, views) -> None:
    """Every reprojected pixel must have the colour of the true surface there, and none the backdrop's."""
    faces, cameras = scene.body.faces.long(), views.cameras
    true = apply(views.T_canon_world, scene.true_vertices)
    for k in range(2):
        raster = rasterize(true[k], faces, cameras)
        truth = interpolate(raster, faces, scene.colours[k])
        both = views.seen_inst[k] & (raster.face_id >= 0)
        assert both[0].sum() > 1000 and both[1].sum() > 500 and both[5].sum() > 500
        assert not views.seen_inst[k][2:5].any()
        # hue, not brightness: the photo is shaded
        shown, wanted = (torch.nn.functional.normalize(c[both], dim=-1) for c in (views.rgb_inst[k], truth))
        agreement = (shown * wanted).sum(-1)
        assert (agreement > 0.97).float().mean() > 0.93
        backdrop = torch.nn.functional.normalize(torch.tensor([0.1, 0.9, 0.9]), dim=0)
        assert ((shown @ backdrop) > 0.99).float().mean() < 0.002


@pytest.mark.slow
def test_true_normals_and_depth_pull_the_partial_mesh_to_the_true_surface(scene) -> None:
    """L_geo itself: the observation is a surface with a bulge that no outline shows."""
    faces = scene.body.faces.long()
    body = scene.bodies.vertices
    belly = region(scene, "belly").float()
    centre = body[:, belly.bool()].mean(1, keepdim=True)
    bulge = 0.04 * torch.exp(-((body - centre).norm(dim=-1) / 0.08).square()) * (vertex_normals(body, faces)[..., 2] > 0)
    true = body + bulge[..., None] * vertex_normals(body, faces)
    merged, merged_faces, _ = merge_meshes([(v, faces) for v in true])
    raster = rasterize(merged, merged_faces, scene.bodies.camera)
    seen = NormalsDepth(normal_map(raster, merged, merged_faces)[0], 5 - 0.0 + 2 * raster.depth[0], raster.face_id[0] >= 0)
    people = replace(scene.people, masks=scene.people.masks & (raster.face_id[0] >= 0))
    config = CanonicalConfig(size=64, partial=PartialConfig(iterations=60, lr=0.03, size=160, geometry=1.0, silhouette=0.0, stay=0.0, smooth=0.2))
    out = canonicalise(scene.photo, people, scene.bodies, config, body=scene.body, observed=seen)
    found = apply(inverse(out.T_canon_world), out.partial_vertices)
    peak = bulge[0] > 0.02
    before, after = (((v - true)[0, peak] * vertex_normals(body, faces)[0, peak]).sum(-1).abs().mean() for v in (body, found))
    assert after < 0.6 * before


def test_completed_views_are_full_and_plausible(scene, views, completed) -> None:
    assert completed.method == "body-prior"
    for k in range(2):
        inside = completed.alpha_inst[k] > 0.999
        assert inside[3].sum() > 1000
        colour = completed.rgb_inst[k][inside]
        # people wear no cyan; black would be a hole
        assert (colour.sum(-1) > 0.15).float().mean() > 0.999
        backdrop = torch.nn.functional.normalize(torch.tensor([0.1, 0.9, 0.9]), dim=0)
        assert ((torch.nn.functional.normalize(colour, dim=-1) @ backdrop) > 0.99).float().mean() < 0.002
        assert (completed.rgb_inst[k][completed.alpha_inst[k] == 0] == 0).all()
    # the source view keeps what was seen
    seen = views.seen_inst[0, 0] & (completed.alpha_inst[0, 0] > 0.999)
    assert (completed.rgb_inst[0, 0] - views.rgb_inst[0, 0])[seen].abs().mean() < 0.03


def test_the_back_of_the_head_gets_hair_and_not_a_face(scene, views, completed) -> None:
    faces = scene.body.faces.long()
    raster = rasterize(views.partial_vertices[0], faces, views.cameras)
    head = interpolate(raster, faces, region(scene, "head").float()[:, None])[3, ..., 0] > 0.99
    colour = completed.rgb_inst[0, 3][head]
    hair, skin = torch.tensor([0.25, 0.15, 0.08]), torch.tensor([0.85, 0.62, 0.5])
    nearer = (colour - 0.85 * hair).norm(dim=-1) < (colour - 0.85 * skin).norm(dim=-1)
    assert len(colour) > 50 and nearer.float().mean() > 0.9


def test_a_completer_of_the_wrong_size_is_refused(scene, views, completed) -> None:
    class Half:
        name = "half"

        def __call__(self, views, *, body, progress):
            return replace(completed, rgb_inst=completed.rgb_inst[:, :, ::2, ::2])

    with pytest.raises(ShapeError, match="half: rgb_inst"):
        complete(views, body=scene.body, completer=Half())


def test_carving_keeps_hands_and_improves_on_the_body(scene, carved) -> None:
    truth = scene.true_vertices
    error = (carved.vertices - truth).norm(dim=-1).mean()
    assert error < 0.7 * (scene.bodies.vertices - truth).norm(dim=-1).mean()
    hands = region(scene, "left_hand", "right_hand")
    assert (carved.vertices - scene.bodies.vertices)[:, hands].norm(dim=-1).mean() < 0.002
    assert carved.history.shape == (8, len(carved.history_names)) and torch.isfinite(carved.history).all()
    torch.testing.assert_close(carved.history[:, 0], carved.history[:, 1:].sum(-1), rtol=1e-4, atol=1e-6)
    assert max((p.max_mm for p in penetrations(carved.vertices, carved.faces, carved.names)), default=0.0) <= 10


@pytest.fixture(scope="session")
def painted(scene, views, completed, carved):
    return paint(scene.photo, scene.people, scene.bodies, views, completed, carved, PaintConfig(texture_size=512, atlas="body"), body=scene.body)


def _texture_render(mesh, camera):
    raster = rasterize(mesh.vertices, mesh.faces, camera)
    uv = interpolate(raster, mesh.faces_uv, mesh.uv)
    h, w = mesh.texture.shape[:2]
    return sample_image(mesh.texture, torch.stack([uv[..., 0] * w, (1 - uv[..., 1]) * h], -1))[0], raster


def test_the_textured_people_look_like_the_photo(scene, painted) -> None:
    for k, mesh in enumerate(painted):
        image, raster = _texture_render(mesh, scene.bodies.camera)
        inside = scene.people.masks[k] & (raster.face_id[0] >= 0)
        error = (image - scene.photo.image)[inside].square().mean()
        assert -10 * torch.log10(error) > 22  # at 8 mm per pixel, most of the error is mixed pixels along outlines
        assert mesh.texture.min() >= 0 and mesh.texture.max() <= 1 and torch.isfinite(mesh.texture).all()


def test_confidence_is_high_where_the_photo_looks_and_zero_behind(scene, painted) -> None:
    normals = vertex_normals(painted[0].vertices, painted[0].faces)
    front = region(scene, "chest", "belly") & (normals[:, 2] > 0.8)
    back = normals[:, 2] < -0.3
    assert painted[0].confidence[front].mean() > 0.8
    assert painted[0].confidence[back].max() == 0
    assert painted[0].confidence.min() >= 0 and painted[0].confidence.max() <= 1


def test_painting_twice_gives_the_same_bytes(scene, views, completed, carved, painted) -> None:
    again = paint(scene.photo, scene.people, scene.bodies, views, completed, carved, PaintConfig(texture_size=512, atlas="body"), body=scene.body)
    assert [m.digest() for m in again] == [m.digest() for m in painted]


@pytest.mark.slow
def test_charts_of_xatlas_cover_every_face_without_overlap_and_are_deterministic(scene) -> None:
    atlas = build_atlas(scene.body, 1024, "xatlas")
    assert atlas.uv.min() >= 0 and atlas.uv.max() <= 1
    corners = atlas.uv[atlas.faces_uv]
    h, w = atlas.face.shape
    area = 0.5 * torch.linalg.det(torch.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], -1)).abs() * h * w
    # overlapping charts would have a larger sum of areas than covered texels; edges of charts account for a few per cent
    assert float(area.sum() / atlas.covered.sum()) < 1.03
    found = torch.bincount(atlas.face[atlas.covered], minlength=len(area))
    assert (found[area > 2] > 0).float().mean() > 0.99  # a sliver may lie between texel centres
    again = build_atlas(scene.body, 1024, "xatlas")
    assert torch.equal(again.uv, atlas.uv) and torch.equal(again.faces_uv, atlas.faces_uv)


def test_the_partial_mesh_wears_what_its_outline_says(scene):
    """A linear clothing model with one thickness: outlines of people in thick clothes choose its coefficient, also for what nobody sees."""
    from huddle3d.people import ClothingModel, PartialConfig
    from huddle3d.people._adaptive import adaptive_rate, detail_points
    from huddle3d.people._clothing import clothing_prior
    from huddle3d.people._partial import fit_partial
    from huddle3d.people._targets import crop_targets
    from huddle3d.render import rasterize

    body, bodies = scene.body, scene.bodies
    faces, vertices = body.faces.long(), bodies.vertices[:1]
    normals = vertex_normals(vertices, faces)
    component = torch.full((1, body.num_vertices), 0.01)
    model = ClothingModel(torch.zeros(body.num_vertices), component)
    dressed = vertices + 0.02 * normals
    masks = rasterize(dressed, faces, bodies.camera).face_id >= 0
    targets = crop_targets(masks, bodies.camera, vertices, faces, 128)
    rate = adaptive_rate(vertices, detail_points(bodies.landmarks[:1]))
    config = PartialConfig(iterations=60, lr=0.02, size=128, clothing=0.1)
    errors = []
    for prior in (None, clothing_prior(model, vertices, vertices, faces, 1.0)):
        found = fit_partial(vertices, faces, targets, rate, 1.0, config, clothing=prior)
        errors.append(float(((found - dressed)[0].norm(dim=-1)).mean()))
    assert errors[1] < 0.6 * errors[0] and errors[1] < 0.008
    # a mask that is hardly trusted changes hardly anything, however large it is
    huge = replace(targets, coverage=torch.ones_like(targets.coverage), trust=torch.full_like(targets.trust, 0.1))
    prior = clothing_prior(model, vertices, vertices, faces, 1.0)
    found = fit_partial(vertices, faces, huge, rate, 1.0, replace(config, max_clothing=2.0), clothing=prior)
    along = ((found - vertices) * normals).sum(-1)
    assert 0 < float(along.max()) < 0.01 * 2.0 * 0.1 + config.max_offset * 0.1 + config.max_free * 0.1 + 1e-4
