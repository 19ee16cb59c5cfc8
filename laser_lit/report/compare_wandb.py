"""Prompts side by side on W&B: a table with a row a prompt, and how much each variant changes."""

from typing import Any

from laser_lit.report.compare_words import percent, spelled
from laser_lit.results.side_by_side import BASE, Asked, SideBySide


def log_compare(run: Any, record: SideBySide) -> None:
    """Adds the table and the shares to a W&B run.

    Args:
        run: of wandb.init.
        record: of the comparison.
    """
    import wandb

    columns = ["prompt", "answer"]
    for name in record.variants:
        columns += [name, f"{name}: next"] + ([] if name == BASE else [f"{name}: KL"])
    rows = [_row(asked, record.variants) for asked in record.asked]
    run.log({"compare/prompts": wandb.Table(columns=columns, data=rows)})
    for change in record.changes:
        run.summary.update(
            {f"compare/{change.variant}/changed": change.changed, f"compare/{change.variant}/kl": change.kl}
        )
    run.summary.update({"compare/count": len(rows)})


def _row(asked: Asked, variants: tuple[str, ...]) -> list[Any]:
    row: list[Any] = [asked.prompt, asked.answer]
    for name in variants:
        reply = asked.replies[name]
        named = zip(spelled(reply.top), reply.top, strict=True)
        row += [reply.text, ", ".join(f"{text} {percent(token.probability)}" for text, token in named)]
        row += [] if name == BASE else [reply.kl]
    return row
