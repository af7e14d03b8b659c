"""Views for a completion network: true pictures, conditions, errors, captions, and the bank on disk."""

import json

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError, ShapeError
from huddle3d.networks import unknown_words
from huddle3d.people import ViewMaps, condition_of, shrink
from huddle3d.scene import PersonMesh
from huddle3d.synthesis import CAPTION_WORDS, SceneBuilder, caption_group, caption_person, colour_name, dress_scene
from huddle3d.synthesis.suites.splits import heldout_spec, split_of_shape, training_spec
from huddle3d.training.views import (
    DisturbConfig,
    Patches,
    SampleConfig,
    SceneConfig,
    SceneSource,
    TrueMaps,
    ViewSample,
    ViewsConfig,
    decode,
    encode,
    read_view_bank,
    true_maps,
    true_views,
    views_of_index,
)
from huddle3d.training.views.bank import SetRecord, write_index, write_shard
from huddle3d.training.views.disturb import disturbed_bodies, disturbed_masks, occluded_masks
from huddle3d.training.views.scenes import kind_of


@pytest.fixture(scope="module")
def body():
    return load_body()


def box(name, centre, half, colour):
    """A box of one colour."""
    x = torch.tensor([[i, j, k] for i in (-1.0, 1.0) for j in (-1.0, 1.0) for k in (-1.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    corners = torch.cat([x[list(q)] for q in quads])  # own corners for each side: flat normals
    faces = torch.cat([torch.tensor([[4 * i, 4 * i + 1, 4 * i + 2], [4 * i, 4 * i + 2, 4 * i + 3]]) for i in range(6)])
    texture = torch.tensor(colour).expand(2, 2, 3).clone()
    vertices = torch.tensor(centre) + corners * torch.tensor(half)
    return PersonMesh(name, vertices, faces, torch.full((1, 2), 0.5), torch.zeros_like(faces), texture, torch.ones(24))


def test_true_views_of_boxes():
    """Two boxes side by side: areas, colours, normals and who hides whom follow from their sizes."""
    red, blue = box("a", (-0.25, 0.0, 0.0), (0.25, 0.5, 0.125), (1.0, 0.0, 0.0)), box("b", (0.25, 0.0, 0.0), (0.125, 0.25, 0.125), (0.0, 0.0, 1.0))
    touching = [torch.zeros(24, dtype=torch.bool), torch.ones(24, dtype=torch.bool)]
    seen = true_views([red, blue], touching, torch.eye(4), 64)
    assert seen.covered.shape == (3, 6, 64, 64)
    pixels = 64 * 64 / 4  # of a unit square: the views span [-1, 1]
    for s, view, area in ((1, 0, 0.5), (1, 2, 0.25), (2, 3, 0.125), (0, 0, 0.625), (0, 2, 0.25)):
        assert float(seen.covered[s, view].sum()) == pytest.approx(area * pixels, rel=0.07), (s, view)
    # from the right (90°) the small box stands before the large one and leaves its rim
    assert float((seen.colours[0, 2, ..., 2] > 0.5).sum()) == pytest.approx(0.125 * pixels, rel=0.07)
    assert float((seen.colours[0, 4, ..., 2] > 0.5).sum()) == 0  # from the left it is hidden
    for view, normal in ((0, (0, 0, 1)), (2, (1, 0, 0)), (3, (0, 0, -1)), (4, (-1, 0, 0))):  # of the canonical frame in every view
        found = seen.normals[1, view][seen.covered[1, view] > 0]
        assert torch.allclose(found, torch.tensor(normal).float().expand_as(found), atol=1e-5)
    assert float(seen.contact[0, 0].sum()) == pytest.approx(0.125 * pixels, rel=0.07)
    small = true_maps(seen, 16)
    assert float(small.alpha.mean()) == pytest.approx(float(seen.covered.mean()), rel=1e-5)
    edge = small.alpha[1, 0] > 0
    assert torch.allclose(small.colours[1, 0][edge], torch.tensor([1.0, 0, 0]).expand(int(edge.sum()), 3), atol=1e-4)


def test_shrink_is_a_weighted_mean():
    image = torch.arange(16.0).reshape(4, 4, 1)
    assert shrink(image, 2)[..., 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    weight = torch.zeros(4, 4)
    weight[0, 0], weight[1, 1], weight[2, 3] = 1, 3, 1
    small = shrink(image, 2, weight)[..., 0]
    assert torch.allclose(small, torch.tensor([[(0 + 15) / 4, 0.0], [0.0, 11.0]]), atol=1e-4)
    with pytest.raises(ShapeError):
        shrink(image, 3)


def maps(sets=1, side=64, seed=0):
    g = torch.Generator().manual_seed(seed)

    def some(*c):
        return torch.rand(sets, 6, side, side, *c, generator=g)

    given = ViewMaps(2 * some(3) - 1, some(), some(3), some(), 2 * some(3) - 1, some(3), some())
    return given, TrueMaps(2 * some(3) - 1, some(3), some(), some())


def test_condition_follows_the_mask_convention():
    zero, flat = torch.zeros(1, 6, 64, 64, 3), torch.zeros(1, 6, 64, 64)
    silhouette, seen, rgb = flat.clone(), flat.clone(), zero.clone()
    silhouette[:, :, 24:40, 24:40] = 1
    seen[:, 0, 28:36, 28:36] = 1
    rgb[:, 0, 28:36, 28:36] = torch.tensor([0.75, 0.5, 0.25])
    given = ViewMaps(zero, silhouette, rgb, seen, zero + torch.tensor([0.0, 0, 1]), zero + 0.25, silhouette)
    out = condition_of(given)
    assert out.shape == (1, 2, 6, 11, 64, 64)
    picture = out[0, :, :, 3:6]
    assert torch.allclose(picture[:, 0, :, 30, 30], torch.tensor([0.5, 0.0, -0.5]).expand(2, 3))  # visible: the pixel
    assert float(picture[:, 0, :, 25, 25].max()) == -1 and float(picture[:, 3, :, 30, 30].max()) == -1  # missing: black
    grown = (picture[0, 3, 0] < 0).nonzero()
    assert grown.amin(0).tolist() == [22, 22] and grown.amax(0).tolist() == [41, 41]  # by half of 61/768 of 64 px
    assert float(picture[:, :, :, :10].min()) == 1  # background: white
    assert torch.equal(out[0, 0, 0, 8:], given.prior_normals[0, 0].permute(2, 0, 1))
    assert torch.allclose(out[0, 1, 0, 8:, 30, 30], torch.tensor(-0.5)) and float(out[0, 1, 0, 8:, 0, 0].min()) == 1
    assert torch.equal(out[0, 0, :, :8], out[0, 1, :, :8])


def test_bytes_keep_the_maps():
    given, truth = maps(2)
    back = decode(encode(given, truth))
    for kind, found in zip((given, truth), back):
        for name in kind.__dataclass_fields__:
            step = 1 / 127 if name.endswith("normals") else 1 / 254
            assert float((getattr(found, name) - getattr(kind, name)).abs().max()) <= step, name
    nothing = given.map(torch.zeros_like), truth.map(torch.zeros_like)
    assert float(decode(encode(*nothing))[0].body_normals.abs().max()) == 0


def test_captions_use_their_vocabulary():
    for seed in range(60):
        for make in (training_spec, heldout_spec):
            words = caption_group(make(seed).people).replace(",", "").split()
            assert words.count("and") == 1 and set(words) <= set(CAPTION_WORDS)
            assert set(unknown_words(caption_group(make(seed).people))) <= {"and"}  # the network knows them
    assert len(set(CAPTION_WORDS)) == len(CAPTION_WORDS)
    spec = training_spec(0)
    person = spec.people[0]
    assert caption_person(person).startswith("man, bald, purple t-shirt, brown trousers")
    for rgb, name in (((0.05, 0.05, 0.06), "black"), ((0.93, 0.92, 0.9), "white"), ((0.2, 0.3, 0.7), "blue"), ((0.35, 0.22, 0.12), "brown")):
        assert colour_name(rgb) == name
    assert colour_name((0.85, 0.75, 0.6)) == "beige" and colour_name((0.2, 0.6, 0.25)) == "green" and colour_name((0.9, 0.5, 0.7)) == "pink"


def test_masks_go_wrong_within_limits():
    masks = torch.zeros(2, 128, 128, dtype=torch.bool)
    masks[0, 20:100, 20:60], masks[1, 20:100, 60:100] = True, True
    changed = set()
    for seed in range(8):
        out = disturbed_masks(masks, torch.Generator().manual_seed(seed), DisturbConfig(mask_px=12))
        assert not bool((out[0] & out[1]).any())
        assert not bool(
            (out[:, 4:, 4:] & ~torch.nn.functional.max_pool2d(masks.float(), 7, 1, 3).bool()[:, 4:, 4:]).any()
        )  # 12 px of 512 are 3 of 128
        changed.add(int(out[0].sum()))
    assert len(changed) > 2
    single, hidden = masks[:1], 0
    for seed in range(8):
        out = occluded_masks(single, single[0], torch.Generator().manual_seed(seed), DisturbConfig(occluder=1.0, holes=1.0))
        assert not bool((out & ~single).any()) and int(out.sum()) >= 0.2 * int(single.sum())
        hidden += int(out.sum()) < int(single.sum())
    assert hidden >= 4
    never = DisturbConfig(occluder=0.0, holes=0.0)
    assert torch.equal(occluded_masks(single, single[0], torch.Generator().manual_seed(0), never), single)
    empty = torch.zeros_like(single)
    assert torch.equal(occluded_masks(empty, empty[0], torch.Generator().manual_seed(0), DisturbConfig()), empty)


@pytest.fixture(scope="module")
def solo(body):
    """A single person, solved, dressed and photographed once."""
    config = ViewsConfig(1, SceneConfig(neighbours=0), SampleConfig(exact=0.0, patches=2))
    return config, views_of_index(1, config, SceneSource(config.scenes, body), body)


def test_sample_of_a_single_person(solo):
    config, (samples, records) = solo
    assert kind_of(1) == "solo" and [r.kind for r in records] == ["single"]
    given, truth, patches = samples[0].given, samples[0].truth, samples[0].patches
    assert given.rgb.shape == (1, 6, 64, 64, 3) and truth.alpha.shape == (1, 6, 64, 64)
    share = truth.alpha.mean((0, 2, 3))
    assert bool((share > 0.03).all()) and bool((share < 0.6).all())
    both = (given.prior_alpha > 0.9) & (truth.alpha > 0.9)
    union = (given.prior_alpha > 0.5) | (truth.alpha > 0.5)
    assert float(both.sum()) > 0.6 * float(union.sum())  # the truth lies where the fitted body says
    front = (truth.normals * given.prior_normals).sum(-1)[both]
    assert float(front.mean()) > 0.7
    assert float(given.seen[:, 0].sum()) > 20 and float(given.seen[:, 2:5].sum()) == 0
    assert float(truth.contact.max()) == 0
    # a patch is a piece of the large view, whose means are the small one
    cut = patches.truth.alpha[:, 0]
    assert cut.shape == (2, 128, 128)
    for (s, v, y, x), large in zip(patches.at.tolist(), cut):
        small = truth.alpha[s, v, y // 4 : y // 4 + 32, x // 4 : x // 4 + 32]
        assert torch.allclose(shrink(large[..., None], 32)[..., 0], small, atol=1e-5)


def test_bodies_go_wrong_as_fits_do(body):
    spec = training_spec(7, people=1, family="solo")
    bodies = SceneBuilder(body)(spec).bodies
    config = DisturbConfig()
    off = [disturbed_bodies(bodies, body, torch.Generator().manual_seed(s), config) for s in range(6)]
    error = torch.stack([(o.landmarks - bodies.landmarks)[0, :17].norm(dim=-1).mean() for o in off])
    assert 0.01 < float(error.mean()) < 0.09
    still = disturbed_bodies(bodies, body, torch.Generator().manual_seed(0), DisturbConfig(joint_rad=0, turn_rad=0, shape=0, across_m=0, depth_m=0))
    assert float((still.vertices - bodies.vertices).abs().max()) < 1e-5
    again = dress_scene(spec, bodies.params, body=body)  # nothing is solved, so the bodies are the same
    assert torch.equal(again.bodies.vertices, bodies.vertices)
    with pytest.raises(InputError, match="cannot be dressed"):
        dress_scene(training_spec(7), bodies.params, body=body)


def test_scenes_keep_to_their_side(body):
    for held, split in ((False, "training"), (True, "heldout")):
        source = SceneSource(SceneConfig(held=held, neighbours=0), body)
        for index in (0, 1, 3):
            seed = source.config.first_seed + index + (500_000 if held else 0)
            spec = source._spec(seed, {"pair": 2, "solo": 1, "group": 3}[kind_of(index)], None)
            assert all(split_of_shape(p.shape) == split for p in spec.people)


def stored(folder, name, photos=2, seed=0):
    """A file of made-up views."""
    samples, records = [], []
    for p in range(photos):
        given, truth = maps(3, 8, seed + p)
        pg, pt = maps(2, 16, seed + 50 + p)
        patches = Patches(pg.map(lambda t: t[:, :1]), pt.map(lambda t: t[:, :1]), torch.tensor([[0, 1, 0, 4], [2, 5, 8, 0]], dtype=torch.int16))
        samples.append(ViewSample(given, truth, patches, False))
        records += [SetRecord(kind, f"red shirt {p}", p, "hug", False) for kind in ("group", "instance", "instance")]
    write_shard(folder / f"{name}.safetensors", samples, records, {"index": 0})
    return samples


def test_bank_reads_what_was_written(tmp_path):
    first = stored(tmp_path, "000000")
    stored(tmp_path, "000001", seed=9)
    write_shard(tmp_path / "000002.safetensors", [], [], {})
    index = write_index(tmp_path, "x")
    assert [s["sets"] for s in index["shards"]] == [6, 6, 0] and json.loads((tmp_path / "index.json").read_text()) == index
    bank = read_view_bank(tmp_path)
    assert len(bank) == 12 and bank.size == 8 and bank.photos[1] == (0, (3, 4, 5))
    assert torch.equal(bank.views(0, [3, 5]), encode(first[1].given, first[1].truth)[[0, 2]])
    patch, at = bank.patch(0, 3)
    assert at == [5, 5, 8, 0] and torch.equal(patch, encode(first[1].patches.given, first[1].patches.truth)[1, 0])
    train, held = bank.split(0.5)
    assert (train.files, held.files) == (("000000.safetensors",), ("000001.safetensors",))
    (tmp_path / "000003.safetensors").write_bytes(b"\x99" * 50)
    with pytest.raises(InputError, match="000003"):
        read_view_bank(tmp_path)
    with pytest.raises(InputError, match="no views"):
        read_view_bank(tmp_path / "absent")
