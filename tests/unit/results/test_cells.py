from pathlib import Path

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.results.cells import COLUMNS, FILE, LATER, read_cells, write_cells


def test_cells_come_back_from_the_file_and_from_its_folder(tmp_path: Path):
    table = pd.DataFrame({name: [0, 1] for name in (*COLUMNS, *LATER)})
    write_cells(table, tmp_path / FILE)
    pd.testing.assert_frame_equal(read_cells(tmp_path), table)
    pd.testing.assert_frame_equal(read_cells(tmp_path / FILE), table)
    write_cells(table.iloc[::-1], tmp_path / FILE)
    assert list(read_cells(tmp_path).index) == [0, 1]


def test_columns_that_older_versions_lack_are_missing_in_every_row(tmp_path: Path):
    old = pd.DataFrame({name: [0, 1] for name in COLUMNS})
    write_cells(old, tmp_path / FILE)
    found = read_cells(tmp_path)
    pd.testing.assert_frame_equal(found[list(COLUMNS)], old)
    assert found[list(LATER)].isna().all(axis=None)


def test_what_is_no_table_of_cells_is_refused_with_the_way_out(tmp_path: Path):
    with pytest.raises(InputError, match=r"no cells\.parquet"):
        read_cells(tmp_path)
    (tmp_path / FILE).write_text("torn")
    with pytest.raises(InputError, match="no readable parquet"):
        read_cells(tmp_path)
    write_cells(pd.DataFrame({"layer": [1]}), tmp_path / FILE)
    with pytest.raises(InputError, match="lacks the columns driver, step"):
        read_cells(tmp_path)
