"""Training a policy: from trajectories to a folder, and the same in short where an evaluation misses it."""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from laser_lit.config import config_hash
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.config_sokoban import PolicyConfig
from laser_lit.errors import InputError
from laser_lit.files import cache_folder, new_folder
from laser_lit.jobs.check_training import check_choices, check_devices, check_folders, check_numbers
from laser_lit.jobs.training import CHECKPOINT, TrainingJob, run_training
from laser_lit.jobs.training_record import Record
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import Curve
from laser_lit.lit.threads import one_thread
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.source import quiet
from rl.data import SolvedLevels, check_sokoban_data, data_content, solved_levels, trajectories
from rl.decision_transformer import LAYOUTS, Policy, PolicyShape, freeze_idle
from rl.jobs.train_record import policy_record, print_policy
from rl.lit import PolicyData, PolicyModule
from rl.rollout import rollout
from rl.target_return import best_possible, tuned_return
from rl.trajectories.trajectories import Trajectories

GROUP = "policy"
MODEL = "sokoban"
"""Name of the model that is trained."""
POLICY = "policy"
"""Folder of a policy that is kept in the cache, beside its checkpoint."""
WATCHED = 256
"""Validation levels that are played where the training looks at them."""
SOLVED = "validation/solved"
"""Share of them that the policy solves, in the learning curve."""
_BESIDE = ("path", "save_every", "target_return")


def train(config: DictConfig) -> float:
    """Returns the loss on the validation levels' solutions; a training that was killed goes on, a finished one stays.

    Args:
        config: the whole training config.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    check_policy_config(config)
    _check_model(config)
    if config.policy.target_return is not None:
        raise InputError(
            f"policy.target_return={config.policy.target_return}: a training chooses it on validation; leave it out, "
            "and give it to evaluate.py"
        )
    check_folders(config, GROUP)
    check_devices(config, GROUP)
    return _train(config, _folder(config))


def ensure_policy(config: DictConfig) -> Path:
    """Returns the folder of the policy that the settings name, trained first where it is missing.

    Args:
        config: a whole config with `policy` and `data`; its loggers hear nothing of the training.
    """
    check_policy_config(config)
    folder = _folder(config)
    place = folder / POLICY if config.policy.path is None else Path(config.policy.path)
    if not (place / RECORD).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # of several evaluations one trains, and the others wait
            own = copy.deepcopy(config)
            own.logger.csv = own.logger.wandb = False
            own.paths.output = str(folder)
            if not (place / RECORD).is_file():
                _train(own, folder)
    elif config.policy.path is not None:
        _check_trained(place, folder.name)
    return place


def _check_trained(place: Path, hash: str) -> None:
    record = json.loads((place / RECORD).read_text(encoding="utf-8"))
    if (record.get("hash"), record.get("path")) != (hash, str(place.resolve())):
        raise InputError(
            f"policy.path={place} holds a policy that these settings did not train there; evaluate it with "
            f"model.path={place}, or name another folder"
        )


def _check_model(config: DictConfig) -> None:
    if config.model.name != MODEL or config.model.path is not None:
        given = f"model.path={config.model.path}" if config.model.name == MODEL else f"model={config.model.name}"
        raise InputError(f"{given}: train.py task=sokoban trains a policy anew, from policy.seed on; leave it out")
    if config.laser.name != "none":
        raise InputError(f"laser={config.laser.name}: a policy trains unedited; leave it out")
    for name, value in (("reft.path", config.reft.path), ("model.quantization", config.model.quantization)):
        if value is not None:
            raise InputError(f"{name}={value}: a policy trains as it is; leave it out")


def check_policy_config(config: DictConfig) -> None:
    """Raises an error for settings of policy and data that cannot be meant.

    Args:
        config: a whole config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    check_sokoban_data(config.data)
    settings = config.policy
    check_choices(GROUP, settings, {"layout": LAYOUTS, "precision": ("32-true", "bf16-mixed")})
    least = dict.fromkeys(("layers", "hidden", "heads", "steps", "batch_steps", "save_every"), 1)
    least |= {"seed": 0, "warmup": 0, "weight_decay": 0}
    check_numbers(GROUP, settings, least, ("learning_rate", "clip"), (), config.seed)
    if settings.target_return is not None and not math.isfinite(settings.target_return):
        raise InputError(
            f"policy.target_return {settings.target_return}: must be finite; a solved level brings about 10"
        )
    if settings.hidden % settings.heads:
        raise InputError(f"policy.hidden {settings.hidden}: must be a multiple of policy.heads {settings.heads}")


def _folder(config: DictConfig) -> Path:
    settings = OmegaConf.to_container(config.policy)
    said = {name: value for name, value in settings.items() if name not in _BESIDE}  # type: ignore[union-attr]
    processes = make_trainer(config.trainer).world_size
    content = {"policy": said, "data": data_content(config.data), "processes": processes}
    return cache_folder() / "models" / f"sokoban-{config_hash(content)}"


def _train(config: DictConfig, folder: Path) -> float:
    settings: PolicyConfig = OmegaConf.to_object(config.policy)  # type: ignore[assignment]
    validation, learned = solved_levels(config.data, "validation"), trajectories(config.data)
    policy = _new_policy(settings, learned, config.data.levels.max_steps)
    data = PolicyData(learned, validation.solutions, settings.batch_steps, settings.seed)
    training = Finetuning(
        _finetuning(settings),
        data,
        settings.seed,
        folder / CHECKPOINT,
        GROUP,
        PolicyModule,
        lambda model: {SOLVED: _solve_rate(model, validation)},
        f"give less than policy.batch_steps {settings.batch_steps}, or policy.precision=bf16-mixed",
    )

    def fit(loggers: Sequence[Logger] = ()) -> Curve:
        with one_thread():
            return training.fit(policy, config.trainer, loggers)

    def lead(loggers: Sequence[Logger]) -> Record:
        curve = fit(loggers)
        with one_thread():
            tuned = tuned_return(policy.eval(), validation)
        policy.config.target_return = tuned.chosen
        return policy_record(policy, learned, validation, curve, tuned, config)

    job = TrainingJob(
        title=f"sokoban {config.policy.layout} {config.data.name}",
        folder_name=POLICY,
        lead=lead,
        follow=fit,
        publish=lambda target, record: _publish(policy, target, record),
        show=print_policy,
    )
    return run_training(config, training, job)


def _new_policy(settings: PolicyConfig, learned: Trajectories, max_steps: int) -> Policy:
    height, width = learned.starts.shape[1:]
    shape = PolicyShape(
        height,
        width,
        max_steps,
        settings.layers,
        settings.hidden,
        settings.heads,
        settings.layout,  # type: ignore[arg-type]
        settings.conditioned,
    )
    return freeze_idle(Policy.new(shape, settings.seed))


def _finetuning(settings: PolicyConfig) -> FinetuneConfig:
    shared = ("steps", "learning_rate", "weight_decay", "warmup", "clip", "precision", "save_every")
    values: dict[str, Any] = {name: asdict(settings)[name] for name in shared}
    return replace(FinetuneConfig(batch_size=1), **values)  # a row is a pack of trajectories


def _solve_rate(model: nn.Module, levels: SolvedLevels) -> float:
    if not isinstance(model, Policy):
        raise TypeError(f"a policy plays Sokoban, not a {type(model).__name__}")
    boards = levels.solutions.starts[:WATCHED]
    return float(rollout(model, boards, target_return=best_possible(levels)).solved.mean())


def _publish(policy: Policy, target: Path, record: Record) -> None:
    with new_folder(target) as folder, quiet():
        policy.cpu().save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
