"""What the result claims, measured on the result itself: who touches whom and where, and how deep people run into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huddle3d.bodies import BodyModel
from huddle3d.contact import contact_regions, penetrations
from huddle3d.progress import Progress, silent
from huddle3d.scene import Artefact, Contact, Penetration, PersonMesh

__all__ = ["Measurements", "measure_people"]


@dataclass(frozen=True)
class Measurements(Artefact):
    """Contacts and penetrations of the final meshes."""

    contacts: tuple[Contact, ...]
    """Touching pairs of regions, both directions."""
    penetrations: tuple[Penetration, ...]
    """One entry for each ordered pair of people that are near each other."""


def measure_people(meshes: Sequence[PersonMesh], *, body: BodyModel, progress: Progress = silent) -> Measurements:
    """Contacts by region and penetrations of finished meshes.

    Args:
        meshes: one per person, in the topology of ``body``, world [m].
        body: names the region of each vertex.
        progress: receives the fraction done.
    """
    vertices, names = [m.vertices for m in meshes], [m.name for m in meshes]
    found = penetrations(vertices, [m.faces for m in meshes], names)
    progress(0.5, "contact")
    contacts = contact_regions(vertices, body.faces, body.regions, body.region_names, names)
    progress(1.0)
    return Measurements(contacts, found)
