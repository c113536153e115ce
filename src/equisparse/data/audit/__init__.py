"""Look at labelled frames and say what would go wrong in fine-tuning."""

from equisparse.data.audit.finding import BasePrediction, Finding, format_findings, has_errors
from equisparse.data.audit.registry import SET_CHECKS, audit

__all__ = ["SET_CHECKS", "BasePrediction", "Finding", "audit", "format_findings", "has_errors"]
