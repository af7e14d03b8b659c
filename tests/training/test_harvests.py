"""The schedule of both banks of pictures: every number is made once, under its own name; what is there stays; bad sources are told first."""

import concurrent.futures
from pathlib import Path

import pytest

from huddle3d.errors import InputError
from huddle3d.training.numbered import MAX_PHOTOS, photo_seed
from huddle3d.training.surface import CropsConfig, bank, harvest_crops
from huddle3d.training.views import SceneConfig, ViewsConfig, harvest, harvest_views

CASES = {"views": (harvest, harvest_views, ViewsConfig), "crops": (bank, harvest_crops, CropsConfig)}


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    """The schedule with threads instead of processes; a scene is an empty file."""
    module, run, config = CASES[request.param]
    made: list[int] = []

    def work(index, config, folder):
        made.append(index)
        (Path(folder) / f"{index:06d}.safetensors").touch()
        return 1

    monkeypatch.setattr(module, "_work", work)
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", lambda workers, mp_context: concurrent.futures.ThreadPoolExecutor(workers))
    monkeypatch.setattr(module, "write_index", lambda *a: None, raising=False)
    for reader in ("read_view_bank", "read_crop_bank"):
        monkeypatch.setattr(module, reader, lambda folder: None, raising=False)
    return run, config, made


@pytest.mark.parametrize("workers", [1, 3])
def test_every_number_is_made_once_and_kept(case, tmp_path, workers):
    run, config, made = case
    run(tmp_path / "bank", 5, config(), workers=workers)
    assert sorted(made) == [0, 1, 2, 3, 4]
    (tmp_path / "bank" / "000003.safetensors").unlink()
    run(tmp_path / "bank", 7, config(), workers=workers)
    assert sorted(made[5:]) == [3, 5, 6]
    run(tmp_path / "bank", 7, config(), workers=workers)
    assert len(made) == 8


def test_missing_sources_are_told_before_a_folder_is_made(case, tmp_path):
    run, config, made = case
    (tmp_path / "makehuman" / "base").mkdir(parents=True)
    (tmp_path / "makehuman" / "base" / "base.obj").touch()
    for scenes in (SceneConfig(assets=str(tmp_path / "no")), SceneConfig(poses=str(tmp_path / "no")), SceneConfig(assets=str(tmp_path), avatars=0.5)):
        with pytest.raises(InputError):
            run(tmp_path / "bank", 2, config(scenes=scenes))
        assert not (tmp_path / "bank").exists() and made == []


@pytest.mark.parametrize("photos", [0, 11])
def test_photographs_that_seeds_cannot_tell_apart(case, tmp_path, photos):
    run, config, made = case
    with pytest.raises(InputError, match="one to 10 photographs"):
        run(tmp_path / "bank", 1, config(photos=photos))
    assert not made


def test_photo_seeds_are_all_different():
    seeds = [photo_seed(scene, pose, photo) for scene in (0, 1, 2) for pose in range(100) for photo in range(MAX_PHOTOS)]
    assert len(set(seeds)) == len(seeds)
