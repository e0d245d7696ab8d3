"""Records on disk by digest, written atomically; the ledger of looks at the test set."""

from ceteris.store.atomic import append_line, write_bytes
from ceteris.store.codec import canonical_json, from_tree, read_dataclass, to_tree, write_dataclass
from ceteris.store.seal import looks_at, record_look
from ceteris.store.store import Store, TestResult, digest_of, read_findings, trial_digest, write_findings

__all__ = [
    "Store",
    "TestResult",
    "append_line",
    "canonical_json",
    "digest_of",
    "from_tree",
    "looks_at",
    "read_dataclass",
    "read_findings",
    "record_look",
    "to_tree",
    "trial_digest",
    "write_bytes",
    "write_dataclass",
    "write_findings",
]
