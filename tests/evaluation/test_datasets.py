"""Data sets in their published layouts, written here in small; wrong and half unpacked folders are told what was expected."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from huddle3d.errors import InputError
from huddle3d.evaluation import EvaluateConfig, EvaluationSample, evaluate_scene
from huddle3d.evaluation.datasets import DATASETS, open_dataset
from huddle3d.evaluation.datasets.chi3d import open_chi3d
from huddle3d.evaluation.datasets.multihuman import PAPER_SCENES, open_multihuman
from huddle3d.evaluation.datasets.scans import photograph, to_metres, view_camera
from huddle3d.evaluation.datasets.thuman2 import open_thuman2
from huddle3d.geometry import Camera, look_at
from huddle3d.io import MeshData, write_obj, write_video

from .shapes import cube, person, sphere


def scan(path, mesh, textured=False):
    """A mesh as an OBJ file; with a red texture and its material beside it if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vertices, faces = mesh[0].numpy(), mesh[1].numpy()
    uv, faces_uv = (np.full((3, 2), 0.5, np.float32), np.tile([0, 1, 2], (len(faces), 1))) if textured else (None, None)
    texture = np.full((8, 8, 3), (220, 20, 20), np.uint8) if textured else None
    write_obj(path, MeshData(path.stem, vertices, faces, uv, faces_uv, texture))


def tall(height, x=0.0):
    """A box as wide as a third of its height."""
    vertices, faces = cube()
    return vertices * torch.tensor([height / 3, height, height / 3]) + torch.tensor([x, height / 2, 0.0]), faces


@pytest.fixture
def multihuman(tmp_path):
    base = tmp_path / "MultiHuman" / "two_closely_inter"
    for scene in (8, 23, 99):
        for k, x in enumerate((-0.2, 0.2)):
            scan(base / "obj" / f"{scene}_{k}.obj", tall(0.9, x))
            scan(base / "smplx" / f"{scene}_{k}.obj", tall(0.8, x))
        scan(base / "obj_all" / f"{scene}.obj", tall(0.9))
    return tmp_path / "MultiHuman"


@pytest.fixture
def hi4d(tmp_path):
    base = tmp_path / "Hi4D" / "pair00" / "hug00"
    for part in ("cameras", "images/4", "seg/instance/0", "seg/instance/1", "smpl"):
        (base / part).mkdir(parents=True)
    frames = np.arange(11, 31)
    np.savez(base / "meta.npz", start=11, end=30, num_persons=2, genders=np.array(["male", "female"]), contact_ids=frames, mono_cam=4)
    T = look_at(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 0.9, 0.0])).numpy()
    K = np.array([[150.0, 0, 60], [0, 150, 80], [0, 0, 1]])
    np.savez(
        base / "cameras/rgb_cameras.npz",
        ids=np.array([4, 16]),
        intrinsics=np.stack([K] * 2),
        extrinsics=np.stack([T[:3]] * 2),
        dist_coeffs=np.zeros((2, 5)),
    )
    for frame in frames:
        Image.new("RGB", (120, 160), (90, 120, 90)).save(base / f"images/4/{frame:06d}.jpg")
        for k, x in enumerate((-0.25, 0.25)):
            vertices, faces = tall(1.7, x)
            np.savez(base / f"seg/instance/{k}/mesh-f{frame:05d}.npz", vertices=vertices.numpy(), faces=faces.numpy())
        np.savez(base / f"smpl/{frame:06d}.npz", verts=np.zeros((2, 6890, 3)), joints_3d=np.zeros((2, 24, 3)))
    return tmp_path / "Hi4D"


@pytest.fixture
def thuman2(tmp_path):
    base = tmp_path / "THuman"
    for k in ("0000", "0525", "0526"):
        folder = base / "THuman2.0_Release" / k
        scan(folder / f"{k}.obj", tall(170.0), textured=True)
        # The published material names a JPEG.
        (folder / f"{k}.mtl").rename(folder / "material0.mtl")
        Image.open(folder / f"{k}.png").save(folder / "material0.jpeg", quality=95)
        (folder / f"{k}.png").unlink()
        (folder / "material0.mtl").write_text("newmtl m\nmap_Kd material0.jpeg\n")
        (folder / f"{k}.obj").write_text((folder / f"{k}.obj").read_text().replace(f"mtllib {k}.mtl", "mtllib material0.mtl"))
    (base / "THuman2.0_smplx" / "0525").mkdir(parents=True)
    with open(base / "THuman2.0_smplx" / "0525" / "smplx_param.pkl", "wb") as file:
        pickle.dump({"scale": np.array([95.0], np.float32), "betas": np.zeros((1, 10), np.float32)}, file)
    return base


@pytest.fixture
def customhumans(tmp_path):
    base = tmp_path / "CustomHumans"
    scan(base / "mesh" / "0003_00016_02_00101" / "mesh-f00101.obj", tall(1.8), textured=True)
    scan(base / "smplx" / "0003_00016_02_00101" / "mesh-f00101_smplx.obj", tall(1.7))
    return base


@pytest.fixture
def chi3d(tmp_path):
    """One subject, two sequences, two cameras; world z up, as published. Person 1 is 0.5 m beside person 0, along x."""
    base = tmp_path / "chi3d" / "train" / "s03"
    (base / "joints3d_25").mkdir(parents=True)
    notes = {"Hug 1": {"start_fr": 0, "end_fr": 3, "fr_id": 2}, "Grab 2": {"start_fr": 1, "end_fr": 3, "fr_id": 1}}
    (base / "interaction_contact_signature.json").write_text(json.dumps(notes))
    joints = np.zeros((2, 4, 25, 3))
    joints[..., 2] = np.linspace(0, 1.6, 25)  # each joint at its own height
    joints[1, ..., 0] = 0.5
    R = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # looks along +y, picture's down = world -z
    camera = {
        "extrinsics": {"R": R.tolist(), "T": [[0.25, -4.0, 0.8]]},
        "intrinsics_wo_distortion": {"f": [150.0, 150.0], "c": [60.0, 80.0]},
        "intrinsics_w_distortion": {"f": [[150.0, 150.0]], "c": [[60.0, 80.0]], "k": [[0, 0, 0]], "p": [[0, 0]]},
    }
    for action in notes:
        (base / "joints3d_25" / f"{action}.json").write_text(json.dumps({"joints3d_25": joints.tolist()}))
        for name in ("50591643", "60457274"):
            for part in ("videos", "camera_parameters"):
                (base / part / name).mkdir(parents=True, exist_ok=True)
            (base / "camera_parameters" / name / f"{action}.json").write_text(json.dumps(camera))
            frames = [np.full((160, 120, 3), 60 * k, np.uint8) for k in range(4)]
            write_video(base / "videos" / name / f"{action}.mp4", frames)
    return tmp_path / "chi3d"


def height(sample):
    return max(float(np.ptp(m.vertices[:, 1].numpy())) for m in sample.meshes)


def check(sample):
    """What every sample promises: people in front of the camera, in metres, and a photo of them that the metrics take."""
    assert isinstance(sample, EvaluationSample)
    vertices = torch.cat([m.vertices for m in sample.meshes])
    uv, z = sample.camera.project(vertices)
    assert float(z.min()) > 0
    inside = ((uv >= 0) & (uv < torch.tensor([sample.camera.width, sample.camera.height]))).all(-1)
    assert bool(inside.all())
    assert (sample.photo.height, sample.photo.width) == (sample.camera.height, sample.camera.width)
    m = evaluate_scene(sample.meshes, sample.meshes, EvaluateConfig(samples=300, image_size=32), camera=sample.camera, textured=sample.textured)
    assert m.group.p2s_cm < 1e-2 and (m.image.psnr_db == 100 if sample.textured else "psnr_db" in m.undefined)


def test_multihuman(multihuman):
    samples = open_dataset("multihuman", multihuman)
    assert [s.name for s in samples] == [f"two_closely_inter_{k}_{v}" for k in (8, 23) for v in range(4)]  # 99 is not in the paper
    assert len(open_multihuman(multihuman, paper_only=False)) == 12
    first, second = samples[0].load(), samples[1].load()
    check(first)
    assert len(first.meshes) == 2 and not first.textured and first.family == "two_closely_inter"
    assert height(first) == pytest.approx(1.7) and "1.7" in first.notes[0]
    assert first.body_vertices.shape == (2, 8, 3) and float(first.body_vertices[..., 1].max()) == pytest.approx(0.8 * 1.7 / 0.9, rel=1e-4)
    assert sum(map(len, PAPER_SCENES.values())) == 20
    # The next view is a quarter turn on.
    a, b = (s.camera.T_world_cam[:3, 2] * torch.tensor([1.0, 0, 1.0]) for s in (first, second))
    assert float((a / a.norm()) @ (b / b.norm())) == pytest.approx(0, abs=1e-4)
    assert torch.equal(first.photo.image, samples[0].load().photo.image)  # seeded


def test_chi3d(chi3d):
    samples = open_dataset("chi3d", chi3d)
    assert [s.name for s in samples] == [f"s03_{a}_{c}" for a in ("Grab_2_000001", "Hug_1_000002") for c in ("50591643", "60457274")]
    sample = samples[2].load()
    assert (
        sample.family == "Hug"
        and sample.photo.image.shape == (160, 120, 3)
        and float(sample.photo.image.mean()) == pytest.approx(120 / 255, abs=0.02)
    )
    assert torch.isnan(sample.joints[:, :5]).all() and torch.isfinite(sample.joints[:, 5:]).all()
    # The left hip (4 of 25) is 4 × 1.6 / 24 m above the floor, y up; the camera stands 4 m away at 0.8 m.
    assert torch.allclose(sample.joints[0, 11], torch.tensor([0.0, 4 * 1.6 / 24, 0.0]), atol=1e-5)
    assert torch.allclose(sample.camera.centre, torch.tensor([0.25, 0.8, 4.0]), atol=1e-4)
    uv, z = sample.camera.project(sample.joints[:, 5:])
    assert torch.allclose(z, torch.full_like(z, 4.0), atol=1e-4)
    assert torch.allclose(uv[0, 6], torch.tensor([60 - 150 * 0.25 / 4, 80 + 150 * (0.8 - 4 * 1.6 / 24) / 4]), atol=1e-2)
    assert not sample.meshes and "SMPL-X" in sample.notes[-1]
    assert len(open_chi3d(chi3d, subjects=("s03",))) == 4
    with pytest.raises(InputError):
        open_chi3d(chi3d, subjects=("s99",))


def test_chi3d_says_what_is_wrong(chi3d):
    base = chi3d / "train" / "s03"
    (base / "camera_parameters" / "50591643" / "Hug 1.json").write_text("{}")
    with pytest.raises(InputError, match="extrinsics"):
        open_dataset("chi3d", chi3d)[2].load()
    (base / "joints3d_25" / "Hug 1.json").write_text(json.dumps({"joints3d_25": np.zeros((2, 2, 25, 3)).tolist()}))
    with pytest.raises(InputError, match="25"):
        open_dataset("chi3d", chi3d)[3].load()
    (base / "videos" / "60457274" / "Hug 1.mp4").write_bytes(b"no")
    with pytest.raises(InputError, match="video"):
        open_dataset("chi3d", chi3d)[3].load()
    (base / "interaction_contact_signature.json").write_text('{"Hug 1": {}}')
    with pytest.raises(InputError, match="fr_id"):
        open_dataset("chi3d", chi3d)


def test_joints_of_body_fits_by_the_users_file(tmp_path, monkeypatch):
    from huddle3d.evaluation.datasets import scans

    vertices, regressor = torch.rand(2, 6890, 3), torch.rand(24, 6890, dtype=torch.float64)
    assert scans.regressed_joints(vertices) is None and scans.regressed_joints(None) is None
    monkeypatch.setattr("huddle3d.bodies.joint_regressor", lambda name: regressor if name == "smpl" else None)
    found = scans.regressed_joints(vertices)
    assert torch.allclose(found[:, 9], (regressor[20] @ vertices.double()).float(), rtol=1e-5) and torch.isnan(found[:, 0]).all()


def test_hi4d(hi4d):
    samples = open_dataset("hi4d", hi4d)
    assert [s.name for s in samples] == ["pair00_hug00_000011_4", "pair00_hug00_000027_4"]  # every 16th
    sample = samples[0].load()
    check(sample)
    assert len(sample.meshes) == 2 and not sample.textured and sample.photo.focal_px == 150
    assert height(sample) == pytest.approx(1.7) and sample.body_vertices.shape == (2, 6890, 3)


def test_thuman2(thuman2):
    samples = open_dataset("thuman2", thuman2)
    assert [s.name for s in samples] == [f"{k}_{v}" for k in ("0000", "0525") for v in range(4)]  # 0526 is another release
    assert len(open_thuman2(thuman2 / "THuman2.0_Release", views=1)) == 2
    without, fitted = samples[0].load(), samples[4].load()
    check(fitted)
    assert height(without) == pytest.approx(1.7) and without.notes
    assert height(fitted) == pytest.approx(170 / 95) and not fitted.notes and fitted.textured
    middle = fitted.photo.image[fitted.photo.height // 2, fitted.photo.width // 2]
    assert float(middle[0]) > 2 * float(middle[1])  # the red texture was found


def test_customhumans(customhumans):
    sample = open_dataset("customhumans", customhumans)[3].load()
    check(sample)
    assert height(sample) == pytest.approx(1.8) and sample.textured and sample.body_vertices.shape == (1, 8, 3)


@pytest.mark.parametrize("name", DATASETS)
def test_other_folders_are_told_what_was_expected(name, tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.txt").write_text("x")
    for root in (tmp_path, tmp_path / "holiday", tmp_path / "absent"):
        with pytest.raises(InputError) as caught:
            open_dataset(name, root)
        assert "Expected:" in caught.value.why and caught.value.next_step


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="multihuman"):
        open_dataset("imagenet", tmp_path)


@pytest.mark.parametrize(
    "name, gone",
    [
        ("multihuman", "two_closely_inter/obj_all"),
        ("multihuman", "two_closely_inter/obj/8_1.obj"),
        ("hi4d", "pair00/hug00/cameras"),
        ("hi4d", "pair00/hug00/images/4/000027.jpg"),
        ("thuman2", "THuman2.0_Release/0000/material0.jpeg"),
        ("thuman2", "THuman2.0_Release/0000/0000.obj"),
        ("customhumans", "smplx/0003_00016_02_00101"),
        ("customhumans", "mesh/0003_00016_02_00101/mesh-f00101.obj"),
    ],
)
def test_half_unpacked(name, gone, request):
    import shutil

    root = request.getfixturevalue(name)
    path = root / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError) as caught:
        open_dataset(name, root)
    assert "Expected:" in caught.value.why and path.name.split(".")[0][:4] in str(caught.value) or "people" in caught.value.why


def test_damaged_arrays_and_pickles_are_refused(hi4d):
    base = hi4d / "pair00" / "hug00"
    sample = open_dataset("hi4d", hi4d)[0]
    (base / "seg/instance/1/mesh-f00011.npz").write_bytes(b"PK not a zip")
    with pytest.raises(InputError):
        sample.load()
    np.savez_compressed(base / "meta.npz", start=11, end=12, contact_ids=np.arange(4000), mono_cam=4)
    data = bytearray((base / "meta.npz").read_bytes())
    at = data.find(b"contact_ids.npy") + 100
    data[at : at + 40] = b"\xff" * 40  # damaged where it is compressed
    (base / "meta.npz").write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged"):
        open_dataset("hi4d", hi4d)
    np.savez(base / "meta.npz", start=11, end=12, contact_ids=np.array([{"a": 1}], dtype=object), mono_cam=4)  # needs a pickle
    with pytest.raises(InputError):
        open_dataset("hi4d", hi4d)
    np.savez(base / "meta.npz", start=11)
    with pytest.raises(InputError, match="contact_ids|end"):
        open_dataset("hi4d", hi4d)


def test_an_impossible_height_is_refused(customhumans):
    for entry in (customhumans / "mesh").rglob("*.obj"):
        entry.unlink()
    (customhumans / "mesh/0003_00016_02_00101/mesh-f00101.mtl").unlink()
    (customhumans / "mesh/0003_00016_02_00101/mesh-f00101.png").unlink()
    scan(customhumans / "mesh/0003_00016_02_00101/mesh-f00101.obj", tall(180.0))
    with pytest.raises(InputError, match="180 m"):
        open_dataset("customhumans", customhumans)[0].load()


def test_views_of_the_protocol():
    people = [person("a", sphere(0.8))]
    for seed in range(6):
        for view in range(4):
            camera = view_camera(people, seed=seed, view=view)
            back = camera.centre / camera.centre.norm()
            assert -20.01 <= np.degrees(np.arcsin(float(back[1]))) <= 45.01
            assert 2 * 0.8 <= float(camera.centre.norm()) <= 6 * 0.8
    assert photograph(people, camera, "x").focal_px == float(camera.K[1, 1])
    with pytest.raises(InputError):
        to_metres([replace(people[0], vertices=people[0].vertices * torch.tensor([1.0, 0, 1]))], None, __file__)


@pytest.mark.slow
def test_a_suite_is_read_as_it_was_made(tmp_path):
    from huddle3d.bodies import load_body
    from huddle3d.synthesis import build_scene, render_scene, sample_spec, write_sample

    made = render_scene(build_scene(sample_spec(5, family="handshake"), body=load_body()))
    write_sample(made, tmp_path / "0000_handshake_5")
    (lazy,) = open_dataset("suite", tmp_path)
    read, direct = lazy.load(), EvaluationSample.of(made)
    assert read.photo.sha256 == direct.photo.sha256 and torch.equal(read.photo.image, direct.photo.image)
    assert read.photo.name == direct.photo.name and read.family == "handshake"
    assert read.bodies.digest() == direct.bodies.digest() and read.people2d.digest() == direct.people2d.digest()
    m = evaluate_scene(read.meshes, direct.meshes, EvaluateConfig(samples=2000, images=False))
    assert m.group.p2s_cm < 1e-3 and [p.name for p in m.people] == [p.predicted_name for p in m.people]


def test_half_written_suites_are_refused(tmp_path):
    scene = tmp_path / "0000_hug_0"
    scene.mkdir()
    (scene / "photo.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="half written.*synth"):
        open_dataset("suite", tmp_path)


def test_alignment_by_surfaces_undoes_another_world():
    from huddle3d.evaluation import align_surfaces
    from huddle3d.geometry import apply, se3, similarity, so3_exp

    truth = [person("a", tall(1.7, -0.3)), person("b", tall(1.5, 0.4))]
    camera = Camera.perspective(100, 64, 64, look_at(torch.tensor([0.5, 1.0, 4.0]), torch.tensor([0.0, 0.8, 0.0])))
    T = similarity(1.4, so3_exp(torch.tensor([0.0, 2.0, 0.1])), torch.tensor([1.0, 0.2, -2.0]))
    moved = [replace(p, vertices=apply(T, p.vertices)) for p in truth]
    rigid = se3(so3_exp(torch.tensor([0.0, 2.0, 0.1])), torch.tensor([0.0, 0.0, 0.0]))
    seen = replace(camera, T_cam_world=camera.T_cam_world @ torch.linalg.inv(rigid))
    found = align_surfaces(moved, truth, predicted_camera=seen, true_camera=camera)
    error = (apply(found, moved[0].vertices) - truth[0].vertices).norm(dim=-1).max()
    assert float(error) < 0.02  # two samplings of one surface, 4000 points each
    plain = evaluate_scene(moved, truth, EvaluateConfig(samples=500, images=False, alignment="surface"), camera=None)
    assert plain.alignment == "surface"
