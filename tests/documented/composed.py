"""What a documented command of this project asks for: its words, and the configs that Hydra composes of them."""

import re
import shlex
import tomllib
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder, quote_templates
from laser_lit.config_errors import check_keys

SCRIPTS = {
    "evaluate.py": "evaluate",
    "train.py": "train",
    "laser-lit-evaluate": "evaluate",
    "laser-lit-train": "train",
}
OPTIONAL = re.compile(r"\[\w+[\w.]*=[^\]]*\]")  # [reft.strength=1.0]


def words_of(typed: str) -> list[str]:
    """Returns the words of a command, without environment variables, `python` and the environment's folder."""
    words = shlex.split(OPTIONAL.sub("", typed) if "=…" in typed or " …" in typed else typed)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        del words[0]
    words[0] = words[0].removeprefix(".venv/bin/")
    return words[1:] if words[0] == "python" and words[1:2] != ["-P"] else words


def configs_of(typed: str) -> list[DictConfig]:
    """Returns the config of every job of a command; none where it is not one of the two commands.

    What a document leaves open is left out: `…`, `model=…`, `[field=value …]`.

    Raises:
        Exception: Hydra's, OmegaConf's or InputError, where a name is unknown or a value has the wrong type.
    """
    words = words_of(typed)
    if words[0] not in SCRIPTS:
        return []
    overrides = quote_templates([word for word in words[1:] if "=" in word and "…" not in word])
    parsed = OverridesParser.create().parse_overrides(overrides)
    jobs = BasicSweeper.split_arguments(parsed, None)[0] if {"-m", "--multirun"} & set(words) else [overrides]
    register_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        configs = [compose(SCRIPTS[words[0]], ["paths.output=run", *job]) for job in jobs]
    for config in configs:
        check_keys(config)
    return configs


def left_out(command: str, typed: str) -> set[str]:
    """Returns the words of a documented command that are not in what is typed in its place.

    What the document leaves open may be anything: `…` also nothing, a name in capitals and an empty value not that.
    """
    given = words_of(typed)
    names = {word.partition("=")[0] for word in given}
    missing = set()
    for word in words_of(command):
        name, equals, value = word.partition("=")
        filled_in = (value.isupper() or not value) and name in names if equals else word.isupper()
        if not (word in given or "…" in word or filled_in):
            missing.add(word)
    return missing


def program_exists(typed: str, root: Path) -> bool:
    """Returns whether what a command names is there: script with its options, module, target of make, extra."""
    words = words_of(typed)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE)
        return all(word in targets for word in words[1:] if "=" not in word)
    if words[0] == "-m":
        package = root / words[1].replace(".", "/")
        return (package / "__main__.py").is_file() or not (root / words[1].split(".")[0]).exists()
    if words[0] == "pip":
        extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        return all(extra in extras for extra in re.findall(r"laser_lit\[([\w-]+)\]", typed))
    if not words[0].endswith(".py"):
        return True
    script = root / words[0]
    options = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
    return script.is_file() and (script.name in SCRIPTS or all(f'"{o}"' in script.read_text() for o in options))
