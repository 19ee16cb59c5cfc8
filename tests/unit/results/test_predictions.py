from pathlib import Path

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.results.predictions import predictions_table, read_predictions, write_predictions


def test_outcomes_stand_side_by_side_and_descriptions_once(tables, tmp_path: Path):
    base, laser = tables()
    table = predictions_table({"validation": (base[:9], laser[:9][::-1]), "test": (base[9:], laser[9:])})
    assert table.columns.tolist() == [
        *("id", "group", "split", "prompt", "answer"),
        *("base_correct", "base_log_loss", "laser_correct", "laser_log_loss"),
    ]
    assert table["split"].tolist() == ["validation"] * 9 + ["test"] * (len(base) - 9)
    assert table["laser_log_loss"].tolist() == laser["log_loss"].tolist()
    write_predictions(table, tmp_path / "predictions.parquet")
    pd.testing.assert_frame_equal(read_predictions(tmp_path), table)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_a_run_without_edits_has_base_columns_only(tables):
    base, _ = tables()
    assert not [name for name in predictions_table({"test": (base, None)}) if name.startswith("laser_")]


def test_wrong_tables_and_files_say_what_is_wrong(tables, tmp_path: Path):
    base, laser = tables()
    with pytest.raises(InputError, match="not the same ones"):
        predictions_table({"test": (base, laser[1:])})
    with pytest.raises(InputError, match="folder of a finished run"):
        read_predictions(tmp_path)
    (tmp_path / "predictions.parquet").write_bytes(b"PAR1 broken")
    with pytest.raises(InputError, match="no readable parquet"):
        read_predictions(tmp_path)


def test_further_variants_have_columns_of_their_own(tables):
    base, laser = tables()
    table = predictions_table({"test": (base, laser)}, {"test": {"reft": laser[::-1], "laser_reft": base}})
    assert table["reft_correct"].tolist() == laser["correct"].tolist()
    assert table["laser_reft_log_loss"].tolist() == base["log_loss"].tolist()
    assert predictions_table({"test": (base, laser)}).equals(table[predictions_table({"test": (base, laser)}).columns])
    with pytest.raises(InputError, match="reft 119, not the same ones"):
        predictions_table({"test": (base, None)}, {"test": {"reft": laser[1:]}})
