"""Records, weights and test results on disk, each under the digest of what made it; findings, and the mark of one's own.

A machine knows the findings that it wrote by a mark beside them, ``.written-here``, that takes a secret of its user to make:
HMAC-SHA256 (RFC 2104) of their bytes under 32 bytes that are made when they are first needed and never leave the user's cache.
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import save

from ceteris.errors import StoreError
from ceteris.files import open_regular, remove_unfinished, user_cache, write_bytes
from ceteris.findings import SCHEMA, StudyFindings
from ceteris.records import Finished, Float32Array, FloatArray, Record, Trial
from ceteris.store.codec import DamagedError, arrays_of, open_tensors, read_dataclass, read_record, write_dataclass

_MARK = ".written-here"
_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """The answers of one final model on one test set; curves have one entry per epoch and may be empty."""

    __test__ = False  # not a pytest class

    probabilities: Float32Array  # (n, classes)
    curve_loss: FloatArray  # (epochs,)
    curve_accuracy: FloatArray  # (epochs,)


@dataclass(frozen=True)
class Store:
    """A folder of finished trials that any study may reuse. A record is there whole or not at all.

    So is a population, trials that were trained as one: its records count when its mark is there, which is written last.
    """

    root: Path

    def record_path(self, digest: str) -> Path:
        """Return where the record of a trial lies."""
        return self.root / "records" / digest[:2] / f"{digest}.safetensors"

    def weights_path(self, digest: str) -> Path:
        """Return where the weights of a trial lie."""
        return self.root / "weights" / f"{digest}.safetensors"

    def snapshots_path(self, digest: str) -> Path:
        """Return where the weights of every epoch of a trial lie."""
        return self.root / "weights" / f"{digest}.epochs.safetensors"

    def mark_path(self, population: str) -> Path:
        """Return the file that says that a population is whole."""
        return self.root / "populations" / population

    def find(self, digest: str, *, light: bool = False) -> Record | None:
        """Return the record of a trial, or None; a damaged file is put aside so that the trial runs again.

        A record of a population that was never finished counts as absent: it will be written again with the others.

        Raises:
            StoreError: when a file is there and cannot be read, though it is not damaged (too many open files, say).
        """
        path = self.record_path(digest)
        if not path.exists():
            return None
        try:
            record = read_record(path, light=light)
            if record.digest != digest:
                raise DamagedError(f"{path} holds the record of another training.")
        except DamagedError as error:
            logging.getLogger("ceteris").warning("put aside: %s", error)
            os.replace(path, path.with_suffix(".damaged"))
            return None
        return record if self._is_whole(record.trial) else None

    def finished(self, data: str) -> Iterator[Finished]:
        """Yield the light records of all finished trials on the data of this digest; unreadable files are passed over."""
        for path in sorted(self.root.glob("records/*/*.safetensors")):
            with suppress(StoreError):
                record = read_record(path, light=True)
                if isinstance(record, Finished) and record.trial.data == data:
                    yield record

    def holds(self, trial: Trial) -> bool:
        """Say whether a trial's record is there, without reading it."""
        return self.record_path(trial.digest).exists() and self._is_whole(trial)

    def _is_whole(self, trial: Trial) -> bool:
        population = trial.execution.population
        return not population or self.mark_path(population).exists()

    def put(
        self,
        record: Record,
        weights: Mapping[str, NDArray[Any]] | None = None,
        snapshots: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write a record, its weights first, so that a record that is there has its weights.

        Raises:
            StoreError: when the disk is full or the folder cannot be written.
        """
        if weights is not None:
            write_bytes(self.weights_path(record.digest), save(dict(weights)))
        if snapshots is not None:
            write_bytes(self.snapshots_path(record.digest), save(dict(snapshots)))
        write_dataclass(record, self.record_path(record.digest))

    def mark_population(self, population: str, digests: Sequence[str]) -> None:
        """Say that all records of a population (with their weights) were written; the mark lists them.

        Raises:
            StoreError: when the disk is full or the folder cannot be written.
        """
        write_bytes(self.mark_path(population), "".join(f"{digest}\n" for digest in digests).encode())

    def remove_unfinished(self) -> None:
        """Remove the unfinished files of writers that were killed; those of an hour ago are taken for such."""
        remove_unfinished(self.root, older_than=3600.0)

    def weights(self, digest: str, *, every_epoch: bool = False) -> dict[str, NDArray[Any]]:
        """Return the weights of a finished trial by parameter name; of ``every_epoch`` as "epoch/name".

        Raises:
            StoreError: when they are missing or damaged.
        """
        path = self.snapshots_path(digest) if every_epoch else self.weights_path(digest)
        with open_tensors(path, fix="Delete its record and run the study again.") as file:
            return arrays_of(file)

    def test_result(self, digest: str, fingerprint: str) -> TestResult | None:
        """Return the answers of a final model on a test set, or None when it was not evaluated yet."""
        path = self._test_path(digest, fingerprint)
        return read_dataclass(TestResult, path) if path.exists() else None

    def put_test_result(self, digest: str, fingerprint: str, result: TestResult) -> None:
        """Keep the answers of a final model on a test set."""
        write_dataclass(result, self._test_path(digest, fingerprint))

    def _test_path(self, digest: str, fingerprint: str) -> Path:
        return self.root / "tests" / f"{digest[:32]}-{fingerprint[:32]}.safetensors"


def write_findings(findings: StudyFindings, path: Path) -> None:
    """Write everything a study found to one file."""
    write_dataclass(findings, path)


def read_findings(path: Path) -> StudyFindings:
    """Read the findings of a study from its file, or from the ``findings.safetensors`` in a result folder.

    Raises:
        StoreError: when there are none, or when the file is damaged or was written by another version.
    """
    return read_dataclass(StudyFindings, path / "findings.safetensors" if path.is_dir() else path, schema=SCHEMA)


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
