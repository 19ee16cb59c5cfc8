"""Gap to the grid's best against cost, of every driver, on the built-in model and on a small trained one.

    python benchmarks/search_curves.py [--folder DIR]

Runs `evaluate.py search=…` with each driver into one results folder a subject: the built-in facts model (accuracy) and
tinystories-260k on plain text (log loss), found through LASER_LIT_SHARED (default ../shared). The report of a last run
draws the curves of its subject; here they are printed at some costs. A cost of 1 is a stack scored on all of
validation; the gradient's backward pass is not in it. The last line is a JSON object: for each subject and driver
[cost, gap] at the end, the gap in points or nats.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("LASER_LIT_SHARED", ROOT.parent / "shared"))
TEXT = SHARED / "data/text/alice_in_wonderland.txt"
QUIET = ("logger=none", "controls=false", "trainer=cpu", "trainer.progress_bar=false")
SUBJECTS = {
    "facts": ("search.rho=figure2",),
    "tinystories-260k": (
        "model=local",
        f"model.path={SHARED / 'checkpoints/tinystories-260k'}",
        "data=text",
        f"data.path={TEXT}",
        "data.window=256",
        "search.rho=figure2",
    ),
}
DRIVERS = {
    "grid": (),
    "gradient": (),
    "racing": (),
    "optuna": ("search.trials=60", "search.stack=1"),
}
COSTS = (2, 5, 10, 20, 50, 100, 200, 400)


def run(subject: str, driver: str, folder: Path) -> dict[str, Any]:
    """Returns the record of a search."""
    output = folder / subject / driver
    paths = (f"hydra.run.dir={output}", f"paths.results={folder / subject / 'results'}")
    line = [sys.executable, str(ROOT / "evaluate.py"), *SUBJECTS[subject], f"search={driver}", *DRIVERS[driver]]
    done = subprocess.run([*line, *paths, *QUIET], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    record: dict[str, Any] = json.loads((output / "result.json").read_text(encoding="utf-8"))
    return record


def gaps(record: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Returns (cost, gap to the best of the grid) of each driver; points, or nats."""
    curves = {curve["driver"]: curve for curve in record["search"]["curves"]}
    best, scale = max(curves["grid"]["merit"]), 100.0 if record["search"]["objective"] == "accuracy" else 1.0
    return {
        driver: [(cost, scale * (best - merit)) for cost, merit in zip(curve["cost"], curve["merit"], strict=True)]
        for driver, curve in curves.items()
    }


def shown(found: dict[str, list[tuple[float, float]]], base: float) -> None:
    """Prints the gap of each driver at some costs; before its first cell it has the base's."""
    print("driver    " + "".join(f"{cost:>9}" for cost in COSTS) + "      end")
    for driver, curve in found.items():
        at = [min([gap for spent, gap in curve if spent <= cost], default=base) for cost in COSTS]
        print(f"{driver:10s}" + "".join(f"{gap:9.3f}" for gap in at) + f"   {curve[-1][1]:.3f} at {curve[-1][0]:.1f}")


def main() -> None:
    """Runs every driver on every subject, prints the curves."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="where the runs go; default: a temporary folder")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ends: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for subject in SUBJECTS:
            record = [run(subject, driver, folder.resolve()) for driver in DRIVERS][-1]
            found, search = gaps(record), record["search"]
            unit = "points" if search["objective"] == "accuracy" else "nats"
            best = max(next(curve["merit"] for curve in search["curves"] if curve["driver"] == "grid"))
            print(f"{subject}: gap to the grid's best in {unit}, at a cost in whole cells")
            shown(found, (best - search["base"]) * (100.0 if unit == "points" else 1.0))
            ends[subject] = {driver: [round(value, 4) for value in curve[-1]] for driver, curve in found.items()}
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
