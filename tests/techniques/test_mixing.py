import pytest
import torch
from scipy import stats
from torch import Tensor

from ceteris.techniques.mixing import class_shares, cutmix, mixup

COUNT, CLASSES = 500, 4


def images() -> Tensor:
    """Each image has one value of its own in all pixels, so that a mixture tells what it is made of."""
    return torch.arange(1, COUNT + 1, dtype=torch.float32).view(-1, 1, 1, 1).expand(COUNT, 2, 10, 8)


def labels() -> Tensor:
    return torch.randint(0, CLASSES, (COUNT,), generator=torch.Generator().manual_seed(9))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_labels_become_one_hot_rows_and_shares_stay() -> None:
    shares = class_shares(torch.tensor([2, 0]), 3)

    assert shares.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert class_shares(shares, 3) is shares


def test_mixup_mixes_labels_as_it_mixes_images() -> None:
    marks = torch.eye(COUNT)  # a class of its own for every image

    mixed, shares = mixup(images(), marks, classes=COUNT, alpha=1.0, generator=seeded())

    torch.testing.assert_close(shares.sum(dim=1), torch.ones(COUNT))
    torch.testing.assert_close(mixed[:, 0, 0, 0], shares @ images()[:, 0, 0, 0], rtol=1e-4, atol=1e-3)
    assert (mixed == mixed[:, :1, :1, :1]).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_draws_its_weights_from_the_beta_distribution(alpha: float) -> None:
    _, shares = mixup(images(), torch.eye(COUNT), classes=COUNT, alpha=alpha, generator=seeded(1))
    own = torch.diagonal(shares).double().numpy()

    assert stats.kstest(own, stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_cutmix_shares_the_label_by_the_pasted_area() -> None:
    mixed, shares = cutmix(images(), torch.eye(COUNT), classes=COUNT, alpha=1.0, generator=seeded())

    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares @ images()[:, 0, 0, 0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(COUNT))


def test_cutmix_pastes_one_rectangle() -> None:
    mixed, _ = cutmix(images(), labels(), classes=CLASSES, alpha=1.0, generator=seeded())

    pasted = mixed != images()  # (n, c, h, w)
    area = pasted[:, 0].any(dim=2).sum(dim=1) * pasted[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(pasted[:, 0], pasted[:, 1])
    assert torch.equal(pasted[:, 0].sum(dim=(1, 2)), area)
    assert len(set(area.tolist())) > 20


def test_cutmix_pastes_the_area_that_its_weight_says() -> None:
    blank = torch.zeros(2000, 1, 40, 40)

    _, shares = cutmix(blank, torch.eye(2000), classes=2000, alpha=1.0, generator=seeded())

    # With area u uniform in 0..1 and side s = sqrt(u), a uniform centre leaves s (1 - s / 4) of each side inside the
    # image on average, so the mean of the pasted area is 1/2 - 1/5 + 1/48.
    assert 1 - float(torch.diagonal(shares).mean()) == pytest.approx(1 / 2 - 1 / 5 + 1 / 48, abs=0.02)


def test_mixing_can_follow_mixing() -> None:
    mixed, shares = mixup(images(), labels(), classes=CLASSES, alpha=0.4, generator=seeded())

    _, again = cutmix(mixed, shares, classes=CLASSES, alpha=0.4, generator=seeded(1))

    torch.testing.assert_close(again.sum(dim=1), torch.ones(COUNT))
    assert float((again == 0).float().mean()) < float((shares == 0).float().mean())


def test_arms_that_differ_in_alpha_see_the_same_partners() -> None:
    def partners(alpha: float) -> Tensor:
        _, shares = mixup(images(), torch.eye(COUNT), classes=COUNT, alpha=alpha, generator=seeded())
        return shares.fill_diagonal_(0).argmax(dim=1)

    assert torch.equal(partners(0.5), partners(2.0))
