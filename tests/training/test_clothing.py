"""The clothing model: fields of known clothes, what the model makes of them, its file, its command, and the partial mesh that starts from it."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from huddle3d.bodies import load_body
from huddle3d.cli import main
from huddle3d.errors import InputError
from huddle3d.geometry import vertex_normals
from huddle3d.people import ClothingModel, read_clothing, save_clothing
from huddle3d.people._clothing import clothing_digest, clothing_model, clothing_prior
from huddle3d.scene import PersonMesh
from huddle3d.training.clothing import (
    ClothingConfig,
    clothing_field,
    fit_clothing,
    harvest_clothing,
    measure_clothing,
    read_fields,
    whole_fields,
)


@pytest.fixture(scope="module")
def body():
    return load_body()


def region(body, name):
    return body.regions == body.region_names.index(name)


def test_a_shirt_of_known_thickness_is_measured(body):
    vertices = body(body.neutral(1)).vertices[0]
    faces = body.faces.long()
    normals = vertex_normals(vertices, faces)
    worn = torch.where(region(body, "chest") | region(body, "belly"), 0.02, 0.0)
    dressed = vertices + worn[:, None] * normals
    # an inner layer that nobody sees must not count
    both = torch.cat([vertices, dressed]), torch.cat([faces, faces + len(vertices)])
    mesh = PersonMesh("a", both[0], both[1], body.uv, body.faces_uv.repeat(2, 1), torch.ones(4, 4, 3), torch.ones(len(both[0])))
    field = clothing_field(mesh, vertices, faces, torch.Generator().manual_seed(0), ClothingConfig(points=120_000))
    middle = region(body, "chest") & ~field.isnan()
    assert field[middle].median() == pytest.approx(0.02, abs=0.001)
    shin = region(body, "left_shin") & ~field.isnan()
    assert field[shin].abs().median() < 0.001
    whole = whole_fields(field[None], body)[0]
    assert not whole.isnan().any() and whole[region(body, "face")].eq(0).all()
    assert whole[region(body, "chest")].median() == pytest.approx(0.02, abs=0.002)


def test_components_come_back(body):
    g = torch.Generator().manual_seed(1)
    mean, basis = torch.rand(body.num_vertices, generator=g), torch.linalg.qr(torch.randn(body.num_vertices, 3, generator=g)).Q.T
    fields = mean + torch.randn(200, 3, generator=g) * torch.tensor([3.0, 2.0, 1.0]) @ basis
    model = fit_clothing(fields, 3)
    assert torch.allclose(model.basis.norm(dim=-1), torch.tensor([3.0, 2.0, 1.0]), rtol=0.15)  # components carry their spread
    assert (basis @ torch.nn.functional.normalize(model.basis, dim=-1).T).abs().diagonal().min() > 0.95
    report = measure_clothing(model, fields[:20])
    assert report.model_mm < 1 < report.mean_mm < report.naked_mm
    with pytest.raises(InputError, match="5 components cannot be told from 5 people"):
        fit_clothing(fields[:5], 5)


def test_people_leave_each_other_room_and_skirts_stay(body):
    at_rest = body(body.neutral(2)).vertices
    near = at_rest + torch.tensor([[[0.0, 0, 0]], [[0.0, 0, 0.3]]])
    model = ClothingModel(torch.full((body.num_vertices,), 0.05), torch.zeros(1, body.num_vertices))
    start = near.clone()
    skirt = region(body, "left_thigh")
    start[1, skirt] += 0.01
    prior = clothing_prior(model, 2 * near, 2 * start, body.faces.long(), 2.0)  # two canonical units a metre
    worn = prior(torch.zeros(2, 1))
    distance = torch.cdist(near[0], start[1])
    assert torch.allclose(worn[0], (distance.amin(1) / 2).clamp_max(0.05), atol=1e-5) and worn[0].min() < 0.04
    assert worn[1, skirt].eq(0).all() and (worn[1, ~skirt] > 0).all()
    crossing = at_rest + torch.tensor([[[0.0, 0, 0]], [[0.0, 0, 0.1]]])
    inside = clothing_prior(model, crossing, crossing, body.faces.long(), 1.0)(torch.zeros(2, 1))
    back = region(body, "upper_back")  # of the second, who stands in front: in the first one's chest
    assert inside[1, back].median() == 0 < inside[1, region(body, "chest")].median()
    alone = clothing_prior(model, near[:1], near[:1], body.faces.long(), 1.0)
    assert alone(torch.zeros(1, 1)).eq(0.05).all()


def test_the_file_comes_back_and_others_are_refused(body, tmp_path):
    g = torch.Generator().manual_seed(2)
    model = ClothingModel(0.02 * torch.rand(body.num_vertices, generator=g), 0.01 * torch.rand(4, body.num_vertices, generator=g))
    path = tmp_path / "mine.safetensors"
    save_clothing(path, model)
    found = read_clothing(path)
    assert torch.allclose(found.mean, model.mean, atol=1e-4) and found.basis.shape == (4, body.num_vertices)
    assert clothing_model(str(path), body) is not None and clothing_digest(str(path)) != clothing_digest("embedded") != clothing_digest("none") == ""
    save_file({"mean": model.mean}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="not a clothing model"):
        read_clothing(tmp_path / "other.safetensors")
    save_clothing(tmp_path / "nan.safetensors", replace(model, mean=model.mean * torch.nan))
    with pytest.raises(InputError, match="no distances of clothes"):
        read_clothing(tmp_path / "nan.safetensors")
    save_clothing(tmp_path / "smpl.safetensors", replace(model, model="smpl"))
    with pytest.raises(InputError, match="for bodies of 'smpl'"):
        clothing_model(str(tmp_path / "smpl.safetensors"), body)
    save_clothing(tmp_path / "far.safetensors", replace(model, mean=model.mean + 500))
    with pytest.raises(InputError, match="no distances of clothes"):
        read_clothing(tmp_path / "far.safetensors")
    with pytest.raises(InputError, match="no such file"):
        clothing_model(str(tmp_path / "gone.safetensors"), body)


def test_the_embedded_model_dresses_anny_only(body):
    model = clothing_model("embedded", body)
    assert model is not None and clothing_model("none", body) is None
    names = ("face", "left_hand", "right_hand")
    assert all(model.mean[region(body, n)].eq(0).all() and model.basis[:, region(body, n)].eq(0).all() for n in names)
    assert 0.005 < model.mean[region(body, "chest")].mean() < 0.04 and model.mean.min() > -0.01

    class Other:
        name, num_vertices = "smplx", 10475

    assert clothing_model("embedded", Other()) is None  # ty: ignore


@pytest.mark.slow
def test_a_folder_is_resumed_and_damage_named(body, tmp_path):
    config = ClothingConfig(each=2, points=4000)
    fields = harvest_clothing(tmp_path / "people", 4, config)
    assert fields.shape == (4, body.num_vertices)
    (tmp_path / "people" / "000001.safetensors").unlink()
    assert torch.equal(harvest_clothing(tmp_path / "people", 4, config).nan_to_num(9), fields.nan_to_num(9))
    with pytest.raises(InputError, match="other settings"):
        harvest_clothing(tmp_path / "people", 4, replace(config, each=1))
    (tmp_path / "people" / "000000.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"000000\.safetensors: not a readable file"):
        read_fields(tmp_path / "people")
    with pytest.raises(InputError, match="no measured people"):
        read_fields(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--people", "8"), "--components 32 cannot be told from --people 8"),
        (("--components", "0"), "--components 0"),
        (("--minutes", "0"), "--minutes more than 0"),
        (("--minutes", "nan"), "--minutes more than 0"),
        (("--workers", "0"), "--workers at least 1"),
        (("--seed", "-1"), "--seed must not be negative"),
    ],
)
def test_the_command_refuses_before_it_measures(tmp_path, capsys, options, said):
    assert main(["train", "clothing", "--output", str(tmp_path / "o"), *options]) == 2
    assert said in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "o").exists()
