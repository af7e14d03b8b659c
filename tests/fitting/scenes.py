"""People2D of known bodies, for tests: project landmarks, add noise, drop some."""

import math
from dataclasses import replace

import torch

from huddle3d.geometry import Camera, apply, inverse, look_at, rotation_y, so3_exp, so3_log, umeyama
from huddle3d.render import instance_ids, merge_meshes, rasterize
from huddle3d.scene import BodyParams, People2D, Photo

WIDTH, HEIGHT = 640, 480


def photo(focal_px=None, name="synthetic"):
    return Photo(torch.zeros(HEIGHT, WIDTH, 3), name, "0" * 64, focal_px, "user" if focal_px else "default")


def camera(focal=760.0, pitch_deg=10.0, distance=4.0, target=1.0):
    """At azimuth 0, looking down by ``pitch_deg`` at a point ``target`` metres above the floor."""
    p = math.radians(pitch_deg)
    eye = torch.tensor([0.0, target + distance * math.sin(p), distance * math.cos(p)])
    return Camera.perspective(focal, WIDTH, HEIGHT, look_at(eye, torch.tensor([0.0, target, 0.0])))


def random_pose(body, count, generator, spread=0.35):
    """Rotations inside the limits, gathered around rest."""
    limits = body.joint_limits
    half, middle = (limits[..., 1] - limits[..., 0]) / 2, limits.mean(-1)
    noise = torch.randn(count, *half.shape, generator=generator) * spread * 0.5
    pose = (noise * half).clamp(limits[..., 0] + 0.02 - 0 * middle, limits[..., 1] - 0.02)
    keep = torch.zeros(half.shape[0], dtype=torch.bool)
    keep[body.fit_joints] = True
    pose[:, ~keep] = 0
    pose[:, 0] = 0
    return pose


def stand(body, params, yaw_deg, position):
    """Turn by ``yaw_deg`` (K) about the vertical and put the lowest landmark on the floor at ``position`` (x, z)."""
    R = rotation_y(torch.deg2rad(yaw_deg))
    pose = params.pose.clone()
    pose[:, 0] = so3_log(R @ so3_exp(params.pose[:, 0]))
    placed = BodyParams(params.shape, pose, torch.zeros_like(params.translation), params.expression)
    low = body(placed).vertices[..., 1].amin(-1)
    translation = torch.stack([position[:, 0], -low, position[:, 1]], -1)
    return BodyParams(params.shape, pose, translation, params.expression)


def observe_truth(body, params, cam, *, noise_px=0.0, drop=0.0, with_3d=True, noise_3d=0.0, generator=None):
    """Projected landmarks as People2D (no masks)."""
    lm = body.landmarks(params)
    uv, _ = cam.project(lm)
    count, L = uv.shape[:2]
    g = generator or torch.Generator().manual_seed(0)
    uv = uv + noise_px * torch.randn(count, L, 2, generator=g)
    conf = (torch.rand(count, L, generator=g) >= drop).float() * body.landmark_valid
    inside = (uv > 0).all(-1) & (uv[..., 0] < cam.width) & (uv[..., 1] < cam.height)
    conf = conf * inside
    cam_points = apply(cam.T_cam_world, lm)
    centred = cam_points - cam_points[:, [11, 12]].mean(1, keepdim=True) + noise_3d * torch.randn(count, L, 3, generator=g)
    low = torch.where(conf[..., None] > 0, uv, torch.inf).amin(1)
    high = torch.where(conf[..., None] > 0, uv, -torch.inf).amax(1)
    lm3d = torch.cat([centred, (conf * float(with_3d))[..., None]], -1)
    names = tuple(f"person_{k}" for k in range(count))
    return People2D(
        names, torch.cat([low, high], -1), torch.ones(count), torch.cat([uv, conf[..., None]], -1), lm3d,
        torch.zeros(count, cam.height, cam.width, dtype=torch.bool), "truth",
    )  # fmt: skip


def pa_mpjpe(predicted, truth, rows=slice(5, 17)):
    """Mean distance of joints after a similarity alignment of each person [m]."""
    p, t = predicted[:, rows], truth[:, rows]
    return (apply(umeyama(p, t), p) - t).norm(dim=-1).mean(-1)


def mpjpe_in_camera(bodies, truth_landmarks, true_camera, rows=slice(5, 17)):
    """Mean distance of joints after aligning each person's pelvis, in camera axes [m]: orientation counts."""
    p, t = apply(bodies.camera.T_cam_world, bodies.landmarks), apply(true_camera.T_cam_world, truth_landmarks)
    p, t = p - p[:, [11, 12]].mean(1, keepdim=True), t - t[:, [11, 12]].mean(1, keepdim=True)
    return (p - t)[:, rows].norm(dim=-1).mean(-1)


def camera_error_deg(bodies, true_camera):
    """Angle between the two cameras' ideas of the vertical [deg]."""
    up = torch.tensor([0.0, 1, 0])
    a, b = inverse(bodies.camera.T_cam_world)[:3, :3].T @ up, inverse(true_camera.T_cam_world)[:3, :3].T @ up
    return math.degrees(math.acos(float((a @ b).clamp(-1, 1))))


def with_masks(people, vertices, faces, cam):
    """The same people with their visible pixels, from a z-buffered rendering of the true bodies."""
    v, f, owner = merge_meshes([(each, faces) for each in vertices])
    ids = instance_ids(rasterize(v, f, cam), owner)[0]
    return replace(people, masks=torch.stack([ids == k for k in range(len(vertices))]))
