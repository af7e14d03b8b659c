"""A fit that starts from what another system saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import HEIGHT, WIDTH, camera, observe_truth, photo, random_pose, stand
from tiny_body import TinyBody

from huddle3d.errors import InputError
from huddle3d.fitting import FitConfig, fit
from huddle3d.fitting._guess import match_guess
from huddle3d.geometry import apply
from huddle3d.scene import BodyGuess, read_body_guess
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.scene.mhr70 import MHR70

FOCAL = 760.0
QUICK = FitConfig(steps_initial=60, steps_joint=60, steps_silhouette=0, steps_polish=10, weight_silhouette=0.0)


def scene(count: int = 2, seed: int = 2):
    body, cam, g = TinyBody(), camera(FOCAL, 8.0), torch.Generator().manual_seed(seed)
    params = replace(body.neutral(count), pose=random_pose(body, count, g, spread=0.2))
    position = torch.stack([torch.linspace(-0.5, 0.5, count) if count > 1 else torch.zeros(1), torch.tensor([0.4, -0.5])[:count]], -1)
    params = stand(body, params, torch.zeros(count), position)
    return body, cam, params, observe_truth(body, params, cam)


def write(path: Path, body, cam, params, *, scale: float = 1.0, order=None) -> Path:
    """The truth as a SAM 3D Body file, of a body ``scale`` times as large (and as far: the same picture)."""
    points = apply(cam.T_cam_world, body.landmarks(params)) * scale
    uv = cam.project(body.landmarks(params))[0]
    order = list(range(len(points))) if order is None else order
    rows = [LANDMARK_INDEX[n] if n else LANDMARK_INDEX["nose"] for n in MHR70]
    points, uv = points[order][:, rows], uv[order][:, rows]
    # Landmarks that the little body lacks lie at its origin; here they would be behind the camera.
    missing = ~body.landmark_valid[rows]
    points[:, missing], uv[:, missing] = points[:, :1], uv[:, :1]
    root = points.mean(1)
    np.savez(
        path, pred_keypoints_3d=points - root[:, None], pred_cam_t=root, pred_keypoints_2d=uv, focal_length=np.full(len(points), FOCAL),
        image_size=np.array([WIDTH, HEIGHT]),
    )  # fmt: skip
    return path


def test_the_file_gives_landmarks_in_camera_axes_and_pixels(tmp_path: Path) -> None:
    body, cam, params, people = scene()
    guess = read_body_guess(write(tmp_path / "g.npz", body, cam, params), photo())
    rows = [LANDMARK_INDEX[n] for n in ("left_shoulder", "right_hip", "left_knee", "nose")]
    truth = apply(cam.T_cam_world, body.landmarks(params))
    torch.testing.assert_close(guess.landmarks[:, rows, :3], truth[:, rows], atol=1e-4, rtol=0)
    torch.testing.assert_close(guess.keypoints[:, rows, :2], people.keypoints[:, rows, :2], atol=1e-2, rtol=0)
    assert guess.focal_px == FOCAL and (guess.landmarks[:, rows, 3] == 0.8).all()
    half = replace(photo(), image=torch.zeros(HEIGHT // 2, WIDTH // 2, 3))
    small = read_body_guess(tmp_path / "g.npz", half)
    assert small.focal_px == FOCAL / 2
    torch.testing.assert_close(small.keypoints[:, rows, :2], guess.keypoints[:, rows, :2] / 2)
    with pytest.raises(InputError, match="another shape"):
        read_body_guess(tmp_path / "g.npz", replace(photo(), image=torch.zeros(WIDTH, HEIGHT, 3)))


def test_people_are_matched_whatever_the_order(tmp_path: Path) -> None:
    body, cam, params, people = scene()
    guess = read_body_guess(write(tmp_path / "g.npz", body, cam, params, order=[1, 0]), photo())
    assert match_guess(people, guess) == [1, 0]
    far = replace(guess, keypoints=guess.keypoints + torch.tensor([400.0, 0, 0]))
    assert match_guess(people, far) == [None, None]


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_the_first_bodies_stand_where_the_file_puts_them(tmp_path: Path, scale: float) -> None:
    # A body 1.3 times as large at 1.3 times the distance has the same picture: ours, of average size, belongs at the true distance.
    from huddle3d.fitting._guess import at_guess
    from huddle3d.fitting._initialise import initialise
    from huddle3d.fitting._landmark_terms import LandmarkTerms
    from huddle3d.fitting._observations import observe
    from huddle3d.fitting._state import Frame

    body, cam, params, people = scene()
    guess = read_body_guess(write(tmp_path / "g.npz", body, cam, params, scale=scale), photo())
    frame = Frame.build(body, photo(FOCAL), QUICK)
    observed = observe(photo(FOCAL), people, FOCAL, QUICK, body.landmark_valid)
    first, _ = initialise(body, frame, observed, QUICK)
    wrong = replace(first, base_depth=first.base_depth * 1.5)
    with torch.no_grad():
        terms = LandmarkTerms.build(body, frame, observed, wrong, QUICK, with_world=True)
        moved = at_guess(body, frame, terms, people, guess, wrong)
    hips = [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]
    truth = cam.project(body.landmarks(params))[1][:, hips].mean(-1)
    found = -moved.landmarks(body, frame)[:, hips, 2].mean(-1)
    torch.testing.assert_close(found, truth, rtol=0.05, atol=0)
    assert ((wrong.base_depth / truth - 1).abs() > 0.3).all(), "the start was wrong"


def test_a_fit_with_a_guess_is_as_good_as_one_without(tmp_path: Path) -> None:
    from scenes import mpjpe_in_camera

    body, cam, params, people = scene()
    guess = read_body_guess(write(tmp_path / "g.npz", body, cam, params), photo())
    bodies = fit(photo(FOCAL), people, QUICK, body=body, guess=guess)
    assert mpjpe_in_camera(bodies, body.landmarks(params), cam).max() < 0.06
    assert isinstance(guess, BodyGuess)
