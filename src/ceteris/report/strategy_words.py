"""How the best recipe was searched, in words: what was done, and what this way of searching cannot see."""

from dataclasses import dataclass

from ceteris.findings import StudyFindings

_SAME = "on the same folds and the same random numbers"


@dataclass(frozen=True, kw_only=True)
class SearchWords:
    """One strategy: its name, what it did in one or two sentences, and its limits."""

    name: str
    how: str
    limits: str


_GREEDY = (
    f"One technique was changed at a time, {_SAME}. A level replaced the incumbent only when it was better by more than "
    "the noise, or equivalent and cheaper."
)
_WORDS = {
    "greedy": SearchWords(
        name="greedy, factor by factor",
        how=_GREEDY,
        limits="The search is greedy, one factor after another; a combination that only works together can be missed, and the "
        "order of the factors matters.",
    ),
    "one-at-a-time": SearchWords(
        name="one factor at a time, around the baseline",
        how=f"Every level was compared with the baseline alone, {_SAME}; the levels that won were then put together.",
        limits="Every effect was measured around the baseline. That the effects add up in the combination is an assumption, "
        "which only the confirmation tests.",
    ),
    "leave-one-out": SearchWords(
        name="greedy, then every choice left out",
        how=f"{_GREEDY} Then every choice of the best setting was put back to the baseline alone, with all others kept.",
        limits="The search is greedy, so a combination that only works together can be missed. What a choice is worth holds "
        "within the final stack: two choices that do the same work look worthless, as long as the other one is there.",
    ),
    "factorial": SearchWords(
        name="factorial grid",
        how=f"The levels of all factors were combined in a grid, every cell {_SAME}. The effect of a level is its mean over "
        "the grid, an interaction is how far the effect of one factor depends on another.",
        limits="Main effects are means over the levels of the other factors and mislead where the factors interact; then the "
        "cells count. Interactions of three and more factors are part of the noise.",
    ),
    "joint": SearchWords(
        name="joint search",
        how="All factors were varied at once: a sampler proposed whole recipes, and those clearly behind the best one could be "
        f"left early. All recipes met the baseline {_SAME}.",
        limits="The best of many noisy means is too high by chance (winner's curse), so only the confirmation on fresh seeds "
        "counts. The search says which recipe is good, not which of its settings made it so.",
    ),
    "halving": SearchWords(
        name="successive halving",
        how="Many recipes were trained with few epochs; the best ones went on with more, and the last ones were compared with "
        f"the baseline {_SAME}.",
        limits="A recipe that is slow at first may have been eliminated before it could show its strength, and the best of "
        "many noisy results is too high by chance; only the confirmation on fresh seeds counts.",
    ),
    "race": SearchWords(
        name="race",
        how=f"The levels of a factor were trained block after block, {_SAME}; those whose verdict was clear left early. A "
        "level was kept only when it was better by more than the noise, or equivalent and cheaper.",
        limits="Levels that left early were judged on fewer blocks: their intervals are wider, and “undecided” or “equivalent” "
        "may have become clearer with all blocks. The factors came one after another, so a combination that only works "
        "together can be missed.",
    ),
}  # fmt: skip


def limits_where_untold(findings: StudyFindings) -> str:
    """Return the limits of the strategy, '' where the summary of the search tells them already."""
    return "" if any(model.summary for model in findings.models) else search_words(findings).limits


def search_words(findings: StudyFindings) -> SearchWords:
    """Return the words for the study's strategy; those of the greedy one for a strategy that has no words yet."""
    strategy = next((model.strategy for model in findings.models), "greedy")
    return _WORDS.get(strategy, _WORDS["greedy"])
