"""Nothing that training may draw is in a suite, and the other way round; the rules look at values, so scene files can be judged alone."""

from dataclasses import replace

import pytest

from huddle3d.errors import InputError
from huddle3d.synthesis import MotionSpec, SceneSpec, families_for, sample_spec
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.pictures.styles import is_held_out
from huddle3d.synthesis.suites.lists import SUITES, open_suite_list
from huddle3d.synthesis.suites.splits import (
    HELDOUT_ASSETS,
    HELDOUT_FAMILIES,
    SEEDS,
    _with_avatars,
    assets_of,
    avatars_of,
    draw_split_person,
    families_in,
    heldout_spec,
    split_of_asset,
    split_of_avatar,
    split_of_clip,
    split_of_family,
    split_of_garment,
    split_of_pattern,
    split_of_seed,
    split_of_shape,
    training_spec,
)

COUNT = 150


@pytest.fixture(scope="module")
def training() -> list[SceneSpec]:
    return [training_spec(k) for k in range(COUNT)] + [training_spec(1000 + k, people=3 + k % 4) for k in range(20)]


@pytest.fixture(scope="module")
def suites() -> list[SceneSpec]:
    return [s.spec for name in SUITES if name != "salsa" for s in open_suite_list(name).scenes]


def sides(specs: list[SceneSpec], kind: str) -> set[str | None]:
    people = [p for s in specs for p in s.people]
    garments = [g for p in people for g in p.garments]
    return {
        "shapes": {split_of_shape(p.shape) for p in people},
        "garments": {split_of_garment(g) for g in garments},
        "patterns": {split_of_pattern(g.pattern) for g in garments},
        "seeds": {split_of_seed(x) for g in garments for x in (g.seed, g.pattern.seed)}
        | {split_of_seed(p.hair.seed) for p in people}
        | {split_of_seed(s.backdrop.seed) for s in specs},
        "styles": {"heldout" if is_held_out(s.light, s.backdrop) else "training" for s in specs},
    }[kind]


@pytest.mark.parametrize("kind", ["shapes", "garments", "patterns", "seeds", "styles"])
def test_training_and_suites_never_meet(training, suites, kind):
    assert sides(training, kind) == {"training"}
    assert sides(suites, kind) == {"heldout"}


def test_the_rules_would_tell_a_leak(training, suites):
    mixed = replace(training[0], people=suites[0].people)
    assert "heldout" in sides([mixed], "shapes") and "heldout" in sides([mixed], "patterns")
    person = suites[0].people[0]
    longer = replace(person.garments[-1], length=0.63, kind="skirt")
    assert split_of_garment(longer) is None  # between the bands: on no side


def test_interactions_are_split():
    both = set(families_for(2)) | {f for k in (3, 4, 5, 6) for f in families_for(k)}
    assert both >= HELDOUT_FAMILIES
    assert len(families_in("heldout", 2)) >= 4 and len(families_in("heldout", 4)) >= 1
    for people in (2, 3, 6):
        assert not set(families_in("heldout", people)) & set(families_in("training", people))
        assert {training_spec(k, people=people).family for k in range(60)} <= set(families_in("training", people))
    with pytest.raises(InputError, match="held out"):
        training_spec(3, family="whispering")
    assert split_of_family("hug") == "training"


def test_default_scenes_are_neither(training):
    assert not {s.seed for s in training} & set(range(10 * COUNT))
    texts = {s.to_json() for s in training}
    assert not any(sample_spec(k).to_json() in texts for k in range(COUNT))
    assert not any(sample_spec(SEEDS + k).to_json() in texts for k in range(COUNT))


def test_seeds_out_of_range_and_recorded_motion():
    for seed in (-1, SEEDS):
        with pytest.raises(InputError, match="out of range"):
            training_spec(seed)
        with pytest.raises(InputError, match="out of range"):
            heldout_spec(seed)
    assert training_spec(5, family="motion", motion=MotionSpec("01", 3)).motion == MotionSpec("01", 3)
    with pytest.raises(InputError, match="take 03"):
        training_spec(5, family="motion", motion=MotionSpec("03", 3))
    assert split_of_clip("06") == "heldout" and split_of_avatar("Asian_F_2_Util") == "heldout" and split_of_avatar("Asian_F_1_Casual") == "training"


def test_the_same_seed_gives_the_same_scene_and_another_one_another(training):
    assert training_spec(7) == training[7] and training_spec(8) != training[7]
    assert len({p.shape for s in training for p in s.people}) == sum(len(s.people) for s in training)


def test_assets_are_split(tmp_path):
    for name in ("female_elegantsuit01", "female_casualsuit01", "male_casualsuit04", "shoes01", "shoes02"):
        (tmp_path / "clothes" / name).mkdir(parents=True)
        (tmp_path / "clothes" / name / f"{name}.mhclo").touch()
    (tmp_path / "hair").mkdir()
    (tmp_path / "skins").mkdir()
    for name in ("young_lightskinned_female_diffuse2", "young_lightskinned_female_diffuse3"):
        (tmp_path / "skins" / f"{name}.jpg").touch()
    assets = Assets(tmp_path)
    seen = {s: set(assets_of(s, assets).names("clothes")) | set(assets_of(s, assets).skins()) for s in ("training", "heldout")}
    assert seen["heldout"] == {"female_elegantsuit01", "male_casualsuit04", "shoes02", "young_lightskinned_female_diffuse3"}
    assert not seen["training"] & seen["heldout"] and seen["training"] | seen["heldout"] == set(assets.names("clothes")) | set(assets.skins())
    assert all(split_of_asset(n) == "heldout" for n in HELDOUT_ASSETS)
    with pytest.raises(InputError, match="heldout"):
        heldout_spec(0, assets=assets)  # no brows, no hair, no eyes


def avatar_folder(tmp_path, *names):
    (tmp_path / "avatars").mkdir()
    for name in names:
        (tmp_path / "avatars" / f"{name}.npz").touch()
    return Assets(tmp_path)


def test_training_draws_no_held_out_avatar(tmp_path):
    """Names alone are drawn from: the files may be empty here. Half the people are rigged, the rest of the scene is as without."""
    assets = avatar_folder(tmp_path, "Any_F_1_Casual", "Any_F_2_Casual", "Any_M_1_Util", "Any_M_3_Util", "Any_M_2_Busi")
    assert avatars_of("training", assets) == ("Any_F_1_Casual", "Any_M_1_Util", "Any_M_3_Util")
    plain = [draw_split_person("training", SEEDS + k, 0) for k in range(60)]
    drawn = [training_spec_without_clothes(k, assets) for k in range(60)]
    rigged = [p.avatar.name for s in drawn for p in s.people if p.avatar]
    assert set(rigged) == set(avatars_of("training", assets)) and 40 <= len(rigged) <= 80
    assert all(s.people[0] == p for s, p in zip(drawn, plain) if s.people[0].avatar is None)
    assert all(len({p.avatar.name for p in s.people}) == 2 for s in drawn if all(p.avatar for p in s.people))
    everybody = training_spec_without_clothes(3, assets, people=5, share=1.0)
    assert len({p.avatar.name for p in everybody.people if p.avatar}) == 3 and all(p.avatar for p in everybody.people)


def training_spec_without_clothes(seed, assets, people=2, share=0.5):
    """The folder has avatars but nothing to wear."""
    return _with_avatars(training_spec(seed, people=people), "training", share, assets)


def test_avatars_need_a_folder_that_has_some(tmp_path):
    with pytest.raises(InputError, match="assets folder"):
        training_spec(0, avatars=0.5)
    with pytest.raises(InputError, match="training"):
        avatars_of("training", avatar_folder(tmp_path, "Any_F_2_Casual"))


@pytest.mark.shared
def test_avatars_of_the_suites_and_of_training_never_meet(shared):
    assets = Assets.open(shared / "data")
    drawn = {p.avatar.name for k in range(60) for p in training_spec(k, assets=assets, avatars=0.5).people if p.avatar}
    shown = {p.avatar.name for s in open_suite_list("salsa", assets=assets).scenes for p in s.spec.people if p.avatar}
    assert drawn and shown and not drawn & shown
    assert {split_of_avatar(n) for n in drawn} == {"training"} and {split_of_avatar(n) for n in shown} == {"heldout"}
    assert training_spec(5, assets=assets, avatars=0.0) == training_spec(5, assets=assets)


@pytest.mark.shared
def test_dressed_people_keep_to_their_side(shared):
    assets = Assets.open(shared / "data")
    for split, draw in (("training", training_spec), ("heldout", heldout_spec)):
        wardrobes = [p.wardrobe for k in range(30) for p in draw(k, assets=assets).people]
        names = {n for w in wardrobes if w for n in (w.skin, *([w.hair] if w.hair else []), *(p.asset for p in w.pieces))}
        assert {split_of_asset(n) for n in names} == {split}
        patterns = {split_of_pattern(p.pattern) for w in wardrobes if w for p in w.pieces if p.pattern}
        assert patterns == {split}
