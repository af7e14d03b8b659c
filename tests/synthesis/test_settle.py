"""The repair at the end of a solve: its linear model against finite steps, limbs that run through each other, gaps."""

from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.evaluation import group_penetration
from huddle3d.synthesis import goal_gaps, sample_spec
from huddle3d.synthesis.goals import ClaspGoal, Plan, TouchGoal, region_vertices
from huddle3d.synthesis.interactions import plan_interaction
from huddle3d.synthesis.problem import Problem, SolveConfig
from huddle3d.synthesis.settle import Motion, settle


@pytest.fixture(scope="module")
def body():
    return load_body()


def planned(body, family, seed=1):
    shape = torch.tensor([p.shape for p in sample_spec(seed, people=2, family=family).people])
    return plan_interaction(family, body, shape, torch.Generator().manual_seed(seed))


def facing(body, apart):
    """Two average people, chests towards each other, arms at rest."""
    start = body.neutral(2)
    pose = start.pose.clone()
    pose[:, 0, 1] = torch.tensor([torch.pi / 2, -torch.pi / 2])
    return replace(start, pose=pose, translation=torch.tensor([[-apart / 2, 0.0, 0.0], [apart / 2, 0.0, 0.0]]))


def test_the_linear_model_is_the_derivative_of_the_bodies(body):
    """Of people who stand and of people who are carried (their legs and height count), to second order in the step."""
    plan = planned(body, "piggyback")
    problem = Problem(plan, body, SolveConfig())
    motion, pose = Motion(problem), plan.params.pose
    place, height = plan.params.translation[:, [0, 2]], plan.params.translation[:, 1]
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, body.num_vertices, (60,), generator=generator)
    out = problem.stand(pose, place, height)[1]
    for person in (0, 1):
        moves = motion(out, pose, person, rows)
        step = torch.randn(motion.columns, generator=generator) * motion.free.unflatten(0, (2, -1))[person]
        errors = []
        for size in (4e-3, 2e-3):
            turned, there, up = pose.clone(), place.clone(), height.clone()
            turned[person, motion.rows] += size * step[:-4].unflatten(0, (-1, 3))
            turned[person, 0, 1] += size * step[-4]
            there[person] += size * step[-3:-1]
            up[person] += size * step[-1]
            real = problem.stand(turned, there, up)[1].vertices[person, rows] - out.vertices[person, rows]
            errors.append(float((torch.einsum("ncd,c->nd", moves, size * step) - real).norm()) / float(real.norm()))
        assert errors[0] < 0.02 and errors[1] == pytest.approx(errors[0] / 2, rel=0.2)


def test_a_gap_of_two_centimetres_is_closed(body):
    params = facing(body, 0.6)
    chest = region_vertices(body, "chest")
    plan = Plan(params, touches=(TouchGoal(0, chest, 1, chest),))
    width = goal_gaps(plan, params, body)[0]
    near = replace(params, translation=params.translation * (1 - (width - 0.02) / 0.6))
    plan = replace(plan, params=near)
    assert goal_gaps(plan, near, body)[0] == pytest.approx(0.02, abs=0.004)
    solved, left = settle(Problem(plan, body, SolveConfig()), near)
    out = body(solved)
    assert left <= SolveConfig().tolerance_m and goal_gaps(plan, solved, body)[0] <= 0.005
    assert group_penetration([(v, body.faces) for v in out.vertices])[0] <= 5.0


def test_what_holds_is_left_alone(body):
    params = facing(body, 1.5)
    solved, left = settle(Problem(Plan(params), body, SolveConfig()), params)
    assert left == 0.0 and torch.equal(solved.pose, params.pose)


def test_arms_that_run_through_each_other_pass(body):
    """A handshake whose hands start inside each other by up to half a palm."""
    plan = planned(body, "handshake")
    start = replace(plan.params, translation=plan.params.translation * torch.tensor([0.75, 1.0, 1.0]))
    plan = replace(plan, params=start, clasps=(ClaspGoal(0, "right", 1, "right"),))
    lifted = Problem(plan, body, SolveConfig()).stand(start.pose, start.translation[:, [0, 2]], start.translation[:, 1])
    assert group_penetration([(v, body.faces) for v in lifted[1].vertices])[0] > 10.0
    solved, _ = settle(Problem(plan, body, SolveConfig()), lifted[0])
    assert group_penetration([(v, body.faces) for v in body(solved).vertices])[0] <= 5.0
    assert goal_gaps(plan, solved, body)[0] <= 0.005
    limits = body.joint_limits[1:]
    assert bool((solved.pose[:, 1:] >= limits[..., 0] - 1e-6).all()) and bool((solved.pose[:, 1:] <= limits[..., 1] + 1e-6).all())
