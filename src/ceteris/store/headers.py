"""What the store knows of its trials, without reading their arrays."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from safetensors import SafetensorError, safe_open

from ceteris.records import Trial
from ceteris.store.codec import from_tree
from ceteris.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RecordedTrial:
    """One finished trial with its held-out accuracy in 0..1, the images that it trained on in a second, and on what."""

    trial: Trial
    accuracy: float
    images_per_second: float
    processor: str


def recorded_trials(store: Store, data: str) -> Iterator[RecordedTrial]:
    """Yield the finished trials on the data of this digest; files that cannot be read are passed over."""
    for path in sorted(store.root.glob("records/*/*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                tree = json.loads((file.metadata() or {})["ceteris"])
            if tree["status"] == "finished" and tree["trial"]["data"] == data:
                yield RecordedTrial(
                    trial=from_tree(Trial, tree["trial"]),
                    accuracy=float(tree["accuracy"]),
                    images_per_second=float(tree["cost"]["images_per_second"]),
                    processor=tree["environment"].get("processor", ""),
                )
        except (SafetensorError, KeyError, TypeError, ValueError, OSError):
            continue
