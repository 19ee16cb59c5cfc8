"""The harness is imported past files evaluate.py, and its absence is said in words."""

import importlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from laser_lit.data import harness
from laser_lit.data.harness import unshadowed
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError


def test_folders_with_an_evaluate_py_are_hidden_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "evaluate.py").write_text("")
    (tmp_path / "library" / "evaluate").mkdir(parents=True)
    (tmp_path / "library" / "evaluate" / "__init__.py").write_text("here = 1")
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "checkout"), str(tmp_path / "library"), *sys.path])
    monkeypatch.delitem(sys.modules, "evaluate", raising=False)
    before = list(sys.path)
    shadow = importlib.import_module("evaluate")
    assert shadow.__file__ == str(tmp_path / "checkout" / "evaluate.py")
    with unshadowed():
        assert importlib.import_module("evaluate").here == 1
        sys.path.append("added")
    assert sys.path == [*before, "added"]
    assert sys.modules["evaluate"] is shadow


def test_everything_is_back_after_an_error_and_the_real_package_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("evaluate")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "evaluate", package)
    before = list(sys.path)
    with pytest.raises(ImportError), unshadowed():
        importlib.import_module("evaluate.no_such_part")
    assert sys.path == before
    assert sys.modules["evaluate"] is package


def test_without_the_harness_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "lm_eval" else importlib.util.find_spec(name)

    monkeypatch.setattr(harness, "find_spec", find)
    with pytest.raises(InputError, match=r"not installed: pip install 'laser_lit\[lm-eval\]'"):
        load_data("lm_eval", task="any")
