"""Looking into the final models: which parts a study asks for, on which images, and the same for a result that is finished."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from ceteris.analysis.confidence import LEVELS, conformal_quantile, fitted_temperature, likely_label_errors
from ceteris.api.model import ModelCard
from ceteris.data import ImageSet
from ceteris.errors import CeterisError
from ceteris.explain.attribution import check_maps, map_makers, scaled
from ceteris.explain.gradcam import grad_cam_layer
from ceteris.explain.layers import inference_cost, layer_values, separation_of, similarity_of, telling_layers
from ceteris.explain.robustness import Subject, robustness_of
from ceteris.insights import AttentionMaps, ConfidenceFit, Doubts, Insights, MapMethod
from ceteris.models.summary import convolutions, evaluating
from ceteris.recipe import Name, Recipe
from ceteris.records import CrossValidationSplit, Finished, FloatArray, IntArray
from ceteris.seeds import generator, stream_seed
from ceteris.store import Store
from ceteris.study.study import Explain

T = TypeVar("T")
METHODS: tuple[MapMethod, ...] = ("grad-cam", "grad-cam++", "integrated-gradients", "occlusion")
# Names of classes that look alike in most handwriting; those of a data set count where it has at least two.
ALIKE = (("0", "O", "o"), ("1", "I", "L", "l", "i"), ("F", "f"), ("9", "g", "q"))
FEWEST_VALIDATION_IMAGES = 20  # to fit a temperature


@dataclass(frozen=True, kw_only=True)
class FinalModel:
    """A final training that finished, with the card that belongs to its weights."""

    card: ModelCard
    record: Finished


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What is looked at: the best finals of every model by seed, their networks, and the images.

    ``embedded`` names the layer of each model's embedding, '' for what the last linear layer sees. ``explored`` are
    the records of the exploration by model, those of one cross-validation of its best recipe, with predictions.
    """

    ask: Explain
    seed: int
    finals: Mapping[Name, Sequence[FinalModel]]
    network: Callable[[FinalModel], torch.nn.Module]
    train: ImageSet
    test: ImageSet
    explored: Mapping[Name, Sequence[Finished]]
    embedded: Mapping[Name, str]

    def subject(self, final: FinalModel) -> Subject:
        """Return a final model ready to be asked."""
        return Subject(self.network(final), np.array(final.card.mean), np.array(final.card.deviation))

    def sample(self, count: int) -> IntArray:
        """Return the places of ``count`` test images, always the same, in their order."""
        order = generator(self.seed, 0, "explanation").permutation(len(self.test))
        return np.sort(order[:count]).astype(np.int64)


def insights_of(looked: Looked, tell: Callable[[str], None]) -> Insights:
    """Return every part that is asked for; one that cannot be made is left out, and the log says why."""
    ask = looked.ask
    first = {name: looked.subject(finals[0]) for name, finals in looked.finals.items() if finals}

    def part(wanted: Any, text: str, make: Callable[[], T], without: T) -> T:
        if not wanted or not first:
            return without
        tell(text)
        try:
            return make()
        except (CeterisError, RuntimeError, ValueError) as error:
            logging.getLogger("ceteris").warning("not made: %s", text, exc_info=error)
            return without

    sample = looked.sample(ask.layers)
    return Insights(
        groups=groups_alike(ask.alike, looked.test.classes),
        attention=part(ask.mistakes, "looking at mistakes", lambda: _attention(looked, first), None),
        checks=part(ask.checks, "checking the maps", lambda: _checks(looked, first), ()),
        doubts=part(ask.doubts, "looking for doubtful labels", lambda: _doubts(looked), None),
        robustness=part(ask.robustness, "corrupting test images", lambda: _robustness(looked), None),
        confidence=part(True, "fitting temperatures", lambda: confidence_fits(looked.finals), ()),
        layers=part(
            ask.layers,
            "comparing layers",
            lambda: tuple(
                separation_of(
                    one.network,
                    one.prepare(looked.test.images[sample]),
                    looked.test.labels[sample],
                    telling_layers(one.network, looked.test.shape),
                    name=name,
                )
                for name, one in first.items()
            ),
            (),
        ),
        similarity=part(
            ask.layers,
            "comparing models",
            lambda: similarity_of(
                {
                    name: layer_values(
                        one.network,
                        one.prepare(looked.test.images[sample]),
                        telling_layers(one.network, looked.test.shape),
                    )
                    for name, one in first.items()
                }
            ),
            None,
        ),
        costs=part(
            ask.costs,
            "measuring the models",
            lambda: tuple(
                inference_cost(
                    one.network,
                    looked.test.shape,
                    name=name,
                    training_flops=counted_flops(looked.finals[name][0].record),
                )
                for name, one in first.items()
            ),
            (),
        ),
    )


def groups_alike(asked: Sequence[Sequence[str]], classes: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return groups of classes that cannot be told apart, by their places; names that the data do not have are passed over."""
    groups = (tuple(classes.index(name) for name in group if name in classes) for group in asked or ALIKE)
    return tuple(group for group in groups if len(group) > 1)


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes


def mistakes_to_show(answers: Sequence[FloatArray], labels: IntArray, count: int) -> IntArray:
    """Return the places (m,) of test images that most models get wrong, the most confidently wrong first, by true class.

    ``answers`` are the probabilities (n, classes) of each model. Classes take turns, so that not all mistakes are of
    one kind.
    """
    wrong = np.array([part.argmax(1) != labels for part in answers])
    confidence = np.array([part.max(1) for part in answers])
    order = np.lexsort((-(wrong * confidence).sum(0), -wrong.sum(0)))
    order = order[wrong.sum(0)[order] > 0]
    turns = np.zeros(len(order), np.int64)
    seen: dict[int, int] = {}
    for place, image in enumerate(order):
        turns[place] = seen[int(labels[image])] = seen.get(int(labels[image]), -1) + 1
    places = np.lexsort((np.arange(len(order)), turns, -wrong.sum(0)[order]))[:count]
    return np.asarray(order[places], dtype=np.int64)


def _attention(looked: Looked, first: Mapping[Name, Subject]) -> AttentionMaps | None:
    images, labels = looked.test.images, looked.test.labels
    answers = {name: _probabilities(one, images) for name, one in first.items()}
    places = mistakes_to_show(list(answers.values()), labels, looked.ask.mistakes)
    if not len(places):
        return None
    shape = (len(METHODS), len(first), len(places), 2, *images.shape[2:])
    maps, layers, left_out = np.full(shape, np.nan, np.float32), [], list[tuple[Name, MapMethod, str]]()
    targets = np.array(
        [[(part[place].argmax(), labels[place]) for place in places] for part in answers.values()], np.int64
    )
    for number, (name, one) in enumerate(first.items()):
        pixels = one.prepare(images[places])
        layers.append(_map_layer(one, pixels, looked.ask.layer))
        for method, make in map_makers(layers[-1], _blank(one, looked.train)).items():
            try:
                for way in (0, 1):
                    found = make(one.network, pixels, torch.from_numpy(targets[number, :, way]))
                    maps[METHODS.index(method), number, :, way] = scaled(found)
            except (CeterisError, RuntimeError) as error:
                left_out.append((name, method, str(error)))
    rows = np.arange(len(places))[:, None]
    confidences = [part[places][rows, targets[number]] for number, part in enumerate(answers.values())]
    return AttentionMaps(
        methods=METHODS, models=tuple(first), layers=tuple(layers), indices=places, images=images[places],
        labels=labels[places], targets=targets, confidences=np.array(confidences, np.float32), maps=maps,
        left_out=tuple(left_out),
    )  # fmt: skip


def _map_layer(one: Subject, pixels: torch.Tensor, asked: str) -> str:
    """Return the layer of Grad-CAM, '' for a network without maps."""
    if not convolutions(one.network):
        return ""
    return asked if asked and asked in dict(one.network.named_modules()) else grad_cam_layer(one.network, pixels[0])


def _blank(one: Subject, train: ImageSet) -> torch.Tensor:
    """Return an image without content: the median colour of the training images' edges, (channels, 1, 1)."""
    some = train.images[:500]
    edges = np.concatenate((some[:, :, 0], some[:, :, -1], some[:, :, :, 0], some[:, :, :, -1]), axis=2)
    colour = np.median(edges, axis=(0, 2)).astype(np.uint8)
    return one.prepare(colour[None, :, None, None])[0]


def _probabilities(one: Subject, images: Any, batch_size: int = 500) -> FloatArray:
    with torch.inference_mode(), evaluating(one.network):
        parts = [
            one.network(one.prepare(images[start : start + batch_size])).softmax(1).cpu().numpy()
            for start in range(0, len(images), batch_size)
        ]
    return np.concatenate(parts).astype(np.float64)


def _checks(looked: Looked, first: Mapping[Name, Subject]) -> Any:
    places, found = looked.sample(looked.ask.checks), []
    for name, one in first.items():
        pixels = one.prepare(looked.test.images[places])
        blank = _blank(one, looked.train)
        makers = map_makers(_map_layer(one, pixels, looked.ask.layer), blank)
        seed = stream_seed(looked.seed, 0, "explanation") % 2**31
        found.append(check_maps(one.network, pixels, makers, name=name, blank=blank, seed=seed))
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# Labels, robustness, confidence


def out_of_fold(records: Sequence[Finished], recipe: Recipe, store: Store) -> tuple[Finished, ...]:
    """Return the records with predictions of one whole cross-validation of a recipe, () where none is complete."""
    of_split: dict[CrossValidationSplit, dict[int, Finished]] = {}
    for record in records:
        split = record.trial.split
        if isinstance(split, CrossValidationSplit) and record.trial.recipe == recipe and not record.trial.patience:
            of_split.setdefault(replace(split, index=0), {})[split.index] = record
    for split, folds in sorted(of_split.items(), key=lambda item: item[0].seed):
        full = [store.find(record.digest) for record in folds.values()] if len(folds) == split.folds else []
        known = tuple(record for record in full if isinstance(record, Finished) and record.predictions)
        if known and len(known) == split.folds:
            return known
    return ()


def _doubts(looked: Looked) -> Doubts | None:
    """Average what all models say of images that they were not fitted on."""
    count, classes = len(looked.train), len(looked.train.classes)
    total, times = np.zeros((count, classes)), np.zeros(count)
    explored = {name: records for name, records in looked.explored.items() if records}
    for records in explored.values():
        for record in records:
            if record.predictions is not None:
                total[record.predictions.indices] += record.predictions.probabilities
                times[record.predictions.indices] += 1
    known = np.flatnonzero(times)
    if not len(known):
        return None
    probabilities, labels = total[known] / times[known, None], looked.train.labels[known]
    errors = likely_label_errors(probabilities, labels)
    own = probabilities[np.arange(len(known)), labels]
    hardest = [place for place in np.argsort(own, kind="stable") if place not in set(errors[: looked.ask.doubts])]
    shown = np.concatenate((errors[: looked.ask.doubts], hardest[: looked.ask.doubts])).astype(np.int64)
    others = probabilities[shown].copy()
    others[np.arange(len(shown)), labels[shown]] = -1
    suggested = others.argmax(1)
    return Doubts(
        models=tuple(explored),
        examined=len(known),
        accuracy=float((probabilities.argmax(1) == labels).mean()), candidates=len(errors),
        shown=min(len(errors), looked.ask.doubts),
        indices=known[shown], images=looked.train.images[known[shown]], labels=labels[shown], suggested=suggested,
        probabilities=np.stack((own[shown], probabilities[shown, suggested]), axis=1),
    )  # fmt: skip


def _robustness(looked: Looked) -> Any:
    places, seeds = looked.sample(looked.ask.robustness), min(len(finals) for finals in looked.finals.values())
    models = {name: [looked.subject(final) for final in finals[:seeds]] for name, finals in looked.finals.items()}
    return robustness_of(models, looked.test.images[places], looked.test.labels[places])


def confidence_fits(finals: Mapping[Name, Sequence[FinalModel]]) -> tuple[ConfidenceFit, ...]:
    """Return temperature and conformal quantiles of every final, from its own validation images alone."""
    found = []
    for name, own in finals.items():
        for final in own:
            known = final.record.predictions
            if known is None or len(known.labels) < FEWEST_VALIDATION_IMAGES:
                continue
            quantiles = [conformal_quantile(known.probabilities, known.labels, level) for level in LEVELS]
            found.append(
                ConfidenceFit(
                    model=name,
                    seed=final.record.trial.seed,
                    images=len(known.labels),
                    temperature=fitted_temperature(known.probabilities, known.labels),
                    levels=np.array(LEVELS),
                    quantiles=np.array(quantiles),
                )
            )
    return tuple(found)


def counted_flops(record: Finished) -> int:
    """Return the operations of a training with those of adversarial examples: one more pass there and back for each."""
    share = sum(part.share for part in record.trial.recipe.augmentation if part.kind == "adversarial")
    return round(record.cost.training_flops * (1 + share))
