"""What an edit may say, and how it is told what is wrong."""

import numpy as np
import pytest

from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"rho": 1.7}, r"rho 1.7 for layer 27 fc_in: must lie in [0, 1]"),
        ({"rho": -0.1}, r"rho -0.1 for layer 27 fc_in: must lie in [0, 1]"),
        ({"rho": 1.7, "kind": "prune"}, r"rho 1.7 for layer 27 fc_in: must lie in [0, 1]"),
        ({"rho": "much"}, r"rho 'much' for layer 27 fc_in: must be a number"),
        ({"rate": 10}, r"rate 10 for layer 27 fc_in: must lie in [0, 10)"),
        ({"rank": 0}, r"rank 0 for layer 27 fc_in: must be at least 1 (kind=zero removes the matrix)"),
        ({"rank": -3}, r"rank -3 for layer 27 fc_in: must be at least 1"),
        ({"rank": 2.0}, r"rank 2.0 for layer 27 fc_in: must be a whole number"),
        ({"rank": True}, r"rank True for layer 27 fc_in: must be a whole number"),
        ({}, r"nothing says how much to keep for layer 27 fc_in: give one of rho, rank, rule, rate"),
        ({"rho": 0.1, "rank": 3}, r"rho 0.1 and rank 3 given for layer 27 fc_in: give one of rho, rank, rule, rate"),
        ({"rule": "energy", "rate": 9}, r"rule energy and rate 9 given for layer 27 fc_in"),
        ({"rho": 0.1, "kind": "zero"}, r"rho 0.1 for kind zero of layer 27 fc_in: it removes the whole matrix"),
        ({"rule": "energi"}, r"unknown rule 'energi'; nearest: energy"),
        ({"rule": "energy:2"}, r"in (0, 1]"),
        ({"rho": 0.1, "kind": "lowrank"}, r"unknown kind of layer 27 fc_in 'lowrank'; nearest: low_rank"),
        ({"rho": 1.7, "part": "decoder", "expert": 3}, r"rho 1.7 for decoder layer 27 fc_in expert 3: must"),
    ],
)
def test_wrong_amounts_and_kinds(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        Edit(27, "fc_in", **fields)
    assert says in str(caught.value)


@pytest.mark.parametrize("layer", [None, 1.5, True, [0, None], {"a": 1}])
def test_layers_that_are_none(layer: object) -> None:
    with pytest.raises(InputError, match="of an edit: must be a whole number, all, or a list of them"):
        Edit(layer, "fc_in", rho=0.1)


@pytest.mark.parametrize("matrix", [None, 3, ["fc_in", None]])
def test_matrices_that_are_none(matrix: object) -> None:
    with pytest.raises(InputError, match="of an edit: must be a name such as fc_in"):
        Edit(0, matrix, rho=0.1)


def test_unknown_rules_are_unknown_names() -> None:
    with pytest.raises(UnknownNameError):
        Edit(0, "fc_in", rule="best")


@pytest.mark.parametrize(
    "amount", [{"rho": 0}, {"rho": "0.5"}, {"rank": np.int64(3)}, {"rate": 9.9}, {"rule": "energy:.9"}]
)
@pytest.mark.parametrize("kind", ["low_rank", "high_order", "prune"])
def test_amounts_that_are_fine(amount: dict[str, object], kind: str) -> None:
    edit = Edit("all", ["fc_in", "fc_out"], kind=kind, **amount)
    assert edit.amount == next(iter(amount))
    assert edit.target == "layer all fc_in, fc_out"
    assert edit.rank is None or type(edit.rank) is int


def test_edits_are_values() -> None:
    layers = [1, 2]
    first, second = (Edit(layers, "fc_in", rho=0.1) for _ in range(2))
    layers.append(3)
    assert first == second
    assert len({first, second}) == 1
    assert first.layer == (1, 2)
    assert Edit(0, "mlp", kind="zero").amount is None
