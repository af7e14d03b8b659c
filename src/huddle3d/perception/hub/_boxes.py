"""People's boxes by a detection transformer (RT-DETRv2, D-FINE): one look at the whole picture."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8

from huddle3d.errors import WeightsMissingError
from huddle3d.perception.hub._load import Loaded
from huddle3d.perception.hub._pixels import prepare

__all__ = ["find_boxes"]


def find_boxes(
    image: UInt8[np.ndarray, "height width 3"], network: Loaded, *, threshold: float, max_people: int = 100
) -> tuple[Float[np.ndarray, "K 4"], Float[np.ndarray, "K"]]:
    """People in a picture, surest first.

    Args:
        image: sRGB bytes.
        network: for the task "boxes".
        threshold: least score in [0, 1].
        max_people: the surest ones are kept.

    Returns:
        Boxes xyxy [px], inside the picture, and scores. Boxes without an area are dropped.

    Raises:
        WeightsMissingError: the network has no class "person".
    """
    pixels, placement = prepare(image, network.recipe)
    with torch.inference_mode():
        out = network.model(pixel_values=network.pixels(pixels[None]))
    logits, relative = out.logits[0].float().cpu(), out.pred_boxes[0].double().cpu().numpy()
    scores = logits[:, _person(network)].sigmoid().numpy()
    # Each query is one thing: it is a person only where that is what it most looks like.
    keep = (scores >= threshold) & (logits.argmax(-1).numpy() == _person(network))
    height, width = placement.size
    centre, half = relative[:, :2] * (width, height), relative[:, 2:] * (width, height) / 2
    corners = np.stack([placement.to_picture(centre - half), placement.to_picture(centre + half)], 1).reshape(-1, 4)
    boxes = np.clip(corners, 0, np.array([image.shape[1], image.shape[0]] * 2))
    keep &= np.isfinite(boxes).all(-1) & (boxes[:, 2:] - boxes[:, :2] >= 1).all(-1)
    order = np.flatnonzero(keep)[np.argsort(-scores[keep], kind="stable")][:max_people]
    return boxes[order], scores[order].astype(float)


def _person(network: Loaded) -> int:
    labels = {str(v).lower(): int(k) for k, v in network.model.config.id2label.items()}
    if "person" in labels:
        return labels["person"]
    raise WeightsMissingError(
        f"The network '{network.name}' has no class 'person'.", why=f"Its classes: {', '.join(sorted(labels)[:8])} …", next_step="Use a COCO network."
    )
