"""Runs the ``anny`` package for the equality tests; as a script it rewrites ``data/anny_golden.npz``:

ANNY_CACHE_DIR=/tmp/anny_cache python tests/bodies/anny_reference.py
"""

from pathlib import Path

import numpy as np
import torch

from huddle3d.geometry import so3_exp
from huddle3d.scene import BodyParams

GOLDEN = Path(__file__).parent / "data" / "anny_golden.npz"
Y_UP = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)  # anny is z up, facing -y


def random_params(count: int, seed: int, names: list[str] | tuple[str, ...]) -> BodyParams:
    """Adults and children of all builds in wild poses, fingers most of all; float64."""
    g = torch.Generator().manual_seed(seed)
    shape = torch.rand(count, 6, generator=g, dtype=torch.float64)
    spread = torch.tensor([0.6 if n.startswith("finger") else 0.3 for n in names], dtype=torch.float64)
    pose = torch.randn(count, len(names), 3, generator=g, dtype=torch.float64) * spread[:, None]
    pose[:, 0] = torch.randn(count, 3, generator=g, dtype=torch.float64)
    return BodyParams(shape, pose, torch.randn(count, 3, generator=g, dtype=torch.float64), torch.zeros(count, 0, dtype=torch.float64))


class Reference:
    """Anny with its full set of 624 blendshapes."""

    def __init__(self) -> None:
        import anny

        self.model = anny.Anny(topology="anny", phenotype_blendshapes="original", skinning_method="lbs")

    def __call__(self, params: BodyParams) -> tuple[torch.Tensor, torch.Tensor]:
        """Vertices and joints in our axes."""
        T = torch.eye(4, dtype=torch.float64).repeat(*params.pose.shape[:2], 1, 1)
        T[..., :3, :3] = so3_exp(params.pose @ Y_UP)
        T[:, 0, :3, 3] = params.translation @ Y_UP
        out = self.model(pose_parameters=T, phenotype_kwargs=params.shape)
        return out["vertices"] @ Y_UP.T, out["bone_poses"][..., :3, 3] @ Y_UP.T


def main() -> None:
    reference = Reference()
    params = random_params(4, 7, reference.model.bone_labels)
    vertices, joints = reference(params)
    rows = torch.linspace(0, vertices.shape[1] - 1, 200).round().long()
    arrays = {"shape": params.shape, "pose": params.pose, "translation": params.translation, "vertices": vertices[:, rows], "joints": joints}
    np.savez_compressed(GOLDEN, rows=rows.numpy(), **{k: v.numpy().astype(np.float32) for k, v in arrays.items()})


if __name__ == "__main__":
    main()
