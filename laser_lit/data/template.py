"""Templates that turn a row into text: "{question} Answer:"."""

import re

from laser_lit.data.table import Row
from laser_lit.errors import InputError

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|\\n")


def fields_of(template: str, setting: str) -> list[str]:
    """Returns the fields that a template names.

    Args:
        template: text with fields in braces ("{meta.title}" goes inside); "{{" and "}}" stand for braces and a
            backslash with an n for a new line.
        setting: what the user typed it after, for errors.

    Raises:
        InputError: a brace is not closed, a field has no name, or there is no field at all.
    """
    fields = []
    for match in _FIELD.finditer(template):
        if match[0] in ("{", "}") or (match[1] is not None and not match[1].strip()):
            raise InputError(
                f"{setting} {template!r}: bad brace at character {match.start() + 1}; write {{field}}, or {{{{"
            )
        if match[1] is not None:
            fields.append(match[1].strip())
    if not fields:
        raise InputError(
            f"{setting} {template!r}: names no field; write the row's fields in braces, as in '{{question}}'"
        )
    return fields


def fill(template: str, row: Row) -> str:
    """Returns the template with a row's values in the fields' places; lists are joined by new lines."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "\n" if match[0] == r"\n" else match[0][0]
        found = row.value(match[1].strip())
        return "\n".join(map(str, found)) if isinstance(found, list) else str(found)

    return _FIELD.sub(value, template)
