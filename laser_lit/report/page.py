"""Filling a page's template."""

from typing import Any

import jinja2

from laser_lit.report.wording import amount, matrix_name, value


def render_page(template: str, **values: Any) -> str:
    """Returns a page, with everything that is filled in escaped.

    Args:
        template: its file's name.
        values: what the template names.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("laser_lit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "allow_nan": False}
    environment.filters.update(value=value, amount=amount, matrix_name=matrix_name)
    return environment.get_template(template).render(**values) + "\n"
