"""Every figure about searches in one run: the engine, the gradient, the race, and gap against cost.

    python benchmarks/search.py

Runs the scripts below one after the other on one thread; each says at its top what it measures and how, and can be run
by itself. The last line is the union of their last lines, a JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = ("search_engine.py", "search_gradient.py", "search_racing.py", "search_curves.py")


def figures(script: str) -> dict[str, Any]:
    """Returns the last line of a script, whose output is passed on as it comes."""
    line = [sys.executable, str(Path(__file__).with_name(script))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    last = ""
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for last in process.stdout or ():
            print(last, end="", flush=True)
    if process.returncode:
        raise SystemExit(f"{script} failed")
    found: dict[str, Any] = json.loads(last)
    return found


def main() -> None:
    """Runs the scripts, prints the union of what they found."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found: dict[str, Any] = {}
    for script in SCRIPTS:
        print(f"== {script}")
        found |= figures(script)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
