"""A fit that starts from an earlier one."""

from dataclasses import replace

import pytest
import torch
from scenes import camera, observe_truth, pa_mpjpe, photo, random_pose, stand
from tiny_body import TinyBody

from huddle3d.errors import InputError
from huddle3d.fitting import FitConfig, fit
from huddle3d.fitting._again import earlier_or_fresh, variables_of
from huddle3d.fitting._initialise import _neutral
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._observations import observe
from huddle3d.fitting._state import Frame
from huddle3d.fitting._world import to_world, world_camera
from huddle3d.scene import Bodies

FOCAL, NAMES = 760.0, ("person_0", "person_1")


def made(body, frame, variables):
    """Bodies of variables, as the fit makes them."""
    params, T = to_world(variables, frame)
    out = body(params)
    view = world_camera(T, FOCAL * float(variables.log_focal.exp()), 640, 480)
    return Bodies("tiny", NAMES, params, out.vertices, out.landmarks, view, torch.zeros(2), torch.ones(2))


def drawn(frame, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=g)

    v = _neutral(frame, 2)
    return replace(
        v,
        turn=0.7 * normal(2, 3),
        base_ray=0.2 * normal(2, 2),
        base_depth=4 + torch.rand(2, generator=g),
        shift=0.1 * normal(2, 2),
        log_depth=0.1 * normal(2),
        pose=0.3 * normal(*v.pose.shape),
        shape=0.2 * normal(2, 2),
        tilt=torch.tensor([0.3, -0.1]),
        camera_height=torch.tensor([1.7]),
        log_focal=torch.tensor([0.2]),
    )


def test_the_variables_of_a_result_make_the_same_result():
    body, config = TinyBody(), FitConfig()
    frame = Frame.build(body, photo(FOCAL), config)
    truth = drawn(frame)
    bodies = made(body, frame, truth)
    back = variables_of(bodies, frame, body, NAMES)
    torch.testing.assert_close(back.landmarks(body, frame), truth.landmarks(body, frame), rtol=0, atol=1e-4)
    torch.testing.assert_close(back.tilt, truth.tilt, rtol=0, atol=1e-5)
    torch.testing.assert_close(back.camera_height, truth.camera_height, rtol=0, atol=1e-4)
    torch.testing.assert_close(back.log_focal, truth.log_focal, rtol=0, atol=1e-5)
    other = variables_of(bodies, frame, body, NAMES[::-1])
    torch.testing.assert_close(other.base_depth, back.base_depth.flip(0))


def test_bodies_of_something_else_are_refused():
    body = TinyBody()
    frame = Frame.build(body, photo(FOCAL), FitConfig())
    bodies = made(body, frame, drawn(frame))
    for wrong, match in (
        (replace(bodies, model="anny"), "'anny'"),
        (replace(bodies, names=("person_0", "person_7")), "lack person_1"),
        (replace(bodies, camera=bodies.camera.resized(320, 240)), "another size"),
    ):
        with pytest.raises(InputError, match=match):
            variables_of(wrong, frame, body, NAMES)


def test_only_a_much_better_fresh_body_replaces_an_earlier_one():
    body, config = TinyBody(), FitConfig()
    frame = Frame.build(body, photo(FOCAL), config)
    truth = drawn(frame)
    bodies = made(body, frame, truth)
    people = observe_truth(body, bodies.params, bodies.camera, with_3d=False)
    observed = observe(photo(FOCAL), people, FOCAL, config, body.landmark_valid)
    terms = LandmarkTerms.build(body, frame, observed, truth, config, with_world=False)
    spoilt = replace(truth, pose=truth.pose + torch.tensor([1.0, 0.0])[:, None, None] * 0.6)
    with torch.no_grad():
        chosen = earlier_or_fresh(terms, spoilt, truth)
        assert torch.equal(chosen.pose, truth.pose), "the first is mended, the second is as good either way"
        assert torch.equal(earlier_or_fresh(terms, truth, spoilt).pose, truth.pose)


def test_a_fit_from_an_earlier_result_ends_where_that_was():
    body, cam = TinyBody(), camera(FOCAL, 8.0)
    g = torch.Generator().manual_seed(3)
    neutral = body.neutral(2)
    params = stand(body, replace(neutral, pose=random_pose(body, 2, g)), torch.tensor([20.0, -30.0]), torch.tensor([[-0.45, 0.0], [0.45, 0.1]]))
    people = observe_truth(body, params, cam, with_3d=True)
    config = FitConfig(steps_initial=60, steps_joint=60, steps_silhouette=0, steps_polish=20, weight_silhouette=0.0)
    first = fit(photo(FOCAL), people, config, body=body)
    again = fit(photo(FOCAL), people, config, body=body, start=first)
    truth = body(params).landmarks
    assert float(pa_mpjpe(again.landmarks, truth).max()) < float(pa_mpjpe(first.landmarks, truth).max()) + 0.005
    assert float((again.landmarks - first.landmarks).norm(dim=-1)[:, :17].mean()) < 0.08
