"""All figures of a study in the order of a report, each with its caption and a description for those who cannot see it."""

from collections.abc import Iterator
from functools import partial

from ceteris.analysis.finals import model_titles
from ceteris.analysis.results import ResultsInfo, results_info
from ceteris.figures.calibration import calibration_info, draw_calibration
from ceteris.figures.captioned import Plate
from ceteris.figures.class_scores import class_scores_info, draw_class_scores
from ceteris.figures.confusion import confusion_info, draw_confusion
from ceteris.figures.costs import costs_info, draw_costs
from ceteris.figures.data_overview import class_balance_info, draw_class_balance, draw_sample_sheet, sample_sheet_info
from ceteris.figures.explanations import (
    attention_info,
    draw_attention,
    draw_embedding,
    draw_features,
    embedding_info,
    features_info,
)
from ceteris.figures.exploration_plates import exploration_plates
from ceteris.figures.predictions import (
    draw_predicted_images,
    first_images_info,
    mistakes_info,
    random_images_info,
    right_counts,
)
from ceteris.figures.residual import draw_residual, residual_info
from ceteris.figures.results import draw_generalisation_gap, draw_results
from ceteris.figures.roc import draw_roc, roc_info
from ceteris.figures.training_curves import (
    draw_iteration_loss,
    draw_learning_curves,
    draw_learning_rate,
    iterations_info,
    learning_curves_info,
)
from ceteris.findings import StudyFindings


def plate(findings: StudyFindings, name: str) -> Plate:
    """Return one figure by its name; a KeyError lists the names there are."""
    known = list(plates(findings))
    for entry in known:
        if entry.name == name:
            return entry
    raise KeyError(f"no figure {name!r}; there are {', '.join(entry.name for entry in known)}")


def plates(findings: StudyFindings, results: ResultsInfo | None = None) -> Iterator[Plate]:
    """Yield every figure that the findings allow; what was not recorded is left out.

    Args:
        findings: what the study found.
        results: the evaluated finals, where the caller has them already.
    """
    evaluated = results or results_info(findings)
    yield from _data(findings)
    yield from exploration_plates(findings)
    yield from _training(findings, evaluated)
    yield from _results(findings, evaluated)
    yield from _residual(findings)
    yield from _explanations(findings)
    yield from _errors(findings)


def _data(findings: StudyFindings) -> Iterator[Plate]:
    samples, balance = sample_sheet_info(findings), class_balance_info(findings)
    count = len(findings.data.classes)
    yield Plate(
        name="samples", section="data", model="", draw=partial(draw_sample_sheet, samples),
        caption=f"Training images with their labels, drawn from each of the {count} classes.",
        description=f"A sheet of {len(samples.labels)} training images, each under or over the name of its class.",
    )  # fmt: skip
    low, high = int(min(balance.train_counts, default=0)), int(max(balance.train_counts, default=0))
    yield Plate(
        name="class-balance", section="data", model="", draw=partial(draw_class_balance, balance),
        caption="Images per class in the training and the test part; the training part holds between "
        f"{low:,} and {high:,} per class.",
        description=f"Two bar charts of the number of images in each of {count} classes, training and test.",
    )  # fmt: skip


def _training(findings: StudyFindings, results: ResultsInfo) -> Iterator[Plate]:
    for name, title in model_titles(findings).items():
        curves = learning_curves_info(findings, name)
        if curves.versions:
            yield Plate(
                name=f"curves-{name}", section="training", model=name, draw=partial(draw_learning_curves, curves),
                caption=f"{title}: training and validation loss, accuracy and F1 by epoch. Training values are means over "
                "the mini-batches of the epoch, with augmentation and dropout in force. The dashed line is the epoch whose "
                "weights were kept; faint lines are further seeds; test values were recorded afterwards, for show.",
                description="Line charts of loss, accuracy and F1 against the epoch for the baseline and the best version.",
            )  # fmt: skip
    iterations = iterations_info(findings)
    if iterations.curves:
        yield Plate(
            name="iterations-loss", section="training", model="", draw=partial(draw_iteration_loss, iterations),
            caption="Loss of every mini-batch (faint) and its running mean over 25 of them, logarithmic.",
            description="Line charts of the training loss against the iteration, one panel per model.",
        )  # fmt: skip
        yield Plate(
            name="learning-rate", section="training", model="", draw=partial(draw_learning_rate, iterations),
            caption="The learning rate of every iteration, baseline and best.",
            description="Line charts of the learning rate against the iteration, one panel per model.",
        )  # fmt: skip
    if results.summaries:
        yield Plate(
            name="generalisation-gap", section="training", model="", draw=partial(draw_generalisation_gap, results),
            caption="Accuracy at the kept epoch: training (open), validation (filled) and test (diamond), mean over seeds. "
            "The gap is training minus validation, in points; augmentation and dropout make the training side harder.",
            description="A dumbbell chart of training, validation and test accuracy of every version of every model.",
        )  # fmt: skip


def _results(findings: StudyFindings, results: ResultsInfo) -> Iterator[Plate]:
    if not results.summaries:
        return
    yield Plate(
        name="test-results", section="results", model="", draw=partial(draw_results, results),
        caption="Accuracy, macro-averaged precision, recall and F1, and AUC on the test set: mean over seeds (large), every "
        "seed (small), 95 % Wilson interval of the accuracy.",
        description="Dot plots of five metrics for every version of every model; the numbers are in the table of test results.",
    )  # fmt: skip
    for name, title in model_titles(findings).items():
        confusion = confusion_info(findings, results, name)
        if confusion is not None:
            yield Plate(
                name=f"confusion-{name}", section="results", model=name, draw=partial(draw_confusion, confusion),
                caption=f"{title}, best version, first seed: how often each true class (row) was given each class "
                "(column). Right answers in blue, mistakes in orange on a scale of their own.",
                description=f"A confusion matrix of {len(confusion.classes)} classes; its numbers are in the CSV file.",
            )  # fmt: skip
    yield Plate(
        name="roc", section="results", model="", draw=partial(draw_roc, roc_info(findings, results)),
        caption="ROC curves of the best versions, each class against the rest (thin), macro and micro average; the inset "
        "enlarges the upper left corner.",
        description="ROC curves, one panel per model; the areas under them are in the table of test results.",
    )  # fmt: skip
    yield Plate(
        name="class-scores", section="results", model="",
        draw=partial(draw_class_scores, class_scores_info(findings, results)),
        caption="F1 of every class for the best versions, mean over seeds; the hardest class comes first.",
        description="A dot plot of F1 per class and model; the numbers are in the table of class scores.",
    )  # fmt: skip
    yield Plate(
        name="calibration", section="results", model="", draw=partial(draw_calibration, calibration_info(results)),
        caption="Reliability of the best versions: accuracy among the images of similar confidence; a mark's area grows "
        "with the number of images; on the dashed line confidence and accuracy agree (Guo et al. 2017).",
        description="Reliability diagrams, one panel per model, with the expected calibration error.",
    )  # fmt: skip
    costs = costs_info(findings, results)
    if costs.costs:
        yield Plate(
            name="costs", section="results", model="", draw=partial(draw_costs, costs),
            caption="Test accuracy against training time, peak memory, parameters and FLOPs of the final trainings.",
            description="Four scatter charts of accuracy against cost; the numbers are in the table of costs.",
        )  # fmt: skip


def _residual(findings: StudyFindings) -> Iterator[Plate]:
    info = residual_info(findings)
    if info is not None:
        yield Plate(
            name="residual", section="residual", model="", draw=partial(draw_residual, info),
            caption="The same network with and without its residual connections, everything else equal: training loss, "
            "validation accuracy, and the norm of the gradient of every convolution at the first step.",
            description="Line charts of loss and accuracy by epoch and of gradient norms by layer, with and without shortcuts.",
        )  # fmt: skip


def _explanations(findings: StudyFindings) -> Iterator[Plate]:
    for name, title in model_titles(findings).items():
        attention, features = attention_info(findings, name), features_info(findings, name)
        embedding = embedding_info(findings, name)
        if attention is not None:
            yield Plate(
                name=f"attention-{name}", section="explanations", model=name, draw=partial(draw_attention, attention),
                caption=f"{title}: the bright regions speak for the predicted class (Grad-CAM, Selvaraju et al. 2017). It "
                "shows where the last feature maps were active, not why the model is right.",
                description=f"{len(attention.images)} images above the same images overlaid with a heat map.",
            )  # fmt: skip
        if features is not None:
            yield Plate(
                name=f"features-{name}", section="explanations", model=name, draw=partial(draw_features, features),
                caption=f"{title}: weights of the first layers and what they make of one image; each picture is "
                "scaled to its own range.",
                description="Small grey pictures of filters and of their responses to one image.",
            )  # fmt: skip
        if embedding is not None:
            yield Plate(
                name=f"embedding-{name}", section="explanations", model=name, draw=partial(draw_embedding, embedding),
                caption=f"{title}: t-SNE of the layer {embedding.layer} for {len(embedding.points):,} images, "
                "coloured by true class. "
                "Distances between far groups carry no meaning (van der Maaten & Hinton 2008).",
                description="A scatter chart of images placed by t-SNE and coloured by class.",
            )  # fmt: skip


def _errors(findings: StudyFindings) -> Iterator[Plate]:
    first, random = first_images_info(findings), random_images_info(findings)
    if len(first.labels) and first.models:
        counted = _counted(right_counts(first), len(first.labels))
        yield Plate(
            name="first-images", section="errors", model="", draw=partial(draw_predicted_images, first),
            caption="The first six test images with the answers of the best versions.",
            description=f"Six images with true and predicted classes. Right: {counted}.",
        )  # fmt: skip
    if len(random.labels) and random.models:
        counted = _counted(right_counts(random), len(random.labels))
        yield Plate(
            name="random-images", section="errors", model="", draw=partial(draw_predicted_images, random),
            caption=f"Ten test images drawn at random, the same for every study. Right: {counted}.",
            description=f"Ten images with true and predicted classes. Right: {counted}.",
        )  # fmt: skip
    for name, title in model_titles(findings).items():
        mistakes = mistakes_info(findings, name)
        if len(mistakes.labels):
            yield Plate(
                name=f"mistakes-{name}", section="errors", model=name, draw=partial(draw_predicted_images, mistakes),
                caption=f"{title}: the most confident mistakes on the test set, one of each class where there is one.",
                description=f"{len(mistakes.labels)} misclassified images with true and predicted classes.",
            )  # fmt: skip


def _counted(right: dict[str, int], total: int) -> str:
    return ", ".join(f"{model} {count} of {total}" for model, count in right.items())
