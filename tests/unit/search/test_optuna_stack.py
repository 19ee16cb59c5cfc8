"""What a trial's parameters stand for."""

from hypothesis import given
from hypothesis import strategies as st

from laser_lit.edits.edit import Edit
from laser_lit.search.optuna_stack import Stacks
from laser_lit.search.space import Edits, Space, place_of


class Fixed:
    """A trial whose parameters are given, within what is asked for."""

    def __init__(self, params: dict[str, object]) -> None:
        self.params = params

    def suggest_int(self, name: str, low: int, high: int) -> int:
        assert low <= self.params[name] <= high  # type: ignore[operator]
        return self.params[name]  # type: ignore[return-value]

    suggest_float = suggest_int  # type: ignore[assignment]

    def suggest_categorical(self, name: str, choices: list[str]) -> object:
        assert self.params[name] in choices
        return self.params[name]


def trial_of(stacks: Stacks, edits: list[tuple[str, int, str, float]]) -> Edits:
    """Returns the stack of a trial that asks for these edits: matrix, layer, kind, share of the way between ranks."""
    params: dict[str, object] = {"edits": len(edits)}
    for number, (matrix, layer, kind, share) in enumerate(edits):
        params |= {f"matrix_{number}": matrix, f"layer_{number}": layer, f"kind_{number}": kind}
        params |= {} if kind == "zero" else {f"log_rank_{number}": share}
    return stacks.of(Fixed(params))


def test_parameters_become_the_nearest_candidates(matrices):
    stacks = Stacks(Space.of(matrices, matrix=["fc_in", "q_proj"], ranks=(1, 2, 8)), 3)
    assert trial_of(stacks, [("fc_in", 1, "low_rank", 0.4)]) == (Edit(1, "fc_in", rank=2),)
    assert trial_of(stacks, [("fc_in", 1, "low_rank", 1.0)]) == (Edit(1, "fc_in", rank=8),)
    several = trial_of(stacks, [("q_proj", 0, "low_rank", 0.0), ("fc_in", 1, "low_rank", 0.0)])
    assert several == (Edit(1, "fc_in", rank=1), Edit(0, "q_proj", rank=1))


def test_a_taken_matrix_gives_way_to_a_free_layer_or_is_left_out(matrices):
    stacks = Stacks(Space.of(matrices, matrix=["fc_in", "q_proj"], ranks=(1, 2)), 3)
    twice = [("fc_in", 1, "low_rank", 0.0), ("fc_in", 1, "low_rank", 1.0)]
    assert trial_of(stacks, twice) == (Edit(0, "fc_in", rank=2), Edit(1, "fc_in", rank=1))
    assert len(trial_of(stacks, [*twice, twice[0]])) == 2


def test_kind_zero_has_no_rank(matrices):
    stacks = Stacks(Space.of(matrices, matrix="fc_in", ranks=(1, 2), kinds=("low_rank", "zero", "prune")), 2)
    assert trial_of(stacks, [("fc_in", 0, "zero", 0.3)]) == (Edit(0, "fc_in", kind="zero"),)
    assert trial_of(stacks, [("fc_in", 0, "prune", 1.0)]) == (Edit(0, "fc_in", rank=2, kind="prune"),)


@given(st.data())
def test_every_trial_is_a_stack_of_the_space(data):
    edits = tuple(
        Edit(layer, matrix, rank=rank, part=part)
        for part, layer, matrix in (("encoder", 0, "fc_in"), ("decoder", 0, "fc_in"), ("decoder", 5, "q_proj"))
        for rank in data.draw(st.lists(st.integers(1, 4096), min_size=1, max_size=5, unique=True).map(sorted))
    )
    names = st.sampled_from(["encoder fc_in", "decoder fc_in", "decoder q_proj"])
    edit = st.tuples(names, st.integers(0, 5), st.just("low_rank"), st.floats(0, 1))
    stack = trial_of(Stacks(Space(edits), 9), data.draw(st.lists(edit, min_size=1, max_size=3)))
    assert 1 <= len(stack) <= 3
    assert set(stack) <= set(edits)
    assert len({place_of(edit) for edit in stack}) == len(stack)
