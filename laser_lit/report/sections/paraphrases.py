"""Are the right answers robust to rewording? Groups of paraphrases of which every one is answered rightly."""

import pandas as pd

from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import interval, p_value, signed, value
from laser_lit.results.compare import Gain, compare
from laser_lit.results.record import Record

_SHARES = {"every wording right": "all", "some wording right": "any", "every wording answered alike": "agree"}


def paraphrases_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None where groups are no paraphrases, or nothing was edited.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.

    Source: Sharma, Ash and Misra 2023, section 5.1, "robustness to paraphrases".
    """
    test = predictions[predictions["split"] == "test"]
    needed = {"group", "answer", "prompt", "base_correct", "laser_correct"}
    if not needed <= set(test.columns) or test["laser_correct"].isna().any() or not _reworded(test):
        return None
    sizes = test.groupby("group")["id"].size()
    several = test[test["group"].map(sizes) > 1]
    whole = _compared(several, "all")
    base, laser = (value(_share(several, name, "all"), True) for name in ("base", "laser"))
    sentence = (
        f"Every wording right: {base} of the facts → {laser}, {signed(whole.accuracy or 0.0, True)} points "
        f"(95 % interval {interval(whole.ci95, True)}, {p_value(whole.p)}; {_counted(several)})."
    )
    rows = tuple(_row(label, several, how) for label, how in _SHARES.items())
    columns = ("share of facts", "base", "LASER", "change, points", "95 % interval", "p")
    table = Table("paraphrases", "Robustness to rewording", columns, rows, columns[1:])
    note = "A fact is a group of questions with one answer. Intervals and p are over facts."
    return Section("paraphrases", "Paraphrases", (sentence,), tables=(table,), note=note)


def _counted(several: pd.DataFrame) -> str:
    sizes = several.groupby("group")["id"].size()
    low, high = int(sizes.min()), int(sizes.max())
    return f"{len(sizes):,} facts of {low if low == high else f'{low} to {high}'} wordings on test"


def _reworded(test: pd.DataFrame) -> bool:
    """Returns whether groups are rewordings: several different prompts, one answer."""
    groups = test.groupby("group")
    several = groups["prompt"].nunique() > 1
    return bool(several.mean() > 0.5 and (groups["answer"].nunique() == 1).all())


def _by_fact(rows: pd.DataFrame, who: str, how: str) -> pd.Series:
    if how == "agree":
        return rows.groupby("group")[f"{who}_prediction"].nunique() == 1
    right = rows[f"{who}_correct"].astype(bool).groupby(rows["group"])
    return right.all() if how == "all" else right.any()


def _compared(rows: pd.DataFrame, how: str) -> Gain:
    base, laser = (_by_fact(rows, who, how).rename("correct").reset_index() for who in ("base", "laser"))
    return compare(*(table.assign(id=table["group"]) for table in (base, laser)))


def _share(rows: pd.DataFrame, who: str, how: str) -> float:
    return float(_by_fact(rows, who, how).mean())


def _row(label: str, rows: pd.DataFrame, how: str) -> tuple[str, ...]:
    gain = _compared(rows, how)
    shares = [value(_share(rows, who, how), True) for who in ("base", "laser")]
    change = signed(gain.accuracy or 0.0, True)
    return (label, *shares, change, interval(gain.ci95, True), p_value(gain.p).removeprefix("p = "))
