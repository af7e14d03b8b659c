"""One small known scene, carried through all stages once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def _load():
    spec = importlib.util.spec_from_file_location("people_scene", Path(__file__).with_name("_scene.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def scene_module():
    return _load()


@pytest.fixture(scope="session")
def scene(scene_module):
    """Two clothed people side by side, the left one nearer, 320² pixels."""
    return scene_module.build_scene(width=320, height=320)


@pytest.fixture(scope="session")
def views(scene):
    from huddle3d.people.canonical import CanonicalConfig, PartialConfig, canonicalise

    config = CanonicalConfig(size=256, partial=PartialConfig(iterations=50, lr=0.04, size=128))
    return canonicalise(scene.photo, scene.people, scene.bodies, config, body=scene.body)


@pytest.fixture(scope="session")
def completed(scene, views):
    from huddle3d.people.complete import complete

    return complete(views, body=scene.body)


@pytest.fixture(scope="session")
def carved(scene, views, completed):
    from huddle3d.people.carve import CarveConfig, carve

    config = CarveConfig(iterations=8, size=128, refresh=4)
    return carve(scene.photo, scene.people, scene.bodies, views, completed, config, body=scene.body)
