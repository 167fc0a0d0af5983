"""Who may ask a page that is for this computer alone: browsers that show it, not other sites.

Any site can have a visitor's browser send requests to 127.0.0.1, and, once its name leads there
(DNS rebinding), read the answers. Gradio refuses neither.
"""

from typing import Any
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost", "::1")
_REFUSED = (
    b"This page answers to requests of this computer alone, by the names 127.0.0.1 and localhost. "
    b"`matting app --host 0.0.0.0` opens it to others."
)


class LocalOnly:
    """Refuses requests that name another host or come from another's page; ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers with status 403, or hands the request on."""
        headers = dict(scope.get("headers", ()))
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        named = [b"//" + host, *([] if origin is None else [origin])]
        if scope["type"] == "lifespan" or all(map(_is_local, named)):
            await self._app(scope, receive, send)
            return
        kind = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 403, "headers": kind})
        await send({"type": "http.response.body", "body": _REFUSED})


def _is_local(address: bytes) -> bool:
    try:
        return urlsplit(address.decode("latin-1")).hostname in LOCAL
    except ValueError:
        return False
