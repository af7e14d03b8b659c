"""Who may talk to the local viewer: only a browser on this machine that was given the link with the secret token.

viser has neither authentication nor an Origin check. The gate answers each HTTP request and each WebSocket upgrade before viser sees it:
the Host must be this machine's (against DNS rebinding), the Origin, where the browser sends one, must be the viewer's own (against foreign
pages), and the token must come in the link (once, it then becomes a cookie) or in the cookie.
"""

from __future__ import annotations

import contextlib
import hmac
import http
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Gate"]


class Gate:
    """Decides on each request of one viewer.

    Args:
        token: the secret; random by default.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(24)
        self.cookie = f"huddle3d_{secrets.token_hex(4)}"  # browsers share cookies between ports: two viewers need two names

    def check(self, path: str, headers: Any) -> tuple[http.HTTPStatus, dict[str, str]] | None:
        """None lets the request pass; else a status and headers to answer with."""
        host = headers.get("Host", "")
        name, _, port = host.rpartition(":")
        if name not in ("127.0.0.1", "localhost") or not port.isdigit():
            return http.HTTPStatus.FORBIDDEN, {}
        origin = headers.get("Origin")
        upgrade = headers.get("Upgrade", "").lower() == "websocket"
        if (origin is None and upgrade) or (origin is not None and origin != f"http://{host}"):
            return http.HTTPStatus.FORBIDDEN, {}
        parts = urlsplit(path)
        given = parse_qs(parts.query).get("token", [""])[0]
        if given and self._matches(given) and not upgrade:
            cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            return http.HTTPStatus.SEE_OTHER, {"Location": "/", "Set-Cookie": cookie, "Referrer-Policy": "no-referrer"}
        return None if self._matches(self._cookie_value(headers)) else (http.HTTPStatus.FORBIDDEN, {})

    def _matches(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self.token.encode())

    def _cookie_value(self, headers: Any) -> str:
        for part in headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie:
                return value
        return ""

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While active, every server that ``websockets`` starts asks this gate first (viser offers no hook of its own)."""
        import websockets.asyncio.server as server
        from websockets.datastructures import Headers
        from websockets.http11 import Response

        original = server.serve

        def serve(handler: Callable[..., Any], *args: Any, process_request: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
            def checked(connection: Any, request: Any) -> Any:
                verdict = self.check(request.path, request.headers)
                if verdict is None:
                    return process_request(connection, request) if process_request else None
                status, extra = verdict
                body = f"{status.value} {status.phrase}: open the link that huddle3d printed\n".encode()
                return Response(status.value, status.phrase, Headers({**extra, "Content-Length": str(len(body))}), body)

            return original(handler, *args, process_request=checked, **kwargs)

        server.serve = serve  # type: ignore[assignment]
        try:
            yield
        finally:
            server.serve = original
