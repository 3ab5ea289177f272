"""The options of a kind of gateway, declared once: they are checked, sealed, shown in forms and explained.

A kind's options are a frozen dataclass whose fields are made by `option`. From it comes a marshmallow
schema that finds every mistake at once. Checks that concern several options together are a method
`faults(self) -> list[str]` of the dataclass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass
from typing import Any, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from server.errors import Conflict, Invalid
from server.notify.secrets import is_sealed, seal, unseal

C = TypeVar("C")
Read = Callable[[Any], Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "tuple[str, ...]": (list, tuple),
}
_YES = ("1", "on", "true", "yes")


def N_(text: str) -> str:  # noqa: N802  # the name under which texts are collected
    """Mark a text for translation where it is shown."""
    return text


def option(
    about: str,
    *,
    default: Any = MISSING,
    secret: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] | None = None,
    longest: int | None = None,
    read: Read | None = None,
) -> Any:
    """Declare one option: `about` is its help; without `default` it must be given.

    `minimum` and `maximum` bound a number (a number without `minimum` may not be negative), `longest`
    a text. A `secret` is stored sealed and never shown. `read` turns what is stored into the value of
    an option that is no plain text, number, yes/no or list of texts; it raises ValueError with what
    is wrong.
    """
    told = {
        "about": about,
        "secret": secret,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "longest": longest,
        "read": read,
    }
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=lambda: default, metadata=told, repr=not secret)
    return dataclasses.field(default=default, metadata=told, repr=not secret)


@dataclass(frozen=True)
class Option:
    """One option as a form or a page needs it. `kind` is text, int, float, bool, list or table."""

    name: str
    kind: str
    about: str
    default: Any
    required: bool
    secret: bool
    choices: tuple[Any, ...]
    minimum: float | None
    maximum: float | None
    longest: int | None


def described(config: type) -> list[Option]:
    """The options of a kind as they are declared; those it shares with other kinds come last."""
    entries = sorted(dataclasses.fields(config), key=lambda entry: entry.kw_only is True)
    return [_described(entry) for entry in entries]


def _described(entry: dataclasses.Field[Any]) -> Option:
    kinds = {"str": "text", "tuple[str, ...]": "list"}
    kind = str(entry.type) if entry.type in ("int", "float", "bool") else None
    default = None if entry.default is MISSING else entry.default
    if entry.default_factory is not MISSING:
        default = entry.default_factory()
    told = entry.metadata
    return Option(
        name=entry.name,
        kind=kind or kinds.get(str(entry.type), "table"),
        about=told["about"],
        default=default,
        required=_required(entry),
        secret=told["secret"],
        choices=tuple(told["choices"] or ()),
        minimum=told["minimum"],
        maximum=told["maximum"],
        longest=told["longest"],
    )


def load(config: type[C], name: str, data: Mapping[str, Any]) -> C:
    """The options of gateway `name` as stored in `data`, with its secrets opened.

    Raises Invalid `notify.bad_gateway` with every problem in its details, or Conflict
    `notify.wrong_key` when a secret was sealed under another key.
    """
    opened = {
        key: unseal(value) if key in _secrets(config) and isinstance(value, str) else value
        for key, value in data.items()
    }
    return _checked(config, name, opened)


def sealed(
    config: type, name: str, data: Mapping[str, Any], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`data` as it is to be stored: checked, and with its secrets sealed.

    A secret that is missing or empty is taken from `before`, so that a form need not show it.
    Raises as `load`.
    """
    kept = {
        key: value
        for key, value in (before or {}).items()
        if key in _secrets(config) and not data.get(key)
    }
    whole = {**data, **kept}
    load(config, name, whole)
    return {
        key: _resealed(value, (before or {}).get(key)) if key in _secrets(config) else value
        for key, value in whole.items()
    }


def _resealed(value: str, before: str | None) -> str:
    """The secret sealed; the same secret keeps its seal, so that nothing seems to have changed."""
    with suppress(Conflict):
        if before and is_sealed(before) and unseal(before) == value:
            return before
    return seal(value) if value else value


def shown(config: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` as a person may see it: of a secret only whether there is one."""
    return {
        key: ("…" if value else "") if key in _secrets(config) else value
        for key, value in data.items()
    }


def from_form(config: type, form: Mapping[str, str]) -> dict[str, Any]:
    """What the fields of a form say, as `sealed` takes it; empty fields are left to their defaults.

    Lists and tables are separated by commas or lines (`0x0b=permanent`). What cannot be read stays a
    text, for `sealed` to complain about.
    """
    found: dict[str, Any] = {}
    for entry in described(config):
        text = form.get(entry.name, "").strip()
        if entry.kind == "bool":
            found[entry.name] = text.lower() in _YES
        elif text:
            found[entry.name] = _from_text(entry.kind, text)
    return found


def _from_text(kind: str, text: str) -> Any:
    pieces = [piece.strip() for piece in text.replace("\n", ",").split(",") if piece.strip()]
    if kind == "list":
        return pieces
    if kind == "table":
        pairs = [piece.partition("=") for piece in pieces]
        return {key.strip(): value.strip() for key, _, value in pairs}
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            return text
    return text


# --- checking -----------------------------------------------------------------------------


class _Plain(fields.Field[Any]):
    """A value of exactly the declared type: a form's texts are turned by `from_form`, never here."""

    def __init__(self, told: Mapping[str, Any], kind: str, **more: Any) -> None:
        super().__init__(**more)
        self._read: Read | None = told["read"]
        self._kind = kind

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:  # noqa: ARG002
        if self._read is not None:
            try:
                return self._read(value)
            except ValueError as problem:
                raise ValidationError(str(problem)) from None
        fits = isinstance(value, _TYPES[self._kind])
        if not fits or (isinstance(value, bool) and self._kind != "bool"):
            raise ValidationError(f"must be of type {self._kind}")
        if self._kind == "tuple[str, ...]":
            if not all(isinstance(one, str) for one in value):
                raise ValidationError("must be a list of texts")
            return tuple(value)
        return value


def schema(config: type) -> Schema:
    """The marshmallow schema of a kind's options."""
    made = Schema.from_dict({entry.name: _field(entry) for entry in dataclasses.fields(config)})(
        unknown=RAISE
    )
    made.error_messages["unknown"] = "is not a setting"
    return made


def _field(entry: dataclasses.Field[Any]) -> fields.Field[Any]:
    words = {"required": "is missing", "null": "is missing"}
    return _Plain(
        entry.metadata,
        str(entry.type),
        required=_required(entry),
        allow_none=False,
        error_messages=words,
        validate=list(_limits(str(entry.type), entry.metadata)),
    )


def _limits(kind: str, told: Mapping[str, Any]) -> list[Callable[[Any], Any]]:
    found: list[Callable[[Any], Any]] = []
    low, high = told["minimum"], told["maximum"]
    if kind in ("int", "float") and not told["choices"]:
        words = f"must be {low or 0:g} to {high:g}" if high is not None else "must not be negative"
        if low and high is None:
            words = f"must be at least {low:g}"
        found.append(validate.Range(min=low or 0, max=high, error=words))
    if told["choices"]:
        words = "must be one of " + ", ".join(str(one) for one in told["choices"])
        found.append(validate.OneOf(told["choices"], error=words))
    if told["longest"]:
        words = f"has at most {told['longest']} characters"
        found.append(validate.Length(max=told["longest"], error=words))
    if kind == "str" and not told["choices"]:
        found.append(_no_control)
    return found


def _no_control(text: str) -> None:
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValidationError("has characters that cannot be seen")


def _checked(config: type[C], name: str, data: Mapping[str, Any]) -> C:
    try:
        made: C = config(**schema(config).load(dict(data)))
    except ValidationError as refused:
        raise _wrong(name, _sentences(refused.messages_dict)) from None
    faults: list[str] = made.faults() if hasattr(made, "faults") else []
    if faults:
        raise _wrong(name, faults)
    return made


def _sentences(messages: Mapping[str, Any]) -> list[str]:
    return [f"{key} {text}" for key, texts in messages.items() for text in texts]


def _wrong(name: str, problems: list[str]) -> Invalid:
    return Invalid(
        "notify.bad_gateway",
        f"The configuration of gateway {name} is wrong: {'; '.join(problems)}.",
        {"gateway": name, "problems": problems},
    )


def _required(entry: dataclasses.Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _secrets(config: type) -> set[str]:
    return {entry.name for entry in dataclasses.fields(config) if entry.metadata["secret"]}
