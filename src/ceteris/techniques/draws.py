"""Random numbers for the techniques: every draw comes from a generator that is handed in and lies on its device."""

import hashlib

import torch
from torch import Tensor

_LARGEST_SEED = 2**63 - 1


def uniform(shape: tuple[int, ...], low: float, high: float, *, generator: torch.Generator) -> Tensor:
    """Return float32 numbers uniform in [low, high)."""
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def normal(shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
    """Return standard normal float32 numbers."""
    return torch.randn(shape, generator=generator, device=generator.device)


def permutation(count: int, *, generator: torch.Generator) -> Tensor:
    """Return a random order of 0 .. count - 1, int64 (count,)."""
    return torch.randperm(count, generator=generator, device=generator.device)


def draw_seed(generator: torch.Generator) -> int:
    """Return a random seed in 0 .. 2^63 - 2; it takes exactly one draw from the generator."""
    return int(torch.randint(_LARGEST_SEED, (), generator=generator, device=generator.device))


def substream(seed: int, name: str, *, device: torch.device) -> torch.Generator:
    """Return the generator of one named consumer; how much one of them draws does not move another one's numbers."""
    # Torch's generator on the CPU uses the lower 32 bits only, so seed and name are hashed into all bits.
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
