"""The server of the tests itself."""

import re
import socket
import urllib.error
import urllib.request

import pytest

from tests.storage.server import Fault, Store


def test_keeps_objects_and_meets_faults_as_often_as_told(s3: Store) -> None:
    s3.put("a b", b"content")
    s3.faults.append(Fault("GET .*/a b", status=503, code="SlowDown", times=2))
    address = f"{s3.url}/{s3.bucket}/a%20b"
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError, match="503") as caught:
            urllib.request.urlopen(address)
        assert b"<Code>SlowDown</Code>" in caught.value.read()
    assert s3.get("a b") == b"content"
    assert s3.names() == ["a b"]
    assert sum(re.match(r"GET .*/a b", line) is not None for line in s3.requests) == 3


def test_cuts_connections(s3: Store) -> None:
    s3.put("x", bytes(1000))
    s3.faults += [Fault("/x", cut=100, times=1), Fault("/x", hang=0.01, times=1)]
    host, port = s3.url.removeprefix("http://").split(":")
    address = s3.client.generate_presigned_url("get_object", {"Bucket": s3.bucket, "Key": "x"})
    got = []
    for _ in range(2):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET {address.removeprefix(s3.url)} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while part := connection.recv(4096):
                answer += part
        got.append(answer.partition(b"\r\n\r\n")[2])
    assert got == [bytes(100), b""]


def test_its_own_requests_meet_no_fault(s3: Store) -> None:
    s3.faults.append(Fault())
    s3.put("x", b"content")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(f"{s3.url}/{s3.bucket}/x")
    assert (s3.get("x"), s3.names(), s3.uploads()) == (b"content", ["x"], [])
