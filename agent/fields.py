"""Turns TOML values into typed fields, one by one, so that every mistake of a file is told at once.

The annotation is the schema: `str`, `bool`, `int`, `float`, `Seconds`, `Size`, `Ratio`, `Literal`, `X | None`,
`tuple[T, ...]`, `list[T]`, `dict[str, T]`, `Secret`, nested `Struct`, and `msgspec.Meta` bounds on any of them.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from agent import secrets
from agent.source import Where
from collectors.quantities import Quantity, parse
from collectors.secret import Secret

_NAME = re.compile(r"[\w.-]{1,60}")
HUNDRED_YEARS: Final = 100 * 365 * 86400.0  # seconds; beyond it the calendar's arithmetic overflows


class Invalid:
    """What reading gives where there was a mistake; the mistake itself is already noted."""


INVALID: Final = Invalid()


class Reader:
    """Reads the values of one file and notes the mistakes as (where, what is wrong)."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env, self._folder = env, folder
        self.mistakes: list[tuple[Where, str]] = []

    def wrong(self, where: Where, says: str) -> Invalid:
        """Note a mistake: a phrase that follows the path, as in ` is missing` or `: needs a password`."""
        self.mistakes.append((where, says))
        return INVALID

    def name(self, name: str, where: Where) -> None:
        """Note a name that could not be typed, labelled and printed without quotes."""
        if not _NAME.fullmatch(name):
            self.wrong(where, " is no name: use only letters, digits, _, - and .")

    def table(self, value: object, where: Where) -> dict[str, Any]:
        """That section, or an empty one where it is something else."""
        if isinstance(value, dict):
            return value
        self.wrong(where, " must be a section of keys and values")
        return {}

    def known(self, table: Mapping[str, Any], keys: Iterable[str], where: Where) -> None:
        """Note every key that is not among `keys`."""
        keys = list(keys)
        for key in table:
            if key not in keys:
                self.wrong((*where, key), f" is not known here: {instead(key, keys)}")

    def struct(self, cls: type[Any], table: Mapping[str, Any], where: Where, also: Iterable[str] = ()) -> Any:
        """Build `cls` from its fields in `table`; keys in `also` are somebody else's. INVALID after a mistake."""
        fields = msgspec.structs.fields(cls)
        before = len(self.mistakes)
        self.known(table, [field.encode_name for field in fields] + list(also), where)
        values = {}
        for field in fields:
            if field.encode_name in table:
                values[field.name] = self.read(field.type, table[field.encode_name], (*where, field.encode_name))
            elif field.required:
                self.wrong((*where, field.encode_name), f" is missing: add {field.encode_name} = {example(field.type)}")
        if len(self.mistakes) > before:
            return INVALID
        try:
            return cls(**values)
        except ValueError as error:  # the struct's own rules about its fields
            return self.own_rule(str(error), [field.encode_name for field in fields], where)

    def own_rule(self, says: str, names: Iterable[str], where: Where) -> Invalid:
        """A sentence of the struct's; where it begins with a field's name, that field is the place."""
        word = says.split(" ", 1)[0].rstrip(":")
        return self.wrong((*where, word), says[len(word):]) if word in names else self.wrong(where, f": {says}")

    def read(self, kind: Any, value: object, where: Where) -> Any:
        """The value as `kind`, or INVALID after noting what is wrong."""
        reads = _READS.get(get_origin(kind) or kind)
        if reads:
            return reads(self, kind, value, where)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, value, where) if isinstance(value, dict) else self._not(kind, value, where)
        return self.wrong(where, f" is declared as {kind}, which no TOML value can be: this is the plug-in's mistake")

    def _not(self, kind: Any, value: object, where: Where) -> Invalid:
        what = named(kind)
        if isinstance(value, str) and kind in (bool, int, float):
            what += ", without quotes"
        elif kind is str and not isinstance(value, dict | list):
            what += ", in quotes"
        elif what.startswith("a list"):
            what += f", such as {example(kind)}"
        return self.wrong(where, f" must be {what}")

    def _scalar(self, kind: Any, value: object, where: Where) -> Any:
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return self._finite(value, where)
        if kind is Path and isinstance(value, str):
            return Path(value)
        return value if type(value) is kind else self._not(kind, value, where)

    def _finite(self, value: float, where: Where) -> Any:
        try:
            number = float(value)
        except OverflowError:  # an integer of hundreds of digits
            number = math.inf
        return number if math.isfinite(number) else self.wrong(where, " must be a finite number")

    def _anything(self, kind: Any, value: object, where: Where) -> Any:
        return value

    def _annotated(self, kind: Any, value: object, where: Where) -> Any:
        inner, *notes = get_args(kind)
        for note in notes:
            if isinstance(note, Quantity):
                return self.quantity(note, value, where)
        read = self.read(inner, value, where)
        if read is not INVALID and any(isinstance(note, msgspec.Meta) for note in notes):
            try:
                msgspec.convert(read, kind)
            except msgspec.ValidationError as error:
                return self.wrong(where, f" is out of bounds: {str(error).replace('Expected', 'expected')}")
        return read

    def quantity(self, quantity: Quantity, value: object, where: Where) -> Any:
        """A duration, size or ratio in its base unit."""
        try:
            number = parse(quantity, value)
        except ValueError as error:
            return self.wrong(where, f" {error}")
        except OverflowError:
            number = math.inf
        most = HUNDRED_YEARS if ("s", 1) in quantity.units else 1e18
        return number if number <= most else self.wrong(where, f" is too large for {quantity.name}")

    def _union(self, kind: Any, value: object, where: Where) -> Any:
        kinds = [one for one in get_args(kind) if one is not NoneType]
        if len(kinds) > 1:
            for one in kinds:
                attempt = Reader(self._env, self._folder)
                if (read := attempt.read(one, value, where)) is not INVALID and not attempt.mistakes:
                    return read
        return self.read(kinds[0], value, where)

    def _literal(self, kind: Any, value: object, where: Where) -> Any:
        choices = get_args(kind)
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return value
        return self.wrong(where, f" must be {named(kind)}")

    def _sequence(self, kind: Any, value: object, where: Where) -> Any:
        if not isinstance(value, list):
            return self._not(kind, value, where)
        kinds = get_args(kind) or (Any, ...)
        if Ellipsis not in kinds and get_origin(kind) is tuple and len(kinds) != len(value):
            return self.wrong(where, f" must have {len(kinds)} values, not {len(value)}")
        fixed = Ellipsis not in kinds and get_origin(kind) is tuple
        read = [self.read(kinds[at if fixed else 0], item, (*where, at)) for at, item in enumerate(value)]
        if INVALID in read:
            return INVALID
        return tuple(read) if (get_origin(kind) or kind) is tuple else read

    def _mapping(self, kind: Any, value: object, where: Where) -> Any:
        if not isinstance(value, dict):
            return self._not(kind, value, where)
        _, of = get_args(kind) or (str, Any)
        read = {key: self.read(of, item, (*where, key)) for key, item in value.items()}
        return INVALID if INVALID in read.values() else read

    def _secret(self, kind: Any, value: object, where: Where) -> Any:
        try:
            return secrets.resolve(value, self._env, self._folder)
        except ValueError as error:
            return self.wrong(where, f" {error}")


_READS: Final[dict[Any, Callable[[Reader, Any, object, Where], Any]]] = {
    Annotated: Reader._annotated, Union: Reader._union, UnionType: Reader._union, Literal: Reader._literal,
    tuple: Reader._sequence, list: Reader._sequence, dict: Reader._mapping, Secret: Reader._secret,
    str: Reader._scalar, bool: Reader._scalar, int: Reader._scalar, float: Reader._scalar, Path: Reader._scalar,
    Any: Reader._anything, object: Reader._anything,
}


def named(kind: Any) -> str:
    """A type in the words of somebody who writes TOML."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return next((note.name for note in args[1:] if isinstance(note, Quantity)), named(args[0]))
    if origin is Literal:
        *others, last = (f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in args)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (tuple, list):
        return "a list"
    words = {str: "text", Path: "a path", bool: "true or false", int: "a whole number", float: "a number"}
    return words.get(origin, "a table")


def example(kind: Any) -> str:
    """How a value of that type may be written."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        quantity = next((note for note in args[1:] if isinstance(note, Quantity)), None)
        return quantity.example.split(",")[0].split(" or ")[0] if quantity else example(args[0])
    if origin in (Union, UnionType):
        return example(args[0])
    if origin is Literal:
        return f'"{args[0]}"' if isinstance(args[0], str) else str(args[0])
    if origin in (tuple, list):
        return f"[{example(args[0])}]" if args else '["…"]'
    if origin is Secret:
        return '{ credential = "NAME" }'
    return {str: '"…"', Path: '"/…"', bool: "true", int: "1", float: "1.0"}.get(origin, "{ … }")


def close(word: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    import difflib  # only a mistake needs it

    by_lower = {name.lower(): name for name in names}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def instead(word: str, names: Iterable[str]) -> str:
    """A suggestion for a name that is not known: the one that was meant, else all there are."""
    names = sorted(names)
    if meant := close(word, names):
        return f'did you mean "{meant}"?'
    return f"there is {', '.join(names)}" if names else "there is none"
