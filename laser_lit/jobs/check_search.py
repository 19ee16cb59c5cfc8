"""What can be said against `search=` before anything is loaded."""

import math
from dataclasses import fields

from omegaconf import DictConfig, ListConfig, OmegaConf

from laser_lit.config_laser import LaserConfig
from laser_lit.config_search import GuardConfig, SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError, unknown_name
from laser_lit.jobs.typed import typed_overrides
from laser_lit.linalg.rules import RULES, rule_named
from laser_lit.search.drivers import BY_ONE_RULE, DRIVERS, SHARDED
from laser_lit.search.objective import OBJECTIVES

LISTS = ("layers", "matrices", "rho", "rank", "rule", "kinds")
AT_LEAST_ONE = ("examples", "verify", "steps", "trials", "stack", "max_mod", "k", "shards")
_NOT_CALIBRATION = tuple(f"laser.{field.name}" for field in fields(LaserConfig) if field.name != "calibration")
STORED_SMALLER = ("low_rank", "zero")
"""Kinds of edits after which two factors can take a matrix's place."""
OWN = {"max_mod": "rmt", "k": "snr"}
"""Fields of one driver alone."""


def check_search(config: DictConfig, processes: int) -> None:
    """Raises an error where a search's values cannot be meant or do not go together.

    Args:
        config: the whole evaluation config.
        processes: how many processes would score together.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    search = config.search
    if search.name == "none":
        _refuse_fields_without_search(search)
        return
    if search.name not in DRIVERS:
        raise unknown_name("search", search.name, ("none", "auto", *DRIVERS))
    if search.shards == 1 and typed_overrides("search.shard="):
        raise InputError(f"search.shard={search.shard} without search.shards: say into how many parts, search.shards=4")
    _check_values(search)
    if search.shards > 1 and search.name not in (*SHARDED, "collect"):
        raise InputError(
            f"search={search.name} search.shards={search.shards}: each of its steps needs the one before; "
            f"{' and '.join(f'search={name}' for name in SHARDED)} can be split"
        )
    if processes > 1:
        raise InputError(
            f"search={search.name} with {processes} processes: a search runs in one process a job. Split it with "
            "-m search.shard=0,1 search.shards=2 and a launcher, one device a job (docs/scaling.md)"
        )
    idle = ("laser=", "laser.") if search.decomposition != "whitened" else ("laser=", *_NOT_CALIBRATION)
    typed = typed_overrides(*idle)
    if typed:
        raise InputError(f"search={search.name} chooses the edits, so {', '.join(typed)} would count for nothing")


def _refuse_fields_without_search(search: DictConfig) -> None:
    defaults = OmegaConf.structured(SearchConfig(name="none"))
    typed = [key for key in defaults if search[key] != defaults[key]]
    if typed:
        given = ", ".join(f"search.{key}" for key in typed)
        raise InputError(f"{given} without a search: add search=auto, or {', '.join(f'search={n}' for n in DRIVERS)}")


def _check_values(search: DictConfig) -> None:
    for name in AT_LEAST_ONE:
        if search[name] < 1:
            raise InputError(f"search.{name} {search[name]}: must be at least 1")
    if not 0 <= search.shard < search.shards:
        raise InputError(f"search.shard={search.shard} search.shards={search.shards}: shard must lie in [0, shards)")
    if not 0 < search.budget <= 1:
        raise InputError(f"search.budget {search.budget}: must lie in (0, 1], a share of the grid's cost")
    if not 0 <= search.cache_gb < math.inf:
        raise InputError(f"search.cache_gb {search.cache_gb}: must be at least 0 and finite")
    if not 0 < search.delta < math.inf:
        raise InputError(
            f"search.delta {search.delta}: must be above 0; it is the harm that does not count, .01 for a point of "
            "accuracy or for .01 nats"
        )
    if search.objective not in ("auto", *OBJECTIVES):
        raise unknown_name("search.objective", search.objective, ("auto", *OBJECTIVES))
    refuse_whole_delta(search.delta, search.objective)
    _check_amounts(search)
    _check_decomposition(search)
    _check_smallest(search)
    for name in LISTS:
        if search[name] is not None and not isinstance(search[name], int | float) and len(search[name]) == 0:
            raise InputError(f"search.{name} is empty: give at least one value, or leave it out")
    _refuse_guard_without_text(search.guard)


def refuse_whole_delta(delta: float, objective: str) -> None:
    """Raises an error for a margin that any loss of right answers keeps.

    Args:
        delta: `search.delta`, a share of the examples where accuracy is the objective.
        objective: of the search; "auto" is not decided yet.

    Raises:
        InputError: says what stands for so many points.
    """
    if objective == "accuracy" and delta >= 1:
        raise InputError(
            f"search.delta {delta:g}: a share of the examples, and no model is worse by 1 or more; "
            f"{delta:g} points are search.delta={delta / 100:g}"
        )


def _check_amounts(search: DictConfig) -> None:
    given = {"rank": search.rank, "rule": search.rule, "rho": None if search.rho == "code" else search.rho}
    typed = [f"search.{key}={value}" for key, value in given.items() if value is not None]
    if search.name not in BY_ONE_RULE and len(typed) > 1:
        raise InputError(f"{' beside '.join(typed)}: leave {'one' if len(typed) == 2 else 'two'} of them out")
    rules = [search.rule] if isinstance(search.rule, str) else search.rule
    if rules is not None and not isinstance(rules, list | ListConfig):
        raise InputError(f"search.rule {rules}: must be a rank rule or a list of them: {', '.join(RULES)}")
    for rule in rules or ():
        rule_named(rule)
    defaults = OmegaConf.structured(SearchConfig(name=search.name))
    idle = [key for key, driver in OWN.items() if driver != search.name and search[key] != defaults[key]]
    if search.name in BY_ONE_RULE:
        if not isinstance(search.rule, str):
            raise InputError(f"search={search.name} search.rule={search.rule}: takes one rank rule: {', '.join(RULES)}")
        idle += [key for key in ("rho", "rank", "kinds") if search[key] != defaults[key]]
    if idle:
        typed = [f"search.{key}={search[key]}" for key in idle]
        raise InputError(f"search={search.name} does not look at {', '.join(typed)}: leave it out")


def _check_decomposition(search: DictConfig) -> None:
    how, blocks = search.decomposition, search.blocks
    typed = f"search.decomposition={how}" + ("" if blocks is None else f" search.blocks={blocks}")
    try:
        Edit("all", "all", rank=1, decomposition=how, blocks=blocks)
    except InputError as error:
        raise InputError(f"{typed}: {error}") from None
    if how != "svd" and (search.name in BY_ONE_RULE or search.rule is not None):
        raise InputError(
            f"{typed} search.rule={search.rule}: rank rules see the singular values of a matrix alone; name ranks or "
            "shares, and another search than " + " and ".join(BY_ONE_RULE)
        )


def _check_smallest(search: DictConfig) -> None:
    if search.name != "smallest":
        return
    kinds = [kind for kind in search.kinds if kind not in STORED_SMALLER]
    if kinds:
        raise InputError(f"search=smallest search.kinds={kinds}: only {' and '.join(STORED_SMALLER)} save storage")
    if search.decomposition == "blocks":
        raise InputError(
            "search=smallest search.decomposition=blocks: blocks leave no two factors; take svd or whitened"
        )


def _refuse_guard_without_text(guard: DictConfig) -> None:
    defaults = OmegaConf.structured(GuardConfig)
    typed = [f"search.guard.{key}={guard[key]}" for key in defaults if key != "data" and guard[key] != defaults[key]]
    typed = typed or [text for text in typed_overrides("search.guard.") if not text.endswith("=null")]
    if guard.data is None and typed:
        raise InputError(
            f"{', '.join(typed)} would count for nothing: say what text guards, as in search.guard.data=text "
            "search.guard.path=book.txt"
        )
