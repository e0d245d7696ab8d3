import pytest
import torch
from torch import Tensor

from ceteris.techniques.pixels import add_noise, brightness_contrast, cutout

FILL = torch.tensor([-0.5, 2.0, 0.0])


def images(count: int = 64) -> Tensor:
    return 5 + torch.rand(count, 3, 12, 10, generator=torch.Generator().manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("fraction", "side"), [(0.0, 0), (0.3, 3), (0.55, 6), (1.0, 10)])
def test_cutout_blanks_one_square_of_every_image(fraction: float, side: int) -> None:
    cut = cutout(images(), fraction=fraction, fill=FILL, generator=seeded())

    blank = (cut == FILL.view(1, 3, 1, 1)).all(dim=1)  # (n, h, w)
    assert (blank.sum(dim=(1, 2)) == side**2).all()
    assert (blank.any(dim=2).sum(dim=1) == side).all()
    assert (blank.any(dim=1).sum(dim=1) == side).all()
    assert torch.equal(cut[~blank[:, None].expand_as(cut)], images()[~blank[:, None].expand_as(cut)])


def test_cutout_reaches_every_place_and_leaves_its_input_alone() -> None:
    given = images(2000)

    blank = cutout(given, fraction=0.3, fill=FILL, generator=seeded())[:, 0] == FILL[0]

    assert blank.any(dim=0).all()
    assert torch.equal(given, images(2000))


def test_noise_has_the_asked_deviation_and_no_mean() -> None:
    noise = add_noise(images(), deviation=0.2, generator=seeded()) - images()

    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.005)


def test_brightness_moves_the_mean_and_contrast_stretches_around_it() -> None:
    changed = brightness_contrast(images(), brightness=0.3, contrast=0.4, generator=seeded())
    means, new_means = images().mean(dim=(1, 2, 3)), changed.mean(dim=(1, 2, 3))
    stretch = changed.std(dim=(1, 2, 3)) / images().std(dim=(1, 2, 3))

    assert float((new_means - means).abs().max()) == pytest.approx(0.3, abs=0.03)
    assert (float(stretch.min()), float(stretch.max())) == pytest.approx((0.6, 1.4), abs=0.05)
    expected = (images() - means.view(-1, 1, 1, 1)) * stretch.view(-1, 1, 1, 1) + new_means.view(-1, 1, 1, 1)
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=0)


def test_nothing_changes_at_zero_strength() -> None:
    same = brightness_contrast(images(), brightness=0.0, contrast=0.0, generator=seeded())

    torch.testing.assert_close(same, images())
    assert torch.equal(add_noise(images(), deviation=0.0, generator=seeded()), images())
