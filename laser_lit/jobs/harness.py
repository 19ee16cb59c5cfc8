"""lm-evaluation-harness as a process of its own, and what it wrote."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from omegaconf import DictConfig

from laser_lit.data.harness import require_harness, shadows, task_folders
from laser_lit.errors import InputError

COUNT = "sample_len"
"""Stands among the harness's metrics and is the number of documents."""
LAST_LINES = 25
"""Lines of the harness's own messages that are shown where it fails."""


@dataclass(frozen=True)
class HarnessResults:
    """What the harness said.

    Attributes:
        numbers: task or group -> metric, as in "acc" or "exact_match", -> value; of several filters the first.
        samples: "task/number" of a document -> its entry in the harness's samples file.
        version: of the harness.
    """

    numbers: Mapping[str, Mapping[str, float]]
    samples: Mapping[str, Mapping[str, Any]]
    version: str


def run_harness(config: DictConfig, model: str) -> HarnessResults:
    """Returns the harness's results on a model, with `data.task` and the other settings of the config.

    The process does not search this folder or those of PYTHONPATH that have a file evaluate.py, so that the harness
    finds the package `evaluate`; it reads the same environment otherwise (HF_HUB_OFFLINE, caches).

    Args:
        config: the whole evaluation config.
        model: a folder in transformers' format or a hub id.

    Raises:
        InputError: the harness is not installed, or fails; its last lines are in the message.
    """
    require_harness()
    with TemporaryDirectory(prefix="lm_eval-") as folder:
        line = harness_command(config, model, Path(folder))
        done = subprocess.run(line, env=harness_environment(os.environ), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
            raise InputError(f"lm-evaluation-harness ended with exit code {done.returncode}:\n{said}")
        return read_results(Path(folder))


def harness_command(config: DictConfig, model: str, output: Path) -> list[str]:
    """Returns the command line.

    Args:
        config: the whole evaluation config.
        model: a folder in transformers' format or a hub id.
        output: folder for its results and samples.
    """
    settings = config.model
    arguments = {
        "pretrained": model,
        "dtype": settings.dtype,
        "revision": settings.revision if model == settings.path else None,
        "trust_remote_code": settings.trust_remote_code or None,
        "max_length": config.max_length,
        "parallelize": True if settings.device_map else None,
    }
    given = json.dumps({key: value for key, value in arguments.items() if value is not None})
    front = [sys.executable, "-P", "-m", "lm_eval", "run", "--model", "hf", "--model_args", given, "--log_samples"]
    return [*front, *_options(config, output)]


def _options(config: DictConfig, output: Path) -> list[str]:
    """Returns the options that have a value, each before its own."""
    data = config.data
    options = {
        "--tasks": data.task,
        "--num_fewshot": data.num_fewshot,
        "--limit": data.first_rows,
        "--batch_size": config.batch_size,
        "--device": _device(config),
        "--output_path": output,
    }
    folders = task_folders(data)
    if len(folders) > 1:
        raise InputError(f"task=lm_eval: the harness takes one folder of tasks, and data.path names {len(folders)}")
    if folders:
        options["--include_path"] = folders[0]
    return [str(part) for option in options.items() if option[1] is not None for part in option]


def _device(config: DictConfig) -> str:
    wanted = config.trainer.accelerator
    return "cuda" if wanted in ("auto", "gpu", "cuda") and torch.cuda.is_available() else "cpu"


def harness_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for a process that imports `evaluate`, and for those that it starts.

    Args:
        given: this process's.
    """
    kept = [entry for entry in given.get("PYTHONPATH", "").split(os.pathsep) if entry and not shadows(Path(entry))]
    return {**given, "PYTHONPATH": os.pathsep.join(kept), "PYTHONSAFEPATH": "1"}


def read_results(folder: Path) -> HarnessResults:
    """Returns what the harness wrote below a folder.

    Args:
        folder: its --output_path, of one run.

    Raises:
        InputError: there are no results.
    """
    files = sorted(folder.rglob("results_*.json"))
    if len(files) != 1:
        raise InputError(f"lm-evaluation-harness left {len(files)} files of results in {folder}")
    content = json.loads(files[0].read_text(encoding="utf-8"))
    numbers = {task: _numbers(entry) for task, entry in content["results"].items()}
    return HarnessResults(numbers, _samples(files[0].parent), str(content.get("lm_eval_version")))


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in entry.items():
        metric = key.partition(",")[0]
        if metric != COUNT and "_stderr" not in key and isinstance(value, int | float) and math.isfinite(value):
            found.setdefault(metric, float(value))
    return found


def _samples(folder: Path) -> dict[str, dict[str, Any]]:
    samples: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("samples_*.jsonl")):
        task = file.name.removeprefix("samples_").rpartition("_")[0]
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            samples.setdefault(f"{task}/{entry['doc_id']}", entry)  # a row a filter, the first filter's first
    return samples
