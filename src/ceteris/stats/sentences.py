"""One plain sentence per comparison, in percentage points."""

from ceteris.findings import Comparison


def comparison_sentence(
    comparison: Comparison,
    *,
    labels: tuple[str, str],
    levels: int,
    folds: int,
    narrow: tuple[float, float],
    confidence: float,
    margin: float,
) -> str:
    """Say what was found about the level labels[0] against the incumbent labels[1].

    Args:
        comparison: the numbers and the verdict; its own sentence is not read.
        labels: of the level and of the incumbent.
        levels: of the factor, that Holm's adjustment counted.
        folds: of one cross-validation, that more blocks come in.
        narrow: the interval at ``confidence`` that equivalence was judged by.
        confidence: of the narrow interval.
        margin: of equivalence, in 0..1.
    """
    level, incumbent = labels
    if comparison.low == comparison.high == 0:
        return f"{level} and {incumbent} gave the same result on all {comparison.blocks} blocks: no difference at all."
    if comparison.verdict == "equivalent":
        return (
            f"{level} and {incumbent} are equivalent: the difference of {_signed(comparison.difference)} points has a "
            f"{100 * confidence:.3g} % interval of {_range(*narrow)}, inside the margin of ±{_points(margin)} points."
        )
    if comparison.verdict == "undecided":
        return (
            f"It is undecided whether {level} differs from {incumbent}: {_signed(comparison.difference)} points "
            f"({_evidence(comparison, comparison.low, comparison.high, levels)}); {_prospect(comparison, folds)}."
        )
    better = comparison.verdict == "better"
    # "Worse by 2 points" speaks of the size, so the interval is turned with it.
    low, high = (comparison.low, comparison.high) if better else (-comparison.high, -comparison.low)
    return (
        f"{level} is {comparison.verdict} than {incumbent} by {_points(abs(comparison.difference))} points "
        f"({_evidence(comparison, low, high, levels)})."
    )


def _prospect(comparison: Comparison, folds: int) -> str:
    more = comparison.blocks_to_decide - comparison.blocks
    if more <= 0:
        return (
            "no number of repetitions on these images would decide a difference of this size: use more images or folds"
        )
    repetitions = -(-more // folds)
    return (
        f"about {more:,} more block{'s' if more > 1 else ''} ({repetitions:,} more repetition{'s' if repetitions > 1 else ''}) "
        "would decide a difference of this size"
    )


def _evidence(comparison: Comparison, low: float, high: float, levels: int) -> str:
    adjustment = f" after Holm over {levels} levels" if levels > 1 else ""
    return f"95 % interval {_range(low, high)}, {_p_text(comparison.adjusted_p)}{adjustment}"


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3g}"


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}"


def _range(low: float, high: float) -> str:
    return f"{_points(low)} to {_points(high)}"
