"""Fetching files: mirrors in order, resumed transfers, checksums, one process at a time, and nothing half-finished.

Written on the standard library, which follows the proxy variables of the environment; the libraries that were looked at
(pooch) do not resume a broken transfer.
"""

import errno
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from ceteris.errors import DataError

ATTEMPTS = 3  # per mirror, for transfers that break off; each goes on where the last one stopped
TIMEOUT = 20.0  # seconds without a byte
MAX_BYTES = 16 << 30
_BLOCK = 1 << 18
_TRY_AGAIN = (408, 416, 429, 500, 502, 503, 504)
_STATUS = {403: "access refused", 404: "not there", 416: "cannot resume"}


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file on the net: its name on disk, addresses in the order of preference, bytes (0: unknown) and checksums."""

    name: str
    urls: tuple[str, ...]
    size: int = 0
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a transfer is: ``done`` of ``total`` bytes (0: unknown), ``fetched`` of them in these ``seconds``."""

    name: str
    done: int
    total: int
    fetched: int
    seconds: float

    @property
    def speed(self) -> float:
        """Bytes per second."""
        return self.fetched / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest will take at this speed; None when it is not known."""
        return (self.total - self.done) / self.speed if self.total and self.speed else None


class _TransferError(Exception):
    """One attempt that failed; ``again`` tells whether the same address may do better the next time."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    offline: bool = False,
    timeout: float = TIMEOUT,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Return the path of the file below ``folder``, fetched when it is not there yet.

    Two processes that ask for the same file fetch it once. A file appears under its name only when it is complete and
    its checksum is right.

    Args:
        remote: what to fetch.
        folder: where it is put.
        offline: never touch the network.
        timeout: seconds without a byte after which an address is given up.
        progress: called about ten times a second.

    Raises:
        DataError: offline, or no address gave the file; the message names all that was tried and where to put the file
            by hand.
    """
    target = folder / remote.name
    if target.is_file():
        return target
    if offline:
        raise DataError(
            f"{remote.name}: not on this machine, and the network is not used (offline). {_by_hand(remote, target)}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{remote.name}.lock"):  # released when the process ends, however it ends
            if not target.is_file():
                _fetch_from_mirrors(remote, target, timeout, progress or (lambda state: None))
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror or error)
        raise DataError(f"{target}: cannot be written ({reason}). Free some space or name another folder.") from error
    return target


def checksum_problem(remote: RemoteFile, path: Path) -> str:
    """Return how the file differs from what is published, or "" when it does not (or nothing is published)."""
    if remote.size and path.stat().st_size != remote.size:
        return f"{path.stat().st_size} bytes instead of {remote.size}"
    algorithm, expected = ("sha256", remote.sha256) if remote.sha256 else ("md5", remote.md5)
    if not expected:
        return ""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    return "" if found == expected else f"{algorithm} {found} instead of {expected}"


def _fetch_from_mirrors(remote: RemoteFile, target: Path, timeout: float, progress: Callable[[Progress], None]) -> None:
    partial = target.with_name(target.name + ".part")
    tried = []
    for url in remote.urls:
        try:
            _fetch_from(url, remote, partial, timeout, progress)
            os.replace(partial, target)
        except _TransferError as error:
            tried.append(f"{url} ({error})")
        else:
            return
    raise DataError(f"{remote.name}: could not be fetched. Tried: {'; '.join(tried)}. {_by_hand(remote, target)}")


def _fetch_from(
    url: str, remote: RemoteFile, partial: Path, timeout: float, progress: Callable[[Progress], None]
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        resumed = partial.exists()
        try:
            _transfer(url, remote, partial, timeout, progress)
        except _TransferError as error:
            if not error.again or attempt == ATTEMPTS:
                raise
            continue
        problem = checksum_problem(remote, partial)
        if not problem:
            return
        partial.unlink()
        if not resumed:  # otherwise the old beginning may be at fault, and a fresh attempt is due
            break
    raise _TransferError(f"wrong content: {problem}", again=False)


def _transfer(
    url: str, remote: RemoteFile, partial: Path, timeout: float, progress: Callable[[Progress], None]
) -> None:
    have = partial.stat().st_size if partial.is_file() else 0
    if remote.size and have >= remote.size:
        return
    with _opened(url, partial, have, timeout) as response:
        start = have if response.status == 206 else 0  # a server that knows no ranges sends everything again
        length = int(response.headers.get("Content-Length") or 0)
        total = remote.size or (start + length if length else 0)
        with partial.open("ab" if start else "wb") as file:
            done = _copy(response, file, remote, start, total, progress)
            file.flush()
            os.fsync(file.fileno())
    expected = remote.size or total
    if expected and done < expected:
        raise _TransferError(f"broke off after {done} of {expected} bytes", again=True)


@contextmanager
def _opened(url: str, partial: Path, have: int, timeout: float) -> Iterator[Any]:
    headers = {"User-Agent": "ceteris", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    opener = urllib.request.build_opener()  # a fresh one reads the proxy variables as they are now
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
            yield response
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the beginning that we have is longer than the file there
            partial.unlink(missing_ok=True)
        status = f"{_STATUS.get(error.code, 'the server answers')}, status {error.code}"
        raise _TransferError(status, again=error.code in _TRY_AGAIN) from error
    except TimeoutError as error:
        raise _TransferError(f"no answer for {timeout:g} s", again=True) from error
    except urllib.error.URLError as error:
        timed_out = isinstance(error.reason, TimeoutError)
        raise _TransferError(f"no answer for {timeout:g} s" if timed_out else str(error.reason), again=False) from error
    except (http.client.HTTPException, ConnectionError, ValueError) as error:
        raise _TransferError(f"broken transfer: {error or type(error).__name__}", again=True) from error


def _copy(
    response: Any, file: IO[bytes], remote: RemoteFile, start: int, total: int, progress: Callable[[Progress], None]
) -> int:
    done, began, reported = start, time.monotonic(), 0.0
    while block := response.read(_BLOCK):
        done += len(block)
        if done > (remote.size or MAX_BYTES):
            raise _TransferError(f"sends more than the {remote.size or MAX_BYTES} bytes that are expected", again=False)
        file.write(block)
        seconds = time.monotonic() - began
        if seconds - reported >= 0.1 or done == total:
            progress(Progress(name=remote.name, done=done, total=total, fetched=done - start, seconds=seconds))
            reported = seconds
    return done


def _by_hand(remote: RemoteFile, target: Path) -> str:
    checksum = f"sha256 {remote.sha256}" if remote.sha256 else f"md5 {remote.md5}" if remote.md5 else ""
    expected = f" with {checksum}" if checksum else ""
    return f"Fetch it by hand from {' or '.join(remote.urls)} and put it at {target}{expected}."
