"""Prompts side by side on the terminal."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from laser_lit.report.compare_words import changed_share, divergence, headline, on_one_line, parts, percent, spelled
from laser_lit.report.tables import edits_table
from laser_lit.report.terminal import add_row, paragraph, plain_table
from laser_lit.results.side_by_side import BASE, Asked, Reply, SideBySide

SHOWN = 12
"""Prompts that the terminal shows; the page has all."""
WIDTH = 100


def render_compare(record: SideBySide, folder: Path | None = None) -> RenderableType:
    """Returns what every variant says for a rich console; it fits 80 columns.

    Args:
        record: of the run.
        folder: the run's, to say where the files are.
    """
    edits = edits_table(record.edits)
    blocks: list[RenderableType] = [Text(""), Padding(_title(record), (0, 2)), Text("")]
    blocks += [] if edits is None else [Padding(edits, (0, 0, 0, 1)), Text("")]
    for number, asked in enumerate(record.asked[:SHOWN], start=1):
        blocks += [Padding(_block(number, asked, record.variants), (0, 2)), Text("")]
    more = len(record.asked) - SHOWN
    if more > 0:
        blocks += [paragraph(f"and {more:,} more prompts: report.html", "dim"), Text("")]
    blocks += [Padding(_changes(record), (0, 0, 0, 1)), Text(""), paragraph(headline(record), "bold")]
    blocks += [paragraph(f"! {warning}", "yellow") for warning in record.warnings]
    blocks += [paragraph(_legend(record), "dim")]
    if folder is not None:
        kept = "compare.json  report.html" + ("  stack.yaml" if record.stack else "")
        blocks += [Text(f"  {folder}", style="cyan", overflow="fold"), Text(f"    {kept}", style="dim")]
    return Group(*blocks, Text(""))


def _title(record: SideBySide) -> Text:
    title = Text(str(record.model["id"]), style="bold")
    title.append(f"   {' | '.join(record.variants)}", style="")
    title.append(f"   {record.model['dtype']} · {record.device} · {len(record.asked):,} prompts", style="dim")
    return title


def _block(number: int, asked: Asked, variants: tuple[str, ...]) -> Table:
    """Returns a prompt, and below it two lines a variant: what it says, and its next tokens."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=WIDTH)
    prompt = Text(on_one_line(asked.prompt), style="bold cyan")
    if asked.answer is not None:
        prompt.append(f"   true: {on_one_line(asked.answer)}", style="not bold dim")
    table.add_row(Text(str(number), style="dim"), prompt)
    for name in variants:
        reply = asked.replies[name]
        table.add_row(Text(name), _said(reply))
        table.add_row(Text(""), Text("   ".join(_next(name, reply)), style="dim"))
    return table


def _said(reply: Reply) -> Text:
    same, other = (on_one_line(part) for part in parts(reply))
    said = Text(same.lstrip(" ") if not reply.changed else same.lstrip(" ") + "│")
    said.append(other.lstrip(" ") if not same else other, style="bold yellow")
    return said.append(" ∎" if reply.ended else "", style="dim")


def _next(name: str, reply: Reply) -> Iterator[str]:
    if name != BASE:
        yield f"KL {divergence(reply.kl)}"
    for text, token in zip(spelled(reply.top), reply.top, strict=True):
        yield f"{text}\u00a0{percent(token.probability)}".replace(" %", "\u00a0%")


def _changes(record: SideBySide) -> Table:
    table = plain_table("Against the base")
    table.add_column("")
    table.add_column("other text", justify="right")
    table.add_column("mean KL, next token (nats)", justify="right")
    for change in record.changes:
        add_row(table, change.variant, changed_share(change), divergence(change.kl))
    return table


def _legend(record: SideBySide) -> str:
    """Returns what the signs mean, as far as they can occur."""
    new = f", {record.settings['max_new_tokens']} tokens at most; ∎ is where the model ends its text"
    what = f"Greedy continuations{new}" if record.kind == "causal" else "The most probable token at each mask"
    where = "next tokens" if record.kind == "causal" else "tokens at the first mask"
    return f"{what}. │ is where one departs from the base's. Below it the most probable {where}."
