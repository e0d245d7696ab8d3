import hashlib
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.data.data_samples import even_labels, random_images, write_mnist

from ceteris.data import load, named
from ceteris.data.download import Progress, RemoteFile, fetch
from ceteris.errors import DataError

CONTENT = bytes(range(256)) * 2000
SUM = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class FaultyServer:
    """A server on this machine whose paths name what it does wrong."""

    address: str
    requests: list[tuple[str, str]] = field(default_factory=list)  # path, Range
    broken_off: int = 0
    files: dict[str, bytes] = field(default_factory=dict)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FaultyServer

    def log_message(self, *arguments: object) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.state.requests.append((self.path, wanted))
        self.close_connection = True
        name = self.path.rpartition("/")[2]
        action = getattr(self, f"answer_{name}", None)
        if name in self.state.files:
            self.send(200, self.state.files[name])
        elif action:
            action(wanted)
        else:
            self.send(404, b"")

    def send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def ranged(self, wanted: str) -> tuple[int, bytes]:
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        return (206 if wanted else 200), CONTENT[start:]

    def answer_good(self, wanted: str) -> None:
        status, body = self.ranged(wanted)
        self.send(status if body else 416, body)

    def answer_truncates(self, wanted: str) -> None:
        status, body = self.ranged(wanted)
        self.state.broken_off += 1
        kept = body if self.state.broken_off > 2 else body[: len(body) // 3]
        self.send(status, kept, length=len(body))

    def answer_forgets(self, wanted: str) -> None:
        self.state.broken_off += 1
        self.send(200, CONTENT if self.state.broken_off > 1 else CONTENT[:1000], length=len(CONTENT))

    def answer_stalls(self, wanted: str) -> None:
        self.send(200, CONTENT[:1000], length=len(CONTENT))
        time.sleep(1.0)

    def answer_shorter(self, wanted: str) -> None:
        self.send(200, CONTENT, length=len(CONTENT) - 10)

    def answer_longer(self, wanted: str) -> None:
        self.send(200, CONTENT + b"more", length=len(CONTENT) + 4)

    def answer_wrong(self, wanted: str) -> None:
        self.send(200, CONTENT[:-1] + b"!")

    def answer_page(self, wanted: str) -> None:
        self.send(200, b"<html>please log in</html>")

    def answer_redirects(self, wanted: str) -> None:
        self.send(302, b"", Location="/good")

    def answer_circles(self, wanted: str) -> None:
        self.send(302, b"", Location="/circles")

    def answer_local(self, wanted: str) -> None:
        self.send(302, b"", Location="file:///etc/hostname")

    def answer_forbidden(self, wanted: str) -> None:
        self.send(403, b"")

    def answer_busy(self, wanted: str) -> None:
        self.state.broken_off += 1
        self.send(*(self.ranged(wanted) if self.state.broken_off > 2 else (503, b"")))

    def answer_nonsense(self, wanted: str) -> None:
        self.wfile.write(b"no http at all\r\n\r\n")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    state = FaultyServer(f"http://127.0.0.1:{httpd.server_address[1]}")
    Handler.state = state
    thread = threading.Thread(target=lambda: httpd.serve_forever(poll_interval=0.01))
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def remote(server: FaultyServer, *names: str, size: int = len(CONTENT), sha256: str = SUM) -> RemoteFile:
    urls = tuple(f"{server.address}/{name}" for name in names)
    return RemoteFile(name="file.bin", urls=urls, size=size, sha256=sha256)


def attempt(server: FaultyServer, folder: Path, *names: str, size: int = len(CONTENT)) -> str:
    with pytest.raises(DataError) as raised:
        fetch(remote(server, *names, size=size), folder, timeout=0.3)
    assert not (folder / "file.bin").exists()
    message = str(raised.value)
    for part in ("file.bin", *(f"{server.address}/{name}" for name in names), str(folder / "file.bin"), SUM):
        assert part in message
    return message


@pytest.mark.parametrize("name", ["good", "truncates", "forgets", "redirects", "busy"])
@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_a_file_arrives_whole_in_spite_of(server: FaultyServer, tmp_path: Path, name: str, size: int) -> None:
    path = fetch(remote(server, name, size=size), tmp_path, timeout=2)
    assert path.read_bytes() == CONTENT
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".file.bin.lock", "file.bin"]


def test_a_broken_transfer_goes_on_where_it_stopped(server: FaultyServer, tmp_path: Path) -> None:
    fetch(remote(server, "truncates"), tmp_path, timeout=2)
    third = len(CONTENT) // 3
    second = third + (len(CONTENT) - third) // 3
    assert [wanted for _, wanted in server.requests] == ["", f"bytes={third}-", f"bytes={second}-"]


def test_a_transfer_goes_on_after_the_process_was_killed(server: FaultyServer, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:12345])
    assert fetch(remote(server, "good"), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/good", "bytes=12345-")]


@pytest.mark.parametrize("rest", [b"wrong" * 100, CONTENT + b"too long", CONTENT[:-1] + b"!"])
@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_a_rest_of_something_else_is_thrown_away(server: FaultyServer, tmp_path: Path, rest: bytes, size: int) -> None:
    (tmp_path / "file.bin.part").write_bytes(rest)
    assert fetch(remote(server, "good", size=size), tmp_path).read_bytes() == CONTENT


def test_mirrors_are_tried_in_order(server: FaultyServer, tmp_path: Path) -> None:
    path = fetch(remote(server, "missing", "forbidden", "wrong", "page", "stalls", "good"), tmp_path, timeout=0.2)
    assert path.read_bytes() == CONTENT
    assert list(dict.fromkeys(name for name, _ in server.requests)) == [
        "/missing", "/forbidden", "/wrong", "/page", "/stalls", "/good",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "not there, status 404"),
        ("forbidden", "access refused, status 403"),
        ("stalls", "no answer for 0.3 s"),
        ("wrong", "wrong content: sha256"),
        ("page", "broke off after|wrong content"),
        ("longer", f"sends more than the {len(CONTENT)} bytes"),
        ("circles", "status 302"),
        ("local", "status 302|unknown url type|not allowed"),
        ("nonsense", "broken transfer|status"),
    ],
)
def test_what_goes_wrong_is_told_with_the_way_out(
    server: FaultyServer, tmp_path: Path, name: str, message: str
) -> None:
    assert re.search(message, attempt(server, tmp_path, name))


def test_a_length_that_lies_is_noticed(server: FaultyServer, tmp_path: Path) -> None:
    assert "broke off after" in attempt(server, tmp_path, "shorter")
    assert "sha256" in attempt(server, tmp_path / "unknown-size", "shorter", size=0)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    nobody = FaultyServer("http://127.0.0.1:9")
    assert "refused" in attempt(nobody, tmp_path, "good").lower()


def test_offline_never_touches_the_network(server: FaultyServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"offline.*Fetch it by hand from .* and put it at"):
        fetch(remote(server, "good"), tmp_path, offline=True)
    assert server.requests == []
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert fetch(remote(server, "good"), tmp_path, offline=True).read_bytes() == CONTENT


def test_a_full_disk_is_told(server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ceteris.data.download.os.fsync", full)
    with pytest.raises(DataError, match=r"file\.bin: cannot be written \(the disk is full\)"):
        fetch(remote(server, "good"), tmp_path)


def test_progress_tells_speed_and_time_left(server: FaultyServer, tmp_path: Path) -> None:
    seen: list[Progress] = []
    fetch(remote(server, "good"), tmp_path, progress=seen.append)
    assert seen[-1].done == seen[-1].total == len(CONTENT)
    half = Progress(name="x", done=50, total=100, fetched=40, seconds=2.0)
    assert (half.speed, half.seconds_left) == (20.0, 2.5)
    assert Progress(name="x", done=50, total=0, fetched=50, seconds=0.0).seconds_left is None


def test_the_proxy_of_the_environment_is_used(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.delenv("no_proxy", raising=False)
    elsewhere = RemoteFile(name="file.bin", urls=("http://data.invalid/good",), size=len(CONTENT), sha256=SUM)
    assert fetch(elsewhere, tmp_path).read_bytes() == CONTENT
    assert server.requests[0][0] == "http://data.invalid/good"


def test_two_processes_fetch_once(server: FaultyServer, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ceteris.data.download import RemoteFile, fetch\n"
        "fetch(RemoteFile(name='file.bin', urls=(sys.argv[1],), sha256=sys.argv[2]), Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, f"{server.address}/good", SUM, str(tmp_path)]
    processes = [subprocess.Popen(command, env=os.environ | {"no_proxy": "*"}) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert len(server.requests) == 1


def test_a_named_set_is_downloaded_on_first_use_only(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = random_images(20, (1, 28, 28))[:, 0]
    write_mnist(tmp_path / "origin", images, even_labels(20, 10), images[:10], even_labels(10, 10))
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "origin").iterdir()}
    remote_files = tuple(
        RemoteFile(name=name, urls=(f"{server.address}/{name}",), sha256=hashlib.sha256(content).hexdigest())
        for name, content in server.files.items()
    )
    sets = tuple(
        replace(known, files=remote_files) if known.name == "kmnist" else known for known in named.named_sets()
    )
    monkeypatch.setattr(named, "named_sets", lambda: sets)
    monkeypatch.delenv("CETERIS_DATA", raising=False)
    for _ in range(2):
        loaded = load("kmnist", cache_dir=tmp_path / "cache")
        assert len(loaded.train) == 20
    assert len(server.requests) == 4
    assert load("kmnist", cache_dir=tmp_path / "cache", offline=True).train.digest == loaded.train.digest
