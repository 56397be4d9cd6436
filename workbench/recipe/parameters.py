"""A parameter of a layer, a loss or the training: type, range, default, help. Forms and options follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.errors import ConfigError

ParameterType = Literal["int", "float", "bool", "choice", "choices"]


@dataclass(frozen=True)
class Parameter:
    """One named value a user may set.

    Attributes:
        name: The constructor argument or dataclass field it sets.
        type: `choices` is an ordered, non-empty selection without repeats, written `a+b`.
        default: Value when nothing is given; None only where `optional`.
        help: One sentence for the form and for `--help`.
        minimum: Smallest allowed number, None for no bound.
        maximum: Largest allowed number, None for no bound.
        choices: Allowed words for `choice` and `choices`.
        optional: Whether None ("not set") is allowed.
        auto: Whether the word `auto` is allowed beside a number.
        unit: What the number counts, e.g. "rows", "steps"; empty for none.
        habitual: The range people usually stay in, as text.
    """

    name: str
    type: ParameterType
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    auto: bool = False
    unit: str = ""
    habitual: str = ""

    def check(self, value: Any, owner: str = "") -> Any:
        """Return the value in its proper type.

        Args:
            value: What a form, a JSON document or `parse` handed over.
            owner: Whose parameter it is, for the message ("Dense").

        Raises:
            ConfigError: If the value has the wrong type or is out of range.
        """
        if value is None:
            if self.optional:
                return None
            raise self._error(value, owner, "a value")
        if self.auto and value == "auto":
            return value
        match self.type:
            case "bool":
                if not isinstance(value, bool):
                    raise self._error(value, owner, "true or false")
                return value
            case "choice":
                if value not in self.choices:
                    raise self._error(value, owner, "one of " + ", ".join(self.choices))
                return value
            case "choices":
                words = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
                if not words or len(set(words)) != len(words) or any(word not in self.choices for word in words):
                    raise self._error(value, owner, "one or several different ones of " + ", ".join(self.choices))
                return words
            case "int" | "float":
                return self._check_number(value, owner)

    def _check_number(self, value: Any, owner: str) -> int | float:
        low = "" if self.minimum is None else f" from {self.minimum:g}"
        high = "" if self.maximum is None else f" up to {self.maximum:g}"
        wanted = ("a whole number" if self.type == "int" else "a number") + low + high
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._error(value, owner, wanted)
        if self.type == "int" and value != int(value):
            raise self._error(value, owner, wanted)
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise self._error(value, owner, wanted)
        return int(value) if self.type == "int" else float(value)

    def parse(self, text: str, owner: str = "") -> Any:
        """Read the value from command-line text and check it.

        Raises:
            ConfigError: If the text is no value of this type or is out of range.
        """
        text = text.strip()
        if self.optional and text.lower() in {"", "none"}:
            return None
        value: Any = text
        if self.type == "choices":
            value = tuple(text.split("+"))
        elif self.type == "bool":
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif self.type in {"int", "float"} and not (self.auto and text == "auto"):
            try:
                value = float(text)
            except ValueError:
                value = text
        return self.check(value, owner)

    def _error(self, value: Any, owner: str, wanted: str) -> ConfigError:
        also = (" or auto" if self.auto else "") + (" or nothing" if self.optional else "")
        where = f"`{self.name}` of {owner}" if owner else f"`{self.name}`"
        return ConfigError(f"{where} must be {wanted}{also}, got {value!r}.", field=self.name)


def check_parameters(parameters: Iterable[Parameter], values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return all values of `parameters`, defaults filled in, each checked.

    Raises:
        ConfigError: If a name is unknown or a value is out of range.
    """
    table = {parameter.name: parameter for parameter in parameters}
    for name in values:
        if name not in table:
            known = ", ".join(table) or "none"
            raise ConfigError(f"{owner} has no parameter `{name}`; it has: {known}.", field=name)
    return {name: parameter.check(values.get(name, parameter.default), owner) for name, parameter in table.items()}


def parse_options(parameters: Iterable[Parameter], positional: tuple[str, ...], words: list[str], owner: str) -> dict[str, Any]:
    """Read `value:value:key=value` words into checked values of `parameters`.

    Args:
        parameters: The table of allowed names.
        positional: Names that values without `key=` fill, in order.
        words: The text between the colons.
        owner: Whose parameters they are, for messages.

    Raises:
        ConfigError: On an unknown name, a name given twice, too many values or a bad value.
    """
    table = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {}
    free = list(positional)
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            if not free:
                raise ConfigError(f"{owner} takes no further value, got {word!r}; write it as name=value.")
            name, text = free.pop(0), word
        name = name.strip()
        if name not in table:
            raise ConfigError(f"{owner} has no parameter `{name}`; it has: {', '.join(table) or 'none'}.", field=name)
        if name in values:
            raise ConfigError(f"`{name}` of {owner} is given twice.", field=name)
        values[name] = table[name].parse(text, owner)
    return values
