"""Rows as they were read, with access that names file, row and field when something is missing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from laser_lit.errors import InputError


@dataclass(frozen=True)
class Schema:
    """What a data set's rows look like, for error messages.

    Attributes:
        wants: the fields that are needed, one sentence for each accepted layout.
        original: where the public original is; "" for what is a user's own.
    """

    wants: str
    original: str = ""

    @property
    def origin(self) -> str:
        """Where the public original is, as the end of a sentence; "" where there is none."""
        return f"; the public original is at {self.original}" if self.original else ""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        values: field -> value.
        where: file and row number, as error messages begin.
        key: name of the row within its data set.
        schema: what was expected.
    """

    values: Mapping[str, Any]
    where: str
    key: str
    schema: Schema

    def error(self, problem: str) -> InputError:
        """Returns the error that names this row, the problem and what the data set wants."""
        return InputError(f"{self.where}: {problem}; {self.schema.wants}")

    def has(self, *names: str) -> bool:
        """Returns whether every field is there and not null."""
        return all(self.values.get(name) is not None for name in names)

    def value(self, name: str) -> Any:
        """Returns a field's value, not null.

        Args:
            name: the field, or a path of fields as in "requested_rewrite.prompt".

        Raises:
            InputError: names the row, the field and the fields that exist.
        """
        value: Any = self.values
        for i, part in enumerate(name.split(".")):
            if not isinstance(value, Mapping) or value.get(part) is None:
                inside = ".".join(name.split(".")[:i])
                found = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
                raise self.error(f"no field {name!r} (found{f' in {inside!r}' if inside else ''}: {found})")
            value = value[part]
        return value

    def text(self, name: str) -> str:
        """Returns a field that must be a string with something in it."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self.error(f"field {name!r} is {value!r}, not a string")
        if not value.strip():
            raise self.error(f"field {name!r} is empty")
        return value

    def texts(self, name: str) -> list[str]:
        """Returns a field that must be a list of strings."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"field {name!r} is {value!r}, not a list of strings")
        return value


@dataclass(frozen=True)
class Table:
    """The rows of one file or one split of the hub.

    Attributes:
        source: the file, as error messages name it.
        rows: field -> value each.
        revision: content hash of the file, or the hub's commit.
        schema: what was expected.
        numbers: number of each row in the file, from 1; empty where they are 1, 2, 3, …
        header: what stands beside the rows in a JSON object.
        split: name of the part, empty for a single file.
    """

    source: str
    rows: tuple[Mapping[str, Any], ...]
    revision: str
    schema: Schema
    numbers: tuple[int, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""

    def __iter__(self) -> Iterator[Row]:
        """Yields the rows in file order."""
        for i, values in enumerate(self.rows):
            number = self.numbers[i] if self.numbers else i + 1
            key = f"{self.split}/{number}" if self.split else str(number)
            yield Row(values, f"{self.source}, row {number}", key, self.schema)


def revision_of(tables: list[Table]) -> str:
    """Returns the revision of all tables together: theirs where they agree, else theirs joined by "+"."""
    return "+".join(dict.fromkeys(table.revision for table in tables))
