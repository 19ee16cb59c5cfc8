"""What the surrogate learns from scored candidates: which predictions to believe."""

import pytest

from laser_lit.edits.edit import Edit
from laser_lit.search.slopes import Forecast
from laser_lit.search.surrogate import MOST, Surrogate

NAMES = ("fc_in", "fc_out", "k_proj", "q_proj")


def candidates(ranks: tuple[int, ...] = (1, 4, 16)) -> dict[Edit, Forecast]:
    """Returns forecasts in which lower ranks and earlier names look better, and fc_in best of all."""
    return {
        Edit(layer, name, rank=rank): Forecast(-(0.8 - 0.1 * number) / (1 + layer) / rank**0.5, 0.9 / rank**0.25)
        for layer in range(3)
        for number, name in enumerate(NAMES)
        for rank in ranks
    }


def test_the_first_is_the_best_predicted_of_equal_size() -> None:
    found = {edit: Forecast(each.change, 0.5) for edit, each in candidates().items()}
    assert Surrogate(found).most_promising(found) == Edit(0, "fc_in", rank=1)


def test_a_bad_surprise_is_carried_over_to_the_name_more_than_to_others() -> None:
    found = {edit: Forecast(-0.5, 0.5) for edit in candidates()}
    surrogate = Surrogate(found)
    surrogate.observe(seen := Edit(0, "fc_in", rank=1), found.pop(seen), 1.0)
    order = []
    left = dict(found)
    while left:
        order.append(surrogate.most_promising(left))
        left.pop(order[-1])
    assert {edit.matrix for edit in order[:27]} == {"fc_out", "k_proj", "q_proj"}
    assert {edit.matrix for edit in order[27:]} == {"fc_in"}
    assert {edit.layer for edit in order[-2:]} == {0}  # the very matrix comes last


def test_a_good_surprise_keeps_it_there() -> None:
    found = {edit: Forecast(-0.5, 0.5) for edit in candidates()}
    surrogate = Surrogate(found)
    surrogate.observe(seen := Edit(2, "k_proj", rank=1), found.pop(seen), -1.2)
    chosen = surrogate.most_promising(found)
    assert (chosen.layer, chosen.matrix) == (2, "k_proj")


def test_a_large_cut_says_little_of_a_small_one() -> None:
    small, large, other = Edit(0, "fc_in", rank=30), Edit(1, "fc_in", rank=1), Edit(0, "k_proj", rank=1)
    forecasts = {small: Forecast(-0.3, 0.2), large: Forecast(-0.5, 0.9), other: Forecast(-0.1, 0.2)}
    surrogate = Surrogate(forecasts)
    surrogate.observe(Edit(0, "fc_in", rank=1), Forecast(-0.6, 0.95), 2.0)
    assert surrogate.most_promising(forecasts) == small


def test_kinds_of_edits_are_told_apart() -> None:
    forecasts = {Edit(0, "fc_in", rank=2, kind=kind): Forecast(-0.5, 0.5) for kind in ("low_rank", "prune")}
    surrogate = Surrogate(forecasts)
    surrogate.observe(Edit(1, "fc_in", rank=2), Forecast(-0.5, 0.5), 0.5)
    assert surrogate.most_promising(forecasts).kind == "prune"


@pytest.mark.parametrize("change", [float("inf"), float("nan")])
def test_what_is_no_number_teaches_nothing(change: float) -> None:
    found = candidates()
    taught, fresh = Surrogate(found), Surrogate(found)
    taught.observe(seen := Edit(0, "fc_in", rank=1), found.pop(seen), change)
    assert taught.most_promising(found) == fresh.most_promising(found)


def test_how_ruined_a_model_is_makes_no_difference() -> None:
    found = candidates()
    forecast = found.pop(seen := Edit(0, "fc_in", rank=1))
    chosen = []
    for factor in (1.0, 100.0):
        surrogate = Surrogate(candidates())
        surrogate.observe(seen, forecast, forecast.change + factor * MOST * 0.8)
        chosen.append(surrogate.most_promising(found))
    assert chosen[0] == chosen[1]


def test_predictions_of_zero_do_not_divide() -> None:
    found = {edit: Forecast(0.0, 0.5) for edit in candidates()}
    surrogate = Surrogate(found)
    surrogate.observe(seen := Edit(0, "fc_in", rank=1), found.pop(seen), 0.1)
    assert surrogate.most_promising(found) in found


def test_few_cells_find_the_best_of_a_world_with_curvature() -> None:
    """In which fc matrices cost far more than predicted, and one k_proj is the best that there is."""
    weight = {"fc_in": 0.8, "fc_out": 0.7, "q_proj": 0.6, "k_proj": 0.25}
    curvature = {"fc_in": 3.0, "fc_out": 2.0, "q_proj": 1.0, "k_proj": 0.02}
    found = {
        edit: Forecast(-weight[str(edit.matrix)] * each.size, each.size)
        for edit, each in candidates((1, 2, 4, 8, 16, 32)).items()
    }
    truth = {edit: each.change + curvature[str(edit.matrix)] * each.size**2 for edit, each in found.items()}
    best = min(truth, key=lambda edit: truth[edit])
    assert sorted(found, key=lambda edit: found[edit].change).index(best) > 40
    surrogate, left, tried = Surrogate(found), dict(found), []
    while best not in tried:
        tried.append(surrogate.most_promising(left))
        surrogate.observe(tried[-1], left.pop(tried[-1]), truth[tried[-1]])
    assert len(tried) <= 10
