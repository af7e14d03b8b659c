"""What a picture shows of one person and of a second one beside, as the row of numbers that the regressor reads.

Everything is told in the axes of a *virtual camera* that looks at the middle of a square window around both people, in units of half the
window: where people stand in the picture, how large they are drawn and the focal length have no effect but through perspective itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.geometry import rotation_between
from huddle3d.scene.landmarks import BODY, FEET, LANDMARK_INDEX

__all__ = ["CELLS", "MAP", "POINTS", "Sights", "virtual_camera"]

POINTS: tuple[int, ...] = (
    *range(BODY.start, BODY.stop),
    *range(FEET.start, FEET.stop),
    *(LANDMARK_INDEX[f"{side}_{name}"] for side in ("left", "right") for name in ("index1", "pinky1")),
)
"""Landmarks that are read."""
MAP = 48
"""Side of the masks' window [px]."""
CELLS = 16
"""Side of the coarse masks."""
_AXIS = (0.0, 0.0, 1.0)


def virtual_camera(window: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """Rotation from the axes of each virtual camera to those of the photo's camera (both OpenCV)."""
    ray = torch.cat([window[:, :2], torch.ones_like(window[:, :1])], -1)
    return rotation_between(torch.tensor(_AXIS).to(ray).expand_as(ray), ray)


@dataclass(frozen=True)
class Sights:
    """B ordered pairs: row 0 of the second dimension is the person that is asked about, row 1 the other one."""

    rays: Float[Tensor, "B 2 N 2"]
    """Key points as ``x/z, y/z`` of the photo's camera (OpenCV)."""
    confidence: Float[Tensor, "B 2 N"]
    """In [0, 1]; 0 = not observed."""
    points3d: Float[Tensor, "B 2 N 3"]
    """Hip-centred 3D landmarks, axes of the photo's camera (OpenCV) [m]."""
    confidence3d: Float[Tensor, "B 2 N"]
    """0 = none."""
    maps: Float[Tensor, "B 2 s s"]
    """Share of each pixel of the window that belongs to the person; 0 without a mask."""
    window: Float[Tensor, "B 3"]
    """Middle of the window (``x/z, y/z``) and half its side, in the same units."""
    paired: Bool[Tensor, "B"]
    """Whether there is another person; else row 1 is empty."""

    def swapped(self) -> Sights:
        """The same pairs, asked about the other person."""
        same = ("window", "paired")
        return Sights(**{f.name: getattr(self, f.name) if f.name in same else getattr(self, f.name).flip(1) for f in fields(self)})

    def placed(self) -> Float[Tensor, "B 2 N 2"]:
        """Key points in the virtual camera, in units of half the window."""
        hom = torch.cat([self.rays, torch.ones_like(self.rays[..., :1])], -1)
        turned = hom @ virtual_camera(self.window)[:, None]
        return turned[..., :2] / turned[..., 2:].clamp_min(0.05) / self.window[:, None, None, 2:]

    def rows(self) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B C"]]:
        """The two rows of numbers that the network reads."""
        count = len(self.rays)
        alone = self.paired[:, None, None].float()
        mine = torch.cat([torch.ones_like(alone), alone], 1)  # what is known of an absent person is nothing
        known = self.confidence * mine
        seen = (known > 0)[..., None].float()
        inside = self._inside() * seen
        solid = self.confidence3d * mine
        points3d = self.points3d @ virtual_camera(self.window)[:, None]
        told = torch.cat(
            [self.placed().clamp(-3, 3) * seen, known[..., None], inside, points3d.clamp(-3, 3) * (solid > 0)[..., None], solid[..., None]], -1
        )
        size = self.window[:, 2:].clamp_min(1e-3).log()
        cells = torch.nn.functional.adaptive_avg_pool2d(self.maps * mine[..., None], CELLS)
        points = torch.cat([told.reshape(count, -1), self.paired[:, None].float(), size, size.square()], 1)
        return points, cells.reshape(count, -1)

    def _inside(self) -> Float[Tensor, "B 2 N 2"]:
        """Whether each point lies on its own person's pixels, and on the other's."""
        at = ((self.rays - self.window[:, None, None, :2]) / self.window[:, None, None, 2:]).clamp(-4, 4)
        count, _, points = self.confidence.shape
        grid = at.reshape(count, 1, 2 * points, 2)
        hit = torch.nn.functional.grid_sample(self.maps, grid, align_corners=False)[:, :, 0].reshape(count, 2, 2, points)
        own = torch.stack([hit[:, 0, 0], hit[:, 1, 1]], 1)
        other = torch.stack([hit[:, 1, 0], hit[:, 0, 1]], 1)
        return torch.stack([own, other], -1)
