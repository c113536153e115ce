"""Counted nouns and their verbs, so that a message about one frame does not say "1 frames have"."""


def counted(count: int, singular: str, plural: str = "") -> str:
    """Count with its noun, and its verb if the words contain one.

    Parameters
    ----------
    count : int
        Number of things.
    singular, plural : str
        Words after the number; the plural is the singular with an s by default.

    >>> counted(1, "frame has", "frames have")
    '1 frame has'
    >>> counted(1200, "frame")
    '1,200 frames'
    """
    return f"{count:,} {agreeing(count, singular, plural or singular + 's')}"


def agreeing(count: int, singular: str, plural: str) -> str:
    """Form of a word that agrees with a count.

    >>> agreeing(1, "has", "have"), agreeing(0, "has", "have")
    ('has', 'have')
    """
    return singular if count == 1 else plural
