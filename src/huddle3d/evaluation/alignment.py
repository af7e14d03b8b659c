"""Moving a prediction onto the truth before it is measured: a single picture fixes neither scale nor the world's origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.evaluation.surface import nearest
from huddle3d.geometry import Camera, apply, sample_surface, umeyama
from huddle3d.scene import PersonMesh

__all__ = ["align_surfaces"]

_SAMPLES = 4000
_ROUNDS = 40


def _cloud(people: Sequence[PersonMesh], generator: torch.Generator) -> Float[Tensor, "n 3"]:
    return torch.cat([sample_surface(m.vertices, m.faces, _SAMPLES // len(people), generator=generator)[0] for m in people]).double()


def align_surfaces(
    predicted: Sequence[PersonMesh],
    truth: Sequence[PersonMesh],
    *,
    predicted_camera: Camera | None = None,
    true_camera: Camera | None = None,
    seed: int = 0,
) -> Float[Tensor, "4 4"]:
    """One similarity ``T_true_pred`` for the whole group, from surfaces alone (for truths without landmarks).

    Starts from the cameras, which are the same camera in two worlds, and from equal centres and sizes; then iterates closest points in both
    directions with least squares (ICP with scale), as the lineage of HUG3D's evaluation does. A local method: a prediction that is turned by
    more than about 45° stays turned.

    Args:
        predicted: the group [m].
        truth: the true group [m].
        predicted_camera: the photo's camera in the prediction's world.
        true_camera: the same camera in the truth's world; with both cameras, rotations between the worlds are undone first.
        seed: of the surface samples.
    """
    generator = torch.Generator().manual_seed(seed)
    p, t = _cloud(predicted, generator), _cloud(truth, generator)
    T = torch.eye(4, dtype=torch.float64)
    if predicted_camera is not None and true_camera is not None:
        T = true_camera.T_world_cam.double().cpu() @ predicted_camera.T_cam_world.double().cpu()
    moved = apply(T, p)
    spread = [(c - c.mean(0)).square().sum(-1).mean().sqrt() for c in (moved, t)]
    start = torch.eye(4, dtype=torch.float64)
    start[:3, :3] *= spread[1] / spread[0]
    start[:3, 3] = t.mean(0) - start[:3, :3] @ moved.mean(0)
    T = start @ T
    for _ in range(_ROUNDS):
        moved = apply(T, p)
        forward, backward = nearest(moved, t)[1], nearest(t, moved)[1]
        step = umeyama(torch.cat([moved, moved[backward]]), torch.cat([t[forward], t]))
        T = step @ T
        if float((step - torch.eye(4, dtype=step.dtype)).abs().max()) < 1e-6:
            break
    return T.to(predicted[0].vertices.dtype)
