"""`task=lm_eval`: a model under a stack, scored here and by lm-evaluation-harness, side by side."""

import gc
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.data.pairs import PairSet
from laser_lit.data.registry import load_data
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.write import export_model
from laser_lit.files import write_text_atomic
from laser_lit.jobs.calibration import calibrated
from laser_lit.jobs.check_analysis import refuse_analyses
from laser_lit.jobs.checks import check_evaluation
from laser_lit.jobs.harness import HarnessResults, run_harness
from laser_lit.jobs.laser import ConfiguredStack, configured_stack
from laser_lit.models.factored import factored_modules
from laser_lit.report.terminal import add_row, plain_table, result_console
from laser_lit.tasks.base import SPLITS
from laser_lit.tasks.language import LanguageTask

FILE = "lm_eval.json"
METRICS = {"choice": "acc", "greedy": "acc", "generate": "exact_match"}


@dataclass(frozen=True)
class Comparison:
    """One task, scored twice.

    Attributes:
        task: its name.
        metric: as the harness calls it.
        n: number of documents.
        ours: share that is right here.
        harness: the harness's number.
        largest_difference: between two log probs of one continuation (nats); None where text is generated.
        verdicts: documents that one of the two calls right and the other wrong.
    """

    task: str
    metric: str
    n: int
    ours: float
    harness: float
    largest_difference: float | None
    verdicts: int


def run(config: DictConfig) -> float:
    """Returns the share that is right here over all documents, after comparing it with the harness's.

    Raises:
        InputError: for anything in the config that does not go together, or where the harness fails.
    """
    _check(config)
    laser = configured_stack(config)
    examples = load_data(config.data)
    if not isinstance(examples, PairSet):
        raise InputError(
            f"data.task={config.data.task} measures perplexity, by word there and by token here; compare answers, or "
            "run the harness itself (docs/lm_eval.md)"
        )
    metric = "acc_norm" if config.normalize_choices and examples.scoring == "choice" else METRICS[examples.scoring]
    with _scored(config, examples, laser) as (table, model, stack):
        theirs = run_harness(config, model)
    rows = compare_tables(table, theirs, metric)
    _write(config, rows, theirs, stack)
    return float(table["correct"].astype(float).mean())


def _check(config: DictConfig) -> None:
    refuse_analyses(config)
    check_evaluation(config)
    if config.data.name != "lm_eval":
        raise InputError(
            f"task=lm_eval data={config.data.name}: the harness has its own tasks, data=lm_eval data.task=NAME"
        )
    if config.search.name != "none":
        raise InputError(
            f"task=lm_eval search={config.search.name}: search with task=language, then name what was found"
        )
    if config.export.path is not None:
        raise InputError(
            f"task=lm_eval export.path={config.export.path}: export with task=language, then score the folder"
        )
    if config.data.limit is not None or config.data.max_new_tokens is not None:
        raise InputError(
            "task=lm_eval: the harness has no data.limit and no data.max_new_tokens; data.first_rows works"
        )
    if config.trainer.devices not in (1, "1", "auto"):
        raise InputError(
            f"task=lm_eval trainer.devices={config.trainer.devices}: one process; model.device_map=auto works"
        )


@contextmanager
def _scored(
    config: DictConfig, examples: PairSet, laser: ConfiguredStack
) -> Iterator[tuple[pd.DataFrame, str, Stack | None]]:
    """Yields our table of all documents, where the model that was scored lies (no longer in memory), and its stack."""
    with TemporaryDirectory(prefix="laser_lit-") as temporary:
        task = LanguageTask(config, examples)
        if factored_modules(task.model):
            raise InputError(
                f"{config.model.path} has thin factors, which the harness cannot read; make them whole matrices: "
                f"python -m laser_lit.export {config.model.path} NEW --format dense"
            )
        stack = calibrated(laser.on(task.matrices), task, config).stack
        table = pd.concat([task.score(stack, split) for split in SPLITS], ignore_index=True)
        place = str(config.model.path)
        if stack is not None:
            place = str(Path(temporary) / "model")
            export_model(task.model, stack, place, matrices=task.matrices, tokenizer=task.tokenizer)
        del task
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield table, place, stack


def compare_tables(table: pd.DataFrame, theirs: HarnessResults, metric: str) -> list[Comparison]:
    """Returns a row a task.

    Args:
        table: ours, of every document that the harness had.
        theirs: the harness's.
        metric: of the harness, which `correct` in the table stands for.

    Raises:
        InputError: the harness had other documents, or measures something else.
    """
    missing = set(table["id"]) ^ set(theirs.samples)
    if missing:
        raise InputError(
            f"the harness asked {len(theirs.samples)} documents and {len(table)} were asked here; "
            f"the first that only one of them has is {min(missing)}"
        )
    tasks = table["id"].str.rpartition("/")[0]
    return [_compared(str(name), part, theirs, metric) for name, part in table.groupby(tasks, sort=False)]


def _compared(name: str, part: pd.DataFrame, theirs: HarnessResults, metric: str) -> Comparison:
    samples = [theirs.samples[identity] for identity in part["id"]]
    correct = part["correct"].astype(bool)
    if metric not in theirs.numbers.get(name, {}) or metric not in samples[0]:
        measured = ", ".join(theirs.numbers.get(name, {})) or "nothing"
        raise InputError(f"the harness measures {measured} on {name}, and {metric} is what can be compared here")
    verdicts = [bool(sample[metric]) for sample in samples]
    pairs = [_log_probs(row, sample) for row, sample in zip(part.to_dict("records"), samples, strict=True)]
    differences = [abs(ours - other) for own, others in pairs for ours, other in zip(own, others, strict=True)]
    return Comparison(
        name,
        metric,
        len(part),
        float(correct.mean()),
        theirs.numbers[name][metric],
        max(differences) if metric != "exact_match" else None,
        int(sum(ours != other for ours, other in zip(correct, verdicts, strict=True))),
    )


def _log_probs(row: Mapping[Any, Any], sample: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Returns the summed log prob of every continuation: ours and the harness's; nothing of generated text."""
    responses = [response[0] for response in sample["resps"]]
    if isinstance(responses[0], str):
        return [], []
    choices = row["choice_log_probs"]
    ours = [-row["log_loss"] * row["n_tokens"]] if choices is None else list(choices)
    return ours, [float(response[0]) for response in responses[: len(ours)]]


def _write(config: DictConfig, rows: Sequence[Comparison], theirs: HarnessResults, stack: Stack | None) -> None:
    """Writes lm_eval.json and prints the table."""
    content = {
        "tasks": [asdict(row) for row in rows],
        "edits": [] if stack is None else [asdict(edit) for edit in stack.edits],
        "harness": {"version": theirs.version, "results": theirs.numbers},
        "config": plain(config),
    }
    path = Path(config.paths.output) / FILE
    write_text_atomic(path, json.dumps(content, indent=1, default=str, allow_nan=False) + "\n")
    table = plain_table("Here and in lm-evaluation-harness")
    for heading in ("task", "metric", "documents", "here", "harness", "log probs differ by", "verdicts differ"):
        table.add_column(heading)
    for row in rows:
        most = "" if row.largest_difference is None else f"{row.largest_difference:.1e}"
        shares = (f"{100 * row.ours:.2f}%", f"{100 * row.harness:.2f}%")
        add_row(table, row.task, row.metric, str(row.n), *shares, most, str(row.verdicts))
    console = result_console()
    console.print(table)
    console.print(f"written to {path}", style="dim", highlight=False, soft_wrap=True)
    if any(not math.isclose(row.ours, row.harness, abs_tol=1e-9) for row in rows):
        console.print("The two disagree: half precision, or another batch size, may turn a near tie.", style="yellow")
