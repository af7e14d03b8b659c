"""What every suite and data set gives: one photograph with the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.scene import Bodies, People2D, PersonMesh, Photo
from huddle3d.synthesis import SyntheticSample

__all__ = ["EvaluationSample"]


@dataclass(frozen=True)
class EvaluationSample:
    """One photograph with its truth, whatever it came from."""

    name: str
    """Unique in its suite; names the run's folder."""
    family: str
    """The suite's own class of this scene: an interaction, a category, a sequence."""
    photo: Photo
    """The input."""
    meshes: tuple[PersonMesh, ...]
    """True people [m], world y up."""
    camera: Camera
    """The photo's camera in the world of the meshes."""
    bodies: Bodies | None = None
    """True bodies of a model that the fit knows; without them the protocol ``"true"`` cannot run."""
    people2d: People2D | None = None
    """What a perfect observer would report."""
    textured: bool = True
    """Whether the true meshes have their real colours."""
    body_vertices: Float[Tensor, "K V 3"] | None = None
    """Vertices of the data set's own body fits (SMPL or SMPL-X) [m], where it has them."""
    joints: Float[Tensor, "K 17 3"] | None = None
    """COCO-17 joints of the data set's own bodies [m], NaN for those that it does not have; only where ``bodies`` is absent."""
    notes: tuple[str, ...] = ()
    """What reading it assumed, in words."""

    @staticmethod
    def of(sample: SyntheticSample, *, name: str | None = None, family: str | None = None) -> EvaluationSample:
        """A synthetic scene; without a name and a class of its own, those of its interaction."""
        scene = sample.scene
        name, family = name or f"{scene.spec.family}_{scene.spec.seed}", family or scene.spec.family
        return EvaluationSample(name, family, sample.photo, tuple(scene.meshes), scene.bodies.camera, scene.bodies, sample.people2d)
