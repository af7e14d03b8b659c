"""Rows solved link by link: who is asked when, who stays, and that a row whose first search fails comes out."""

from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.evaluation import group_penetration
from huddle3d.synthesis import goal_gaps, sample_spec
from huddle3d.synthesis.poses import solve
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.poses.rows import is_row, solve_row
from huddle3d.synthesis.poses.solve import SolveConfig, solve_interaction


@pytest.fixture(scope="module")
def body():
    return load_body()


def planned(body, family, people, seed=1):
    shape = torch.tensor([p.shape for p in sample_spec(seed, people=people, family=family).people])
    return plan_interaction(family, body, shape, torch.Generator().manual_seed(seed))


def test_rows_are_told_from_rings_and_couples(body):
    assert is_row(planned(body, "arm_over_shoulder", 4)) and is_row(planned(body, "linked_arms", 3)) and is_row(planned(body, "conga_line", 3))
    assert not is_row(planned(body, "circle", 4)) and not is_row(planned(body, "arm_over_shoulder", 2))
    assert not is_row(replace(planned(body, "linked_arms", 3), palms=(), touches=()))


def test_each_link_is_asked_once_and_stands_where_the_last_one_ended(body):
    plan = planned(body, "arm_over_shoulder", 4)
    asked = []

    def step_aside(link):
        """Everybody of the link moves 10 cm, although only the last one should."""
        asked.append(link)
        return replace(link.params, translation=link.params.translation + torch.tensor([0.1, 0.0, 0.0]))

    found = solve_row(plan, step_aside)
    assert [len(link.params.pose) for link in asked] == [2, 3, 3]
    assert [link.still for link in asked] == [(), ((0, ()), (1, ("left",))), ((0, ()), (1, ("left",)))]
    goals = [{(g.person, g.other) for g in (*link.palms, *link.touches)} for link in asked]
    assert goals[0] <= {(0, 1), (1, 0)} and all(g <= {(1, 2), (2, 1)} and g for g in goals[1:])
    assert sum(len(link.palms) + len(link.touches) for link in asked) == len(plan.palms) + len(plan.touches)
    assert torch.allclose(asked[2].params.translation[2, 0] - asked[2].params.translation[1, 0], torch.tensor(0.46), atol=1e-5)
    assert torch.equal(found.pose, plan.params.pose)


def test_who_is_still_stays_but_for_one_arm(body):
    """After a search and its repair, to the last bit."""
    plan = planned(body, "arm_over_shoulder", 3)
    links = []
    solve_row(plan, lambda link: links.append(link) or link.params)
    link = links[1]
    start = solve.Problem(link, body, SolveConfig()).stand(link.params.pose, link.params.translation[:, [0, 2]], link.params.translation[:, 1])[0]
    config = SolveConfig(steps=2, repair_steps=2)
    found = solve._settled(link, body, config)
    arm = torch.tensor([n.endswith(".L") for n in body.joint_names])
    assert torch.equal(found.pose[0], start.pose[0]) and torch.equal(found.pose[1, ~arm], start.pose[1, ~arm])
    assert torch.allclose(found.translation[:2], start.translation[:2], atol=1e-6)
    assert not torch.equal(found.pose[1, arm], start.pose[1, arm]) and not torch.equal(found.pose[2], start.pose[2])


@pytest.mark.slow
@pytest.mark.parametrize("family, people", [("linked_arms", 3), ("arm_over_shoulder", 4)])
def test_a_row_meets_its_targets(body, family, people):
    plan = planned(body, family, people)
    params = solve_interaction(plan, body)
    limits = body.joint_limits[1:]
    assert group_penetration([(v, body.faces) for v in body(params).vertices])[0] <= 5.0 and max(goal_gaps(plan, params, body)) <= 0.005
    assert bool((params.pose[:, 1:] >= limits[..., 0] - 1e-4).all()) and bool((params.pose[:, 1:] <= limits[..., 1] + 1e-4).all())
