"""The rules of the house: sizes, the direction of imports, what stays light, and what the wheel ships."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from house.layers import HEAVY, Import, broken_rules, circle, imports_of
from house.limits import check_source

ROOT = Path(__file__).resolve().parents[2]
LIGHT_MODULES = [
    module
    for module in ("laser_lit", "laser_lit.linalg", "laser_lit.spectral", "laser_lit.models.checkpoint")
    if list(ROOT.glob(module.replace(".", "/") + "*"))
]


REASON = "# house: a function of 41 lines because every branch is a row of Table 3"
FILE_REASON = "# house: a file of 301 lines because the table of families reads best in one place"


def function_of(lines: int, head: str = "def f():", above: str = "") -> str:
    return "\n".join(filter(None, [above, head, *["    x = 1"] * (lines - 1)]))


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        (function_of(40), 0),
        (function_of(41), 1),
        (function_of(41, head="async def f():"), 1),
        (function_of(41, above=REASON), 0),
        (function_of(42, above=REASON), 1),
        (function_of(41, above=f"{REASON}\n@decorated"), 0),
        (function_of(41, head=f"def f():  {REASON}"), 0),
        (function_of(41, above="# house: a function of 41 lines because"), 1),
        (function_of(41, above=f'"""{REASON}"""'), 1),
        (function_of(41, above=f"{REASON}\n\n\n"), 1),
        (function_of(40, above=REASON), 1),
        ("x = 1\n" * 300, 0),
        ("x = 1\n" * 301, 1),
        (f"{FILE_REASON}\n" + "x = 1\n" * 300, 0),
        (f"{FILE_REASON}\n" + "x = 1\n" * 301, 1),
        (f"{FILE_REASON}\n", 1),
        ("x = 1\n" * 300 + f"{FILE_REASON}\n", 1),
    ],
)
def test_limits_of_size(source: str, complaints: int) -> None:
    assert len(list(check_source(source, "file.py"))) == complaints


def test_a_complaint_names_the_place_and_the_way_out() -> None:
    (complaint,) = check_source("\n" + function_of(50), "laser_lit/edits/stack.py")
    assert complaint.startswith("laser_lit/edits/stack.py:2: f: 50 lines, at most 40; split it")
    assert "# house: a function of 50 lines because" in complaint


def imported(part: str, module: str, for_types: bool = False) -> list[Import]:
    return [Import(f"laser_lit.{part}", f"laser_lit/{part}.py:1", module, for_types)]


@pytest.mark.parametrize(
    ("part", "module"),
    [
        ("linalg.svd", "laser_lit.models.matrices"),
        ("config_data", "laser_lit.linalg.svd"),
        ("models.load", "laser_lit.scoring.forward"),
        ("edits.stack", "laser_lit.results.store"),
        ("results.store", "laser_lit.linalg.svd"),
        ("spectral.scan", "laser_lit.edits.stack"),
        ("linalg.svd", "lightning.pytorch"),
        ("tasks.language", "rl.sokoban.rules"),
        ("edits.stack", "laser_lit"),
        ("helpers", "laser_lit.errors"),
        ("edits.stack", "laser_lit.helpers"),
    ],
)
def test_imports_that_are_refused(part: str, module: str) -> None:
    assert len(broken_rules(imported(part, module))) == 1


@pytest.mark.parametrize(
    ("part", "module"),
    [
        ("search.grid", "laser_lit.linalg.svd"),
        ("data.module", "laser_lit.scoring.requests"),
        ("config", "laser_lit.config_data"),
        ("report.html", "laser_lit.results.store"),
        ("lit.evaluate", "lightning.pytorch"),
    ],
)
def test_imports_that_are_allowed(part: str, module: str) -> None:
    assert not broken_rules(imported(part, module))


def test_heavy_libraries_may_be_named_in_types() -> None:
    assert not broken_rules(imported("linalg.svd", "transformers", for_types=True))


def test_the_walk_finds_every_kind_of_import(tmp_path: Path) -> None:
    package = tmp_path / "laser_lit"
    (package / "edits").mkdir(parents=True)
    (package / "edits" / "__init__.py").write_text("from . import stack\n")
    (package / "edits" / "stack.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "import numpy as np\n"
        "from ..linalg.svd import factorize\n"
        "from laser_lit.edits import edit\n"
        "if TYPE_CHECKING:\n    import torch\nelse:\n    import scipy\n"
        "def f():\n    from laser_lit.lit import trainer\n"
    )
    found = {(each.source.rpartition(".")[2], each.module, each.for_types) for each in imports_of(package)}
    assert found == {
        ("edits", "laser_lit.edits.stack", False),
        ("stack", "typing", False),
        ("stack", "numpy", False),
        ("stack", "laser_lit.linalg.svd", False),
        ("stack", "laser_lit.edits", False),
        ("stack", "torch", True),
        ("stack", "scipy", False),
        ("stack", "laser_lit.lit", False),
    }
    assert set(circle(imports_of(package))) == {"laser_lit.edits", "laser_lit.edits.stack"}


def test_imports_point_one_way() -> None:
    assert broken_rules(imports_of(ROOT / "laser_lit")) == []


@pytest.mark.parametrize("package", ["laser_lit", "rl"])
def test_no_module_imports_itself_in_a_circle(package: str) -> None:
    assert circle(imports_of(ROOT / package)) == []


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


def test_wheel_ships_the_packages_their_data_and_the_commands(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (commands,) = [name for name in names if name.endswith("entry_points.txt")]
        scripts = archive.read(commands).decode()
    sources = [file for folder in ("laser_lit", "rl") for file in (ROOT / folder).rglob("*.*") if file.is_file()]
    sources = [file for file in sources if file.suffix != ".pyc"]
    configs = list((ROOT / "conf").rglob("*.yaml"))
    assert configs
    assert {str(file.relative_to(ROOT)) for file in sources} <= names
    assert {f"laser_lit/{file.relative_to(ROOT)}" for file in configs} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "conf"))]
    assert "laser-lit-evaluate = laser_lit.main:evaluate" in scripts
    assert "laser-lit-train = laser_lit.main:train" in scripts


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_an_installed_wheel_finds_its_configs(wheel: Path, tmp_path: Path, command: str) -> None:
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True)
    environment = os.environ | {"PYTHONPATH": str(target)}
    script = [sys.executable, str(target / "bin" / f"laser-lit-{command}"), "--info", "searchpath"]
    shown = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert str(target / "laser_lit" / "conf") in shown.stdout


SKIPPING_TESTS = """
import pytest

@pytest.mark.reference
def test_with_values(): pytest.skip("no values")

@pytest.mark.reference
@pytest.mark.parametrize("case", [])
def test_of_no_case(case): raise AssertionError

@pytest.mark.gpu
def test_elsewhere(): pytest.skip("no GPU")

@pytest.mark.browser
@pytest.mark.xfail(strict=True)
def test_known_defect(): raise AssertionError
"""


def run_pytest(folder: Path, tests: str, strict: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_here.py").write_text(tests)
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    environment = os.environ | {"LASER_LIT_STRICT": strict}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("strict", "closing"),
    [("0", "3 skipped, 1 xfailed"), ("1", "1 failed, 1 skipped, 1 xfailed, 1 error")],
)
def test_a_strict_run_fails_where_reference_values_are_missing(tmp_path: Path, strict: str, closing: str) -> None:
    result = run_pytest(tmp_path, SKIPPING_TESTS, strict)
    assert closing in result.stdout
    assert result.returncode == int(strict)


def test_a_strict_run_fails_where_a_file_skips_itself(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, "import pytest\npytest.importorskip('no_such_library')\n", strict="1")
    assert "skipped itself under LASER_LIT_STRICT=1" in result.stdout
    assert result.returncode != 0
