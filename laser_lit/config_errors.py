"""What was wrong with what a user typed on the command line, in words."""

from dataclasses import fields, is_dataclass

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from laser_lit.errors import UnknownNameError, unknown_name

BESIDE_THE_FIELDS = ("from",)
"""Keys that a dataclass cannot have, because they are keywords of Python."""
LAUNCHERS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""Packages that bring the launchers which Hydra does not."""


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
        return f"{_first_line(error).removeprefix('Error merging override ')}: {_first_line(cause)}"
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
