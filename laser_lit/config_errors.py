"""What was wrong with what a user typed on the command line, in words."""

from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from laser_lit.errors import UnknownNameError, unknown_name

BESIDE_THE_FIELDS = ("from",)
"""Keys that a dataclass cannot have, because they are keywords of Python."""
LAUNCHERS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""Packages that bring the launchers which Hydra does not."""
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a single text"}
"""What a field of a type takes, in words."""
EXAMPLES = {int: ("whole numbers", "1,8"), float: ("numbers", "0.5,1"), str: ("words", "a,b")}
"""What a list of a type has, in words and as typed."""


def explain(error: Exception) -> str:
    """Returns what a user should read about an error of Hydra or OmegaConf.

    Args:
        error: as raised while the config was composed.
    """
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        if group == "hydra/launcher" and choice in LAUNCHERS:
            package = f"hydra-{LAUNCHERS[choice]}-launcher"
            return f"the launcher {choice} needs {package}, which is not installed: pip install 'laser_lit[launch]'"
        return str(unknown_name(group, choice, error.options))
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: {_first_line(error)}"
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigAttributeError | ConfigKeyError):
        parent = getattr(cause, "parent_node", None)
        if isinstance(parent, DictConfig):
            return str(_unknown_key(str(getattr(cause, "full_key", "")), parent))
    if isinstance(error, ConfigCompositionException) and cause is not None:
        given = _first_line(error).removeprefix("Error merging override ")
        return f"{given}: {_wanted(given.partition('=')[0], cause) or _first_line(cause)}"
    return str(error)


def explain_launcher(error: Exception) -> str | None:
    """Returns what a user should read about an error of a launcher; None for any other.

    Args:
        error: as raised while jobs were started.
    """
    if isinstance(error, RuntimeError) and '"srun"' in str(error):
        return (
            "launch=slurm: this machine has no srun; start it on a login node of a Slurm cluster, or run the jobs "
            "side by side here with launch=joblib"
        )
    if isinstance(error, ValueError) and "n_jobs == 0" in str(error):  # joblib's words
        return "hydra.launcher.n_jobs=0: must be at least 1, or -1 for a job a core"
    return None


def explain_choice(error: Exception) -> str | None:
    """Returns what a user should read about a choice that is no name; None for any other error.

    Args:
        error: as raised while the config was composed.
    """
    if isinstance(error, ValueError) and str(error).startswith(
        "Config group override must be a string"
    ):  # Hydra's words
        return "a choice of search= or of another group is a name, not a number: search=grid, model=gptj"
    if isinstance(error, AssertionError) and "Unexpected type for root: NoneType" in str(error):  # OmegaConf's words
        return (
            "a field of a group that is null here: data.world.… is of data=facts alone, data.levels.… and "
            "data.trajectories.… of data=rooms and data=boxoban, model.facts.… of model=facts"
        )
    return None


def check_keys(config: DictConfig, where: str = "") -> None:
    """Raises an error for keys that no dataclass has, as `+laser.rhoo=0.5` adds them.

    Args:
        config: a composed config.
        where: its own name within the whole, with a dot at the end.

    Raises:
        UnknownNameError: lists the nearest keys.
    """
    if not is_dataclass(OmegaConf.get_type(config)):
        return
    for key in map(str, config):
        if key not in _keys(config):
            raise _unknown_key(where + key, config)
        if not OmegaConf.is_missing(config, key) and isinstance(config[key], DictConfig):
            check_keys(config[key], f"{where}{key}.")


def _wanted(key: str, cause: BaseException) -> str | None:
    """Returns what a field takes, and how that is typed; None where the error does not say which field it is of."""
    node, parent, value = (getattr(cause, name, None) for name in ("child_node", "parent_node", "value"))
    entries = node if isinstance(node, ListConfig) else parent if isinstance(parent, ListConfig) else None
    if value is None and node is not None:
        return "must not be null; leave it out for the default"
    if entries is not None and (entries is node or value is None):
        return _wanted_list(key, entries._metadata.element_type, value)
    if entries is not None:
        kind = KINDS.get(entries._metadata.element_type)
        return kind and f"{value} must be {kind}"
    if isinstance(node, DictConfig) and is_dataclass(OmegaConf.get_type(node)):
        return f"has fields of its own: {', '.join(f'{key}.{name}=' for name in _keys(node))}"
    kind = None if node is None else KINDS.get(node._metadata.ref_type)
    return kind and f"must be {kind}"


def _wanted_list(key: str, kind: Any, value: Any) -> str:
    """Returns that a field takes a list, with what was given as its only entry where that would do."""
    several, example = EXAMPLES.get(kind, ("", ""))
    fits = isinstance(value, kind) if several else value is not None
    return f"must be a list{several and f' of {several}'}, in brackets: {key}=[{value if fits else example or '…'}]"


def _unknown_key(full_key: str, parent: DictConfig) -> UnknownNameError:
    group, dot, _ = full_key.rpartition(".")
    return unknown_name("config key", full_key, (f"{group}{dot}{key}" for key in _keys(parent)))


def _keys(config: DictConfig) -> list[str]:
    kind = OmegaConf.get_type(config)
    if not is_dataclass(kind):
        return [str(key) for key in config]
    return [field.name for field in fields(kind)] + [key for key in BESIDE_THE_FIELDS if key in config]


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]
