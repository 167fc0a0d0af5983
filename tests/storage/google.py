"""As much of Google Cloud Storage's JSON interface as the program uses, on this machine.

Written from Google's reference (cloud.google.com/storage/docs/json_api/v1), not by Google.
"""

import hashlib
import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 2  # names


class Google:
    """One bucket, `bucket`; `failures` requests are answered with 503 before others are met."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.failures = 0
        self.url = ""
        self.requests: list[str] = []

    def describe(self, name: str) -> dict[str, Any]:
        """An object's resource."""
        content = self.objects[name]
        digest = b64encode(hashlib.md5(content).digest()).decode()
        return {
            **{"kind": "storage#object", "bucket": "bucket", "name": name, "md5Hash": digest},
            **{"size": str(len(content)), "etag": digest, "generation": "1"},
            "updated": "2026-01-02T03:04:05.678Z",
        }

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any, dict]:
        """The status, JSON or bytes, and headers for a request."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {path}")
        if self.failures:
            self.failures -= 1
            return 503, {"error": {"message": "busy"}}, {}
        found = re.fullmatch(r"(/upload|/download)?/storage/v1/b/([^/]*)/o(?:/(.*))?", parts.path)
        if found is None or found[2] != "bucket":
            return 404, {"error": {"message": "no bucket"}}, {}
        kind, name = found[1], unquote(found[3] or "")
        if kind == "/upload":
            return self._upload(query, headers, body)
        if not name:
            return 200, self._list(query), {}
        if name.startswith("denied"):
            return 403, {"error": {"message": "secret of the store"}}, {}
        if name not in self.objects:
            return 404, {"error": {"message": "no object"}}, {}
        if method == "DELETE":
            del self.objects[name]
            return 204, b"", {}
        return 200, self.objects[name] if kind == "/download" else self.describe(name), {}

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        names = sorted(n for n in self.objects if n.startswith(query.get("prefix", "")))
        start = int(query.get("pageToken", 0))
        page = {"items": [self.describe(name) for name in names[start : start + PAGE]]}
        more = {"nextPageToken": str(start + PAGE)} if len(names) > start + PAGE else {}
        return {"kind": "storage#objects"} | page | more

    def _upload(self, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any, dict]:
        if query["uploadType"] == "multipart":
            _, about, media, _ = body.split(b"--==0==")[0:4]
            name = json.loads(about.split(b"\n\n", 1)[1])["name"]
            self.objects[name] = media.split(b"\n\n", 1)[1].removesuffix(b"\n")
            return 200, self.describe(name), {}
        if "id" not in query:
            name = json.loads(body)["name"]
            self.uploads[name] = b""
            place = f"{self.url}/upload/storage/v1/b/bucket/o?uploadType=resumable&id={name}"
            return 200, {}, {"Location": place}
        name = query["id"]
        self.uploads[name] += body
        _, last, total = map(int, re.findall(r"\d+", headers["Content-Range"]))
        if last + 1 < total:
            return 308, b"", {"Range": f"bytes=0-{last}"}
        self.objects[name] = self.uploads.pop(name)
        return 200, self.describe(name), {}


@contextmanager
def serve() -> Iterator[Google]:
    """Runs the server in a thread of this process."""
    google = Google()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content, headers = google.answer(self.command, self.path, self.headers, body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        google.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield google
        server.shutdown()
