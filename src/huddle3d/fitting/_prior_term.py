"""The proxemics prior as an energy: each near pair against what the denoiser makes of it (BUDDI's use of a diffusion prior in a fit)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.diffusion import Placement
from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._state import Frame, Variables

if TYPE_CHECKING:
    from huddle3d.diffusion import PairPrior

__all__ = ["PriorTerm", "near_pairs", "placement"]


def placement(variables: Variables, frame: Frame) -> Placement:
    """The bodies in upright axes (the camera's tilt undone, held constant), in metres from the camera."""
    R_world_view = variables.R_world_view().detach()
    local = variables.local_params(frame)
    return Placement(R_world_view @ variables.R_view_root(), variables.root_view() @ R_world_view.T, local.pose, local.shape)


def near_pairs(root: Float[Tensor, "K 3"], reach: float) -> Int[Tensor, "n 2"]:
    """Both orders of every two people whose roots are at most ``reach`` apart [m]: in a row of people, about two for each."""
    gap = torch.cdist(root.detach()[None], root.detach()[None])[0]
    rows = torch.triu(gap <= reach, diagonal=1).nonzero()
    return torch.cat([rows, rows.flip(-1)])


class PriorTerm:
    """Squared distances of the pairs from their denoised selves, in units of the spread of the training pairs.

    The pairs and the guidance (the bodies as they are now) are fixed for a stage. Every call draws new noise from a seeded generator, the
    same for both orders of a pair, so that the energy does not depend on who is called first.

    Args:
        prior: a trained prior for this body model.
        variables: at the start of the stage.
        frame: of the fit.
        config: weight, step of the noise, reach.
    """

    def __init__(self, prior: PairPrior, variables: Variables, frame: Frame, config: FitConfig) -> None:
        self._prior, self._frame, self._config = prior, frame, config
        with torch.no_grad():
            now = placement(variables, frame)
            self._pairs = near_pairs(now.root, config.prior_reach)
            self._guidance = prior.space.encode(now, self._pairs) if len(self._pairs) else None
        self._generator = torch.Generator().manual_seed(0)

    def __call__(self, variables: Variables) -> Float[Tensor, ""]:
        """Energy of all near pairs; zero if nobody is near."""
        c = self._config
        if self._guidance is None:
            return variables.pose.new_zeros(())
        half = torch.randn(len(self._pairs) // 2, self._guidance.flat().shape[1], generator=self._generator)
        distance = self._prior.distances(placement(variables, self._frame), self._pairs, self._guidance, c.prior_time, torch.cat([half, half]))
        weights = {"pose": c.prior_pose, "orient": c.prior_orient, "transl": c.prior_transl, "shape": c.prior_shape}
        # the two orders say nearly the same twice
        return 0.5 * c.weight_prior * torch.stack([w * distance[g].square().sum() for g, w in weights.items()]).sum()
