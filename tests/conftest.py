"""What all tests share: one thread for torch, and the result of a tiny study."""

import torch

from tests.api.tiny import finished
from tests.example_findings import findings, results

__all__ = ["findings", "finished", "results"]

# Small networks on few cores: more threads would only wait for each other.
torch.set_num_threads(1)
