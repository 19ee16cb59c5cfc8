"""A run on W&B, online or offline, without Lightning."""

import logging
import netrc
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from laser_lit.config_logger import LoggerConfig
from laser_lit.results.logged_run import LoggedRun, read_logged_run

OFFLINE = ("offline", "dryrun")
_CLOUD = "https://api.wandb.ai"
_PATIENCE = 30
"""Seconds to wait for W&B's server."""

log = logging.getLogger(__name__)


def start_run(config: LoggerConfig, output: Path, name: str, job_type: str) -> Any | None:
    """Returns a new run, offline where there is no API key or the server does not take it; None where W&B is off.

    The run's folder gets a wandb.json that says which run it is.

    Args:
        config: whether, and where; WANDB_MODE has the last word.
        output: the run's folder.
        name: of the run on W&B.
        job_type: the task, as W&B groups runs by it.
    """
    mode = wandb_mode() if config.wandb else "disabled"
    run = None if mode == "disabled" else _run(config, output, name, job_type, mode)
    if run is not None:
        _logged(run, output).save(output)
    return run


def finish_run(run: Any) -> str:
    """Returns where a run is, in a line, having closed it; its wandb.json then says what figures and tables it has.

    Args:
        run: as from `start_run`.
    """
    place = Path(run.dir).parent
    said = f"W&B, offline: wandb sync {place}" if run.offline else f"W&B: {run.url}"
    output = place.parents[1]  # W&B's folder lies in <output>/wandb, or elsewhere where that cannot be written
    logged = read_logged_run(output)
    if logged is not None and logged.id == run.id:
        nested = {key: entry for key, entry in dict(run.summary).items() if hasattr(entry, "get")}  # W&B's own mappings
        kinds = {key: str(entry.get("_type")) for key, entry in sorted(nested.items()) if entry.get("_type")}
        replace(logged, media=kinds).save(output)
    run.finish()
    return said


def sweep_name() -> str | None:
    """Returns the name of the multirun that this job is one of; None outside of one.

    It is that of the multirun's folder, with the day before it where Hydra named the folder after the time of day.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    folder = Path(HydraConfig.get().sweep.dir).resolve()
    day = folder.parent.name
    return f"{day}-{folder.name}" if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else folder.name


def wandb_mode() -> str:
    """Returns the mode of a W&B run: WANDB_MODE's, but never one that would ask for a key."""
    given = os.environ.get("WANDB_MODE") or "online"
    if given in (*OFFLINE, "disabled"):
        return "disabled" if given == "disabled" else "offline"
    return given if has_wandb_key() else "offline"


def has_wandb_key() -> bool:
    """Returns whether W&B would find credentials without asking for them."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    hosts = [os.environ["WANDB_BASE_URL"]] if os.environ.get("WANDB_BASE_URL") else [wandb.Settings().base_url, _CLOUD]
    file = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        known = netrc.netrc(file)
    except (OSError, netrc.NetrcParseError):
        return False
    return any(known.authenticators(urlsplit(host).netloc) for host in hosts)


def _run(config: LoggerConfig, output: Path, name: str, job_type: str, mode: str) -> Any:
    """Returns a new W&B run, offline where the server does not take it, or None where W&B does not start at all.

    No result is lost over W&B: it says what is wrong and the run goes on.
    """
    for attempt in dict.fromkeys((mode, "offline")):
        try:
            return _started(config, output, name, job_type, attempt)
        except (wandb.Error, ValueError, OSError) as error:
            log.warning("W&B does not start %s (%s)", attempt, " ".join(str(error).split())[:300])
    log.warning("this run is not on W&B; logger=csv leaves it out")
    return None


def _started(config: LoggerConfig, output: Path, name: str, job_type: str, mode: Any) -> Any:
    run = wandb.init(
        name=name,
        dir=output,
        project=config.project,
        entity=config.entity,
        group=config.group or sweep_name(),
        job_type=job_type,
        tags=list(config.tags),
        mode=mode,
        settings=wandb.Settings(silent=True, console="off", init_timeout=_PATIENCE),
    )
    run.define_metric("trainer/global_step")  # as Lightning does for the runs that it starts
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run


def _logged(run: Any, output: Path) -> LoggedRun:
    return LoggedRun(
        id=str(run.id),
        project=str(run.project),
        entity=str(run.entity or ""),
        name=str(run.name),
        group=str(run.group or ""),
        job_type=str(run.job_type or ""),
        offline=bool(run.offline),
        path=os.path.relpath(Path(run.dir).parent, output),
    )
