import http

import pytest

from huddle3d.studio import Gate

HOST = "127.0.0.1:8080"


@pytest.fixture
def gate():
    return Gate("secret")


def cookie(gate, value="secret"):
    return {"Host": HOST, "Cookie": f"other=1; {gate.cookie}={value}"}


def test_without_token_is_refused(gate):
    assert gate.check("/", {"Host": HOST}) == (http.HTTPStatus.FORBIDDEN, {})


def test_wrong_token_is_refused(gate):
    assert gate.check("/?token=guess", {"Host": HOST})[0] == http.HTTPStatus.FORBIDDEN
    assert gate.check("/", cookie(gate, "guess"))[0] == http.HTTPStatus.FORBIDDEN


def test_link_becomes_a_cookie(gate):
    status, headers = gate.check("/?token=secret", {"Host": HOST})
    assert status == http.HTTPStatus.SEE_OTHER
    assert headers["Location"] == "/"
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]


def test_cookie_passes(gate):
    assert gate.check("/index.html", cookie(gate)) is None
    assert gate.check("/", {**cookie(gate), "Upgrade": "websocket", "Origin": f"http://{HOST}"}) is None


def test_foreign_page_is_refused(gate):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8080"):
        assert gate.check("/", {**cookie(gate), "Origin": origin})[0] == http.HTTPStatus.FORBIDDEN


def test_websocket_without_origin_is_refused(gate):
    assert gate.check("/", {**cookie(gate), "Upgrade": "websocket"})[0] == http.HTTPStatus.FORBIDDEN


def test_rebound_host_is_refused(gate):
    assert gate.check("/", {**cookie(gate), "Host": "evil.example:8080"})[0] == http.HTTPStatus.FORBIDDEN


def test_tokens_are_random():
    assert Gate().token != Gate().token
    assert len(Gate().token) >= 32
