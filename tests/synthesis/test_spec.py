"""Scene files: the same seed gives the same text, text and value agree, bad files are refused with a reason."""

import json
from dataclasses import replace

import pytest

from huddle3d.errors import InputError
from huddle3d.synthesis import FAMILIES, MotionSpec, PatternSpec, PieceSpec, SceneSpec, WardrobeSpec, sample_spec
from huddle3d.synthesis.limits import MAX_SEED, check_limits
from huddle3d.synthesis.suites.splits import heldout_spec, training_spec


def test_same_seed_same_file_other_seed_other_file():
    assert sample_spec(3).to_json() == sample_spec(3).to_json()
    assert sample_spec(3) != sample_spec(4)


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_text_and_value_agree(seed):
    spec = sample_spec(seed)
    assert SceneSpec.from_json(spec.to_json()) == spec
    assert len(spec.to_json()) < 12_000
    assert -20 <= spec.camera.elevation_deg <= 45
    assert all(0 <= c <= 1 for p in spec.people for g in p.garments for rgb in g.pattern.colours for c in rgb)


def test_the_range_of_clothes_changes_the_people_only():
    """Tight clothes are the default of Python: scenes of old seeds stay as they were."""
    tight, full = sample_spec(11, people=3), sample_spec(11, people=3, clothes="all")
    assert tight == sample_spec(11, people=3, clothes="tight")
    assert replace(full, people=tight.people) == tight
    assert full == sample_spec(11, people=3, clothes="all") != tight
    drawn = [p for s in range(30) for p in sample_spec(s, clothes="all").people]
    assert {"coat", "trousers", "skirt"} <= {g.kind for p in drawn for g in p.garments} and any(g.loose_m > 0 for p in drawn for g in p.garments)
    assert len({p.shape for p in drawn}) == len(drawn)


def test_families_and_numbers_of_people():
    assert {sample_spec(s).family for s in range(40)} == set(FAMILIES)
    assert len(sample_spec(1, people=1).people) == 1
    assert len(sample_spec(1, people=4).people) == 4
    assert sample_spec(5, family="hug").family == "hug"


@pytest.mark.parametrize("kwargs", [{"people": 0}, {"people": 13}, {"people": 3, "family": "hug"}, {"family": "waltz"}, {"clothes": "loose"}])
def test_impossible_wishes_are_refused(kwargs):
    with pytest.raises(InputError):
        sample_spec(0, **kwargs)
    for seed in (-1, MAX_SEED + 1):
        with pytest.raises(InputError, match="out of range"):
            sample_spec(seed)


def _changed(**changes):
    tree = json.loads(sample_spec(0).to_json())
    for path, value in changes.items():
        node = tree
        *parents, last = path.split("__")
        for p in parents:
            node = node[int(p) if p.isdigit() else p]
        if value is KeyError:
            del node[last]
        else:
            node[last] = value
    return json.dumps(tree)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        _changed(family="waltz"),
        _changed(seed="one"),
        _changed(seed=1.5),
        _changed(camera=KeyError),
        _changed(camera__zoom=2),
        _changed(camera__width=0),
        _changed(camera__fov_deg=float("nan")),
        _changed(people=[]),
        _changed(people__0__skin=[0.5, 0.5]),
        _changed(people__1__name="person_0"),
        _changed(version=2),
        _changed(seed=-1),
        _changed(seed=10**30),
        _changed(people__0__hair__seed=2**64),
        _changed(people__0__shape=[5.0] * 6),
        _changed(people__0__skin=[1e308, 0, 0]),
        _changed(people__0__name=""),
        _changed(people__0__name="../person_0"),
        _changed(people__0__garments__0__offset_m=-1),
        _changed(people__0__garments__0__pattern__scale_m=0),
        _changed(camera__elevation_deg=1e9),
        _changed(light__softness=-1),
        _changed(light__key=[10**400, 1, 1]),
        _changed(backdrop__distance_m=-1),
        _changed(lens__noise=-0.1),
        _changed(lens__jpeg_quality=1000),
        "[" * 100_000,
        "1" * 5000,
    ],
)
def test_bad_files_are_refused(text):
    with pytest.raises(InputError):
        SceneSpec.from_json(text)


def test_a_number_out_of_range_is_named_with_what_is_allowed():
    with pytest.raises(InputError, match=r"scene.people\[1\].garments\[0\].seed") as error:
        SceneSpec.from_json(_changed(people__1__garments__0__seed=-1))
    assert error.value.next_step == f"Allowed: 0 to {MAX_SEED}."


def test_every_number_has_a_limit_and_what_is_drawn_keeps_to_it():
    for k in range(8):
        for spec in (training_spec(k), heldout_spec(k), sample_spec(k, people=1 + k % 4, clothes="all")):
            check_limits(spec)
    pattern = PatternSpec("plain", ((0.1, 0.2, 0.3),) * 3, 0.1, 0.0, 1)
    piece = PieceSpec("shirt", "top", 1.0, 0.0, 0.005, 0.0, 1.0, pattern, 3, 4)
    wardrobe = WardrobeSpec("skin", (1.0, 1.0, 1.0), "eye", "brow", "lash", "", (0.1, 0.1, 0.1), (piece,))
    spec = sample_spec(5)
    people = (replace(spec.people[0], wardrobe=wardrobe), spec.people[1])
    check_limits(replace(spec, people=people, family="motion", motion=MotionSpec("01", 3), camera=replace(spec.camera, aim=(0.5, 0.5))))
