"""Frozen data types that flow between stages."""

from huddle3d.scene.artefact import Artefact, Provenance
from huddle3d.scene.body_guess import BodyGuess, read_body_guess
from huddle3d.scene.photo import load_photo
from huddle3d.scene.scene import PersonSummary, Scene, make_scene
from huddle3d.scene.scene_json import SCENE_SCHEMA, SceneDocument, read_scene_json, scene_document, write_scene_json
from huddle3d.scene.types import (
    Bodies,
    BodyParams,
    CarvedBodies,
    CompletedViews,
    Contact,
    Penetration,
    People2D,
    PersonMesh,
    Photo,
    ViewSet,
)

__all__ = [
    "Artefact",
    "Bodies",
    "BodyGuess",
    "BodyParams",
    "CarvedBodies",
    "CompletedViews",
    "Contact",
    "Penetration",
    "People2D",
    "PersonMesh",
    "PersonSummary",
    "Photo",
    "Provenance",
    "SCENE_SCHEMA",
    "Scene",
    "SceneDocument",
    "ViewSet",
    "load_photo",
    "make_scene",
    "read_body_guess",
    "read_scene_json",
    "scene_document",
    "write_scene_json",
]
