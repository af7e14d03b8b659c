"""The camera walks around people who hide each other."""

import json
from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.geometry import Camera, look_at
from huddle3d.synthesis import SceneSpec, sample_spec
from huddle3d.synthesis.build import _frame, place_camera
from huddle3d.synthesis.framing import turns, visible_shares


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def row(body):
    """Two equal people one behind the other along z; the first is nearer to +z."""
    with torch.no_grad():
        one = body(body.neutral(1)).vertices[0]
    return torch.stack([one + torch.tensor([0.0, 0.0, 0.4]), one - torch.tensor([0.0, 0.0, 0.4])])


def camera_at(azimuth: float) -> Camera:
    spec = replace(sample_spec(0).camera, azimuth_deg=azimuth, elevation_deg=5.0, least_visible=0.0)
    return place_camera(spec, torch.tensor([[-0.5, 0.0, -0.5], [0.5, 1.8, 0.5]]))


def test_shares_of_people_one_behind_the_other(row, body):
    front = visible_shares(row, body, camera_at(0.0))
    assert front[0, 0] == 1 and front[0, 1] > 0.7  # a head is partly hidden by its own shoulders
    assert front[1, 0] < 0.6
    side = visible_shares(row, body, camera_at(90.0))
    assert side[:, 0].min() > 0.9 and side[:, 1].min() > 0.7
    back = visible_shares(row, body, camera_at(180.0))
    assert back[1, 0] == 1 and back[0, 0] < 0.6


def test_people_out_of_the_picture_count_nothing(row, body):
    away = Camera.perspective(500.0, 320, 240, look_at(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 1.0, 8.0])))
    assert torch.equal(visible_shares(row, body, away), torch.zeros(2, 2))


def test_turns_start_at_the_file_and_go_all_around():
    spec = replace(sample_spec(0).camera, azimuth_deg=7.0)
    azimuths = [s.azimuth_deg for s in turns(spec)]
    assert azimuths[:3] == [7.0, 17.0, -3.0]
    assert {round(a) % 360 for a in azimuths} == {(7 + k) % 360 for k in range(0, 360, 10)}
    assert all(replace(s, azimuth_deg=7.0) == spec for s in turns(spec))


def test_camera_turns_no_farther_than_needed(row, body):
    spec = replace(sample_spec(0).camera, azimuth_deg=0.0, elevation_deg=5.0)
    points = row.reshape(-1, 3)
    kept = _frame(replace(spec, least_visible=0.0), points, row, body)
    assert torch.equal(kept.T_cam_world, place_camera(spec, points).T_cam_world)
    turned = _frame(replace(spec, least_visible=0.5), points, row, body)
    assert visible_shares(row, body, turned).min() >= 0.5
    before = [visible_shares(row, body, place_camera(s, points)).min() for s in turns(spec)]
    first = next(k for k, share in enumerate(before) if share >= 0.5)
    assert first > 0
    assert torch.equal(turned.T_cam_world, place_camera(turns(spec)[first], points).T_cam_world)


def test_best_azimuth_where_none_is_good_enough(row, body):
    spec = replace(sample_spec(0).camera, azimuth_deg=0.0, elevation_deg=5.0, least_visible=1.0)
    inside = torch.stack([row[0], row[0] + 0.01])  # nearly the same place: always hidden in part
    camera = _frame(spec, inside.reshape(-1, 3), inside, body)
    best = max(float(visible_shares(inside, body, place_camera(s, inside.reshape(-1, 3))).min()) for s in turns(spec))
    assert float(visible_shares(inside, body, camera).min()) == best < 1


def test_files_without_the_entry_stay_where_they_are():
    document = json.loads(sample_spec(3).to_json())
    assert document["camera"].pop("least_visible") == 0.65
    assert SceneSpec.from_json(json.dumps(document)).camera.least_visible == 0.0
    document["camera"]["least_visible"] = 1.5
    with pytest.raises(InputError, match="camera"):
        SceneSpec.from_json(json.dumps(document))
