"""Generated texts are filtered and compared by the harness's own rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.pairs import ExactMatch, Filter

pytest.importorskip("lm_eval", reason="lm-eval is not installed")

TEXT = st.text(alphabet="aAbB 12.,#-\n$", max_size=20)


@given(
    text=TEXT,
    answer=TEXT,
    regexes=st.sampled_from([(), (",",), (",", r"\$", r"(?s).*#### ")]),
    flags=st.fixed_dictionaries({f"ignore_{name}": st.booleans() for name in ("case", "punctuation", "numbers")}),
)
def test_exact_match_is_the_harness_s(text: str, answer: str, regexes: tuple[str, ...], flags: Any) -> None:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    options = {"regexes_to_ignore": list(regexes) or None, **flags}
    for given_answer in (answer, text):
        expected = exact_match_hf_evaluate(predictions=[text], references=[given_answer], **options)["exact_match"]
        assert ExactMatch(regexes_to_ignore=regexes, **flags)(text, given_answer) == bool(expected)


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("remove_whitespace", {}, {}),
        ("lowercase", {}, {}),
        ("uppercase", {}, {}),
        ("regex", {"regex_pattern": r"#### (\-?[0-9\.\,]+)"}, {"pattern": r"#### (\-?[0-9\.\,]+)"}),
        (
            "regex",
            {"regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "group_select": -1},
            {"pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "place": -1},
        ),
        ("regex", {"regex_pattern": "b+", "fallback": "none"}, {"pattern": "b+", "fallback": "none"}),
    ],
)
@given(text=TEXT)
def test_filters_are_the_harness_s(name: str, theirs: dict[str, Any], ours: dict[str, Any], text: str) -> None:
    import lm_eval.filters  # registers them
    from lm_eval.api.registry import get_filter

    assert lm_eval.filters
    expected = next(iter(get_filter(name)(**theirs).apply([[text]], [{}])))[0]
    assert Filter(name, **ours)(text) == expected


def test_a_continuation_ends_at_the_first_of_any_stop_and_is_filtered_in_order() -> None:
    match = ExactMatch(until=("", "\n\n", "Q:"), filters=(Filter("remove_whitespace"), Filter("lowercase")))
    assert match.prediction(" Yes Q: no\n\nmaybe") == "yes"
    assert match.prediction(" Yes ") == "yes"
    assert Filter("take_first")("as it is ") == "as it is "
