import numpy as np
import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.results.compare import compare


def test_gain_counts_fixed_and_broken_and_pairs_by_id(tables):
    base, laser = tables()
    laser.loc[laser["group"] == "g0", "correct"] = ~base.loc[base["group"] == "g0", "correct"]
    gain = compare(base, laser.sample(frac=1.0, random_state=0))
    assert gain == compare(base, laser)
    difference = laser["correct"].astype(int) - base["correct"].astype(int)
    assert (gain.fixed, gain.broken) == ((difference == 1).sum(), (difference == -1).sum())
    assert gain.accuracy == pytest.approx(difference.mean())
    assert (gain.n, gain.n_groups) == (120, 40)
    assert gain.ci95[0] <= gain.accuracy <= gain.ci95[1]


def test_less_log_loss_is_a_gain(tables):
    base, laser = tables()
    gain = compare(base, laser)
    assert gain.log_loss == pytest.approx((base["log_loss"] - laser["log_loss"]).mean())
    assert gain.log_loss > 0
    assert gain.log_loss_p < 0.01


def test_p_over_groups_is_larger_than_mcnemars_where_groups_move_together(tables):
    gain = compare(*tables())
    assert gain.p > gain.mcnemar_p


def test_table_against_itself_gains_nothing(tables):
    base, _ = tables()
    gain = compare(base, base)
    assert (gain.accuracy, gain.p, gain.mcnemar_p, gain.log_loss, gain.log_loss_p) == (0, 1, 1, 0, 1)
    assert gain.ci95 == (0.0, 0.0)


def test_text_without_answers_has_a_log_loss_gain_only(tables):
    base, laser = (table.drop(columns="correct").assign(tokens=np.arange(1, 121)) for table in tables())
    gain = compare(base, laser, weight="tokens")
    assert gain.accuracy is gain.p is gain.fixed is gain.mcnemar_p is None
    assert gain.log_loss == pytest.approx(np.average(base["log_loss"] - laser["log_loss"], weights=base["tokens"]))


def test_weights_count_in_every_mean_and_equal_ones_change_nothing(tables):
    base, laser = tables()
    weights = np.linspace(0.5, 1.5, len(base))
    gain = compare(base.assign(w=weights), laser, weight="w")
    plain = compare(base, laser)
    difference = laser["correct"].astype(int) - base["correct"].astype(int)
    assert gain.accuracy == pytest.approx(np.average(difference, weights=weights))
    assert gain.log_loss == pytest.approx(np.average(base["log_loss"] - laser["log_loss"], weights=weights))
    assert (gain.fixed, gain.broken, gain.mcnemar_p) == (plain.fixed, plain.broken, plain.mcnemar_p)
    assert gain.ci95 != plain.ci95
    assert compare(base.assign(w=1.0), laser, weight="w") == plain


def test_infinite_log_loss_gives_no_log_loss_gain(tables):
    base, laser = tables()
    laser.loc[3, "log_loss"] = np.inf
    gain = compare(base, laser)
    assert gain.log_loss is gain.log_loss_ci95 is gain.log_loss_p is None
    assert gain.accuracy is not None


def test_one_group_has_a_gain_without_an_interval(tables):
    gain = compare(*tables(groups=1, size=5))
    assert (gain.n, gain.n_groups, gain.ci95, gain.p) == (5, 1, None, 1.0)


def test_wrong_tables_say_what_is_wrong(tables):
    base, laser = tables()
    with pytest.raises(InputError, match="no examples"):
        compare(base.iloc[:0], laser.iloc[:0])
    with pytest.raises(InputError, match="needs id, group"):
        compare(base.drop(columns="group"), laser)
    with pytest.raises(InputError, match="ids are in one of them only"):
        compare(base, laser.iloc[1:])
    with pytest.raises(InputError, match="more than once"):
        compare(pd.concat([base, base]), laser)
    with pytest.raises(InputError, match="another group"):
        compare(base, laser.assign(group="x"))
