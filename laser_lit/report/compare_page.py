"""report.html of prompts side by side: one file that needs nothing else."""

from pathlib import Path
from typing import Any

from laser_lit.files import write_text_atomic
from laser_lit.report.compare_words import changed_share, divergence, headline, parts, percent
from laser_lit.report.page import render_page
from laser_lit.results.side_by_side import Asked, Reply, SideBySide, read_side_by_side

FILE = "report.html"
LIMIT = 2000
"""Prompts on the page; compare.json has all."""


def write_compare_page(folder: Path, record: SideBySide) -> Path:
    """Writes report.html atomically, and returns its path.

    Args:
        folder: the run's.
        record: of the run.
    """
    path = folder / FILE
    write_text_atomic(path, render_compare_page(record))
    return path


def redraw_compare(folder: Path) -> Path:
    """Draws report.html again from compare.json, and returns its path.

    Args:
        folder: of a finished run of task=compare.

    Raises:
        InputError: compare.json is missing or damaged.
    """
    return write_compare_page(folder, read_side_by_side(folder))


def render_compare_page(record: SideBySide, limit: int = LIMIT) -> str:
    """Returns the page.

    Args:
        record: of the run.
        limit: largest number of prompts on it.
    """
    return render_page(
        "compare.html.j2",
        record=record,
        headline=headline(record),
        changes=[(change.variant, changed_share(change), divergence(change.kl)) for change in record.changes],
        rows=[_row(number, asked, record.variants) for number, asked in enumerate(record.asked[:limit], start=1)],
        facts=_facts(record),
    )


def _row(number: int, asked: Asked, variants: tuple[str, ...]) -> dict[str, Any]:
    replies = [asked.replies[name] for name in variants]
    infinite = any(reply.kl is None for reply in replies)
    return {
        "number": number,
        "prompt": asked.prompt,
        "answer": asked.answer,
        "tokens": asked.tokens,
        "changed": any(reply.changed for reply in replies),
        "kl": "Infinity" if infinite else f"{max(reply.kl or 0.0 for reply in replies):.6g}",
        "cells": [_cell(name, reply) for name, reply in zip(variants, replies, strict=True)],
    }


def _cell(name: str, reply: Reply) -> dict[str, Any]:
    same, other = parts(reply)
    top = [
        {
            "text": token.text,
            "share": percent(token.probability),
            "base": percent(token.base),
            "width": f"{100 * token.probability:.1f}",
        }
        for token in reply.top
    ]
    kl = divergence(reply.kl)
    return {
        "name": name,
        "same": same,
        "other": other,
        "ended": reply.ended,
        "changed": reply.changed,
        "kl": kl,
        "top": top,
    }


def _facts(record: SideBySide) -> list[tuple[str, str]]:
    """Returns what the texts come from as pairs of label and text."""
    entries: list[tuple[str, Any]] = [(f"model {name}", entry) for name, entry in record.model.items()]
    entries += [("edits from", record.stack)]
    entries += [(f"{name} of the adapter".replace("_", " "), entry) for name, entry in (record.reft or {}).items()]
    entries += [(name.replace("_", " "), entry) for name, entry in record.settings.items()]
    entries += [("device", record.device), ("commit", record.git)]
    entries += [(f"{phase}, seconds", f"{seconds:.1f}") for phase, seconds in record.seconds.items()]
    entries += list(record.versions.items())
    return [(name, f"{entry:,}" if type(entry) is int else str(entry)) for name, entry in entries if entry is not None]
