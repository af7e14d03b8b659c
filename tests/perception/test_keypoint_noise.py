"""The measured noise comes out as it went in; draws are seeded; what is not observed stays so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.evaluation import KeypointNoise, NoiseRow, add_keypoint_noise, load_keypoint_noise
from huddle3d.perception._posture import LEANS, lean_of, leaned, outwards, trunk_axes
from huddle3d.perception.keypoint_noise import noise_document, point_kind, read_noise
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import LANDMARK_INDEX, LANDMARKS, MIRROR

SCALE = 200.0


def crowd(count, hidden=False):
    """Many people on one spot, so that what is drawn can be measured."""
    g = torch.Generator().manual_seed(0)
    keypoints = torch.cat(
        [500 + 100 * torch.randn(1, 75, 2, generator=g).expand(count, -1, -1), torch.full((count, 75, 1), 0.3 if hidden else 1.0)], -1
    )
    points3d = torch.cat([0.4 * torch.randn(1, 75, 3, generator=g).expand(count, -1, -1), torch.ones(count, 75, 1)], -1)
    names = tuple(str(k) for k in range(count))
    return People2D(
        names, torch.zeros(count, 4), torch.ones(count), keypoints.clone(), points3d.clone(), torch.zeros(count, 2, 2, dtype=torch.bool), "truth"
    )


def own(**changes):
    """The package's table without what is common to everybody."""
    return replace(load_keypoint_noise(), offsets_m={}, leans={}, **changes)


def spoilt(people, noise=None, seed=3):
    return add_keypoint_noise(people, torch.full((len(people.names),), SCALE), seed=seed, noise=noise)


@pytest.mark.parametrize("hidden", [False, True])
def test_quantiles_come_out_as_measured(hidden):
    people, noise = crowd(1500, hidden), own(swaps={"all": 0.0, "arms": 0.0, "legs": 0.0})
    found = spoilt(people, noise)
    error = (found.keypoints[..., :2] - people.keypoints[..., :2]).norm(dim=-1) / SCALE
    for name in ("left_wrist", "right_hip", "nose", "left_ankle"):
        row, k = noise.rows[point_kind(name)]["hidden" if hidden else "seen"], LANDMARK_INDEX[name]
        given = found.keypoints[:, k, 2] > 0
        for share in (2, 5, 8):
            spread = row.error_m[share + 1] - row.error_m[share - 1]
            assert float(error[given, k].quantile(share / 10)) == pytest.approx(row.error_m[share], abs=0.15 * spread + 1e-3), (name, share)
        assert float(found.keypoints[given, k, 2].median()) == pytest.approx(row.confidence[5], abs=0.05)
    toes = found.keypoints[:, LANDMARK_INDEX["left_small_toe"], 2]
    assert float(toes.max()) == 0, "the embedded networks have no such point"


def test_errors_of_a_limb_go_together_and_lower_the_confidence():
    people, noise = crowd(2000), own()
    found = spoilt(people, noise)
    error = (found.keypoints[..., :2] - people.keypoints[..., :2]).norm(dim=-1).numpy()
    knee, ankle, other = (LANDMARK_INDEX[n] for n in ("left_knee", "left_ankle", "right_knee"))

    def rank_correlation(a, b):
        return np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1]

    assert rank_correlation(error[:, knee], error[:, ankle]) == pytest.approx(noise.limb_correlation, abs=0.06)
    assert abs(rank_correlation(error[:, knee], error[:, other])) < 0.05
    assert rank_correlation(error[:, knee], found.keypoints[:, knee, 2].numpy()) == pytest.approx(noise.confidence_correlation, abs=0.06)
    delta = torch.nn.functional.normalize(found.keypoints[..., :2] - people.keypoints[..., :2], dim=-1)
    cosine = float((delta[:, knee] * delta[:, ankle]).sum(-1).mean())
    assert cosine == pytest.approx(noise.limb_direction, abs=0.05)


def test_seeded_and_unobserved_points_stay_unobserved():
    people = crowd(5)
    people.keypoints[:, 7, 2] = 0
    a, b, c = spoilt(people), spoilt(people), spoilt(people, seed=4)
    assert torch.equal(a.keypoints, b.keypoints) and torch.equal(a.landmarks3d, b.landmarks3d)
    assert not torch.equal(a.keypoints, c.keypoints)
    assert float(a.keypoints[:, 7, 2].max()) == 0
    people.keypoints[2, :, 2] = 0
    assert spoilt(people).names == ("0", "1", "3", "4"), "nobody reports a person without a point"


def exact(**changes):
    row = NoiseRow(1, 0.0, (0.0,) * 3, (1.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    rows = {point_kind(n): {"seen": row, "hidden": row} for n in LANDMARKS}
    base = KeypointNoise(rows, {"all": 0.0, "arms": 0.0, "legs": 0.0}, 0.5, 0.5, 0.5, -0.5, (0.0,) * 3, {}, {}, {})
    return replace(base, **changes)


def test_no_noise_changes_nothing_and_swaps_exchange_the_sides():
    people = crowd(3)
    assert torch.allclose(spoilt(people, exact()).keypoints, people.keypoints)
    assert torch.allclose(spoilt(people, exact()).landmarks3d, people.landmarks3d, atol=1e-6)
    whole = spoilt(people, exact(swaps={"all": 1.0, "arms": 0.0, "legs": 0.0}))
    assert torch.allclose(whole.keypoints, people.keypoints[:, list(MIRROR)])
    legs = spoilt(people, exact(swaps={"all": 0.0, "arms": 0.0, "legs": 1.0}))
    knee, twin, wrist = (LANDMARK_INDEX[n] for n in ("left_knee", "right_knee", "left_wrist"))
    assert torch.allclose(legs.keypoints[:, knee], people.keypoints[:, twin]) and torch.allclose(legs.keypoints[:, wrist], people.keypoints[:, wrist])


def test_the_table_of_the_package_is_whole():
    noise = load_keypoint_noise()
    assert {point_kind(n) for n in LANDMARKS} <= set(noise.rows)
    for states in noise.rows.values():
        for row in states.values():
            assert len(row.error_m) == len(row.confidence) == len(noise.turn_deg) == 11
            assert list(row.error_m) == sorted(row.error_m) and 0 <= row.drop <= 1 and row.count > 0
    assert set(noise.leans) == set(LEANS) and all(0 < slope < 1.2 for slope, _ in noise.leans.values())
    assert {"shoulder", "hip", "knee", "ankle"} <= set(noise.offsets_m) <= set(noise.rows)
    assert all(abs(v) < 0.06 for offset in noise.offsets_m.values() for v in offset)
    assert noise.source["people_found"] <= noise.source["people"] and noise.source["first_seed"] == 7_000_000
    assert read_noise(noise_document(noise)).digest() == noise.digest()


def upright():
    """Somebody who faces the camera (OpenCV axes), arms down, straight legs."""
    places = {
        "nose": (0, -0.7, -0.1), "ear": (0.08, -0.7, 0), "eye": (0.03, -0.72, -0.09), "shoulder": (0.2, -0.5, 0), "elbow": (0.25, -0.2, 0), "wrist": (0.25, 0.05, 0),
        "hip": (0.1, 0, 0), "knee": (0.1, 0.45, 0), "ankle": (0.1, 0.9, 0), "heel": (0.1, 0.95, 0.05), "big_toe": (0.1, 0.95, -0.15), "small_toe": (0.12, 0.95, -0.15),
    }  # fmt: skip
    out = torch.zeros(1, len(LANDMARKS), 3)
    for k, name in enumerate(LANDMARKS[:23]):
        x, y, z = places[point_kind(name)]
        out[0, k] = torch.tensor([-x if name.startswith("right_") else x, y, z])
    return out


def pitched(degrees):
    """The same seen from above: the head comes towards the camera."""
    a = torch.deg2rad(torch.tensor(float(degrees)))
    R = torch.tensor([[1, 0, 0], [0, a.cos(), -a.sin()], [0, a.sin(), a.cos()]])
    return upright() @ R.T


def test_a_lean_is_told_by_its_slope_and_lengths_stay():
    points = pitched(40)
    before = {k: float(v.mean()) for k, v in lean_of(points).items()}
    assert before["trunk"] == pytest.approx(-40, abs=1e-3) and before["thigh"] == pytest.approx(40, abs=1e-3), "hips to shoulders towards the camera"
    told = leaned(points, {"trunk": (0.5, 0.0), "thigh": (0.8, 2.0)})
    after = {k: float(v.mean()) for k, v in lean_of(told).items()}
    assert after["trunk"] == pytest.approx(-20, abs=1e-3) and after["thigh"] == pytest.approx(34, abs=1e-3)
    for kind in ("shin", "forearm", "upper_arm", "neck", "foot"):
        assert after[kind] == pytest.approx(before[kind], abs=1e-3), "what is not named stays as it is"
    shoulders = told[0, LANDMARK_INDEX["left_shoulder"]] - told[0, LANDMARK_INDEX["right_shoulder"]]
    assert torch.allclose(shoulders, torch.tensor([0.4, 0, 0]), atol=1e-6), "bones across the body are left alone"
    for a, b in (("left_hip", "left_knee"), ("right_knee", "right_ankle"), ("left_shoulder", "left_wrist")):
        i, j = LANDMARK_INDEX[a], LANDMARK_INDEX[b]
        assert float((told[0, i] - told[0, j]).norm()) == pytest.approx(float((points[0, i] - points[0, j]).norm()), abs=1e-5)
    assert torch.equal(leaned(points, {}), points)


def test_marks_lie_in_the_axes_of_the_trunk():
    up, left, forwards = trunk_axes(upright())[0]
    assert torch.allclose(up, torch.tensor([0.0, -1, 0]), atol=1e-6)
    assert torch.allclose(left, torch.tensor([1.0, 0, 0]), atol=1e-6)
    assert torch.allclose(forwards, torch.tensor([0.0, 0, -1]), atol=1e-6), "towards the camera"
    side = outwards()
    assert torch.equal(side, -side[list(MIRROR)]) and float(side[LANDMARK_INDEX["nose"]]) == 0
    people = crowd(1)
    people.landmarks3d[0, :, :3] = upright()[0]
    found = spoilt(people, exact(offsets_m={"shoulder": (0.03, 0.01, 0.02)}))
    for name, x in (("left_shoulder", 0.01), ("right_shoulder", -0.01)):
        k = LANDMARK_INDEX[name]
        moved = (found.keypoints - people.keypoints)[0, k, :2] / SCALE
        assert torch.allclose(moved, torch.tensor([x, -0.03]), atol=1e-4)
        assert torch.allclose((found.landmarks3d - people.landmarks3d)[0, k, :3], torch.tensor([x, -0.03, -0.02]), atol=1e-5)
    assert torch.allclose(found.keypoints[0, 13], people.keypoints[0, 13])
