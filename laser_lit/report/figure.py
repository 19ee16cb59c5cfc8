"""A figure in Plotly's terms, with colours that the page fills in: it follows the reader's light or dark theme."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from plotly.offline import get_plotlyjs

LIGHT = {
    **{"--paper": "#fdfcfa", "--ink": "#22252a", "--quiet": "#5d636c", "--line": "#ddd9d2", "--soft": "#f4f1ec"},
    **{"--accent": "#1f5f8b", "--accent-soft": "#cfe1ee", "--good": "#1b6e41", "--bad": "#a8321f"},
    **{"--note-line": "#d9b65a", "--sans": "sans-serif"},
}
"""What the names of colours stand for where there is no page: the light theme of report.css."""

HEIGHT = 340
DOTTED = {"color": "--quiet", "width": 1, "dash": "dot"}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: short, for a file or an id.
        title: what it shows.
        caption: how to read it.
        data: Plotly's traces; colours are names such as "--accent".
        layout: Plotly's layout; a selector of traces is a menu in it.
    """

    name: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]

    def themed(self) -> dict[str, Any]:
        """Returns data and layout in the light theme, titled, for whatever draws Plotly's figures."""
        layout = {**self.layout, "title": {"text": self.title}, "margin": {}}
        themed: dict[str, Any] = _filled({"data": self.data, "layout": layout})
        return themed


def drawing(figures: Sequence[Figure]) -> dict[str, Any] | None:
    """Returns what a page draws its figures from: figures (by name) and Plotly's library; None without figures.

    Args:
        figures: all of the page; no two have the same name.
    """
    if not figures:
        return None
    drawn = {figure.name: {"data": figure.data, "layout": figure.layout} for figure in figures}
    return {"figures": drawn, "library": get_plotlyjs()}


def _filled(entry: Any) -> Any:
    """Returns the entry with names of colours replaced."""
    if isinstance(entry, dict):
        return {name: _filled(value) for name, value in entry.items()}
    if isinstance(entry, list):
        return [_filled(value) for value in entry]
    return LIGHT.get(entry, entry) if isinstance(entry, str) else entry


def log_axis(values: Iterable[float]) -> dict[str, Any]:
    """Returns the entries of a logarithmic axis that is marked at 1, 2 and 5 of each power of ten.

    One that spans many powers of ten is marked at these alone, and one that spans less than one as Plotly sees fit.

    Args:
        values: that it shows; those that are not positive are not drawn.
    """
    drawn = [value for value in values if value > 0]
    span = max(drawn) / min(drawn) if drawn else 1.0
    return {"type": "log", "dtick": None if span < 10 else "D2" if span < 3_000 else 1, "tickformat": "~g"}


def layout(x: str, y: str, height: int = HEIGHT, **more: Any) -> dict[str, Any]:
    """Returns the layout that all figures share.

    Args:
        x: title of the horizontal axis.
        y: title of the vertical one.
        height: in pixels.
        more: further entries; xaxis and yaxis extend what is here.
    """
    plain = {"automargin": True, "gridcolor": "--line", "linecolor": "--line", "zeroline": False, "ticks": ""}
    axes = {
        name: {**plain, "title": {"text": title, "standoff": 10}, **more.pop(name, {})}
        for name, title in (("xaxis", x), ("yaxis", y))
    }
    return {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "--sans", "color": "--ink", "size": 13},
        "hoverlabel": {"bgcolor": "--paper", "bordercolor": "--quiet", "font": {"color": "--ink"}, "align": "left"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        **axes,
        **more,
    }


def selector(
    label: str,
    options: dict[str, dict[str, Any]],
    traces: list[int] | None = None,
    layouts: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Returns a menu that changes traces; the first option is how the figure starts.

    Args:
        label: what is selected.
        options: new values of the traces by the option's name.
        traces: which traces; all when None.
        layouts: new entries of the layout, for each option in turn; none when None.
    """
    method, of = "restyle" if layouts is None else "update", [] if traces is None else [traces]
    more = [[]] * len(options) if layouts is None else [[entries] for entries in layouts]
    buttons = [
        {"label": name, "method": method, "args": [change, *entries, *of]}
        for (name, change), entries in zip(options.items(), more, strict=True)
    ]
    look = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": "--paper", "bordercolor": "--quiet"}
    return {"name": label, "buttons": buttons, **look}


def line(**ends: Any) -> dict[str, Any]:
    """Returns a dotted line as one of a layout's shapes.

    Args:
        ends: x0, x1, y0, y1, and xref or yref.
    """
    return {"type": "line", "layer": "below", "line": DOTTED, **ends}


def window(values: list[float]) -> list[float] | None:
    """Returns the range of an axis on which the gains can be told apart, though some stacks do enormous harm.

    Args:
        values: gains, at least one.

    Returns:
        Lower and upper end; None where everything fits.
    """
    best, worst = max(values), min(values)
    return [-3.0 * best, 1.15 * best] if best > 0 and worst < -4.0 * best else None
