"""YAML header of a card, by which the hub finds and lists an adapter."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from equisparse.errors import InputError
from equisparse.hub import require_hub
from equisparse.quantities import shown_errors
from equisparse.report.card.subject import CardSubject
from equisparse.run.metrics import Errors

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_TASK = "graph-ml"
"""Task of the hub under which interatomic potentials are listed."""
_TOPICS = ("equisparse", "interatomic-potential", "materials-science", "fine-tuned")


def header(subject: CardSubject) -> "ModelCardData":
    """Header of a card: library, licence, tags, errors, base and fingerprint.

    Raises
    ------
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    require_hub()
    from huggingface_hub import ModelCardData

    base = subject.adapter.base
    results = list(_results(subject))
    return ModelCardData(
        library_name="equisparse",
        pipeline_tag=_TASK,
        license=subject.details.license or "other",
        license_name=None if subject.details.license else "not-stated",
        tags=tags(subject),
        model_name=subject.name if results else None,
        eval_results=results or None,
        equisparse={
            "base": base["source"],
            "base_sha256": base["sha256"],
            "backbone": base["backbone"],
            "modality": subject.adapter.modality,
            "method": subject.adapter.label,
            "elements": subject.elements,
            "adapter_bytes": subject.adapter_bytes,
        },
    )


def tags(subject: CardSubject) -> list[str]:
    """Tags to search by: topics, backbone, base, method, and one per element of the training data.

    The tags of base, method and elements begin with ``base-``, ``method-`` and ``element-``.
    """
    base = subject.adapter.base
    named = [base["backbone"], f"base-{_tag(base['source'])}", f"method-{_tag(subject.adapter.label)}"]
    return [*_TOPICS, *named, *(f"element-{symbol}" for symbol in subject.elements)]


def check_card(text: str) -> None:
    """Check a card with the reader of `huggingface_hub`: a header with licence, tags and readable results.

    Raises
    ------
    InputError
        If the header cannot be read, or a part is missing.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    require_hub()
    from huggingface_hub import ModelCard

    try:
        card = ModelCard(text)
        missing = [name for name in ("library_name", "license", "tags") if not getattr(card.data, name)]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "The header of the card is invalid.",
            cause=f"{type(error).__name__}: {error}",
            next_step="check --license and --name",
        ) from error


def final_errors(subject: CardSubject) -> tuple[str, Errors]:
    """Split on which the adapter is judged, test or else valid, and its errors; empty if they are not known."""
    if subject.run is not None:
        metrics = subject.run.metrics
        return metrics.judged, metrics.final[metrics.judged]
    final = subject.adapter.metrics.get("final")
    known = final if isinstance(final, dict) else {}
    judged = next((split for split in ("test", "valid") if isinstance(known.get(split), dict)), "")
    return judged, known.get(judged, {})


def _results(subject: CardSubject) -> "Iterator[EvalResult]":
    """Errors of the fine-tuned model, one result each."""
    from huggingface_hub import EvalResult

    split, errors = final_errors(subject)
    for error in shown_errors():
        value = errors.get(error.name)
        if value is not None:
            yield EvalResult(
                task_type=_TASK,
                dataset_type="custom",
                dataset_name=f"{split} frames of {subject.name}",
                dataset_split="validation" if split == "valid" else split,
                metric_type=error.kind,
                metric_name=f"{error.title} ({error.unit})",
                metric_value=float(f"{value:.6g}"),
            )


def _tag(text: str) -> str:
    """Text as a tag: letters, digits, dots and hyphens."""
    return re.sub(r"[^\w.]+", "-", text).strip("-").replace("_", "-").lower()
