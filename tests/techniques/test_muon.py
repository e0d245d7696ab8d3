import copy
import math

import pytest
import torch
from torch import Tensor

from ceteris.techniques.optimizers import Muon, orthogonalise


def matrices(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 8, 30), (2, 30, 8), (1, 1, 5)])
def test_orthogonalised_matrix_keeps_the_singular_vectors_and_levels_the_values(shape: tuple[int, ...]) -> None:
    inputs = matrices(*shape)
    u, _, vt = torch.linalg.svd(inputs, full_matrices=False)

    outputs = orthogonalise(inputs, steps=5)

    in_its_own_axes = u.mT @ outputs @ vt.mT  # diagonal when the singular vectors are the same
    values = torch.diagonal(in_its_own_axes, dim1=-2, dim2=-1)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.3
    torch.testing.assert_close(in_its_own_axes, torch.diag_embed(values), atol=1e-4, rtol=0)


def test_result_does_not_depend_on_the_length_of_the_gradient() -> None:
    inputs = matrices(2, 6, 9)

    torch.testing.assert_close(orthogonalise(inputs, steps=5), orthogonalise(1e4 * inputs, steps=5))


@pytest.mark.parametrize("shape", [(8, 8), (32, 4), (4, 32), (6, 2, 3, 3), (36, 2, 3, 3)])
def test_first_step_goes_against_the_nearest_orthogonal_matrix(shape: tuple[int, ...]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = matrices(*shape)
    u, _, vt = torch.linalg.svd(weight.grad.flatten(1), full_matrices=False)
    rows, columns = weight.grad.flatten(1).shape

    Muon([weight], [], lr=0.1).step()

    step = -weight.detach().flatten(1) / (0.1 * math.sqrt(max(1, rows / columns)))
    cosine = float((step * (u @ vt)).sum() / (step.norm() * (u @ vt).norm()))
    assert cosine > 0.97
    assert 0.6 < float(step.norm() / (u @ vt).norm()) < 1.25


def test_momentum_carries_former_gradients_along() -> None:
    first, second = matrices(4, 4), matrices(2, 4, 4)[1]
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([weight], [], lr=1.0, momentum=0.9, nesterov=False)
    for gradient in (first, second):
        weight.grad = gradient.clone()
        before = weight.detach().clone()
        optimizer.step()

    expected = orthogonalise((0.9 * first + second)[None], steps=5)[0]
    torch.testing.assert_close(before - weight.detach(), expected, atol=1e-5, rtol=1e-4)


def test_other_parameters_are_stepped_as_adamw_steps_them() -> None:
    ours, theirs = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    muon = Muon([], [ours], adamw_lr=0.01, adamw_beta1=0.8, adamw_beta2=0.9, adamw_epsilon=1e-6, weight_decay=0.1)
    adamw = torch.optim.AdamW([theirs], lr=0.01, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1)
    for gradient in matrices(6, 5):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adamw.step()

    torch.testing.assert_close(ours, theirs)


def test_the_rate_of_each_group_steers_its_steps() -> None:
    matrix, vector = torch.nn.Parameter(torch.zeros(3, 3)), torch.nn.Parameter(torch.zeros(3))
    optimizer = Muon([matrix], [vector], lr=0.02, adamw_lr=0.001)
    matrix.grad, vector.grad = matrices(3, 3), matrices(3)
    for group in optimizer.param_groups:
        group["lr"] = 0.0

    optimizer.step()

    assert torch.equal(matrix.detach(), torch.zeros(3, 3))
    assert torch.equal(vector.detach(), torch.zeros(3))


def test_a_restored_state_continues_with_the_same_digits() -> None:
    def started() -> tuple[list[torch.nn.Parameter], Muon]:
        parameters = [torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4))]
        return parameters, Muon(parameters[:1], parameters[1:])

    def step(parameters: list[torch.nn.Parameter], optimizer: Muon) -> None:
        for parameter in parameters:
            parameter.grad = matrices(*parameter.shape)
        optimizer.step()

    (straight, first), (resumed, second) = started(), started()
    step(straight, first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    with torch.no_grad():
        for new, old in zip(resumed, straight, strict=True):
            new.copy_(old)
    step(straight, first)
    step(resumed, second)

    assert all(torch.equal(new, old) for new, old in zip(resumed, straight, strict=True))
