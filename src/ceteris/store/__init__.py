"""Records on disk by digest, written atomically; the ledger of looks at the test set."""

from ceteris.files import write_bytes
from ceteris.store.codec import arrays_of, from_tree, header_of, open_tensors, read_dataclass, write_dataclass
from ceteris.store.seal import looks_at, record_look
from ceteris.store.store import Store, TestResult, is_own, mark_own, read_findings, write_findings

__all__ = [
    "Store",
    "TestResult",
    "arrays_of",
    "from_tree",
    "header_of",
    "is_own",
    "looks_at",
    "mark_own",
    "open_tensors",
    "read_dataclass",
    "read_findings",
    "record_look",
    "write_bytes",
    "write_dataclass",
    "write_findings",
]
