"""Second moments of inputs: as brute force has them, without padding, a pass at a time within memory."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from families import FAMILIES
from torch import Tensor, nn

from laser_lit.data.example import ExampleSet
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixHandle, find_matrices
from laser_lit.scoring import covariance
from laser_lit.scoring.covariance import Calibration, calibrate, drawn

SEQUENCES = [(5, 6, 7, 8, 9), (10, 11), (12, 13, 14, 15, 16), (17,), (9, 8, 7)]


def brute_force(model: nn.Module, handle: MatrixHandle) -> Tensor:
    """Returns X Xᵀ from passes of one sequence each, so that there is no padding to be left out."""
    seen: list[Tensor] = []
    module = model.get_submodule(handle.name.rpartition(".")[0])
    hook = module.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    with torch.no_grad():
        for ids in SEQUENCES:
            model(input_ids=torch.tensor([ids]))
    hook.remove()
    X = torch.cat([x.reshape(-1, x.shape[-1]) for x in seen]).double().T  # (in, tokens)
    return X @ X.T


@pytest.mark.parametrize("family", ["gptj", "gpt2", "gpt_neox", "llama", "phi3", "falcon_40b", "bert"])
def test_every_matrix_has_the_moments_of_brute_force(family: str) -> None:
    model = FAMILIES[family]()
    matrices = find_matrices(model)
    calibration = Calibration(model, SEQUENCES)
    calibration.expect(list(matrices.values()))
    for handle in matrices.values():
        C = calibration.covariance(handle)
        assert (tuple(C.shape), C.dtype) == ((handle.shape[1], handle.shape[1]), torch.float64)
        torch.testing.assert_close(C, brute_force(model, handle), rtol=1e-4, atol=1e-6)


def test_matrices_of_one_fused_tensor_share_their_moments() -> None:
    model = FAMILIES["gpt2"]()
    matrices, calibration = find_matrices(model), Calibration(model, SEQUENCES)
    fused = [calibration.covariance(handle) for id, handle in matrices.items() if id.matrix in ("q_proj", "k_proj")]
    assert len({C.data_ptr() for C in fused[:2]}) == 1


def passes_of(model: nn.Module) -> list[int]:
    """Returns a list that gets an entry for every forward pass."""
    passes: list[int] = []
    model.base_model.register_forward_pre_hook(lambda *_: passes.append(1))
    return passes


@pytest.mark.parametrize(("matrices_at_once", "times"), [(100, 1), (4, 3), (1, 10)])
def test_the_text_is_passed_as_often_as_memory_asks(matrices_at_once: int, times: int) -> None:
    model = FAMILIES["gptj"]()
    passes = passes_of(model)
    handles = [handle for handle in find_matrices(model).values() if handle.shape[1] == 16]
    assert len(handles) == 10
    one = 16**2 * 8 / 1e9
    calibration = Calibration(model, SEQUENCES, memory_gb=(matrices_at_once + 1) * one)  # and one for a product
    calibration.expect(handles)
    for handle in handles:
        calibration.covariance(handle)
    assert len(passes) == times * len({len(ids) for ids in SEQUENCES})


def test_what_comes_next_is_read_first() -> None:
    model = FAMILIES["gptj"]()
    passes = passes_of(model)
    handles = [handle for handle in find_matrices(model).values() if handle.shape[1] == 16]
    calibration = Calibration(model, SEQUENCES, memory_gb=5 * 16**2 * 8 / 1e9)  # four and a product
    calibration.expect(handles)
    for handle in handles[4:]:  # the others are known from an earlier run
        calibration.covariance(handle)
    assert len(passes) == 2 * len({len(ids) for ids in SEQUENCES})


def test_inputs_that_several_matrices_share_are_multiplied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[Tensor] = []
    product = covariance._product

    def counted(x: Tensor) -> Tensor:
        products.append(x)
        return product(x)

    monkeypatch.setattr(covariance, "_product", counted)
    model = FAMILIES["llama"]()
    handles = list(find_matrices(model).values())
    calibration = Calibration(model, SEQUENCES)
    calibration.expect(handles)
    calibration.covariance(handles[0])
    layers = 1 + max(handle.id.layer for handle in handles)
    assert len(products) == 4 * layers * len({len(ids) for ids in SEQUENCES})  # q k v, o, gate up, down


def test_one_whole_pass_however_often_it_is_asked() -> None:
    model = FAMILIES["gptj"]()
    matrices, passes = find_matrices(model), passes_of(model)
    calibration = Calibration(model, SEQUENCES)
    calibration.expect(list(matrices.values()))
    first = [calibration.covariance(handle) for handle in matrices.values()]
    again = [calibration.covariance(handle) for handle in matrices.values()]
    assert len(passes) == len({len(ids) for ids in SEQUENCES})
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_the_key_tells_text_and_weights() -> None:
    model = FAMILIES["gptj"]()
    key = Calibration(model, SEQUENCES).key
    assert key == Calibration(FAMILIES["gptj"](), SEQUENCES, memory_gb=1).key
    assert key != Calibration(model, SEQUENCES[1:]).key
    with Stack([Edit(0, "fc_in", rank=1)]).applied(model):
        assert key != Calibration(model, SEQUENCES).key


def test_edits_that_are_on_are_noticed() -> None:
    model = FAMILIES["gptj"]()
    calibration, handle = Calibration(model, SEQUENCES), next(iter(find_matrices(model).values()))
    with (
        Stack([Edit(0, "fc_in", rank=1)]).applied(model),
        pytest.raises(InputError, match="its weights have changed since"),
    ):
        calibration.covariance(handle)
    assert calibration.covariance(handle).shape == (16, 16)


def test_hooks_and_modes_are_as_before() -> None:
    model = FAMILIES["llama"]()
    calibration = Calibration(model, SEQUENCES)
    for handle in find_matrices(model).values():
        calibration.covariance(handle)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_stacked_experts_are_refused_by_name() -> None:
    model = FAMILIES["mixtral"]()
    handle = next(handle for id, handle in find_matrices(model).items() if id.expert == 1)
    with pytest.raises(InputError, match=r"whitened of layer 0 fc_\w+ expert 1: .*holds stacked experts"):
        Calibration(model, SEQUENCES).covariance(handle)


def test_another_models_matrix_is_refused() -> None:
    handle = next(iter(find_matrices(FAMILIES["gptj"]()).values()))
    with pytest.raises(InputError, match="no matrix of the model"):
        Calibration(FAMILIES["gptj"](), SEQUENCES).covariance(handle)


def test_what_cannot_be_calibrated_on_is_refused() -> None:
    model = FAMILIES["gptj"]()
    with pytest.raises(InputError, match="no text"):
        Calibration(model, [])
    for gigabytes in (-1.0, float("nan")):
        with pytest.raises(InputError, match=f"memory_gb {gigabytes}: must be at least 0"):
            Calibration(model, SEQUENCES, gigabytes)
    for texts in ("", " \n", [], ["", " "]):
        with pytest.raises(InputError, match="there is no text"):
            calibrate(model, None, texts)
    with pytest.raises(InputError, match="training mode"):
        Calibration(FAMILIES["gptj"]().train(), SEQUENCES)
    with pytest.raises(InputError, match="sequence-to-sequence"):
        Calibration(FAMILIES["t5"](), SEQUENCES)


def test_draws_are_whole_sequences_each_once() -> None:
    sequences = [(n, n + 1, n + 2) for n in range(50)] + [(0, 1, 2), ()]
    some = drawn(sequences, 30, seed=0)
    assert len(some) == 10
    assert some == sorted(some)
    assert some == drawn(sequences, 30, seed=0)
    assert some != drawn(sequences, 30, seed=1)
    assert drawn(sequences, 10**6, seed=0) == sequences[:50]
    with pytest.raises(InputError, match="calibration tokens 0: must be at least 1"):
        drawn(sequences, 0, seed=0)


def test_texts_and_examples_calibrate(
    models_by_name: Callable[[str], Any], bos_tokenizer: Any, sets: Callable[..., ExampleSet]
) -> None:
    model = models_by_name("gptj")
    handle = next(iter(find_matrices(model).values()))
    texts = calibrate(model, bos_tokenizer, ["w1 w2 w3 w4", "w5 w6"])
    assert texts.key == calibrate(model, bos_tokenizer, ["w1 w2 w3 w4", "w5 w6"]).key
    assert texts.key != calibrate(model, bos_tokenizer, "w1 w2 w3 w4").key
    for calibration in (texts, calibrate(model, bos_tokenizer, sets("choice"), tokens=50)):
        assert float(calibration.covariance(handle).trace()) > 0


def test_long_inputs_are_summed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FAMILIES["gptj"]()
    handle = next(iter(find_matrices(model).values()))
    whole = Calibration(model, SEQUENCES).covariance(handle)
    monkeypatch.setattr(covariance, "CHUNK", 16)
    torch.testing.assert_close(Calibration(model, SEQUENCES).covariance(handle), whole)
