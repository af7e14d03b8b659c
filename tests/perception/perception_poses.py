"""A standing figure as BlazePose would see it."""

from __future__ import annotations

import numpy as np

from huddle3d.perception._pose import Pose
from huddle3d.perception._roi import Roi


def standing_points(x: float, y: float, torso: float) -> np.ndarray:
    """33 BlazePose points of a standing figure that faces the camera; (x, y) is the mid-hip and ``torso`` its torso length [px]."""
    table = {
        0: (0, -1.5), 1: (0.05, -1.56), 2: (0.08, -1.56), 3: (0.1, -1.56), 4: (-0.05, -1.56), 5: (-0.08, -1.56), 6: (-0.1, -1.56),
        7: (0.15, -1.52), 8: (-0.15, -1.52), 9: (0.05, -1.42), 10: (-0.05, -1.42), 11: (0.35, -1), 12: (-0.35, -1), 13: (0.45, -0.5),
        14: (-0.45, -0.5), 15: (0.45, 0), 16: (-0.45, 0), 17: (0.47, 0.15), 18: (-0.47, 0.15), 19: (0.43, 0.18), 20: (-0.43, 0.18),
        21: (0.4, 0.1), 22: (-0.4, 0.1), 23: (0.2, 0), 24: (-0.2, 0), 25: (0.2, 0.85), 26: (-0.2, 0.85), 27: (0.2, 1.7), 28: (-0.2, 1.7),
        29: (0.2, 1.78), 30: (-0.2, 1.78), 31: (0.25, 1.85), 32: (-0.25, 1.85),
    }  # fmt: skip
    return np.array([table[i] for i in range(33)]) * torso + (x, y)


def make_pose(x: float = 100.0, y: float = 120.0, torso: float = 40.0, *, score: float = 0.9, flag: float = 1.0, confidence: float = 0.9) -> Pose:
    """A confident pose of :func:`standing_points` with a mask that covers its region."""
    points = standing_points(x, y, torso)
    roi = Roi(x, y, 5.2 * torso)
    world = np.concatenate([(points - (x, y)) / torso * 0.5, np.zeros((33, 1))], axis=1)
    return Pose(points, np.full(33, confidence), world, np.full((256, 256), 5.0, np.float32), (), roi, roi, flag, score)
