"""Turned limbs and exchanged depths."""

from dataclasses import replace

import torch
from scenes import camera, observe_truth, photo, stand
from tiny_body import TinyBody

from huddle3d.fitting import FitConfig
from huddle3d.fitting._alternatives import doubtful_limbs, exchanged, other_limbs, wrong_pairs
from huddle3d.fitting._energy import JointEnergy, view_camera
from huddle3d.fitting._image_terms import shrink_masks
from huddle3d.fitting._initialise import _neutral
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._observations import observe
from huddle3d.fitting._state import Frame
from huddle3d.render import EdgeTopology, instance_ids, merge_meshes, rasterize
from huddle3d.scene.landmarks import LANDMARK_INDEX

FOCAL = 760.0


def scene(count=1, masks=None):
    """People 4 m away who face the camera, the arm of the first reaching forwards; and variables that hold the truth."""
    body, cam = TinyBody(), camera(FOCAL, 0.0)
    neutral = body.neutral(count)
    pose = neutral.pose.clone()
    pose[0, body.joint_names.index("left_forearm"), 0] = -1.2
    position = torch.stack([torch.zeros(count), 0.7 * torch.arange(count)], -1)
    params = stand(body, replace(neutral, pose=pose), torch.zeros(count), position)
    people = observe_truth(body, params, cam, with_3d=False)
    people.keypoints[0, LANDMARK_INDEX["left_wrist"], 2] = 0.3
    people = people if masks is None else replace(people, masks=masks)
    config = FitConfig()
    frame = Frame.build(body, photo(FOCAL), config)
    root = params.translation - torch.tensor([0.0, 1.0, 4.0])  # view axes: the camera is level at 1 m height
    truth = replace(
        _neutral(frame, count),
        base_depth=-root[:, 2],
        base_ray=root[:, :2] / -root[:, 2:] * torch.tensor([1.0, -1.0]),
        pose=params.pose[:, frame.fit_joints],
    )
    observed = observe(photo(FOCAL), people, FOCAL, config, body.landmark_valid)
    terms = LandmarkTerms.build(body, frame, observed, truth, config, with_world=False)
    small = shrink_masks(people.masks, 96)
    return body, frame, truth, JointEnergy(terms, (640, 480), small, None, EdgeTopology.from_faces(body.faces), 0.02)


def test_a_forearm_that_bends_backwards_is_turned_round():
    body, frame, truth, energy = scene()
    assert doubtful_limbs(energy.landmarks.observed) == [(0, 0)]
    joint = frame.fit_joints.tolist().index(body.joint_names.index("left_forearm"))
    pose = truth.pose.clone()
    pose[0, joint, 0] = 1.2  # the mirror image in depth: the elbow is overstretched
    wrong = replace(truth, pose=pose)
    wrist = LANDMARK_INDEX["left_wrist"]
    aim = energy.landmarks.landmarks(truth)[0, wrist]
    before = (energy.landmarks.landmarks(wrong)[0, wrist] - aim).norm()
    right = other_limbs(energy, wrong, steps=60, margin=1.0)
    after = (energy.landmarks.landmarks(right)[0, wrist] - aim).norm()
    assert float(before) > 0.3 and float(after) < 0.12
    assert float(energy(right, 0)) < float(energy(wrong, 0)) - 1
    assert torch.equal(other_limbs(energy, truth, steps=60, margin=1.0).pose, truth.pose), "what is right is left alone"


def test_people_in_the_wrong_order_are_named_and_exchanged():
    body, _, truth, energy = scene(2)
    swapped = exchanged(truth, 0, 1)
    assert torch.equal(swapped.base_depth, truth.base_depth.flip(0)) and torch.equal(swapped.base_ray, truth.base_ray)
    with torch.no_grad():
        v = truth.vertices(body, energy.frame)
    merged, faces, owner = merge_meshes([(each, body.faces) for each in v])
    full = shrink_masks(torch.zeros(2, 480, 640, dtype=torch.bool), 640)
    ids = instance_ids(rasterize(merged, faces, view_camera(energy.frame, full, (640, 480), FOCAL)), owner)[0]
    energy.order_masks = shrink_masks(torch.stack([ids == k for k in range(2)]), 96)
    assert wrong_pairs(energy, truth, least=1.5) == []
    assert wrong_pairs(energy, swapped, least=1.5) == [(0, 1)]
