import pytest
import torch
from torch import nn

from ceteris.models.layers import Flatten


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 8, 1, 1), (2, 1, 4, 4)])
def test_flattening_gives_torch_s_rows_and_a_gradient_in_the_order_of_the_maps(
    order: torch.memory_format, shape: tuple[int, ...]
) -> None:
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=order)
    above = torch.randn(shape[0], maps[0].numel(), generator=torch.Generator().manual_seed(2))
    gradients: list[torch.Tensor] = []
    rows: list[torch.Tensor] = []
    for layer in (Flatten(), nn.Flatten()):
        leaf = maps.clone().requires_grad_()
        inner = leaf * 1.0
        inner.register_hook(gradients.append)  # type: ignore[no-untyped-call]
        rows.append(layer(inner))
        torch.autograd.backward(rows[-1], above)
    ours, torchs = gradients
    assert torch.equal(*rows)
    assert torch.equal(ours, torchs)
    assert ours.is_contiguous(memory_format=order)
