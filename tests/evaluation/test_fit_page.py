"""The page of ``eval fit``: people keep their colours, the truth laid on itself is the same picture, failures and bad names are shown safely."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.evaluation import FIT_COLUMNS, FitMetrics, FitResult, draw_fit, fit_page

from .test_fit_metrics import body, sample, truth  # noqa: F401 - fixtures

ORANGE, BLUE = "orange", "blue"


def colour_at(picture, column, row):
    r, g, b = (int(v) for v in picture[row, column])
    return ORANGE if r > b + 40 else BLUE if b > r + 40 else "grey" if max(r, g, b) < 250 else "white"


def reordered(bodies, rows):
    rows = torch.tensor(rows)
    return replace(bodies, names=tuple(f"p{k}" for k in range(len(rows))), vertices=bodies.vertices[rows], landmarks=bodies.landmarks[rows])


@pytest.fixture(scope="module")
def pictures(sample, truth, body):  # noqa: F811
    return draw_fit(sample, truth, body.faces.long())


def test_the_truth_laid_on_itself_is_the_same_picture(pictures):
    assert pictures.photo.shape == pictures.truth.shape == (300, 400, 3) and np.array_equal(pictures.truth, pictures.fitted)
    assert not np.array_equal(pictures.photo, pictures.truth)  # somebody is drawn
    assert pictures.around.shape == (480, 960, 3) and np.array_equal(pictures.around[:240], pictures.around[240:])


def test_people_are_in_their_places_and_keep_their_colours(pictures, sample, truth, body):  # noqa: F811
    uv, _ = truth.camera.project(truth.landmarks[:, [11, 12]].mean(1))  # hips
    (ax, ay), (bx, by) = (uv * 300 / truth.camera.height).round().long().tolist()
    assert colour_at(pictures.truth, ax, ay) == ORANGE and colour_at(pictures.truth, bx, by) == BLUE
    swapped = draw_fit(sample, reordered(truth, [1, 0]), body.faces.long())
    assert np.array_equal(swapped.fitted, pictures.truth)


def test_a_body_of_nobody_is_grey(sample, truth, body):  # noqa: F811
    aside = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-1.4, 0.0, 0.0]])[:, None]
    three = reordered(truth, [0, 1, 1])
    three = replace(three, vertices=three.vertices + aside, landmarks=three.landmarks + aside)
    drawn = draw_fit(sample, three, body.faces.long())
    uv, _ = truth.camera.project(three.landmarks[:, [11, 12]].mean(1))
    places = (uv * 300 / truth.camera.height).round().long().tolist()
    assert [colour_at(drawn.fitted, *place) for place in places] == [ORANGE, BLUE, "grey"]


def test_a_data_set_without_bodies_shows_its_people(sample, truth, body):  # noqa: F811
    from .test_tables import cube, person

    blind = replace(sample, bodies=None, joints=truth.landmarks[:, :17], meshes=(person("a", cube(), (0.9, 0.1, 0.1)),))
    drawn = draw_fit(blind, None, body.faces.long())
    assert np.array_equal(drawn.photo, drawn.fitted) and not np.array_equal(drawn.photo, drawn.truth) and (drawn.around[240:] == 255).all()


def test_a_data_set_without_bodies_and_surfaces_shows_the_fit_alone(sample, truth, body):  # noqa: F811
    blind = replace(sample, bodies=None, joints=truth.landmarks[:, :17], meshes=())
    drawn = draw_fit(blind, truth, body.faces.long())
    assert np.array_equal(drawn.truth, drawn.photo) and not np.array_equal(drawn.fitted, drawn.photo)
    assert (drawn.around[:240] == 255).all() and not (drawn.around[240:] == 255).all()


def test_the_page_holds_tables_pictures_and_no_script(pictures, sample, truth, body):  # noqa: F811
    failed = draw_fit(sample, None, body.faces.long())
    good = FitResult("hug_1", "hug", "true", "full", FitMetrics(2, 2, 0, pa_mpjpe_mm=12.5, max_penetration_mm=3.0), "", 10.0)
    bad = FitResult("hug_1", "hug", "true", "<b>&", None, "no <people>", 1.0)
    text = fit_page([good, bad], [pictures, failed], {"seed": 1})
    assert text.count("<img") == 8 and "<script" not in text and "http" not in text
    assert "&lt;people&gt;" in text and "<b>&" not in text and "12.5" in text and "target, true" in text
    for column in FIT_COLUMNS.values():
        assert column.heading in text
    assert fit_page([good], [None], {}).count("<img") == 0
