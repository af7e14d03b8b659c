"""People dressed from a folder of assets: tiny made-up assets everywhere, the real ones where they are."""

import json
from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.contact import MeshQuery
from huddle3d.errors import InputError
from huddle3d.io import read_mhclo
from huddle3d.synthesis import Assets, SceneSpec, SolveConfig, build_scene, draw_wardrobe, sample_spec
from huddle3d.synthesis.assets.base_mesh import BASE_VERTICES
from huddle3d.synthesis.clothes.clothing import Fit
from huddle3d.synthesis.clothes.hanging import Motion, bind, fit_clothes
from huddle3d.synthesis.clothes.panel import Panel
from huddle3d.synthesis.wardrobe.wear import _finish, _put_on, _wearer, wear

from . import asset_folder


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("assets") / "made"
    asset_folder.make(path, body)
    return path


@pytest.fixture(scope="module")
def assets(folder):
    return Assets.open(folder)


def person(assets, seed=0, **pieces):
    one = sample_spec(seed, people=1, assets=assets).people[0]
    return replace(one, wardrobe=replace(one.wardrobe, pieces=tuple(replace(p, **pieces) for p in one.wardrobe.pieces)))


def pose(body, shape, seed=0, spread=0.25):
    generator = torch.Generator().manual_seed(seed)
    turns = spread * torch.randn(1, body.num_joints, 3, generator=generator)
    params = replace(body.neutral(1), shape=torch.tensor([shape]), pose=turns)
    low = float(body(params).vertices[..., 1].min())
    return replace(params, translation=params.translation - torch.tensor([[0.0, low, 0.0]]))


def dressed(assets, body, who, seed=0):
    params = pose(body, who.shape, seed)
    return wear(who, body, params, body(params).vertices, 0, assets)


def test_a_patch_of_the_body_moves_exactly_as_the_body_does(assets, body, folder):
    base = assets.base("anny")
    params = pose(body, (0.9, 0.7, 0.3, 0.6, 0.4, 0.5), 3)
    fit = read_mhclo(folder / "hair" / "cap" / "cap.mhclo", base_vertices=BASE_VERTICES)
    patch = replace(fit, offsets=0 * fit.offsets)
    moved = Motion.of(body, params)(fit_clothes(patch, base.rest(params)), bind(patch, base.weights))
    expected = body(params).vertices[0, torch.from_numpy(patch.rows[:, 0])]  # the made-up base mesh is in the body's own order
    assert float((moved - expected).abs().max()) < 2e-6  # float32 at 2 m: a few units in the last place


def test_the_base_mesh_must_be_the_bodys_own(assets, body, folder, tmp_path):
    text = (folder / "base" / "base.obj").read_text()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.obj").write_text(text.replace("v 0.", "v 1.", 40))
    with pytest.raises(InputError, match=r"base\.obj"):
        Assets.open(tmp_path).base("anny")
    (tmp_path / "base" / "base.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(InputError, match="19158"):
        Assets.open(tmp_path).base("anny")


def test_hidden_skin_is_gone_and_the_mesh_is_sound(assets, body):
    mesh = dressed(assets, body, person(assets, length=1.0))
    assert bool(torch.isfinite(mesh.vertices).all()) and bool(torch.isfinite(mesh.texture).all())
    assert int(mesh.faces.max()) < len(mesh.vertices) and float(mesh.uv.min()) >= 0 and float(mesh.uv.max()) <= 1
    assert float(mesh.vertices[:, 1].min()) > -1e-4
    shy = dressed(assets, body, replace(person(assets), wardrobe=replace(person(assets).wardrobe, pieces=())))
    skin = len(shy.faces)
    suit, shoes = (len(assets.load("clothes", name).mesh.faces) for name in ("suit", "shoes"))
    assert len(mesh.faces) < skin + 4 * suit + shoes  # garments are refined once; skin under cloth was taken away


def test_shorter_pieces_end_higher_and_show_the_skin_again(assets, body):
    who = person(assets, folds_m=0.0, loosen_m=0.0, logo=0)
    params = pose(body, who.shape)
    wearer = _wearer(body, params, 0, assets)
    knee = float(wearer.anatomy.joint("lowerleg01.L")[1])
    legs = next(p for p in who.wardrobe.pieces if p.part == "lower")
    whole, cut = (_put_on(replace(legs, length=n), wearer, assets) for n in (1.0, 0.3))
    assert bool((whole.covers | ~cut.covers).all()) and int(cut.covers.sum()) < int(whole.covers.sum())
    fit = Fit(MeshQuery(body(params).vertices[0], body.faces), [])
    nothing = torch.zeros(BASE_VERTICES, dtype=torch.bool)
    long, short = (_finish(w, nothing, wearer, fit, []) for w in (whole, cut))
    assert float(long.rest[:, 1].min()) < knee - 0.1 < knee - 0.02 < float(short.rest[:, 1].min())


def test_the_same_wardrobe_gives_the_same_bytes(assets, body):
    first, second = (dressed(assets, body, person(assets, 4)) for _ in range(2))
    assert first.digest() == second.digest()
    assert draw_wardrobe(assets, 7, woman=True) == draw_wardrobe(assets, 7, woman=True) != draw_wardrobe(assets, 8, woman=True)


def test_scene_files_keep_the_wardrobe_and_old_ones_have_none(assets):
    spec = sample_spec(2, assets=assets)
    assert SceneSpec.from_json(spec.to_json()) == spec and spec.people[0].wardrobe is not None
    plain = sample_spec(2)
    assert "wardrobe" not in json.loads(plain.to_json())["people"][0]
    assert replace(spec, people=tuple(replace(p, wardrobe=None) for p in spec.people)) == plain
    tree = json.loads(spec.to_json())
    tree["people"][0]["wardrobe"]["pieces"][0]["part"] = "hat"
    with pytest.raises(InputError, match="hat"):
        SceneSpec.from_json(json.dumps(tree))


def test_missing_assets_are_named(assets, body, folder, tmp_path, monkeypatch):
    monkeypatch.delenv("HUDDLE3D_ASSETS", raising=False)
    with pytest.raises(InputError, match="HUDDLE3D_ASSETS"):
        build_scene(sample_spec(0, people=1, assets=assets), body=body, config=SolveConfig(steps=1))
    with pytest.raises(InputError, match=r"base\.obj"):
        Assets.open(tmp_path)
    who = person(assets)
    lost = replace(who, wardrobe=replace(who.wardrobe, hair="mohawk"))
    with pytest.raises(InputError, match="mohawk") as caught:
        dressed(assets, body, lost)
    assert str(folder) in str(caught.value) and "cap" in str(caught.value)
    for name in ("../cap", "cap/../cap", ""):
        with pytest.raises(InputError):
            assets.load("hair", name)


def test_a_mesh_that_does_not_fit_its_file_is_refused(folder, body, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "clothes" / "suit" / "suit.mhclo"
    path.write_text(path.read_text().replace("verts 0\n", "verts 0\n5\n"))
    with pytest.raises(InputError, match=r"suit\.mhclo"):
        Assets.open(copy).load("clothes", "suit")
    (copy / "clothes" / "suit" / "suit.jpg").unlink()
    with pytest.raises(InputError, match="no picture"):
        Assets.open(copy).load("clothes", "suit")


def test_cutting_a_panel_keeps_area_texture_and_orientation():
    rest = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    panel = Panel(rest, 2 * rest, faces, rest[faces][..., :2]).subdivided()
    part = panel.clipped(0.3 - panel.rest[:, 0])
    edge = part.rest[part.faces]
    area = torch.linalg.cross(edge[:, 1] - edge[:, 0], edge[:, 2] - edge[:, 0])[:, 2] / 2
    assert bool((area >= 0).all()) and float(area.sum()) == pytest.approx(0.3, abs=1e-6)
    assert torch.allclose(part.rest[part.faces][..., :2], part.uv, atol=1e-6) and torch.allclose(part.posed, 2 * part.rest)


def test_scene_with_wardrobes_is_built(assets, body):
    spec = sample_spec(1, people=1, assets=assets)
    scene = build_scene(spec, body=body, config=SolveConfig(steps=1), assets=assets)
    assert len(scene.meshes) == 1 and scene.meshes[0].texture.shape[1] == 2048


@pytest.mark.shared
@pytest.mark.slow
def test_every_real_asset_dresses_a_person(shared, body):
    real = Assets.open(shared / "data" / "makehuman")
    seen: set[tuple] = set()
    for seed in range(50):
        for woman in (True, False):
            w = draw_wardrobe(real, seed, woman=woman)
            seen.add((w.skin, w.hair, w.eyes, *(p.asset for p in w.pieces), w.pieces[-1].pattern))
    assert len(seen) > 95  # of 100 draws hardly any repeats even these coarse choices
    clothes = [n for n in real.names("clothes") if "suit" in n]
    extras = list(zip(real.names("eyebrows"), 3 * real.names("eyelashes"), 2 * real.names("hair"), strict=True))
    for k, name in enumerate(clothes):
        who = person(real, k, asset=name, length=1.0, loosen_m=0.004)
        brows, lashes, hair = extras[k]
        pieces = tuple(replace(p, asset=f"shoes0{k % 5 + 1}") if p.part == "shoes" else p for p in who.wardrobe.pieces)
        who = replace(who, wardrobe=replace(who.wardrobe, brows=brows, lashes=lashes, hair=hair, pieces=pieces))
        params = pose(body, who.shape, k, 0.12)  # wider ones put arms into hips, where no cloth can be outside
        skin = body(params).vertices
        assert bool(torch.isfinite(wear(who, body, params, skin, 0, real).vertices).all())
        fit = Fit(MeshQuery(skin[0], body.faces), [])
        wearer = _wearer(body, params, 0, real)
        for piece in pieces[1:]:
            worn = _put_on(piece, wearer, real)
            garment = _finish(worn, torch.zeros(BASE_VERTICES, dtype=torch.bool), wearer, fit, [])
            assert float((fit.skin.signed_distance(garment.posed) > 0).float().mean()) > 0.99
    for kind in ("eyebrows", "eyelashes", "hair"):
        for name in real.names(kind):
            asset = real.load(kind, name)
            placed = fit_clothes(asset.fit, real.base("anny").rest(body.neutral(1)))
            assert bool(torch.isfinite(placed).all()) and float(placed[:, 1].max()) > 0.5
