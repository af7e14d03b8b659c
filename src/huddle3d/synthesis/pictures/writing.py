"""A sample as a folder of files that any program can read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from huddle3d.io import prepare_output_dir, write_bytes, write_glb, write_image
from huddle3d.synthesis.pictures.photograph import SyntheticSample
from huddle3d.synthesis.pictures.truth import CONTACT_RADIUS_M

__all__ = ["SAMPLE_FILES", "write_sample"]

SAMPLE_FILES = (
    "photo.jpg", "meshes.glb", "bodies.json", "bodies.safetensors", "people2d.json", "people2d.safetensors", "normals.png", "ids.png",
    "maps.safetensors", "surfaces.safetensors", "contacts.json", "spec.json",
)  # fmt: skip
"""What every sample's folder holds; ``props.glb`` only where people sit."""


def write_sample(sample: SyntheticSample, directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write one sample.

    ``photo.jpg``; ``spec.json`` (regenerates everything); ``meshes.glb`` (one textured node per person, y up, metres); ``props.glb`` if there are
    things that are nobody (seats); ``bodies`` and ``people2d`` as artefacts; ``normals.png`` (world, ``(n + 1) / 2``, grey = nobody), ``ids.png`` (0 = nobody, then one grey level per person);
    ``maps.safetensors`` (``normals``, ``depth`` [m], ``ids``, ``amodal``, ``parts``, ``contact``); ``surfaces.safetensors`` (``parts.NAME`` and
    ``contact.NAME`` by vertex of ``meshes.glb``); ``contacts.json`` (radius [m], names of the parts, pairs of regions that touch).

    Args:
        sample: the photograph with its truth.
        directory: the folder; made if absent.
        overwrite: write into a folder that holds files.
    """
    folder = prepare_output_dir(Path(directory), overwrite)
    if overwrite:
        # An older scene's file would call this folder complete while it is half rewritten; its seats may not be ours.
        for old in ("spec.json", "props.glb"):
            (folder / old).unlink(missing_ok=True)
    write_bytes(folder / "photo.jpg", sample.jpeg, overwrite=overwrite)
    write_glb(folder / "meshes.glb", [m.to_mesh_data() for m in sample.scene.meshes], overwrite=overwrite)
    if sample.scene.props:
        write_glb(folder / "props.glb", [p.to_mesh_data() for p in sample.scene.props], overwrite=overwrite)
    sample.scene.bodies.save(folder / "bodies")
    sample.people2d.save(folder / "people2d")
    write_image(folder / "normals.png", (sample.normals + 1) / 2, overwrite=overwrite)
    levels = 255 // max(1, len(sample.scene.meshes))
    write_image(folder / "ids.png", ((sample.ids + 1) * levels).to(torch.uint8), overwrite=overwrite)
    maps = {"normals": sample.normals, "depth": sample.depth, "ids": sample.ids.to(torch.int32), "amodal": sample.amodal}
    maps |= {"parts": sample.parts.to(torch.int32), "contact": sample.contact}
    write_bytes(folder / "maps.safetensors", _tensor_file(maps), overwrite=overwrite)
    names = [m.name for m in sample.scene.meshes]
    surfaces = {f"parts.{n}": p.to(torch.int32) for n, p in zip(names, sample.surface.parts)}
    surfaces |= {f"contact.{n}": t for n, t in zip(names, sample.surface.touching)}
    write_bytes(folder / "surfaces.safetensors", _tensor_file(surfaces), overwrite=overwrite)
    write_bytes(folder / "contacts.json", _contacts(sample), overwrite=overwrite)
    # The scene file comes last: where it is, the folder is complete.
    write_bytes(folder / "spec.json", (sample.scene.spec.to_json() + "\n").encode(), overwrite=overwrite)


def _contacts(sample: SyntheticSample) -> bytes:
    pairs = [{"a": c.a, "region_a": c.region_a, "b": c.b, "region_b": c.region_b, "vertices": c.vertices, "distance_mm": round(c.distance_mm, 3)}
             for c in sample.contacts]  # fmt: skip
    tree = {"radius_m": CONTACT_RADIUS_M, "part_names": list(sample.surface.part_names), "contacts": pairs}
    return (json.dumps(tree, indent=1) + "\n").encode()


def _tensor_file(tensors: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    return save({k: v.contiguous() for k, v in tensors.items()})
