"""The whole energy of the joint stages: landmark terms, penetration, depth order, silhouettes and contact attraction."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._contact_term import PersonPenetration
from huddle3d.fitting._depth_order import OrderPairs
from huddle3d.fitting._image_terms import SmallMasks, silhouette_term, silhouettes
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._learned import Learned
from huddle3d.fitting._prior_term import PriorTerm
from huddle3d.fitting._state import Frame, Variables
from huddle3d.fitting._touch_term import TouchPoints
from huddle3d.fitting._world import FLIP
from huddle3d.geometry import Camera, se3
from huddle3d.render import EdgeTopology

__all__ = ["JointEnergy", "view_camera"]


def view_camera(frame: Frame, masks: SmallMasks, photo_size: tuple[int, int], focal_px: float) -> Camera:
    """The photo's camera for points in view axes, at the size of the masks. ``photo_size`` is (width, height) [px]."""
    width, height = photo_size
    camera = Camera.perspective(focal_px, width, height, se3(FLIP, torch.zeros(3)))
    return camera.resized(masks.share.shape[2], masks.share.shape[1])


class JointEnergy:
    """Energy of all people together; call it with the variables and the step.

    It keeps search structures between steps: the trees of the contact queries and the frozen pairs of the depth order.

    Args:
        landmarks: the landmark terms, which hold the body, its frame and the settings.
        photo_size: width and height [px].
        order_masks: masks for the depth order.
        silhouette_masks: masks for the silhouettes; None leaves the silhouettes out.
        topology: edges of the body's faces, for the silhouettes.
        tolerance: of L_pen [m].
        attract: whether people who nearly touch are drawn together.
        prior: the proxemics prior of this stage; None leaves it out.
        learned: what the regressor told; None leaves out how people stand behind each other.
    """

    def __init__(
        self,
        landmarks: LandmarkTerms,
        photo_size: tuple[int, int],
        order_masks: SmallMasks,
        silhouette_masks: SmallMasks | None,
        topology: EdgeTopology,
        tolerance: float,
        *,
        attract: bool = False,
        prior: PriorTerm | None = None,
        learned: Learned | None = None,
    ) -> None:
        self.landmarks, self.photo_size, self.order_masks, self.silhouette_masks, self.topology = (
            landmarks, photo_size, order_masks, silhouette_masks, topology,
        )  # fmt: skip
        self.body, self.frame, self.config = landmarks.body, landmarks.frame, landmarks.config
        self.penetration = PersonPenetration(self.body.proxy_faces, self.config, tolerance)
        self._prior, self._learned = prior, learned
        self._attract = attract and self.config.weight_touch > 0
        self._pairs: OrderPairs | None = None
        self._touch: TouchPoints | None = None

    def __call__(self, variables: Variables, step: int) -> Float[Tensor, ""]:
        """Sum over all people and pairs."""
        c = self.config
        total = self.landmarks(variables).sum()
        if self._prior is not None:
            total = total + self._prior(variables)
        if self._learned is not None and self.config.weight_regressor_depth > 0:
            total = total + self._learned.depth_energy(variables.root_view(), self.config)
        if len(variables.turn) > 1 and c.weight_penetration > 0:
            proxies = variables.place(self.body.proxy_skinned(variables.local_params(self.frame)))
            total = total + self.penetration(proxies)
            if c.weight_order > 0:
                total = total + c.weight_order * self._order(variables, proxies, step).energy(proxies)
            if self._attract:
                total = total + c.weight_touch * self._touching(variables, proxies, step).energy(proxies, c)
        if self.silhouette_masks is not None:
            vertices = variables.vertices(self.body, self.frame)
            camera = view_camera(self.frame, self.silhouette_masks, self.photo_size, self._focal(variables))
            coverage = silhouettes(vertices, self.body.faces, camera, self.topology)
            total = total + c.weight_silhouette * silhouette_term(coverage, self.silhouette_masks).sum()
        return total

    @torch.no_grad()
    def order_energy(self, variables: Variables, pair: tuple[int, int]) -> Float[Tensor, ""]:
        """Depth order of two people alone."""
        rows = list(pair)
        proxies = variables.place(self.body.proxy_skinned(variables.local_params(self.frame)))[rows]
        camera = view_camera(self.frame, self.order_masks, self.photo_size, self._focal(variables))
        pairs = OrderPairs.freeze(proxies, self.body.proxy_faces, camera, self.order_masks.share[rows])
        return self.config.weight_order * pairs.energy(proxies)

    def _order(self, variables: Variables, proxies: Float[Tensor, "K P 3"], step: int) -> OrderPairs:
        if self._pairs is None or step % self.config.order_every == 0:
            camera = view_camera(self.frame, self.order_masks, self.photo_size, self._focal(variables))
            self._pairs = OrderPairs.freeze(proxies, self.body.proxy_faces, camera, self.order_masks.share)
        return self._pairs

    def _touching(self, variables: Variables, proxies: Float[Tensor, "K P 3"], step: int) -> TouchPoints:
        if self._touch is None or step % self.config.order_every == 0:
            camera = view_camera(self.frame, self.order_masks, self.photo_size, self._focal(variables))
            self._touch = TouchPoints.freeze(proxies, self.body, camera, self.order_masks, self.config)
        return self._touch

    def _focal(self, variables: Variables) -> float:
        return self.frame.focal_px * float(variables.log_focal.detach().exp())
