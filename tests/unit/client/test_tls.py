"""Servers with certificates: whom one trusts is told by the environment, also on this machine."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from raykqi.client.greeting import greet
from raykqi.client.target import Target
from raykqi.client.transport import Transport
from raykqi.errors import ServerError
from tests.unit.client.scripted import VERSION, answering


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself; with its key in the same file."""
    file = tmp_path / "lab.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", str(tmp_path / "cert.pem")]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with file.open("ab") as whole:
        whole.write((tmp_path / "cert.pem").read_bytes())
    return file


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), answering())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def connect(url: str) -> Transport:
    return Transport(Target(url), timeout=3.0, version="0.1.0")


def test_who_is_not_trusted_is_told_at_once(url: str) -> None:
    with pytest.raises(
        ServerError, match=f"the certificate of {url} is not trusted: self-signed certificate"
    ) as refused:
        greet(connect(url), "0.1.0")

    assert "SSL_CERT_FILE" in refused.value.hint


def test_who_is_named_as_trusted_is(url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with closing(connect(url)) as transport:
        assert greet(transport, "0.1.0").version == VERSION
