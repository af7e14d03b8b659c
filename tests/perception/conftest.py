"""The fetched networks, for tests that need them."""

from __future__ import annotations

import os

import pytest

from huddle3d.perception import Networks, load_networks


@pytest.fixture(scope="session")
def networks() -> Networks:
    """The fetched networks; tests skip without them, except in CI, where the set-up has fetched them."""
    from huddle3d.errors import WeightsMissingError
    from huddle3d.weights import weights_path

    try:
        return load_networks(weights_path("blazepose"), int(os.environ.get("HUDDLE3D_THREADS", 2)), heavy=weights_path("blazepose-heavy"))
    except WeightsMissingError as e:
        if os.environ.get("CI"):
            pytest.fail(str(e))
        pytest.skip(str(e))
