"""Frame, landmarks, symmetry, limits, proxy, garments and gradients of the embedded body."""

from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import BodyModel, load_body
from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import apply, rotation_y, so3_log
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX, LANDMARKS, LEFT_HAND, MIRROR, NUM_LANDMARKS

FLIP = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def rest(body: BodyModel):
    return body(body.neutral())


def mark(landmarks: torch.Tensor, name: str) -> torch.Tensor:
    return landmarks[0, LANDMARK_INDEX[name]]


def bent(body: BodyModel, **rotvecs: tuple[float, float, float]) -> BodyParams:
    """Neutral body with joints turned; ``__`` stands for ``-`` and a trailing ``_L`` for ``.L``."""
    params = body.neutral()
    for name, value in rotvecs.items():
        params.pose[0, body.joint_names.index(name.replace("__", "-").replace("_L", ".L").replace("_R", ".R"))] = torch.tensor(value)
    return params


def test_sizes_and_names(body: BodyModel) -> None:
    assert (body.num_vertices, len(body.faces), body.num_joints) == (13718, 27420, 104)
    assert body.shape_names == ("gender", "age", "muscle", "weight", "height", "proportions")
    assert body.num_expression == 52 and "jawOpen" in body.expression_names
    assert body.landmark_valid.all() and len(body.landmark_valid) == NUM_LANDMARKS
    assert set(body.regions.tolist()) == set(range(len(body.region_names))), "an empty region"
    assert body.faces_uv.max() < len(body.uv) and body.uv.min() >= 0 and body.uv.max() <= 1


def test_neutral_is_an_adult_that_faces_forwards(body: BodyModel, rest) -> None:
    v = rest.vertices[0]
    assert 1.6 < v[:, 1].max() - v[:, 1].min() < 1.95
    nose, heel, toe = (mark(rest.landmarks, n) for n in ("nose", "left_heel", "left_big_toe"))
    assert nose[2] > 0.05 and toe[2] > heel[2] + 0.15, "faces +z"
    assert nose[1] > 0.5 > -0.8 > heel[1], "stands along +y"
    assert mark(rest.landmarks, "left_wrist")[0] > 0.3, "the subject's left is +x"


def test_every_left_landmark_is_left_and_mirrors_its_twin(rest) -> None:
    points = rest.landmarks[0]
    for i, name in enumerate(LANDMARKS):
        if "left" in name:
            assert points[i, 0] > 0.005, name
    assert torch.allclose(points[list(MIRROR)] * FLIP, points, atol=1.5e-3)  # the bone heads of the data differ by up to 1 mm


def test_landmarks_lie_on_their_regions(body: BodyModel, rest) -> None:
    distance = (rest.landmarks[0][:, None] - rest.vertices[0]).norm(dim=-1)
    names = [body.region_names[body.regions[i]] for i in distance.argmin(1)]
    found = dict(zip(LANDMARKS, names, strict=True))
    expected = {
        "nose": "face",
        "left_eye": "face",
        "left_ear": "head",
        "left_heel": "left_foot",
        "right_small_toe": "right_foot",
        "face_chin": "face",
    }
    for name, region in expected.items():
        assert found[name] == region, name
    assert all(name == "left_hand" for name in names[LEFT_HAND][1:]), "all but the wrist"
    assert distance[65:].min(1).values.max() < 1e-6, "face points are on the surface"


def test_face_points_are_ordered(rest) -> None:
    right_outer, right_inner, left_inner, left_outer = (
        mark(rest.landmarks, f"face_{n}")[0] for n in ("right_eye_outer", "right_eye_inner", "left_eye_inner", "left_eye_outer")
    )
    assert right_outer < right_inner - 0.02 and right_inner < left_inner - 0.02 and left_inner < left_outer - 0.02
    eye, nose, top, corner, bottom, chin = (
        mark(rest.landmarks, n)[1] for n in ("left_eye", "nose", "face_mouth_top", "face_mouth_left", "face_mouth_bottom", "face_chin")
    )
    assert eye > nose > top > corner > bottom > chin


def test_finger_points_run_from_wrist_to_tip(rest) -> None:
    hand = rest.landmarks[0, LEFT_HAND]
    assert torch.equal(hand[0], mark(rest.landmarks, "left_wrist"))
    for finger in range(5):
        chain = hand[[0, *range(1 + 4 * finger, 5 + 4 * finger)]]
        steps = (chain[1:] - chain[:-1]).norm(dim=-1)
        assert (steps > 0.01).all() and (steps[2:] < 0.06).all()
        reach = (chain[2:] - chain[0]).norm(dim=-1)
        assert (reach[1:] > reach[:-1] - 0.005).all()
    along = hand[[5, 9, 13, 17]] - hand[0]
    assert along.norm(dim=-1).argmax() < 2, "index and middle knuckles are the farthest"


def test_fast_landmarks_equal_the_full_ones(body: BodyModel, rng: torch.Generator) -> None:
    params = body.neutral(2)
    params = replace(params, pose=0.3 * torch.randn(2, 104, 3, generator=rng), expression=torch.rand(2, 52, generator=rng))
    out = body(params)
    assert torch.allclose(body.landmarks(params), out.landmarks, atol=1e-6)
    assert torch.allclose(body.joints(params), out.joints)
    landmarks, frames = body.landmark_joints(params)
    assert torch.allclose(landmarks, out.landmarks, atol=1e-6) and torch.allclose(frames, out.T_world_joint)
    assert torch.allclose(body.proxy_skinned(params), body.proxy_vertices(out.vertices), atol=1e-5)


def test_global_orientation_and_translation_move_the_body_rigidly_about_its_root(body: BodyModel) -> None:
    params = bent(body, upperarm01_L=(0.3, 0.2, 0.5), spine03=(0.2, 0.1, 0.0))
    R, t = rotation_y(torch.tensor(0.8)), torch.tensor([[1.0, 0.5, -2.0]])
    moved = replace(params, pose=params.pose.index_copy(1, torch.tensor([0]), so3_log(R)[None, None]), translation=t)
    still, out = body(params), body(moved)
    assert torch.allclose(out.joints[0, 0], t[0]) and torch.allclose(still.joints[0, 0], torch.zeros(3))
    assert torch.allclose(out.vertices[0], still.vertices[0] @ R.T + t, atol=2e-6)
    assert torch.allclose(out.T_world_joint[0, 0, :3, :3], R, atol=1e-6)


def test_joint_frames_carry_rigid_points(body: BodyModel) -> None:
    """A finger's landmark beyond the wrist moves with the wrist's frame when only the elbow bends."""
    straight, flexed = body.neutral(), bent(body, lowerarm01_L=(-0.7, -0.6, 0.0))
    (a, Ta), (b, Tb) = body.landmark_joints(straight), body.landmark_joints(flexed)
    j = body.joint_names.index("wrist.L")
    tip = LANDMARK_INDEX["left_index2"]
    assert torch.allclose(apply(Tb[0, j] @ torch.linalg.inv(Ta[0, j]), a[0, tip]), b[0, tip], atol=1e-5)


def test_mirror_map_is_an_exact_reflection(body: BodyModel) -> None:
    assert torch.equal(body.mirror[body.mirror], torch.arange(body.num_vertices))
    v = body.surface.template
    assert (v[body.mirror] * FLIP - v).norm(dim=1).max() < 2e-3
    names = [body.joint_names[j] for j in body.mirror_joints]
    assert names[body.joint_names.index("wrist.L")] == "wrist.R" and names[0] == "root"
    swapped = [n.replace("left", "#").replace("right", "left").replace("#", "right") for n in body.region_names]
    twin = torch.tensor([body.region_names.index(n) for n in swapped])
    off_centre = v[:, 0].abs() > 1e-4
    assert torch.equal(twin[body.regions][off_centre], body.regions[body.mirror][off_centre])


def test_mirrored_pose_gives_the_mirrored_body(body: BodyModel, rng: torch.Generator) -> None:
    params = replace(body.neutral(), pose=0.3 * torch.randn(1, 104, 3, generator=rng))
    flipped = replace(params, pose=params.pose[:, body.mirror_joints] * torch.tensor([1.0, -1.0, -1.0]))
    a, b = body(params).vertices[0], body(flipped).vertices[0]
    assert (a[body.mirror] * FLIP - b).norm(dim=1).max() < 6e-3  # skinning weights of the data are not quite symmetric


def test_flexion_lies_inside_the_limits_and_bends_the_right_way(body: BodyModel, rest) -> None:
    limits = body.joint_limits
    assert (limits[..., 0] <= 0).all() and (limits[..., 1] >= 0).all()
    assert torch.allclose(limits[body.mirror_joints, 0], limits[:, 0], atol=0.02)
    knee = limits[body.joint_names.index("lowerleg01.L")]
    assert knee[0, 1] > 2.2 and knee[0, 0] > -0.5, "knees flex about +x only"
    flexed = body(bent(body, lowerleg01_L=(1.5, 0, 0))).landmarks
    assert mark(flexed, "left_ankle")[2] < mark(rest.landmarks, "left_ankle")[2] - 0.3, "the heel goes back"

    def folded(joint: str) -> torch.Tensor:
        box = limits[body.joint_names.index(joint)]
        larger = torch.where(box[:, 1] > -box[:, 0], box[:, 1], box[:, 0])
        axis = larger * (larger.abs() > 0.7 * larger.abs().max())
        return body(bent(body, **{joint.replace("-", "__").replace(".L", "_L"): tuple((1.2 * axis / axis.norm()).tolist())})).landmarks

    reach = lambda marks, a, b: (mark(marks, a) - mark(marks, b)).norm()  # noqa: E731
    assert reach(folded("lowerarm01.L"), "left_wrist", "left_shoulder") < reach(rest.landmarks, "left_wrist", "left_shoulder") - 0.1
    for finger, k in (("index", 2), ("middle", 3), ("ring", 4), ("pinky", 5)):
        assert (
            reach(folded(f"finger{k}-1.L"), f"left_{finger}4", "left_hand_root") < reach(rest.landmarks, f"left_{finger}4", "left_hand_root") - 0.015
        )


def test_fit_joints_leave_out_twist_bones_and_toes(body: BodyModel) -> None:
    names = [body.joint_names[j] for j in body.fit_joints]
    assert names[0] == "root" and "lowerarm01.L" in names and "finger3-2.R" in names
    assert not any(n.startswith(("toe", "lowerarm02", "metacarpal", "eye")) for n in names)


def test_phenotypes_do_what_they_say(body: BodyModel) -> None:
    def shaped(**shape: float) -> torch.Tensor:
        params = body.neutral()
        for name, value in shape.items():
            params.shape[0, body.shape_names.index(name)] = value
        return body(params).vertices[0]

    def height(**shape: float) -> float:
        y = shaped(**shape)[:, 1]
        return float(y.max() - y.min())

    assert height(height=1.0) > height(height=0.0) + 0.5
    assert height(age=1 / 3) < height() - 0.2
    assert volume(shaped(weight=1.0), body.faces) > 1.2 * volume(shaped(weight=0.0), body.faces)
    assert height(height=1.4) == height(height=1.0), "values outside the range are clamped"


def test_jaw_opens(body: BodyModel, rest) -> None:
    expression = torch.zeros(1, 52)
    expression[0, body.expression_names.index("jawOpen")] = 1.0
    opened = body.landmarks(replace(body.neutral(), expression=expression))
    assert mark(opened, "face_mouth_bottom")[1] < mark(rest.landmarks, "face_mouth_bottom")[1] - 0.008
    assert torch.equal(mark(opened, "left_elbow"), mark(rest.landmarks, "left_elbow"))


def boundary_edges(faces: torch.Tensor) -> int:
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward, backward = {tuple(e) for e in edges.tolist()}, {tuple(e) for e in edges.flip(1).tolist()}
    return len(forward ^ backward)


def volume(v: torch.Tensor, faces: torch.Tensor) -> float:
    a, b, c = (v[faces[:, k]].double() for k in range(3))
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def test_surfaces_are_closed_and_outward(body: BodyModel, rest) -> None:
    assert boundary_edges(body.faces) == 0 and boundary_edges(body.proxy_faces) == 0
    full = volume(rest.vertices[0], body.faces)
    coarse = volume(body.proxy_vertices(rest.vertices)[0], body.proxy_faces)
    assert 0.055 < full < 0.09, "litres of an adult"
    assert abs(coarse / full - 1) < 0.05


def test_proxy_is_small_and_close(body: BodyModel, rest) -> None:
    proxy = body.proxy_vertices(rest.vertices)
    assert 1000 <= proxy.shape[1] <= 1400 and len(body.proxy_regions) == proxy.shape[1]
    assert set(body.proxy_regions.tolist()) == set(range(len(body.region_names)))
    assert torch.cdist(proxy[0], rest.vertices[0]).min(1).values.max() < 0.03


def test_garments_wrap_the_body_and_follow_it(body: BodyModel, rest) -> None:
    assert set(body.garments) == {"tights", "skirt", "hair"}
    seated = bent(body, upperleg01_L=(-1.2, 0, 0), upperleg01_R=(-1.2, 0, 0))
    for name in body.garments:
        v, faces = body.garment_vertices(name, body.neutral()), body.garment_faces(name)
        assert faces.max() < v.shape[1] and torch.isfinite(v).all()
        assert torch.cdist(v[0], rest.vertices[0]).min(1).values.max() < 0.35
        assert body.garments[name].faces_uv.max() < len(body.garments[name].uv)
    knee = LANDMARK_INDEX["left_knee"]
    tights, posed = body.garment_vertices("tights", body.neutral()), body.garment_vertices("tights", seated)
    near = (tights[0] - rest.landmarks[0, knee]).norm(dim=1).argmin()
    assert (posed[0, near] - body.landmarks(seated)[0, knee]).norm() < 0.12
    with pytest.raises(InputError, match="tights"):
        body.garment_faces("cape")


def test_gradients_reach_every_parameter() -> None:
    """float64 gradcheck of the landmark slice: shape interpolation, rest orientations, kinematics and skinning."""
    body = load_body(dtype=torch.float64)
    g = torch.Generator().manual_seed(1)
    joints = torch.tensor([0, body.joint_names.index("spine02"), body.joint_names.index("lowerarm01.L")])
    rows = torch.tensor([0, LANDMARK_INDEX["left_wrist"], LANDMARK_INDEX["left_index4"]])

    def slice_of(shape: torch.Tensor, pose: torch.Tensor, translation: torch.Tensor, jaw: torch.Tensor) -> torch.Tensor:
        full = torch.zeros(1, 104, 3, dtype=torch.float64).index_copy(1, joints, pose)
        expression = torch.zeros(1, 52, dtype=torch.float64).index_copy(1, torch.tensor([body.expression_names.index("jawOpen")]), jaw)
        return body.landmarks(BodyParams(shape, full, translation, expression))[:, rows]

    inputs = (
        torch.tensor([[0.31, 0.61, 0.42, 0.73, 0.57, 0.23]], dtype=torch.float64),
        0.4 * torch.randn(1, 3, 3, generator=g, dtype=torch.float64),
        torch.randn(1, 3, generator=g, dtype=torch.float64),
        torch.full((1, 1), 0.3, dtype=torch.float64),
    )
    assert torch.autograd.gradcheck(slice_of, [x.requires_grad_() for x in inputs], atol=1e-7)


def test_gradients_are_finite_at_rest(body: BodyModel) -> None:
    params = body.neutral()
    leaves = [x.requires_grad_() for x in (params.shape, params.pose, params.translation)]
    body(params).vertices.square().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in leaves)


def test_wrong_shapes_are_named(body: BodyModel) -> None:
    params = body.neutral(2)
    with pytest.raises(ShapeError, match="pose"):
        body(replace(params, pose=params.pose[:, :50]))
    with pytest.raises(ShapeError, match="expression"):
        body(replace(params, expression=torch.zeros(2, 3)))
    with pytest.raises(InputError, match="smplx"):
        load_body("skeleton")


def test_same_model_is_returned_again() -> None:
    assert load_body() is load_body()


def test_body_part_of_the_skeleton_is_coco(rest) -> None:
    """Lengths of an adult's limbs, from the landmark table alone."""
    points = rest.landmarks[0, BODY]
    length = lambda a, b: float((mark(rest.landmarks, a) - mark(rest.landmarks, b)).norm())  # noqa: E731
    assert len(points) == 17
    assert 0.22 < length("left_shoulder", "left_elbow") < 0.36
    assert 0.18 < length("left_elbow", "left_wrist") < 0.32
    assert 0.36 < length("left_hip", "left_knee") < 0.52
    assert 0.36 < length("left_knee", "left_ankle") < 0.52
