"""Training techniques as pure functions on plain values; the paper of each is named in its file's header."""

from ceteris.techniques import schedules
from ceteris.techniques.augmentation import (
    Augment,
    Change,
    Motion,
    Operation,
    against_loss,
    chain,
    on_images,
    on_images_and_targets,
)
from ceteris.techniques.averaging import ExponentialMovingAverage
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
from ceteris.techniques.initialisation import gain_of, initialise_
from ceteris.techniques.losses import cross_entropy, focal, mean_squared_error
from ceteris.techniques.mixing import class_shares, cutmix, mixup
from ceteris.techniques.optimizers import Muon, orthogonalise
from ceteris.techniques.pixels import LossOf, add_adversarial_noise, add_noise, brightness_contrast, cutout
from ceteris.techniques.regularisation import clip_by_norm_, clip_by_value_, gradient_norm, l1, l2, shrink_weights_

__all__ = [
    "Augment",
    "Change",
    "ExponentialMovingAverage",
    "LossOf",
    "Motion",
    "Muon",
    "Operation",
    "add_adversarial_noise",
    "add_noise",
    "against_loss",
    "brightness_contrast",
    "chain",
    "class_shares",
    "clip_by_norm_",
    "clip_by_value_",
    "crop",
    "cross_entropy",
    "cutmix",
    "cutout",
    "draw_crop",
    "draw_elastic",
    "draw_flip",
    "draw_rotation",
    "draw_scale",
    "draw_shear",
    "draw_shift",
    "flip",
    "focal",
    "gain_of",
    "gradient_norm",
    "initialise_",
    "l1",
    "l2",
    "mean_squared_error",
    "mixup",
    "on_images",
    "on_images_and_targets",
    "orthogonalise",
    "schedules",
    "shift",
    "shrink_weights_",
    "warp",
]
