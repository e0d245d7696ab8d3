"""How a machine knows the results that it wrote itself: by a mark that takes a secret of its user to make.

The mark lies beside the findings, ``.written-here``: HMAC-SHA256 (RFC 2104) of their bytes under a secret of 32 bytes, which is
made when it is first needed and never leaves the user's cache folder.
"""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ceteris.errors import StoreError
from ceteris.files import open_regular, user_cache, write_bytes

_MARK = ".written-here"
_SECRET_BYTES = 32


def mark_own(findings: Path) -> None:
    """Mark a file of findings as written by this user; where the cache folder cannot be written there is no mark."""
    with suppress(OSError, StoreError):
        write_bytes(findings.with_name(_MARK), _seal(findings).encode())


def is_own(findings: Path) -> bool:
    """Say whether this user marked a file of findings, and nobody has changed it since."""
    try:
        with open_regular(findings.with_name(_MARK), 1000) as file:
            return hmac.compare_digest(file.read(), _seal(findings).encode())
    except OSError:
        return False


def _seal(findings: Path) -> str:
    with findings.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return hmac.new(_secret(), digest, "sha256").hexdigest()


def _secret() -> bytes:
    place = user_cache() / "secret"
    with suppress(FileExistsError):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
    secret = place.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{place} is no secret of {_SECRET_BYTES} bytes")
    return secret
