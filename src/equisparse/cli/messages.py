"""Messages of the parser in the style of the other errors."""

import re

from cyclopts import CoercionError, CycloptsError, MissingArgumentError
from cyclopts.argument import Argument

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_CONVERSION = re.compile(r"unable to convert (.*) into (\w+)\.")


def message(error: CycloptsError) -> str:
    """Text of an error of the command line."""
    text = str(error)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        text = _missing(error.argument)
    if isinstance(error, CoercionError):
        text = _CONVERSION.sub(lambda match: f"{match[1]} is not {_WORDS.get(match[2], match[2])}.", text)
    return f"error: {text}"


def _missing(argument: Argument) -> str:
    """Message about a missing option, or about an option without its value."""
    metavar = argument.parameter.metavar or ""
    if argument.index is not None:
        return f"{metavar or argument.name} is missing. Give it after the command."
    return f"{argument.name} {metavar} is missing." if argument.required else f"{argument.name} needs a value."
