"""Pictures of what the best models do, and of what residual connections change, from the opened test set."""

from collections.abc import Sequence

import numpy as np
import torch

from ceteris.api.questions import FinalModel, card_of, trained
from ceteris.data import DataSet, ImageSet
from ceteris.explain import explain, residual_finding, standardise
from ceteris.findings import Explanation, ResidualFinding
from ceteris.recipe import Recipe
from ceteris.records import IntArray
from ceteris.seeds import generator, stream_seed
from ceteris.store import Store
from ceteris.study import Study, without_residual
from ceteris.training.build import build_model
from ceteris.user_code import ImportPolicy

_EMBEDDED = 1000
_HEAT_MAPS = 10
_GRADIENT_BATCH = 256


def explanation_of(
    final: FinalModel, data_set: DataSet, test: ImageSet, store: Store, study: Study, *, imports: ImportPolicy
) -> Explanation:
    """Return heat maps, first features and t-SNE of one final model on test images."""
    card = card_of(final, data_set, study)
    model = trained(card, store.weights(final.record.digest), imports)
    random = generator(study.seed, 0, "explanation")
    embedded = np.sort(random.permutation(len(test))[:_EMBEDDED])
    return explain(
        model.network,
        name=final.model,
        images=test.images,
        labels=test.labels,
        mean=np.array(card.mean),
        deviation=np.array(card.deviation),
        shown=one_per_class(test.labels, _HEAT_MAPS),
        embedded=embedded,
        seed=stream_seed(study.seed, 0, "explanation") % 2**31,
    )


def one_per_class(labels: IntArray, most: int) -> IntArray:
    """Return the place of the first image of every class; of ``most`` classes, evenly spread, when there are more."""
    present, first = np.unique(labels, return_index=True)
    chosen = np.linspace(0, len(present) - 1, min(most, len(present))).round().astype(np.int64)
    return first[chosen].astype(np.int64)


def residual_of(recipe: Recipe, data_set: DataSet, study: Study) -> ResidualFinding | None:
    """Compare the gradients of a ResNet and of its plain twin at equal initial weights, on training images."""
    plain = without_residual(recipe)
    if plain is None:
        return None
    networks = [_initial_network(each, data_set, study) for each in (recipe, plain)]
    train = data_set.train
    places = np.sort(generator(study.seed, 0, "explanation").permutation(len(train))[:_GRADIENT_BATCH])
    pixels = train.images[places]
    mean, deviation = pixels.mean(axis=(0, 2, 3)), np.maximum(pixels.std(axis=(0, 2, 3)), 1.0)
    images = standardise(pixels, mean=mean, deviation=deviation, model=networks[0])
    return residual_finding(networks[0], networks[1], images, torch.from_numpy(train.labels[places]))


def _initial_network(recipe: Recipe, data_set: DataSet, study: Study) -> torch.nn.Module:
    return build_model(
        recipe.model,
        input_shape=data_set.train.shape,
        classes=len(data_set.train.classes),
        generator=torch.Generator().manual_seed(stream_seed(study.seed, 0, "initialisation")),
    )


def best_finals(finals: Sequence[FinalModel]) -> list[FinalModel]:
    """Return the first finished training of every model's best version."""
    chosen: dict[str, FinalModel] = {}
    for final in finals:
        if final.version == "best":
            chosen.setdefault(final.model, final)
    return list(chosen.values())
