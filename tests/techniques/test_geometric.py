import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from ceteris.techniques.geometric import (
    crop,
    draw_crop,
    draw_elastic,
    draw_flip,
    draw_rotation,
    draw_scale,
    draw_shear,
    draw_shift,
    flip,
    shift,
    warp,
)

FILL = torch.tensor([-0.5, 2.0])
Draw = Callable[[torch.Generator], Tensor]
SIZE = (6, 9, 7)


def images() -> Tensor:
    return torch.randn(6, 2, 9, 7, generator=torch.Generator().manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


AFFINE: dict[str, Draw] = {
    "shift": lambda g: draw_shift(SIZE, fraction=0.4, generator=g),
    "crop": lambda g: draw_crop(SIZE, padding=3, generator=g),
    "rotate": lambda g: draw_rotation(SIZE, degrees=180, generator=g),
    "scale": lambda g: draw_scale(SIZE, fraction=0.5, generator=g),
    "shear": lambda g: draw_shear(SIZE, degrees=30, generator=g),
    "flip": lambda g: draw_flip(SIZE, axis="vertical", probability=0.5, generator=g),
}


def elastic(generator: torch.Generator) -> Tensor:
    return draw_elastic(SIZE, pixels=2.0, smoothness=2.0, generator=generator)


def source_places(motion: Tensor) -> Tensor:
    """Follow the documented meaning of a motion pixel by pixel: (n, 2, h, w), rows then columns of the source."""
    _, height, width = SIZE
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    if motion.ndim == 4:
        source_x, source_y = x + motion[:, 0], y + motion[:, 1]
    else:
        rows = [motion[:, row, :, None, None].double() for row in (0, 1)]
        source_x, source_y = (row[:, 0] * x + row[:, 1] * y + row[:, 2] for row in rows)
    return torch.stack([source_y + (height - 1) / 2, source_x + (width - 1) / 2], dim=1)


@pytest.mark.parametrize("name", [*AFFINE, "elastic"])
def test_warp_samples_as_scipy_does_with_the_background_outside(name: str) -> None:
    motion = {**AFFINE, "elastic": elastic}[name](seeded())

    warped = warp(images(), [motion], fill=FILL)

    for image, result, places in zip(images().numpy(), warped, source_places(motion).numpy(), strict=True):
        for channel, fill in enumerate(FILL.tolist()):
            expected = ndimage.map_coordinates(image[channel], places, order=1, mode="grid-constant", cval=fill)
            np.testing.assert_allclose(result[channel].numpy(), expected, atol=2e-4)


def test_motions_by_whole_pixels_are_the_same_alone_and_fused() -> None:
    pairs = [
        (shift(images(), fraction=0.4, fill=FILL, generator=seeded()), AFFINE["shift"]),
        (crop(images(), padding=3, fill=FILL, generator=seeded()), AFFINE["crop"]),
        (flip(images(), axis="vertical", probability=0.5, generator=seeded()), AFFINE["flip"]),
    ]

    for alone, draw in pairs:
        torch.testing.assert_close(alone, warp(images(), [draw(seeded())], fill=FILL), atol=1e-4, rtol=0)
        assert not torch.equal(alone, images())


def quarter_turn() -> Tensor:
    return torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]).expand(4, 2, 3)


def one_pixel_right() -> Tensor:
    return torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]).expand(4, 2, 3)


def one_pixel_right_as_field() -> Tensor:
    return torch.tensor([-1.0, 0.0]).view(1, 2, 1, 1).expand(4, 2, 8, 8)


@pytest.mark.parametrize(
    "motions",
    [
        [one_pixel_right(), quarter_turn()],
        [quarter_turn(), one_pixel_right()],
        [one_pixel_right_as_field(), quarter_turn()],
        [quarter_turn(), one_pixel_right_as_field()],
        [one_pixel_right_as_field(), one_pixel_right_as_field(), quarter_turn(), one_pixel_right()],
    ],
)
def test_fused_motions_act_in_the_order_in_which_they_are_listed(motions: list[Tensor]) -> None:
    squares = torch.zeros(4, 1, 8, 8)
    squares[:, :, 2:5, 3:6] = torch.randn(4, 1, 3, 3, generator=seeded())
    fill = torch.zeros(1)
    one_after_another = squares
    for motion in motions:
        one_after_another = warp(one_after_another, [motion], fill=fill)

    torch.testing.assert_close(warp(squares, motions, fill=fill), one_after_another, atol=1e-4, rtol=0)


def test_a_translation_moves_the_image_to_the_right() -> None:
    squares = torch.zeros(4, 1, 8, 8)
    squares[:, :, 2, 3] = 1.0

    moved = warp(squares, [one_pixel_right()], fill=torch.zeros(1))

    assert float(moved[0, 0, 2, 4]) == pytest.approx(1.0, abs=1e-4)


def test_shifts_reach_the_asked_share_of_each_side_and_no_farther() -> None:
    offsets = -draw_shift((4000, 20, 10), fraction=0.2, generator=seeded())[:, :, 2]

    assert sorted(set(offsets[:, 0].tolist())) == [-2, -1, 0, 1, 2]
    assert sorted(set(offsets[:, 1].tolist())) == [-4, -3, -2, -1, 0, 1, 2, 3, 4]


def test_all_places_of_a_crop_are_equally_probable() -> None:
    offsets = draw_crop((9000, 8, 8), padding=4, generator=seeded())[:, :, 2].flatten()

    counts = torch.bincount((offsets + 4).long(), minlength=9)

    assert len(counts) == 9
    assert float(counts.min()) > 1800
    assert float(counts.max()) < 2200


def test_a_crop_by_more_than_the_image_leaves_only_background_where_it_must() -> None:
    cropped = crop(images(), padding=40, fill=FILL, generator=seeded(3))

    assert cropped.shape == images().shape
    assert any(torch.equal(image, FILL.view(2, 1, 1).expand(2, 9, 7)) for image in cropped)


def test_rotations_are_rigid_and_cover_the_asked_angles() -> None:
    turns = draw_rotation((2000, 5, 5), degrees=30, generator=seeded())[:, :, :2]
    angles = torch.rad2deg(torch.atan2(turns[:, 1, 0], turns[:, 0, 0]))

    torch.testing.assert_close(turns @ turns.mT, torch.eye(2).expand(2000, 2, 2), atol=1e-5, rtol=0)
    assert float(angles.min()) == pytest.approx(-30, abs=0.2)
    assert float(angles.max()) == pytest.approx(30, abs=0.2)


def test_zooms_and_slants_cover_the_asked_range() -> None:
    zooms = 1 / draw_scale((2000, 5, 5), fraction=0.4, generator=seeded())[:, 0, 0]
    slants = draw_shear((2000, 5, 5), degrees=45, generator=seeded())[:, 0, 1]

    assert (float(zooms.min()), float(zooms.max())) == pytest.approx((0.6, 1.4), abs=0.01)
    assert (float(slants.min()), float(slants.max())) == pytest.approx((-1, 1), abs=0.02)


def test_a_zoom_by_more_than_one_enlarges_the_image() -> None:
    dot = torch.zeros(1, 1, 9, 9)
    dot[:, :, 3:6, 3:6] = 1.0
    larger = warp(dot, [torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])], fill=torch.zeros(1))

    assert float(larger.sum()) > 2 * float(dot.sum())


@pytest.mark.parametrize("smoothness", [1.0, 3.0, 6.0])
def test_elastic_displacements_have_the_asked_size_and_smoothness(smoothness: float) -> None:
    field = draw_elastic((400, 24, 24), pixels=3.0, smoothness=smoothness, generator=seeded())
    along = field[:, :, 12, :]  # (n, 2, w)

    assert field.shape == (400, 2, 24, 24)
    torch.testing.assert_close(field.std(dim=0), torch.full((2, 24, 24), 1.5), atol=0.3, rtol=0)
    for distance in (1, 4):
        products = along[:, :, distance:] * along[:, :, :-distance]
        # White noise smoothed by a Gaussian of deviation s is correlated as exp(-d² / (4 s²)).
        expected = math.exp(-(distance**2) / (4 * smoothness**2))
        assert float(products.mean()) / 1.5**2 == pytest.approx(expected, abs=0.1)


def test_elastic_distortion_without_smoothing_is_white_noise() -> None:
    field = draw_elastic((300, 8, 8), pixels=2.0, smoothness=0.1, generator=seeded())

    assert float(field.std()) == pytest.approx(1.0, rel=0.05)
    assert float((field[..., 1:] * field[..., :-1]).mean()) == pytest.approx(0, abs=0.05)


def test_flips_are_certain_or_never_at_the_ends() -> None:
    never, always = (flip(images(), axis="horizontal", probability=p, generator=seeded()) for p in (0.0, 1.0))

    assert torch.equal(never, images())
    assert torch.equal(always, torch.from_numpy(images().numpy()[..., ::-1].copy()))
