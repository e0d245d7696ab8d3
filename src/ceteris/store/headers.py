"""What the store knows of its trials, without reading their arrays."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from safetensors import SafetensorError, safe_open

from ceteris.records import Trial
from ceteris.store.codec import from_tree
from ceteris.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RecordedAccuracy:
    """One finished trial and its held-out accuracy in 0..1."""

    trial: Trial
    accuracy: float


def recorded_accuracies(store: Store, data: str) -> Iterator[RecordedAccuracy]:
    """Yield the finished trials on the data of this digest; files that cannot be read are passed over."""
    for path in sorted(store.root.glob("records/*/*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                tree = json.loads((file.metadata() or {})["ceteris"])
            if tree["status"] == "finished" and tree["trial"]["data"] == data:
                yield RecordedAccuracy(trial=from_tree(Trial, tree["trial"]), accuracy=float(tree["accuracy"]))
        except (SafetensorError, KeyError, TypeError, ValueError, OSError):
            continue
