"""Choosing among the final trainings of a study, and the line that identifies a figure."""

from collections.abc import Sequence

from ceteris.findings import FinalFinding, StudyFindings, Version

VERSION_TITLES: dict[Version, str] = {"baseline": "baseline", "best": "best", "plain": "best, no shortcuts"}


def shortened(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: max(1, limit - 1)].rstrip() + "…"


def identity(findings: StudyFindings) -> str:
    """Return author or group, study and date in one line; it stands on every figure.

    The data set's note (for instance that a set is not the official one) follows where there is one.
    """
    people = " · ".join(part for part in (findings.group, findings.author) if part)
    parts = ((people, 60), (findings.title or findings.name, 70), (findings.date, 20), (findings.data.note, 120))
    return "  ·  ".join(shortened(part, limit) for part, limit in parts if part)


def finished(
    findings: StudyFindings, model: str | None = None, version: Version | None = None
) -> tuple[FinalFinding, ...]:
    """Return the finished finals, of one model or version where named, ordered by seed within the study's order."""
    chosen = (
        final
        for final in findings.finals
        if final.status == "finished" and model in (None, final.model) and version in (None, final.version)
    )
    return tuple(sorted(chosen, key=lambda final: final.seed)) if model and version else tuple(chosen)


def shown(findings: StudyFindings, model: str, version: Version = "best") -> FinalFinding | None:
    """Return the final whose predictions are shown in detail: that of the smallest seed, None when all failed."""
    finals = finished(findings, model, version)
    return finals[0] if finals else None


def model_titles(findings: StudyFindings) -> dict[str, str]:
    """Return the title of every model by its name, in the study's order."""
    return {model.name: model.label for model in findings.models}


def versions_present(findings: StudyFindings, model: str) -> Sequence[Version]:
    """Return the versions of ``model`` that have at least one finished final, in the order baseline, best, plain."""
    return [version for version in VERSION_TITLES if finished(findings, model, version)]
