"""`python -m laser_lit.reft import PYREFT_DIR MODEL OUT --positions f7+l7` makes a folder of ours of one of pyreft."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from laser_lit.errors import InputError
from laser_lit.files import check_new_folder
from laser_lit.models.load import load_weights
from laser_lit.reft.methods import DTYPES
from laser_lit.reft.positions import SHARES
from laser_lit.reft.pyreft import import_pyreft
from laser_lit.reft.pyreft_folder import find_folder
from laser_lit.reft.saving import save_reft


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when nothing could be written.

    Args:
        arguments: of the command line; those of this process when None.
    """
    options = _parser().parse_args(arguments)
    try:
        _import(options)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m laser_lit.reft", description="Interventions on hidden states.")
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "import",
        help="make a folder that load_reft reads of one that pyreft saved",
        description="Make a folder that load_reft reads of one that pyreft saved. pyreft does not keep at which tokens "
        "interventions work, nor their activation, dropout and type: say what they were trained with.",
    )
    command.add_argument("source", type=Path, metavar="PYREFT_DIR", help="a folder that pyreft saved")
    command.add_argument("model", metavar="MODEL", help="folder or hub id of the model they were trained on")
    command.add_argument("target", type=Path, metavar="OUT", help="a folder that does not exist or is empty")
    command.add_argument("--positions", required=True, help="tokens of the prompt: f7+l7, l1, …")
    command.add_argument("--share", choices=SHARES, help="all is pyreft's share_weights=True; else told by the number")
    command.add_argument("--act-fn", default="linear", help="default: linear")
    command.add_argument("--dropout", type=float, default=0.0, help="default: 0")
    command.add_argument("--dtype", choices=tuple(DTYPES), default="float32", help="default: float32")
    command.add_argument("--revision", help="commit, tag or branch of a model on the hub")
    return parser


def _import(options: argparse.Namespace) -> None:
    check_new_folder("OUT", options.target)
    find_folder(options.source)
    model = load_weights(options.model, revision=options.revision)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        reft = import_pyreft(
            options.source,
            model,
            positions=options.positions,
            share=options.share,
            act_fn=options.act_fn,
            dropout=options.dropout,
            dtype=options.dtype,
            id=options.model,
            revision=options.revision,
        )
    for note in notes:
        print(f"note: {note.message}", file=sys.stderr)  # noqa: T201
    save_reft(reft, options.target)
    print(f"{len(reft.edits)} sets of parameters, {reft.parameter_count:,} in all: {options.target}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
