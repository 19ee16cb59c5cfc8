"""Every case that the LASER code was run on: its exact truncations, zeroing and doing nothing, and what it fails at."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.matrices import MatrixMap, find_matrices

pytestmark = pytest.mark.reference

KINDS = {"rank-reduction": "low_rank", "dropout": "prune", "zero": "zero"}
Case = dict[str, Any]


@dataclass(frozen=True)
class Reference:
    model: nn.Module
    matrices: MatrixMap
    cases: list[Case]
    tensors: dict[str, Tensor]
    cache: FactorCache

    def chosen(self, intervention: str) -> list[Case]:
        return [
            case
            for case in self.cases
            if case["status"] == "ok" and case["lname"] != "dont" and case["intervention"] == intervention
        ]

    def logits(self) -> Tensor:
        inputs = {name.removeprefix("in."): t for name, t in self.tensors.items() if name.startswith("in.")}
        with torch.no_grad():
            return self.model(**inputs).logits

    def weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def stack(self, case: Case) -> Stack:
        amount = {} if case["intervention"] == "zero" else {"rate": case["rate"]}
        layer = "all" if case["lnum"] == -1 else case["lnum"]
        edit = Edit(layer, case["lname"], kind=KINDS.get(case["intervention"], case["intervention"]), **amount)
        return Stack([edit], cache=self.cache)


@pytest.fixture(scope="module", params=["gptj_tiny", "llama_tiny"])
def reference(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = shared / "reference" / "laser"
    model = AutoModelForCausalLM.from_pretrained(folder / "models" / request.param, dtype=torch.float32).eval()
    return Reference(
        model,
        find_matrices(model),
        json.loads((folder / f"{request.param}.json").read_text())["cases"],
        load_file(folder / f"{request.param}.safetensors"),
        FactorCache(tmp_path_factory.mktemp("factors")),
    )


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, float]:
    return {
        name: float(torch.linalg.vector_norm(after[name].double() - before[name].double()))
        for name in before
        if not torch.equal(before[name], after[name])
    }


def test_doing_nothing_gives_the_base(reference: Reference) -> None:
    for stack in (Stack([]), Stack([Edit("all", "all", rho=1)], cache=reference.cache)):
        before = reference.weights()
        with stack.applied(reference.matrices):
            assert changed(before, reference.weights()) == {}
            torch.testing.assert_close(reference.logits(), reference.tensors["out.base"], atol=1e-4, rtol=0)
    (dont,) = [case for case in reference.cases if case["lname"] == "dont"]
    official = reference.tensors[f"out.official.{dont['id']}"]
    torch.testing.assert_close(reference.logits(), official, atol=1e-4, rtol=0)


def in_range(case: Case) -> bool:
    """Whether the reference's rank is one that a rank reduction may have here."""
    return 0 <= case["rate"] < 10 and all(row["requested_rank"] > 0 for row in case["changed"])


def test_rank_reduction_is_the_exact_truncation(reference: Reference) -> None:
    before = reference.weights()
    cases = [case for case in reference.chosen("rank-reduction") if in_range(case)]
    assert len(cases) > 80
    for case in cases:
        with reference.stack(case).applied(reference.matrices) as rows:
            distances = changed(before, reference.weights())
            logits = reference.logits()
        assert {row.name: row.rank for row in rows} == {row["name"]: row["requested_rank"] for row in case["changed"]}
        for row in case["changed"]:
            assert distances.pop(row["name"], 0.0) == pytest.approx(row["fro_dist_exact_svd"], abs=1e-5), case["id"]
        assert distances == {}
        exact = reference.tensors[f"out.exact.{case['id']}"]
        torch.testing.assert_close(logits, exact, atol=1e-4, rtol=0, msg=lambda text, case=case: f"{case}: {text}")
    assert changed(before, reference.weights()) == {}


def test_ranks_that_are_none_are_refused_and_what_they_did_is_said_otherwise(reference: Reference) -> None:
    before = reference.weights()
    cases = [case for case in reference.chosen("rank-reduction") if not in_range(case)]
    assert {case["rate"] for case in cases} == {9.9, 9.95, 10.0, -1.0}
    for case in cases:
        with pytest.raises(InputError, match=r"rate|smallest valid rho"):
            reference.stack(case).resolve(reference.matrices)
        removed = case["changed"][0]["requested_rank"] == 0
        said = Edit(case["lnum"], case["lname"], **({"kind": "zero"} if removed else {"rho": 1}))
        with Stack([said]).applied(reference.matrices):
            distances, logits = changed(before, reference.weights()), reference.logits()
        for row in case["changed"]:
            assert distances.pop(row["name"], 0.0) == pytest.approx(row["fro_dist_exact_svd"], abs=1e-5)
        torch.testing.assert_close(logits, reference.tensors[f"out.exact.{case['id']}"], atol=1e-4, rtol=0)


def test_zero_is_what_the_reference_does(reference: Reference) -> None:
    before = reference.weights()
    cases = reference.chosen("zero")
    assert len(cases) >= 12
    for case in cases:
        with reference.stack(case).applied(reference.matrices) as rows:
            distances, logits = changed(before, reference.weights()), reference.logits()
        assert {row.relative_error for row in rows} == {1.0}
        assert distances == pytest.approx({row["name"]: row["fro_dist"] for row in case["changed"]}, abs=1e-5)
        official = reference.tensors[f"out.official.{case['id']}"]
        torch.testing.assert_close(logits, official, atol=1e-4, rtol=0)


def test_pruning_leaves_an_exact_count_where_the_reference_zeroes_one_more(reference: Reference) -> None:
    before = reference.weights()
    cases = reference.chosen("dropout")
    assert len(cases) >= 20
    for case in cases:
        share = 1 - Decimal(str(case["rate"])) / 10
        with reference.stack(case).applied(reference.matrices):
            after, logits = reference.weights(), reference.logits()
        distances = changed(before, after)
        assert set(distances) == {row["name"] for row in case["changed"]}
        off_by_one = False
        for row in case["changed"]:
            pruned = row["numel"] - int((after[row["name"]] != 0).sum())
            assert pruned == row["numel"] - int(share * row["numel"]), case["id"]
            whole = share * row["numel"] % 1 == 0
            assert row["n_zero"] == pruned + whole
            off_by_one |= whole
            assert distances[row["name"]] <= row["fro_dist"] + 1e-5
            if not whole:
                assert distances[row["name"]] == pytest.approx(row["fro_dist"], abs=1e-5)
        if not off_by_one:
            official = reference.tensors[f"out.official.{case['id']}"]
            torch.testing.assert_close(logits, official, atol=1e-4, rtol=0)


def test_what_the_reference_fails_at_is_done_right_or_refused(reference: Reference) -> None:
    before = reference.weights()
    cases = [case for case in reference.cases if case["status"] == "error"]
    assert len(cases) >= 9
    for case in cases:
        with pytest.raises(InputError) as caught, reference.stack(case).applied(reference.matrices):
            pass
        assert "Must update" not in str(caught.value)
        assert changed(before, reference.weights()) == {}
