"""Configurations as JSON, and their differences: to_json, from_json, differences."""

import dataclasses
import json
import typing
from typing import Any, TypeVar

from emogan.errors import UserError, check

T = TypeVar("T")


def to_json(config: Any) -> str:
    """Returns a configuration as JSON text, for `from_json`."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def from_json(cls: type[T], text: str) -> T:
    """Reads text of `to_json`. Raises UserError if it is not JSON, or does not fit the fields of `cls`."""
    try:
        return _from_dict(cls, json.loads(text))
    except (json.JSONDecodeError, TypeError, AttributeError) as error:
        raise UserError(f"not the JSON of a {cls.__name__}: {error}") from error


def differences(one: Any, other: Any) -> str:
    """Lists the settings in which two configurations of a class differ, as `name: one, other`; empty if equal."""
    pairs = ((f.name, getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return "; ".join(
        f"{name}.{differences(a, b)}" if dataclasses.is_dataclass(a) else f"{name}: {a}, {b}"
        for name, a, b in pairs
        if a != b
    )


def _from_dict(cls: type[T], values: dict[str, Any]) -> T:
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    check(not unknown, f"{cls.__name__} has no setting {', '.join(sorted(unknown))}; it was written by another version")
    missing = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING} - set(values)  # type: ignore[arg-type]
    check(
        not missing, f"{cls.__name__} lacks the setting {', '.join(sorted(missing))}; it was written by another version"
    )
    return cls(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    inner = [one for one in (hint, *typing.get_args(hint)) if isinstance(one, type) and dataclasses.is_dataclass(one)]
    return _from_dict(inner[0], value) if inner and value is not None else value
