"""An S3 server (moto's) on this machine, with faults that tests put in."""

import io
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any, NoReturn
from urllib.parse import unquote

import boto3
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

# What a user's environment would have; a machine's own settings are kept out.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTKEYOFTHETEST",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-no-message-shows",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_PAST_FAULTS = "past-faults"  # in the user agent of the tests' own requests


@dataclass
class Fault:
    """What happens to requests instead of an answer."""

    pattern: str = ""
    """Regular expression that is searched in a line of `Store.requests`."""
    status: int = 500
    code: str = "InternalError"
    """The answer; S3's own name of the error."""
    hang: float | None = None
    """Seconds to wait before the connection is cut, instead of an answer."""
    cut: int | None = None
    """Cuts the connection after so many bytes of the right answer's body, instead of an answer."""
    times: int | None = None
    """Number of requests that it meets; None is all."""
    chance: float = 1.0
    """Share of the requests that it meets."""
    then: Callable[[], Any] = lambda: None
    """Called when it has met a request, before the connection ends."""


@dataclass
class Store:
    """A server and its state. It is a WSGI application in front of moto's."""

    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """All requests, `METHOD /bucket/name?query RANGE`, unquoted."""
    url: str = ""
    bucket: str = ""
    """A bucket that is empty when a test begins."""

    def __post_init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock, self._random = threading.Lock(), random.Random(0)
        self._numbers = count()

    @property
    def environment(self) -> dict[str, str]:
        """What a program must have in its environment to meet this server."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.url}

    @cached_property
    def client(self) -> Any:
        """A client of S3 that shares no code with the program's. Its requests meet no fault."""
        keys = {
            "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        named = Config(user_agent_extra=_PAST_FAULTS)
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", config=named, **keys
        )

    def new_bucket(self) -> str:
        """Makes a bucket, takes all faults out, and returns the bucket's name."""
        self.faults.clear()
        self.requests.clear()
        self.bucket = f"bucket-{next(self._numbers)}"
        self.client.create_bucket(Bucket=self.bucket)
        return self.bucket

    def put(self, name: str, data: bytes) -> None:
        """Puts an object into the bucket, past all faults."""
        self.client.put_object(Bucket=self.bucket, Key=name, Body=data)

    def fill(self, names: Iterable[str], data: bytes) -> None:
        """Puts many objects of one content into the bucket, without requests."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for name in names:
            backend.put_object(self.bucket, name, data)

    def get(self, name: str) -> bytes:
        """The content of an object in the bucket, past all faults."""
        return self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read()

    def names(self, prefix: str = "") -> list[str]:
        """The names in the bucket, past all faults."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        """The names of uploads in parts that were begun and not ended."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket)
        return [entry["Key"] for entry in found.get("Uploads", [])]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        line = f"{environ['REQUEST_METHOD']} {unquote(environ['RAW_URI'])}"
        line += f" {environ['HTTP_RANGE']}" if "HTTP_RANGE" in environ else ""
        with self._lock:
            self.requests.append(line)
            own = _PAST_FAULTS in environ.get("HTTP_USER_AGENT", "")
            fault = None if own else self._find(line)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if len(body) < length:  # the client died: S3 stores nothing then, moto what came
            end_connection(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        if fault is None:
            return self._moto(environ, start_response)
        if fault.cut is not None:
            return self._cut(self._moto(environ, start_response), fault, environ)
        fault.then()
        if fault.hang is not None:
            time.sleep(fault.hang)
            end_connection(environ)
        answer = f"<Error><Code>{fault.code}</Code><Message>of the test</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(answer)))]
        start_response(f"{fault.status} Error", headers)
        return [answer]

    def _find(self, line: str) -> Fault | None:
        for fault in self.faults:
            met = re.search(fault.pattern, line) and self._random.random() < fault.chance
            if met and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    @staticmethod
    def _cut(answer: Iterable[bytes], fault: Fault, environ: dict[str, Any]) -> Iterator[bytes]:
        left = fault.cut or 0
        for part in answer:
            if left:
                yield part[:left]
            left = max(0, left - len(part))
            if not left:
                break
        time.sleep(0.3)  # clients lose what they have not read when the connection ends
        fault.then()
        end_connection(environ)


def end_connection(environ: dict[str, Any]) -> NoReturn:
    """Ends a connection without an answer, or in the middle of one."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


@contextmanager
def serve() -> Iterator[Store]:
    """Runs the server in a thread of this process, on a free port of this machine."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Quiet(MotoRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    store = Store()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Quiet)
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
