"""What the regressor reads and says: units, axes, who is who; and how the fit uses it."""

from dataclasses import replace

import pytest
import torch
from scenes import HEIGHT, WIDTH, photo
from tiny_body import TinyBody

from huddle3d.bodies import load_body
from huddle3d.diffusion.pairs import pair_joints
from huddle3d.errors import InputError, ShapeError
from huddle3d.fitting import FitConfig, fit_weights_digest
from huddle3d.fitting._landmark_terms import direction_term
from huddle3d.fitting._learned import Learned, choose_regressor, partners, sights_of
from huddle3d.fitting._observations import BONES, bone_matrix, observe
from huddle3d.fitting._state import Frame
from huddle3d.fitting.regressor import MAP, POINTS, Answer, Numbers, Regressor, Sights, answer_size, read_regressor, save_regressor, virtual_camera
from huddle3d.geometry import rotation_angle, rotation_between, six_d_from_matrix, so3_exp
from huddle3d.networks import PairRegressor, PairRegressorConfig
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import NUM_LANDMARKS

N = len(POINTS)


def sights(points, root, centre=(0.0, 0.0), half=0.3):
    """Exact observations of points [m] of pairs, seen in windows around ``centre``."""
    count = len(points)
    window = torch.tensor([*centre, half]).expand(count, 3)
    ones = torch.ones(count, 2, N)
    return Sights(points[..., :2] / points[..., 2:], ones, points - root, ones, torch.zeros(count, 2, MAP, MAP), window, torch.ones(count).bool())


def cloud(count=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.tensor([0.0, 0.0, 4.0]) + 0.4 * torch.randn(count, 2, N, 3, generator=g)


def test_where_people_stand_in_the_picture_has_no_effect():
    points, root = cloud(), torch.tensor([0.0, 0.0, 4.0])
    ray = torch.tensor([0.5, -0.3, 1.0])
    R = rotation_between(torch.tensor([0.0, 0.0, 1.0]), ray)
    rows, cells = sights(points, root).rows()
    moved, _ = sights(points @ R.T, root @ R.T, centre=ray[:2].tolist()).rows()
    assert torch.allclose(rows, moved, atol=1e-4)
    assert rows.shape == (3, PairRegressorConfig().points) and cells.shape == (3, PairRegressorConfig().cells)
    near, _ = sights(points * 2, 2 * root).rows()  # twice as large, twice as far: the same picture
    told = [i for i in range(rows.shape[1]) if not torch.allclose(rows[:, i], near[:, i], atol=1e-5)]
    assert 0 < len(told) <= 2 * 3 * N, "only the metric landmarks differ"


def test_the_same_pair_seen_from_the_other_person():
    s = sights(cloud(), torch.tensor([0.0, 0.0, 4.0]))
    s = replace(s, maps=torch.rand(3, 2, MAP, MAP, generator=torch.Generator().manual_seed(1)), confidence=torch.rand(3, 2, N))
    rows, cells = s.rows()
    turned, turned_cells = s.swapped().rows()
    block = 9 * N
    assert torch.allclose(turned[:, :block], rows[:, block : 2 * block]) and torch.allclose(turned[:, block : 2 * block], rows[:, :block])
    assert torch.equal(turned_cells.unflatten(1, (2, -1)), cells.unflatten(1, (2, -1)).flip(1))
    alone = replace(s, paired=torch.zeros(3).bool())
    other = replace(alone, rays=torch.stack([s.rays[:, 0], 7 + s.rays[:, 1]], 1), maps=torch.stack([s.maps[:, 0], 1 - s.maps[:, 1]], 1))
    changed = (alone.rows()[0] != other.rows()[0]).any(0).nonzero()[:, 0]
    # whoever is not there is not read; what is left is whether my own points lie on the other's pixels
    assert set(changed.tolist()) <= {9 * k + 4 for k in range(N)}
    assert torch.equal(alone.rows()[1], other.rows()[1])


def numbers_of(sight, R_view_root, pose, root):
    """The numbers that stand for given bodies (the inverse of Answer.of)."""
    R = virtual_camera(sight.window)
    flip = torch.tensor([1.0, -1.0, -1.0])
    R_view = flip[:, None] * R * flip
    local = (R.transpose(-1, -2) @ (root * flip)[..., None])[..., 0]
    half = sight.window[:, 2]
    count = len(root)
    return Numbers(
        six_d_from_matrix(R_view.transpose(-1, -2) @ R_view_root, "rows"), six_d_from_matrix(so3_exp(pose), "rows"), torch.zeros(count, 6),
        (local[:, 2] * half).log(), torch.zeros(count), local[:, :2] / local[:, 2:] / half[:, None], torch.zeros(count), torch.zeros(count),
        torch.ones(count, len(BONES), 3), torch.zeros(count, len(BONES)),
    )  # fmt: skip


def test_answers_are_in_the_axes_of_the_photo():
    g = torch.Generator().manual_seed(2)
    sight = sights(cloud(4), torch.tensor([0.0, 0.0, 4.0]), centre=(0.4, 0.2))
    R, pose = so3_exp(torch.randn(4, 3, generator=g)), 0.5 * torch.randn(4, 5, 3, generator=g)
    root = torch.tensor([[0.5, -0.2, -3.0]]) + 0.1 * torch.randn(4, 3, generator=g)
    answer = Answer.of(numbers_of(sight, R, pose, root), sight)
    assert torch.allclose(answer.root_view, root, atol=1e-5) and torch.allclose(answer.pose, pose, atol=1e-4)
    assert float(rotation_angle(answer.R_view_root.transpose(-1, -2) @ R).max()) < 1e-3
    ray = torch.nn.functional.normalize(torch.tensor([0.4, 0.2, 1.0]), dim=0) * torch.tensor([1.0, -1.0, -1.0])
    assert torch.allclose(answer.axis, ray.expand(4, 3), atol=1e-5)


def test_whom_a_person_is_looked_at_with():
    boxes = torch.tensor([[0.0, 0, 50, 100], [40, 0, 90, 100], [110, 0, 160, 100], [400, 0, 450, 100], [60, 40, 70, 60]])
    assert partners(boxes).tolist() == [1, 0, 1, -1, -1]  # overlap, overlap, 20 px away, far away, much smaller
    assert partners(boxes[:1]).tolist() == [-1]


def people(count=2):
    g = torch.Generator().manual_seed(3)
    boxes = torch.tensor([[100.0, 100, 220, 400], [200.0, 120, 330, 410]])[:count]
    keypoints = torch.cat([100 + 250 * torch.rand(count, NUM_LANDMARKS, 2, generator=g), torch.ones(count, NUM_LANDMARKS, 1)], -1)
    masks = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 100:400, 100:200] = True
    landmarks3d = torch.cat([torch.randn(count, NUM_LANDMARKS, 3, generator=g), torch.ones(count, NUM_LANDMARKS, 1)], -1)
    return People2D(tuple("ab"[:count]), boxes, torch.ones(count), keypoints, landmarks3d, masks, "test")


def tiny_regressor(body):
    torch.manual_seed(0)
    joints = pair_joints(body)
    config = PairRegressorConfig(out=answer_size(len(joints), body.num_shape), width=16, mask_width=4, blocks=1)
    return Regressor(PairRegressor(config).eval().requires_grad_(False), joints, body.num_shape)


def test_masks_are_cut_out_of_the_photo():
    p = people()
    observed = observe(photo(760.0), p, 760.0, FitConfig(), torch.ones(NUM_LANDMARKS, dtype=torch.bool))
    s = sights_of(photo(760.0), p, observed, 760.0, torch.tensor([1, -1]))
    # a window of 310 x 1.05 px around (215, 255): the mask begins 47.75 px from its left border
    side = 310 * 1.05
    assert s.maps[0, 0].sum() / MAP**2 == pytest.approx(100 * 300 / side**2, rel=0.02)
    assert s.maps[0, 0][MAP // 2].argmax() == pytest.approx((100 - (215 - side / 2)) / side * MAP, abs=1)
    assert s.maps[1].sum() == 0 and s.paired.tolist() == [True, False]
    assert torch.allclose(s.window[0], torch.tensor([(215 - 320) / 760, (255 - 240) / 760, side / 2 / 760]), atol=1e-5)


def test_told_directions_stand_beside_the_given_ones():
    body = load_body()
    p, config = people(), FitConfig(weight_regressor=0.7)
    frame = Frame.build(body, photo(760.0), config)
    observed = observe(photo(760.0), p, 760.0, config, torch.ones(NUM_LANDMARKS, dtype=torch.bool))
    learned = Learned.of(tiny_regressor(body), photo(760.0), p, observed, frame)
    fused = learned.fused(observed, config)
    sigma = torch.deg2rad(torch.tensor(config.direction_sigma_deg)).item()
    told = replace(observed, bones=learned.answer.bones, bone_weight=fused.bone_weight - observed.bone_weight)

    def energy(points, which):
        return direction_term(points, which, bone_matrix(), sigma)

    g = torch.Generator().manual_seed(5)
    a, b = torch.randn(2, NUM_LANDMARKS, 3, generator=g), torch.randn(2, NUM_LANDMARKS, 3, generator=g)
    change = energy(a, fused) - energy(b, fused)
    assert torch.allclose(change, energy(a, observed) - energy(b, observed) + energy(a, told) - energy(b, told), rtol=1e-3)
    root = learned.answer.root_view
    apart = root + torch.tensor([[0.0], [1.0]]) * (learned.answer.axis[1] * (learned.answer.behind[0] - 1e3))
    assert float(learned.depth_energy(apart, config)) == pytest.approx(0.5 * 9 * 2, rel=0.01)  # let go: nine sigma squared for each order


def test_who_has_no_regressor():
    body = load_body()
    assert choose_regressor(TinyBody(), FitConfig()) is None and choose_regressor(body, FitConfig(weight_regressor=0.0)) is None
    mine = tiny_regressor(body)
    assert choose_regressor(body, FitConfig(), mine) is mine
    assert choose_regressor(body, FitConfig(), replace(mine, model="smplx")) is None


def test_files_come_back_and_others_are_refused(tmp_path):
    mine = tiny_regressor(load_body())
    save_regressor(tmp_path / "a.safetensors", mine)
    back = read_regressor(tmp_path / "a.safetensors")
    s = sights(cloud(), torch.tensor([0.0, 0.0, 4.0]))
    assert torch.allclose(back(s).pose, mine(s).pose, atol=0.02) and back.joints == mine.joints
    (tmp_path / "b.safetensors").write_bytes(b"\x99" * 64)
    with pytest.raises(InputError, match="not a regressor"):
        read_regressor(tmp_path / "b.safetensors")
    with pytest.raises(ShapeError):
        mine.network(torch.zeros(2, 3), torch.zeros(2, 512))


def test_a_fit_names_the_weights_it_uses(tmp_path):
    assert fit_weights_digest(FitConfig(weight_regressor=0.0)) == ""
    usual = fit_weights_digest(FitConfig())
    assert usual.startswith("regressor-anny ") and "proxemics" not in usual
    save_regressor(tmp_path / "a.safetensors", tiny_regressor(load_body()))
    mine = fit_weights_digest(FitConfig(regressor_file=str(tmp_path / "a.safetensors"), weight_prior=0.1))
    assert "proxemics-anny" in mine and usual not in mine
