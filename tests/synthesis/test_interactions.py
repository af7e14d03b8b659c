"""Each family: contact without interpenetration, inside the joint limits, on the floor, the same again from the same seed."""

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.evaluation import group_penetration
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis import ALL_FAMILIES, FAMILIES, SceneSpec, families_for, goal_gaps, sample_spec
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.poses.solve import SolveConfig, solve_interaction

NEW = [f for f in ALL_FAMILIES if f not in FAMILIES and f != "motion"]
CASES = [(f, 3 if f in ("circle", "huddle") else 2) for f in ALL_FAMILIES if f not in ("solo", "motion")]
"""Every family, one seed each; benchmarks/results/interactions-cpu.md has five."""


@pytest.fixture(scope="module")
def body():
    return load_body()


def planned(body, family, seed, people):
    spec = sample_spec(seed, people=people, family=family)
    shape = torch.tensor([p.shape for p in spec.people])
    return plan_interaction(family, body, shape, torch.Generator().manual_seed(seed))


def check_limits_and_floor(params, out, body, carried=(), level=True):
    pose, limits = params.pose[:, 1:], body.joint_limits[1:]
    assert bool((pose >= limits[..., 0] - 1e-4).all()) and bool((pose <= limits[..., 1] + 1e-4).all())
    for p in range(len(pose)):
        lowest = float(out.vertices[p, :, 1].min())
        if p in carried:
            assert lowest > 0.05
        else:
            assert abs(lowest) < 1e-3
            ankles = out.landmarks[p, [LANDMARK_INDEX["left_ankle"], LANDMARK_INDEX["right_ankle"]], 1]
            assert not level or float((ankles[0] - ankles[1]).abs()) < 0.06  # nobody stands on one leg; shoes and strides excuse centimetres


@pytest.mark.slow
@pytest.mark.parametrize("family, people", CASES)
def test_contact_without_penetration(body, family, people):
    plan = planned(body, family, 1, people)
    params = solve_interaction(plan, body)
    out = body(params)
    assert group_penetration([(v, body.faces) for v in out.vertices])[0] <= 5.0
    assert max(goal_gaps(plan, params, body)) <= 0.005
    check_limits_and_floor(params, out, body, plan.carried)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(body):
    config = SolveConfig(steps=3, repair_steps=2, retries=0)
    first, second = (solve_interaction(planned(body, "piggyback", 3, 2), body, config) for _ in range(2))
    assert torch.equal(first.pose, second.pose) and torch.equal(first.translation, second.translation)
    other = solve_interaction(planned(body, "piggyback", 4, 2), body, config)
    assert not torch.equal(first.pose, other.pose)


@pytest.mark.parametrize("family", NEW)
def test_start_poses_keep_the_limits_and_differ(body, family):
    people = 3 if family in ("circle", "huddle") else 2
    plans = [planned(body, family, seed, people) for seed in (0, 1)]
    for plan in plans:
        limits = body.joint_limits
        assert bool((plan.params.pose >= limits[..., 0]).all()) and bool((plan.params.pose <= limits[..., 1]).all())
        assert family == "solo" or plan.palms or plan.clasps or plan.touches
    assert not torch.equal(plans[0].params.pose, plans[1].params.pose)


def test_solo_people_stand_apart(body):
    for seed in range(6):
        plan = planned(body, "solo", seed, 2)
        params = solve_interaction(plan, body, SolveConfig(retries=0))
        out = body(params)
        check_limits_and_floor(params, out, body, level=False)  # who runs or kneels lifts a heel
        assert float(torch.cdist(out.vertices[0, ::9], out.vertices[1, ::9]).min()) > 0.02
    assert planned(body, "solo", 0, 1).params.pose.shape[0] == 1


def test_numbers_of_people():
    assert len([f for f in families_for(2) if f != "solo"]) >= 12
    for k in (3, 4, 5, 6):
        assert {"arm_over_shoulder", "side_by_side", "circle", "huddle", "linked_arms", "conga_line", "sitting_side_by_side"} <= set(families_for(k))
        assert "hug" not in families_for(k)
    assert families_for(7) == ("arm_over_shoulder", "side_by_side")
    assert set(families_for(2)) | set(families_for(3)) | {"motion"} == set(ALL_FAMILIES)


@pytest.mark.parametrize("people", [2, 3, 6])
def test_scene_files_of_all_families_are_read_again(people):
    for family in families_for(people):
        spec = sample_spec(5, people=people, family=family)
        assert SceneSpec.from_json(spec.to_json()) == spec and len(spec.people) == people


@pytest.mark.parametrize("family, people", [("piggyback", 3), ("circle", 2), ("huddle", 7), ("pushing", 4), ("solo", 7), ("motion", 2)])
def test_families_refuse_other_numbers_of_people(body, family, people):
    with pytest.raises(InputError):
        sample_spec(0, people=people, family=family)
    with pytest.raises(InputError):
        plan_interaction(family, body, body.neutral_shape.expand(people, -1), torch.Generator().manual_seed(0))


def test_draws_without_a_family_keep_to_the_first_five():
    """A seed in a file, a table or a test must keep its scene when families are added."""
    assert FAMILIES == ("hug", "handshake", "arm_over_shoulder", "side_by_side", "high_five")
    assert {sample_spec(s).family for s in range(40)} == set(FAMILIES)
    assert "motion" not in sample_spec(0).to_json()
