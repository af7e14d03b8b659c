"""Rigged people: reading and refusing files, motion that is known exactly, a body laid into them, contact without crossing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.contact import closest_point
from huddle3d.errors import InputError
from huddle3d.evaluation import group_penetration, interaction
from huddle3d.geometry import rotation_y
from huddle3d.scene import BodyParams
from huddle3d.synthesis import AvatarSpec, SceneSpec, build_scene, sample_spec
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.avatars.folder import avatar_names, avatar_person, read_avatar
from huddle3d.synthesis.avatars.parting import PartConfig, part_people
from huddle3d.synthesis.avatars.registration import RegisterConfig, Registration, register_body, surface_residual_mm
from huddle3d.synthesis.avatars.rigging import settle_bodies, tie_rig
from huddle3d.synthesis.suites.lists import open_suite_list

from . import avatar_folder

NAME = "Any_F_1_Casual"


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def assets(body, tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    avatar_folder.make(folder, body)
    return Assets.at(folder)


@pytest.fixture(scope="module")
def rig(body, assets):
    """An avatar whose body is known: no search."""
    return tie_rig(read_avatar(assets, NAME), body, Registration(avatar_folder.spread(body), 0.0, 0.0))


def moved(body, **rotations) -> BodyParams:
    """The spread body with further turns of joints."""
    params = avatar_folder.spread(body)
    pose = params.pose.clone()
    for name, turn in rotations.items():
        pose[0, body.joint_names.index(name.replace("_", "."))] += torch.tensor(turn)
    return replace(params, pose=pose)


def test_a_file_is_read_without_its_teeth(body, assets):
    avatar = read_avatar(assets, NAME)
    assert len(avatar.vertices) == body.num_vertices and len(avatar.faces) == len(body.faces)
    assert avatar.joint_names[0] == "Hips" and avatar.parents[0] == -1 and bool(avatar.body.all())
    assert torch.allclose(avatar.texture[4, 4], torch.tensor([200, 120, 80]) / 255, atol=0.02)


def test_the_folder_may_stand_inside_or_beside(assets, tmp_path):
    assert avatar_names(assets) == (NAME,)
    (assets.folder / "makehuman").mkdir(exist_ok=True)
    try:
        assert Assets.at(assets.folder).folder.name == "makehuman"
        assert avatar_names(Assets.at(assets.folder)) == (NAME,)
    finally:
        (assets.folder / "makehuman").rmdir()
    with pytest.raises(InputError, match="avatars"):
        avatar_names(Assets.at(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f": np.array([[0, 1, 10**6]], np.int32)}, "points outside"),
        ({"weights": None}, "do not sum"),
        ({"v": None}, "not finite"),
        ({"joint_parents": None}, "tree"),
        ({"uv": np.zeros((3, 2), np.float32)}, "'uv'"),
        ({"joint_names": np.array(["a"])}, "joint_parents"),
    ],
)
def test_damaged_files_are_named(body, tmp_path, changes, words):
    good = avatar_folder.arrays(body)
    broken = {"weights": good["weights"] * 2, "v": np.where(np.arange(len(good["v"]))[:, None] == 5, np.nan, good["v"])}
    broken["joint_parents"] = np.zeros_like(good["joint_parents"])
    avatar_folder.make(tmp_path, body, **{k: broken[k] if v is None else v for k, v in changes.items()})
    with pytest.raises(InputError, match=words) as error:
        read_avatar(Assets.at(tmp_path), NAME)
    assert f"{NAME}.npz" in str(error.value) and error.value.next_step


def test_truncated_files_missing_pictures_and_unknown_names_are_refused(body, tmp_path):
    avatar_folder.make(tmp_path, body, names=(NAME, "Any_M_1_Casual"))
    path = tmp_path / "avatars" / f"{NAME}.npz"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged"):
        read_avatar(Assets.at(tmp_path), NAME)
    (tmp_path / "avatars" / "Any_M_1_Casual.jpg").unlink()
    with pytest.raises(InputError, match="picture"):
        read_avatar(Assets.at(tmp_path), "Any_M_1_Casual")
    with pytest.raises(InputError, match="It has: Any_F"):
        read_avatar(Assets.at(tmp_path), "../secret")


def test_another_skeleton_is_refused(body, tmp_path):
    names = avatar_folder.arrays(body)["joint_names"]
    avatar_folder.make(tmp_path, body, joint_names=np.array([n.replace("Left", "L") for n in names]))
    with pytest.raises(InputError, match="LeftArm"):
        tie_rig(read_avatar(Assets.at(tmp_path), NAME), body, Registration(avatar_folder.spread(body), 0.0, 0.0))


def test_at_rest_and_under_rigid_motion_nothing_bends(body, rig):
    start = avatar_folder.spread(body)
    rest = rig.posed(body(start).T_world_joint[0])
    assert torch.allclose(rest, rig.avatar.vertices, atol=1e-5)
    turn, shift = rotation_y(1.1), torch.tensor([0.3, 0.2, -0.4])
    pose = start.pose.clone()
    pose[0, 0] = torch.tensor([0.0, 1.1, 0.0])
    out = body(replace(start, pose=pose, translation=start.translation + shift))
    root = start.translation[0]
    assert torch.allclose(rig.posed(out.T_world_joint[0]), (rest - root) @ turn.T + root + shift, atol=1e-5)


def test_a_bent_elbow_turns_the_forearm_about_it(body, rig):
    turn = (0.0, -0.8, 0.0)
    rest, bent = rig.avatar.vertices, rig.posed(body(moved(body, lowerarm01_L=turn)).T_world_joint[0])
    a = rig.avatar
    hand = a.joint_names.index("LeftHand")
    rows = ((a.joints == hand) * a.weights).sum(1) > 0.999
    elbow = a.heads[a.joint_names.index("LeftForeArm")]
    T0, T1 = (
        body(p).T_world_joint[0, body.joint_names.index("lowerarm01.L"), :3, :3] for p in (avatar_folder.spread(body), moved(body, lowerarm01_L=turn))
    )
    R = T1 @ T0.T
    assert int(rows.sum()) > 50
    assert torch.allclose(bent[rows], (rest[rows] - elbow) @ R.T + elbow, atol=1e-4)
    still = ((a.joints == a.joint_names.index("RightHand")) * a.weights).sum(1) > 0.999
    assert torch.allclose(bent[still], rest[still], atol=1e-5)


def test_it_follows_the_body_in_any_pose(body, rig):
    params = moved(
        body,
        upperarm01_L=(0.0, -0.9, -0.5),
        lowerarm01_R=(0.0, 0.7, 0.0),
        upperleg01_L=(-0.6, 0.0, 0.0),
        lowerleg01_L=(0.7, 0.0, 0.0),
        head=(0.1, 0.4, 0.0),
    )
    out = body(params)
    distance = (rig.posed(out.T_world_joint[0]) - out.vertices[0]).norm(dim=-1)
    assert float(distance.median()) < 0.002 and float(distance.quantile(0.95)) < 0.015  # the coarser skeleton has no twist bones


def test_scene_files_name_avatars(assets):
    spec = sample_spec(3, family="hug")
    mixed = replace(spec, people=(avatar_person(NAME, 0), spec.people[1]))
    assert SceneSpec.from_json(mixed.to_json()) == mixed and mixed.people[0].avatar == AvatarSpec(NAME)
    assert "avatar" not in spec.to_json()


def test_a_build_without_its_avatar_says_so(body, assets, monkeypatch, tmp_path):
    spec = replace(sample_spec(3, family="hug"), people=(avatar_person("Nobody", 0), avatar_person(NAME, 1)))
    with pytest.raises(InputError, match="Nobody"):
        build_scene(spec, body=body, assets=assets)
    monkeypatch.delenv("HUDDLE3D_ASSETS", raising=False)
    with pytest.raises(InputError, match="--assets"):
        build_scene(spec, body=body)


def test_surfaces_that_cross_are_parted_and_contacts_closed(body, rig):
    start = avatar_folder.spread(body)
    pose = torch.cat([start.pose, start.pose])
    for k, angle in enumerate((math.pi / 2, -math.pi / 2)):
        pose[k, 0] = torch.tensor([0.0, angle, 0.0])
    for side, sign in (("L", -1.0), ("R", 1.0)):  # arms down
        pose[:, body.joint_names.index(f"upperarm01.{side}")] = torch.tensor([0.0, 0.0, 0.55 * sign])
    two = {f: getattr(start, f).repeat(2, 1) for f in ("shape", "translation", "expression")}
    place = two["translation"] + torch.tensor([[-0.128, 0.0, 0.0], [0.128, 0.0, 0.0]])
    params = BodyParams(two["shape"], pose, place, two["expression"])
    assert group_penetration([(v, body.faces) for v in body(params).vertices]).max_mm > 20
    after, surfaces = part_people(params, [rig, None], body, PartConfig(steps=8))
    assert group_penetration([(surfaces[0], rig.avatar.faces), (surfaces[1], body.faces)]).max_mm <= 5.0
    assert float(closest_point(surfaces[0], surfaces[1], body.faces).distance.min()) < 0.02
    assert all(abs(float(s[:, 1].amin())) < 1e-4 for s in surfaces)
    assert float((after.translation - params.translation)[:, [0, 2]].norm(dim=-1).max()) < 0.1


@pytest.mark.slow
def test_a_body_finds_itself_in_its_own_surface(body, assets):
    avatar = read_avatar(assets, NAME)
    truth = avatar_folder.spread(body)
    noise = torch.zeros_like(truth.pose)  # of the joints that a registration moves
    noise[:, body.fit_joints] = 0.12 * torch.randn(truth.pose[:, body.fit_joints].shape, generator=torch.Generator().manual_seed(0))
    start = replace(truth, pose=truth.pose + noise)
    start = replace(start, shape=(truth.shape + torch.tensor([[0.2, 0.0, -0.1, 0.15, 0.05, 0.1]])))
    rows = {n: body(truth).joints[0, body.joint_names.index(n)] for n in ("upperarm01.L", "wrist.L", "upperarm01.R", "wrist.R", "foot.L", "foot.R")}
    before = surface_residual_mm(body, body(start).vertices[0], avatar.vertices, avatar.faces).median()
    found = register_body(body, avatar.vertices, avatar.faces, start, joints=rows, config=RegisterConfig(steps=140))
    assert found.median_mm < 5.5 and float(before) > 4 * found.median_mm, (float(before), found.median_mm)  # the last millimetres are slow
    assert bool((found.params.pose[0, 1:] <= body.joint_limits[1:, :, 1] + 1e-6).all())
    with pytest.raises(InputError, match="no joint"):
        register_body(body, avatar.vertices, avatar.faces, start, joints={"tail": rows["foot.L"]})
    with pytest.raises(InputError, match="faces"):
        register_body(body, avatar.vertices, avatar.faces[:0], start)


@pytest.mark.slow
@pytest.mark.shared
def test_a_moment_of_the_suite_salsa_is_what_it_says(body, shared):
    assets = Assets.at(shared / "data")
    item = open_suite_list("salsa", assets=assets).scenes[0]
    scene = build_scene(item.spec, body=body, assets=assets)
    meshes = [(m.vertices, m.faces) for m in scene.meshes]
    assert item.tag == "contact" and interaction(meshes).level in ("touch", "close")
    assert group_penetration(meshes).max_mm <= 5.0
    for person, mesh, skin in zip(item.spec.people, scene.meshes, scene.bodies.vertices, strict=True):
        avatar = read_avatar(assets, person.avatar.name)
        distance = surface_residual_mm(body, skin, mesh.vertices, avatar.faces[avatar.body[avatar.faces].all(1)])
        assert 1.0 < float(distance.median()) < 18.0 and float(distance.quantile(0.95)) < 60.0
        assert abs(float(mesh.vertices[:, 1].amin())) < 1e-3 and mesh.texture.shape[0] == 1024


def test_bodies_settle_in_posed_surfaces(body, rig):
    posed = moved(body, upperarm01_L=(0.0, -0.6, -0.3))
    surface = rig.posed(body(posed).T_world_joint[0])
    away = replace(posed, translation=posed.translation + torch.tensor([[0.02, 0.0, -0.015]]))
    both = BodyParams(*(torch.cat([getattr(away, f)] * 2) for f in ("shape", "pose", "translation", "expression")))
    found = settle_bodies(both, [rig, None], [surface, surface], body)
    before, after = (surface_residual_mm(body, body(p).vertices[0], surface, rig.avatar.faces).median() for p in (both, found))
    assert float(after) < 0.5 * float(before) and torch.equal(found.shape, both.shape)
    assert torch.equal(found.pose[1], both.pose[1]) and torch.equal(found.translation[1], both.translation[1])  # nobody's rig: stays
