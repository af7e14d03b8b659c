"""Rotated square regions of interest: cropping, and the way back for points, directions and masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Shaped

__all__ = ["Picture", "Roi", "roi_from_axis", "roi_of_window"]


@dataclass(frozen=True)
class Roi:
    """A square in the picture; crop coordinates run over [0, 1]² along its own axes."""

    x: float
    """Centre [px]."""
    y: float
    """Centre [px]."""
    side: float
    """Side [px]."""
    angle: float = 0.0
    """Rotation from the picture's axes to the crop's, clockwise on the screen [rad]."""

    def rotation(self) -> Float[np.ndarray, "2 2"]:
        """Maps crop axes to picture axes."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.array([[c, -s], [s, c]])

    def to_picture(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Crop coordinates [0, 1] to pixels."""
        return (np.asarray(points) - 0.5) * self.side @ self.rotation().T + (self.x, self.y)

    def from_picture(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Pixels to crop coordinates [0, 1]."""
        return (np.asarray(points) - (self.x, self.y)) @ self.rotation() / self.side + 0.5

    def shifted(self, dx: float, dy: float, scale: float = 1.0) -> Roi:
        """Moved by fractions of its side along its own axes, then scaled."""
        x, y = self.to_picture(np.array([0.5 + dx, 0.5 + dy]))
        return Roi(float(x), float(y), self.side * scale, self.angle)

    def grown_about(self, point: Float[np.ndarray, "2"], factor: float) -> Roi:
        """Larger by a factor, with a point of the picture [px] at the same place of the crop."""
        x, y = point + factor * (np.array([self.x, self.y]) - point)
        return Roi(float(x), float(y), self.side * factor, self.angle)

    def box(self) -> tuple[float, float, float, float]:
        """Axis-aligned box xyxy of the rotated square [px]."""
        corners = self.to_picture(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)

    def pixel_matrix(self, size: int) -> Float[np.ndarray, "2 3"]:
        """Maps pixel indices of a ``size``² crop to pixel indices of the picture (pixel centres at +0.5 in both)."""
        a = self.rotation() * (self.side / size)
        t = self.to_picture(np.zeros(2)) + a @ (0.5, 0.5) - 0.5
        return np.concatenate([a, t[:, None]], axis=1)

    def paste(self, crop: Float[np.ndarray, "size size"], width: int, height: int, outside: float = 0.0) -> Float[np.ndarray, "height width"]:
        """Resample a crop-sized map into the picture."""
        m = self.pixel_matrix(crop.shape[0])
        flags = cv2.INTER_LINEAR
        return cv2.warpAffine(crop, m, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=outside)


class Picture:
    """An 8-bit RGB picture with its half-size copies, so that strong shrinking does not alias.

    Args:
        image: uint8, sRGB.
    """

    def __init__(self, image: Shaped[np.ndarray, "height width 3"]) -> None:
        self.levels = [np.ascontiguousarray(image)]
        while min(self.levels[-1].shape[:2]) >= 64:
            h, w = self.levels[-1].shape[:2]
            self.levels.append(cv2.resize(self.levels[-1], ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA))

    @property
    def image(self) -> Shaped[np.ndarray, "height width 3"]:
        """The full-size picture."""
        return self.levels[0]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.image.shape[1]

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.image.shape[0]

    def crop(self, roi: Roi, size: int, low: float = 0.0, high: float = 1.0) -> Float[np.ndarray, "size size 3"]:
        """The region resampled to ``size``², values scaled to [low, high]; black outside the picture."""
        level = int(np.clip(math.floor(math.log2(max(roi.side / size, 1.0))), 0, len(self.levels) - 1))
        source = self.levels[level]
        scale = np.array([source.shape[1] / self.width, source.shape[0] / self.height])
        m = roi.pixel_matrix(size)
        m[:, :2] *= scale[:, None]
        m[:, 2] = (m[:, 2] + 0.5) * scale - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(source, m, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0))
        return crop.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


def roi_of_window(box: tuple[float, float, float, float]) -> Roi:
    """The upright square around a box xyxy (letterbox)."""
    x0, y0, x1, y1 = box
    return Roi((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0))


def roi_from_axis(base: Float[np.ndarray, "2"], tip: Float[np.ndarray, "2"], scale: float) -> Roi:
    """The square centred on ``base`` with side ``2 · scale · |tip − base|``, turned so that ``tip`` lies straight above."""
    dx, dy = float(tip[0] - base[0]), float(tip[1] - base[1])
    return Roi(float(base[0]), float(base[1]), 2 * scale * math.hypot(dx, dy), math.atan2(dx, -dy))
