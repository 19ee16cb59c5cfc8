"""A run on W&B, online or offline, without Lightning."""

import logging
import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb

from laser_lit.config import LoggerConfig

OFFLINE = ("offline", "dryrun")
_CLOUD = "https://api.wandb.ai"
_PATIENCE = 30
"""Seconds to wait for W&B's server."""

log = logging.getLogger(__name__)


def start_run(config: LoggerConfig, output: Path, name: str) -> Any | None:
    """Returns a new run, offline where there is no API key or the server does not take it; None where W&B is off.

    Args:
        config: whether, and where; WANDB_MODE has the last word.
        output: the run's folder.
        name: of the run on W&B.
    """
    mode = wandb_mode() if config.wandb else "disabled"
    return None if mode == "disabled" else _run(config, output, name, mode)


def finish_run(run: Any) -> str:
    """Returns where a run is, in a line, having closed it.

    Args:
        run: as from `start_run`.
    """
    said = f"W&B, offline: wandb sync {Path(run.dir).parent}" if run.offline else f"W&B: {run.url}"
    run.finish()
    return said


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


def _run(config: LoggerConfig, output: Path, name: str, mode: str) -> Any:
    """Returns a new W&B run, offline where the server does not take it, or None where W&B does not start at all.

    No result is lost over W&B: it says what is wrong and the run goes on.
    """
    for attempt in dict.fromkeys((mode, "offline")):
        try:
            return _started(config, output, name, attempt)
        except (wandb.Error, ValueError, OSError) as error:
            log.warning("W&B does not start %s (%s)", attempt, " ".join(str(error).split())[:300])
    log.warning("this run is not on W&B; logger=csv leaves it out")
    return None


def _started(config: LoggerConfig, output: Path, name: str, mode: Any) -> Any:
    run = wandb.init(
        name=name,
        dir=output,
        project=config.project,
        entity=config.entity,
        group=config.group,
        tags=list(config.tags),
        mode=mode,
        settings=wandb.Settings(silent=True, console="off", init_timeout=_PATIENCE),
    )
    run.define_metric("trainer/global_step")  # as Lightning does for the runs that it starts
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run
