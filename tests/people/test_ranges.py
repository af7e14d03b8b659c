"""Numbers that no stage can work with are refused before anything runs, by their name."""

import math
from dataclasses import replace

import pytest

from huddle3d.errors import InputError
from huddle3d.evaluation.variants import read_variants
from huddle3d.people import CarveConfig, PeopleConfig
from huddle3d.people._ranges import check_numbers


def changed(path, value):
    """The default configuration with one other setting."""

    def within(config, names):
        own = value if len(names) == 1 else within(getattr(config, names[0]), names[1:])
        return replace(config, **{names[0]: own})

    return within(PeopleConfig(), path.split("."))


def test_the_defaults_can_be_used():
    check_numbers(PeopleConfig())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("carve.views_per_step", 0),
        ("carve.refresh", 0),
        ("carve.size", 8),
        ("carve.lr", math.inf),
        ("carve.iterations", -1),
        ("carve.separate.tolerance", -0.1),
        ("fit.keypoint_sigma", math.nan),
        ("fit.keypoint_sigma", 0.0),
        ("fit.order_every", 0),
        ("paint.texture_size", -3),
        ("canonical.colour_views", (0, 6)),
        ("canonical.colour_views", (-1,)),
        ("seed", math.nan),
    ],
)
def test_what_cannot_be_used_is_named(path, value):
    with pytest.raises(InputError, match=path.replace(".", r"\.")) as told:
        changed(path, value)
    assert told.value.next_step.startswith("Use ")


@pytest.mark.parametrize(
    ("path", "value"),
    [("carve.iterations", 0), ("carve.stop", 0.0), ("canonical.partial.min_offset", -0.03), ("seed", -1), ("fit.weight_regressor", 0.0)],
)
def test_what_switches_off_or_may_be_negative_is_taken(path, value):
    changed(path, value)


def test_python_and_variants_say_the_same(tmp_path):
    with pytest.raises(InputError, match="refresh"):
        PeopleConfig(carve=CarveConfig(refresh=0))
    (tmp_path / "v.json").write_text('{"full": {}, "none": {"carve.refresh": 0}}')
    with pytest.raises(InputError, match="refresh"):
        read_variants(tmp_path / "v.json", PeopleConfig())
