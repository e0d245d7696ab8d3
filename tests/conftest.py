"""What all tests share: one thread for torch, and the result of a tiny study."""

import torch

from tests.api.tiny import finished

__all__ = ["finished"]

# Small networks on few cores: more threads would only wait for each other.
torch.set_num_threads(1)
