"""The environment variable that limits the worker threads."""

import pytest

from huddle3d.compute import threads
from huddle3d.errors import InputError


@pytest.fixture(autouse=True)
def forget():
    threads.cache_clear()
    yield
    threads.cache_clear()


@pytest.mark.parametrize("text", ["3", " 3 "])
def test_threads_follow_the_environment(monkeypatch, text):
    monkeypatch.setenv("HUDDLE3D_THREADS", text)
    assert threads() == 3


@pytest.mark.parametrize("text", ["", "0"])
def test_nothing_asked_means_all_processors(monkeypatch, text):
    monkeypatch.setenv("HUDDLE3D_THREADS", text)
    assert threads() >= 1


@pytest.mark.parametrize("text", ["abc", "-2", "1.5"])
def test_other_text_is_a_typed_error(monkeypatch, text):
    monkeypatch.setenv("HUDDLE3D_THREADS", text)
    with pytest.raises(InputError, match="HUDDLE3D_THREADS"):
        threads()
