"""Variants: the file, the overrides, and what is told about mistakes."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import InputError
from huddle3d.evaluation import override, read_variants
from huddle3d.people import PeopleConfig


def write(path, tree):
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


def test_settings_are_changed_and_nothing_else(tmp_path):
    base = PeopleConfig()
    file = write(tmp_path / "v.json", {"full": {}, "short": {"carve.iterations": 7, "seed": 3}, "tiles": {"perceive.tile_levels": [1]}})
    got = read_variants(file, base)
    assert list(got) == ["full", "short", "tiles"] and got["full"] == base
    assert got["short"].carve.iterations == 7 and got["short"].seed == 3 and got["short"].fit == base.fit
    assert got["tiles"].perceive.tile_levels == (1,) and got["tiles"].carve == base.carve
    assert base == PeopleConfig()


@pytest.mark.parametrize(
    "tree, told",
    [
        ({"a": {"carve.no_such": 1}}, "iterations"),
        ({"a": {"nowhere.iterations": 1}}, "carve"),
        ({"a": {"carve": 1}}, "group"),
        ({"a": {"carve.iterations": "many"}}, "int"),
        ({"a": {"carve.iterations": True}}, "int"),
        ({"a": {"carve.iterations": 1.5}}, "int"),
        ({"a": {"complete.method": "diffused"}}, "body-prior"),
        ({"a": {"carve.start": 1}}, "partial"),
        ({"a": {"perceive.tile_levels": ["one"]}}, "tuple"),
        ({"a": {"complete.diffusion.weights": 3}}, "Path"),
        ({"../a": {}}, "folder"),
        ({"": {}}, "folder"),
        ({}, "variants"),
        ([], "variants"),
        ({"a": 1}, "variants"),
        ("{", "JSON"),
    ],
)
def test_mistakes_are_named(tmp_path, tree, told):
    with pytest.raises(InputError, match=told):
        read_variants(write(tmp_path / "v.json", tree), PeopleConfig())


def test_a_path_is_named_as_text_and_taken_back_with_null(tmp_path):
    file = write(tmp_path / "v.json", {"own": {"complete.diffusion.weights": "model.safetensors"}, "embedded": {"complete.diffusion.weights": None}})
    base = override(PeopleConfig(), "complete.diffusion.weights", Path("other.safetensors"))
    got = read_variants(file, base)
    assert got["own"].complete.diffusion.weights == Path("model.safetensors") and got["embedded"].complete.diffusion.weights is None


def test_an_int_may_stand_for_a_float():
    config = PeopleConfig()
    assert isinstance(override(config, "perceive.min_quality", 1).perceive.min_quality, float)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12), st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.lists(st.integers(), max_size=2)))
def test_anything_else_is_a_typed_error(path, value):
    try:
        assert isinstance(override(PeopleConfig(), path, value), PeopleConfig)
    except InputError as e:
        assert e.what
