"""Present names of methods for labels in the results.

Rows that were measured before the method `sparse` was divided into `soft_threshold` and `sparse` call both ``sparse``.
"""

import re

_WITHOUT_A_SIZE = re.compile(r"\bsparse\b(?!-changed|, changed|, budget| [\d.]+ %)")


def present_names(text: str) -> str:
    """Text in which ``sparse`` is the method with a stated size, and ``soft_threshold`` the one without.

    >>> present_names("| sparse | sparse 3 % | sparse H | sparse-changed |")
    '| soft_threshold | sparse 3 % | soft_threshold H | sparse |'
    """
    return _WITHOUT_A_SIZE.sub("soft_threshold", text).replace("sparse-changed", "sparse")
