"""`python -m laser_lit.export SRC DST --format dense|factored` makes an export of one format into the other."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from laser_lit.errors import InputError
from laser_lit.export.convert import convert
from laser_lit.export.result import FORMATS
from laser_lit.export.wording import in_words


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when nothing could be written.

    Args:
        arguments: of the command line; those of this process when None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m laser_lit.export",
        description="Make a dense checkpoint of a factored one, or a factored one of a dense one and its stack.yaml.",
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="a folder that export.path= wrote")
    parser.add_argument("target", type=Path, metavar="DST", help="a folder that does not exist or is empty")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--shard-gb", type=float, help="largest weight file, in 1e9 bytes")
    parser.add_argument("--architecture", help="name or YAML file, for a family that is not known")
    options = parser.parse_args(arguments)
    typed = f"{parser.prog} {shlex.join(map(str, sys.argv[1:] if arguments is None else arguments))}"
    try:
        exported = convert(
            options.source,
            options.target,
            options.format,
            shard_gb=options.shard_gb,
            architecture=options.architecture,
            command=typed,
        )
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(in_words(exported))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
