"""Does rank reduction make a decision transformer solve more of Sokoban? Runs of evaluate.py, and what they say.

    python benchmarks/sokoban_study.py                 what the records say
    python benchmarks/sokoban_study.py --run           makes the records that are missing, then the same

A run trains a policy on trajectories with one kind and level of noise, tries every layer × matrix × rank on 1,000
validation rooms, and tests the best once on 8,000 other rooms, one start each, paired. Numbers of optimizer steps are
fixed, so that a run repeats. A run that is interrupted goes on where it was. A record is what evaluate.py wrote, in
short.

uniform  each episode plays without noise or takes any action instead of the best one with the given probability
generic  the best actions are played, but the target of a step is "up" with the given probability

All training seeds are tested on the same rooms, so that intervals over seeds are about these rooms. A run in which no
edit beat the base on validation has "none" for an edit, and a difference of 0.

Beside LASER stands the simplest remedy, tuned on the same validation rooms: a constant taken from the logit of "up".
Where none helps there, the constant is 0, and so is its difference.

What the levels of one noise say together is the mean over them of each training seed that has them all, with an
interval over these seeds.
The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from scipy import stats

from laser_lit.files import append_line
from laser_lit.lit.threads import one_thread
from laser_lit.results.predictions import read_predictions
from laser_lit.results.record import read_record
from laser_lit.results.verdict import Verdict, verdict
from rl.data import SolvedLevels, solved_levels
from rl.decision_transformer import Policy, load_policy
from rl.rollout import rollout
from rl.sokoban.rules import ACTIONS

HERE = Path(__file__).parent
RECORDS = HERE / "sokoban_study.jsonl"
NOISE = {"uniform": (0.1, 0.3, 0.5), "generic": (0.2, 0.4, 0.6)}
SEEDS = (0, 1, 2)
STEPS, VALIDATION, TEST = 2000, 1000, 8000
RHO = (0.01, 0.05, 0.15, 0.3, 0.5, 0.75)
BIASES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Constants that are tried on the logit of the generic action."""


@dataclass(frozen=True)
class Regime:
    """One kind and level of noise, and one training seed."""

    noise: str
    level: float
    seed: int

    @property
    def name(self) -> str:
        """Of the record and of the run's folder."""
        return f"{self.noise}-{self.level}-{self.seed}"

    def overrides(self) -> list[str]:
        """Returns what is typed after `python evaluate.py`."""
        rates, generic = ([0.0, self.level], 0.0) if self.noise == "uniform" else ([0.0], self.level)
        return [
            "task=sokoban",
            "search=grid",
            f"search.rho={list(RHO)}".replace(" ", ""),
            f"data.trajectories.rates={rates}".replace(" ", ""),
            f"data.trajectories.generic={generic}",
            f"data.trajectories.seed={self.seed}",
            f"policy.seed={self.seed}",
            f"policy.steps={STEPS}",
            f"data.levels.validation={VALIDATION}",
            f"data.levels.test={TEST}",
            "trainer=cpu",
            "logger=none",
        ]


def regimes() -> Iterator[Regime]:
    """Yields all runs, every level of every noise with one seed before the next seed."""
    for seed in SEEDS:
        for noise, levels in NOISE.items():
            for level in levels:
                yield Regime(noise, level, seed)


def run(regime: Regime, runs: Path) -> None:
    """Makes the record of a regime, unless it is there."""
    if any((one["noise"], one["level"], one["seed"]) == tuple(asdict(regime).values()) for one in records()):
        return
    folder = runs / regime.name
    command = [sys.executable, str(HERE.parent / "evaluate.py"), *regime.overrides()]
    command += [f"paths.results={folder / 'results'}", f"hydra.run.dir={folder}"]
    subprocess.run(command, check=True)
    append_line(RECORDS, json.dumps(record_of(regime, folder), allow_nan=False))


def records() -> list[dict[str, Any]]:
    """Returns the records that there are."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.is_file() else []
    return [json.loads(line) for line in lines]


def record_of(regime: Regime, folder: Path) -> dict[str, Any]:
    """Returns a finished run in short, with the control beside it."""
    record, tables = read_record(folder), read_predictions(folder)
    if record.validation is None:
        raise SystemExit(f"{folder}: no validation on record")
    said = {"base": record.test.base, "laser": record.test.laser}
    said |= {"validation_base": record.validation.base, "validation_laser": record.validation.laser}
    test = tables[tables["split"] == "test"]
    edit = record.edits[0] if record.edits else None
    return {
        **asdict(regime),
        **{name: None if metrics is None else metrics["accuracy"] for name, metrics in said.items()},
        "edit": None if edit is None else {"layer": edit.layer, "matrix": edit.matrix, "rank": edit.rank},
        "p": None if record.test.gain is None else record.test.gain.p,
        "laser_verdict": asdict(judged(test["base_correct"], test.get("laser_correct"), test["group"])),
        "bias": bias_of(record.config, test),
        "target_return": record.model["target_return"],
        "cells": cells_of(pd.read_parquet(folder / "cells.parquet")),
        "seconds": {name: round(value, 1) for name, value in record.seconds.items()},
        "git": record.git,
        "versions": dict(record.versions),
    }


def judged(base: pd.Series, edited: Any, groups: pd.Series) -> Verdict:
    """Returns the verdict on the share of levels solved; without an edit there is no difference."""
    after = base if edited is None else edited
    return verdict(np.asarray(after, float) - np.asarray(base, float), groups.to_numpy())


def bias_of(config: Any, test: pd.DataFrame) -> dict[str, Any]:
    """Returns what the control does: a constant off the logit of the generic action, chosen on validation."""
    data = OmegaConf.create({name: config["data"][name] for name in ("name", "path", "levels", "trajectories")})
    policy = load_policy(config["model"]["path"])
    validation, levels = solved_levels(data, "validation"), solved_levels(data, "test")
    shares = {bias: float(_solved(policy, validation, bias).mean()) for bias in BIASES}
    chosen = max(BIASES, key=lambda bias: (shares[bias], -bias))
    rows = {level.name: row for row, level in enumerate(levels.levels)}
    solved = _solved(policy, levels, chosen)[[rows[name] for name in test["id"]]]
    said = judged(test["base_correct"], solved, test["group"])
    return {"chosen": chosen, "validation": shares, "test": float(solved.mean()), "verdict": asdict(said)}


def _solved(policy: Policy, levels: SolvedLevels, bias: float) -> np.ndarray:
    offset = torch.zeros(len(ACTIONS))
    offset[ACTIONS.index("U")] = bias
    head = policy.predict_action[0]
    before = head.bias.detach().clone()
    try:
        head.bias.data -= offset
        with one_thread():
            return rollout(policy, levels.solutions.starts, target_return=policy.config.target_return).solved
    finally:
        head.bias.data.copy_(before)


def cells_of(cells: pd.DataFrame) -> list[list[Any]]:
    """Returns layer, matrix, rank and gain in levels solved of every cell of the grid."""
    columns = cells[["layer", "matrix", "rank", "gain_accuracy", "gain_log_loss"]]
    return [
        [int(layer), str(matrix), int(rank), round(float(gain), 5), round(float(loss), 5)]
        for layer, matrix, rank, gain, loss in columns.itertuples(index=False)
    ]


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Prints a row a record, then what the training seeds say of each level and of all; returns the latter."""
    print(
        "noise    level seed   base  edit                      validation    test  95 % interval        verdict    "
        "bias: test  verdict"
    )
    for one in sorted(found, key=lambda one: (one["noise"], one["level"], one["seed"])):
        print(_row(one))
    said = {}
    for noise, level in sorted({(one["noise"], one["level"]) for one in found}):
        these = [one for one in found if (one["noise"], one["level"]) == (noise, level)]
        said[f"{noise} {level}"] = {
            "seeds": len(these),
            "base": round(float(np.mean([one["base"] for one in these])), 4),
            "laser_gain_points": _mean_and_interval(_gains(these).laser),
            "bias_gain_points": _mean_and_interval(_gains(these).bias),
            "verdicts": [one["laser_verdict"]["name"] for one in these],
        }
    for name, values in said.items():
        print(f"{name}: {values}")
    return said | over_levels(found)


def over_levels(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Prints and returns the mean over the levels of each noise, of the training seeds that have them all."""
    said = {}
    for noise, gains in _gains(found).groupby("noise"):
        whole = gains.pivot(index="seed", columns="level").dropna()
        if len(whole):
            points = {f"{name}_gain_points": _mean_and_interval(whole[name].mean(axis=1)) for name in ("laser", "bias")}
            said[str(noise)] = {"seeds": len(whole), **points}
            print(f"{noise}, mean over its levels, a seed being the unit: {said[str(noise)]}")
    return said


def _gains(found: list[dict[str, Any]]) -> pd.DataFrame:
    laser = [one["laser_verdict"]["difference"] for one in found]
    bias = [one["bias"]["verdict"]["difference"] for one in found]
    return pd.DataFrame(found)[["noise", "seed", "level"]].assign(laser=laser, bias=bias)


def _row(one: dict[str, Any]) -> str:
    edit, said, bias = one["edit"], one["laser_verdict"], one["bias"]
    what = "none" if edit is None else f"layer {edit['layer']} {edit['matrix']} rank {edit['rank']}"
    gained = 0.0 if edit is None else one["validation_laser"] - one["validation_base"]
    bounds = "" if said["ci95"] is None else f"{100 * said['ci95'][0]:+.2f} to {100 * said['ci95'][1]:+.2f}"
    return (
        f"{one['noise']:8} {one['level']:5} {one['seed']:4} {one['base']:6.1%}  {what:24} {100 * gained:+10.2f} "
        f"{100 * said['difference']:+8.2f}  {bounds:18} {said['name']:10} {bias['chosen']:4} "
        f"{100 * bias['verdict']['difference']:+6.2f}  {bias['verdict']['name']}"
    )


def _mean_and_interval(gains: pd.Series) -> list[float]:
    """Returns mean and ends of the 95 % t interval over training seeds, in points; ends only of two or more."""
    mean = 100 * float(gains.mean())
    if len(gains) < 2:
        return [round(mean, 2)]
    half = float(stats.t.ppf(0.975, len(gains) - 1)) * 100 * float(gains.std(ddof=1)) / len(gains) ** 0.5
    return [round(mean, 2), round(mean - half, 2), round(mean + half, 2)]


def main() -> None:
    """Makes the missing records where that is asked for, and prints what all of them say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="make the records that are missing, about 6 minutes each")
    parser.add_argument("--only", default="", help="of these, those with this in their name, as in generic-0.4")
    parser.add_argument("--runs", type=Path, default=Path("results/sokoban_study"), help="where the runs are kept")
    arguments = parser.parse_args()
    if arguments.run:
        for regime in regimes():
            if arguments.only in regime.name:
                run(regime, arguments.runs)
    found = records()
    if not found:
        raise SystemExit(f"no records in {RECORDS}; make them with --run")
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
