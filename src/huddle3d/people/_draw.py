"""Overlays for the report: masks, boxes, skeletons and rendered bodies on the photo."""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from huddle3d.scene import People2D, Photo
from huddle3d.scene.landmarks import BODY, SKELETON

__all__ = ["fit_width", "grid", "overlay_people", "overlay_points", "person_colour", "resized", "to_uint8"]


def person_colour(index: int) -> tuple[int, int, int]:
    """A colour per person; neighbours differ strongly (golden-ratio hues)."""
    r, g, b = colorsys.hsv_to_rgb((0.58 + index * 0.381966) % 1.0, 0.75, 0.95)
    return int(r * 255), int(g * 255), int(b * 255)


def to_uint8(image: Float[Tensor, "height width 3"]) -> np.ndarray:
    """Float picture in [0, 1] → uint8 array."""
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def fit_width(image: np.ndarray, width: int) -> np.ndarray:
    """Shrink a picture to at most ``width`` columns."""
    if image.shape[1] <= width:
        return image
    return resized(image, width, max(1, round(image.shape[0] * width / image.shape[1])))


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture of another size."""
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _skeleton(draw: ImageDraw.ImageDraw, points: np.ndarray, confidence: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    for a, b in SKELETON:
        c = min(confidence[a], confidence[b])
        if c > 0.1:
            shade = tuple(int(v * (0.35 + 0.65 * min(1.0, float(c)))) for v in colour)
            draw.line([tuple(points[a]), tuple(points[b])], fill=shade, width=width if max(a, b) < 23 else 1)
    for k in range(*BODY.indices(len(points))):
        if confidence[k] > 0.1:
            x, y = points[k]
            draw.ellipse([x - width, y - width, x + width, y + width], fill=(255, 255, 255), outline=colour)


def overlay_people(photo: Photo, people: People2D) -> np.ndarray:
    """Perception on the photo: a tinted mask, a box and a skeleton per person."""
    base = to_uint8(photo.image).astype(np.float32)
    masks = people.masks.cpu().numpy()
    for k, mask in enumerate(masks):
        base[mask] = 0.6 * base[mask] + 0.4 * np.array(person_colour(k), np.float32)
    picture = Image.fromarray(base.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    width = max(2, round(max(base.shape[:2]) / 320))
    for k in range(len(people.names)):
        box, points = people.boxes[k].tolist(), people.keypoints[k].cpu().numpy()
        draw.rectangle(box, outline=person_colour(k), width=width)
        _skeleton(draw, points[:, :2], points[:, 2], person_colour(k), width)
        draw.text((box[0] + 4, box[1] + 3), f"{people.names[k]} {people.scores[k]:.2f}", fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0))
    return np.asarray(picture)


def overlay_points(image: np.ndarray, points: Float[Tensor, "K L 2"], confidence: Float[Tensor, "K L"]) -> np.ndarray:
    """Skeletons of projected landmarks on a picture."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for k in range(len(points)):
        _skeleton(draw, points[k].cpu().numpy(), confidence[k].cpu().numpy(), person_colour(k), max(2, round(max(image.shape[:2]) / 400)))
    return np.asarray(picture)


def grid(images: list[np.ndarray], columns: int, *, gap: int = 4) -> np.ndarray:
    """Pictures of one size as a contact sheet on white."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return sheet
