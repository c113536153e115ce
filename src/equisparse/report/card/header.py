"""YAML header of a card, by which the hub finds and lists an adapter."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from equisparse.errors import InputError
from equisparse.hub import require_hub
from equisparse.quantities import ShownError, shown_errors
from equisparse.report.card.subject import CardSubject
from equisparse.run.metrics import Errors

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_TASK = "graph-ml"
"""Task of the hub under which interatomic potentials are listed."""
TOPIC = "equisparse"
"""Tag of every adapter."""
_TOPICS = (TOPIC, "interatomic-potential", "materials-science", "fine-tuned")


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
    named = [base["backbone"], base_tag(base["source"]), f"method-{_tag(subject.adapter.label)}"]
    return [*_TOPICS, *named, *map(element_tag, subject.elements)]


def base_tag(base: str) -> str:
    """Tag of the adapters of a base.

    >>> base_tag("SevenNet_0 (11July2024)")
    'base-sevennet-0-11july2024'
    """
    return f"base-{_tag(base)}"


def element_tag(symbol: str) -> str:
    """Tag of the adapters that were trained on an element."""
    return f"element-{symbol}"


def metric_title(error: ShownError) -> str:
    """Name of an error in the header of a card, with its unit."""
    return f"{error.title} ({error.unit})"


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
                metric_name=metric_title(error),
                metric_value=float(f"{value:.6g}"),
            )


def _tag(text: str) -> str:
    """Text as a tag: letters, digits, dots and hyphens."""
    return re.sub(r"[^\w.]+", "-", text).strip("-").replace("_", "-").lower()
