"""Options declared once, as dataclass fields with help, unit, choices and bounds.

The dataclass is the only home of an option: `check` validates it, the command line makes an argument of it, and
docs/cli.md lists it.

>>> @dataclass(frozen=True)
... class Settings:
...     dropout: float = option(0.4, "share of hidden states set to 0", "P", minimum=0, below=1)
>>> check(Settings(dropout=1.5))
Traceback (most recent call last):
    ...
ValueError: `dropout` 1.5: use at least 0 and less than 1
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from gluon_lstm.language import _

Settings = TypeVar("Settings")

TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "Path": Path}


@dataclass(frozen=True)
class Option:
    """Declaration of one option: help text, metavar (the unit or size letter), group, choices and bounds."""

    help: str
    metavar: str = ""
    group: str = ""
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    zero_is_none: bool = False  # 0 given by a user means None: the feature is off

    def allowed(self) -> str:
        """Return the valid values in words."""
        if self.choices:
            return _("one of {choices}").format(choices=", ".join(self.choices))
        bounds = (
            (_("at least {bound}"), self.minimum),
            (_("more than {bound}"), self.above),
            (_("at most {bound}"), self.maximum),
            (_("less than {bound}"), self.below),
        )
        words = [
            words.format(bound=f"{bound:,}" if isinstance(bound, int) else f"{bound:g}")
            for words, bound in bounds
            if bound is not None
        ]
        return _(" and ").join(words) + (_(", or 0 to turn it off") if self.zero_is_none else "")

    def contains(self, value: Any) -> bool:
        """Return whether a value is one of the choices, or a finite number within the bounds."""
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.below is None or value < self.below)
        )


def option(default: Any, help: str, metavar: str = "", group: str = "", **limits: Any) -> Any:
    """Return a dataclass field that carries an Option; `limits` are its choices and bounds."""
    return field(default=default, metadata={"option": Option(help, metavar, group, **limits)})


def options_of(settings: Any) -> dict[str, Option]:
    """Return the options of a dataclass or of an instance, by field name, in their order."""
    return {each.name: each.metadata["option"] for each in fields(settings) if "option" in each.metadata}


def type_of(each: Field[Any]) -> Any:
    """Return the type of a field's values other than None."""
    return TYPES[str(each.type).split(" |")[0]]


def check(settings: Any) -> None:
    """Raise ValueError for the first field of `settings` that is outside its choices or bounds; None is valid where
    it is possible.
    """
    for each in fields(settings):
        limits, value = each.metadata.get("option"), getattr(settings, each.name)
        if limits is None or not limits.allowed() or (value is None and "None" in str(each.type)):
            continue
        wrong_type = str(each.type).startswith("int") and type(value) is not int
        if wrong_type or not limits.contains(value):
            shown = str(value)[:40]
            message = _("`{name}` {value}: use {allowed}")
            if wrong_type:
                message = _("`{name}` {value}: use a whole number, {allowed}")
            raise ValueError(message.format(name=each.name, value=shown, allowed=limits.allowed()))


def take(cls: type[Settings], values: dict[str, Any]) -> dict[str, Any]:
    """Remove from `values` those that are options of the dataclass `cls`, and return them."""
    return {name: values.pop(name) for name in options_of(cls) if name in values}
