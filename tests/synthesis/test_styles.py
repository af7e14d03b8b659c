"""Styles: the same seed gives the same style, training and held-out sets never meet, files stay as they were."""

import pytest

from huddle3d.errors import InputError
from huddle3d.synthesis import SceneSpec, is_held_out, sample_spec, sample_style
from huddle3d.synthesis.pictures.styles import HELD_OUT_BACKDROPS


def test_a_style_is_held_out_exactly_if_asked() -> None:
    for seed in range(400):
        for held_out in (False, True):
            light, backdrop, _ = sample_style(seed, held_out=held_out)
            assert is_held_out(light, backdrop) == held_out
            assert (backdrop.kind in HELD_OUT_BACKDROPS) == held_out
    assert sample_style(7, held_out=False) == sample_style(7, held_out=False) != sample_style(8, held_out=False)


def test_scenes_of_older_seeds_are_not_held_out() -> None:
    for seed in range(100):
        spec = sample_spec(seed)
        assert not is_held_out(spec.light, spec.backdrop)


def test_styles_survive_the_scene_file() -> None:
    import dataclasses

    spec = sample_spec(3)
    assert "size_deg" not in spec.to_json() and "exposure_ev" not in spec.to_json()
    for seed in range(20):
        light, backdrop, lens = sample_style(seed, held_out=seed % 2 == 1)
        styled = dataclasses.replace(spec, light=light, backdrop=backdrop, lens=lens)
        assert SceneSpec.from_json(styled.to_json()) == styled
    wild = dataclasses.replace(spec, lens=dataclasses.replace(spec.lens, exposure_ev=40.0))
    with pytest.raises(InputError, match="exposure_ev"):
        SceneSpec.from_json(wild.to_json())
