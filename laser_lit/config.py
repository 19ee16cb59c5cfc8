"""The shape of every config: a dataclass for each group, so that typos and wrong types stop before a model loads."""

import json
from dataclasses import dataclass, field
from typing import Any

import xxhash
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict

from laser_lit.config_analysis import AnalysisConfig
from laser_lit.config_compare import CompareConfig
from laser_lit.config_data import DataConfig
from laser_lit.config_export import ExportConfig
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.config_laser import LaserConfig
from laser_lit.config_logger import LoggerConfig
from laser_lit.config_reft import ReftConfig
from laser_lit.config_search import SearchConfig
from laser_lit.config_sokoban import PolicyConfig
from laser_lit.config_spectral import SpectralConfig

SCHEMA = 1
"""Version of results on disk; records of another version are not reused."""


@dataclass
class PaperEdit:
    """One row of LASER's Table 3: the best (matrix, layer, rho) of a model on a data set."""

    layer: int = MISSING
    matrix: str = MISSING
    rho: float = MISSING


@dataclass
class FrozenStack:
    """A stack that was found before and is kept in the model's config.

    Attributes:
        edits: one mapping an edit, with the keys of `laser_lit.Edit`.
        provenance: where it comes from: the command that found it, or the publication.
        verified: whether a search on this very model found it.
        world: what differs from the defaults of `data.world` in the world that the built-in model knew.
    """

    edits: list[dict[str, Any]] = field(default_factory=list)
    provenance: str = MISSING
    verified: bool = False
    world: dict[str, Any] = field(default_factory=dict)


@dataclass
class FactsTrainingConfig:
    """How the built-in facts model is trained, on the world of `data.world`.

    Attributes:
        seed: decides the initial weights and the sentences drawn; the world has its own seed.
        layers: number of blocks.
        width: size of the hidden states, a multiple of 4 * heads.
        heads: attention heads.
        steps: optimizer steps, each on fresh sentences.
        batch_size: sentences a step.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW, on matrices.
        warmup: steps of linear rise.
    """

    seed: int = 0
    layers: int = 3
    width: int = 64
    heads: int = 4
    steps: int = 1200
    batch_size: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 0.1
    warmup: int = 50


@dataclass
class ModelConfig:
    """Which model, and what is known about it.

    Attributes:
        name: as typed after `model=`.
        path: local folder or hub id.
        revision: commit on the hub.
        dtype: "auto" (the checkpoint's), "float32", "bfloat16" or "float16".
        quantization: "4bit" or "8bit" holds the frozen base so (bitsandbytes), for task=reft and reft.path alone.
        device_map: "auto" spreads the model over several GPUs through accelerate.
        kind: "causal" or "masked"; null reads it from the checkpoint's config.
        architecture: YAML of a family that is not built in.
        trust_remote_code: run the checkpoint's own Python code.
        licence: what must be accepted before the hub hands out the weights.
        table3: LASER's published edit a data set, for `laser=paper`.
        stack_top3: for `laser=stack_top3`.
        facts: training of the built-in model; null for every other model.
    """

    name: str = MISSING
    path: str | None = None
    revision: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    device_map: str | None = None
    kind: str | None = None
    architecture: str | None = None
    trust_remote_code: bool = False
    licence: str | None = None
    table3: dict[str, PaperEdit] = field(default_factory=dict)
    stack_top3: FrozenStack | None = None
    facts: FactsTrainingConfig | None = None


@dataclass
class TaskConfig:
    """Which job runs.

    Attributes:
        name: as typed.
        _target_: dotted name of a function from the config to the float that Hydra's sweepers read.
        report: dotted name of a `laser_lit.report.task_report.TaskReport`: what the task adds to report.html and W&B.
    """

    name: str = MISSING
    _target_: str = MISSING
    report: str | None = None


@dataclass
class TrainerConfig:
    """What Lightning's Trainer is given."""

    accelerator: str = "auto"
    devices: Any = 1
    num_nodes: int = 1
    strategy: str = "auto"
    progress_bar: bool = True


@dataclass
class PathsConfig:
    """Folders.

    Attributes:
        results: keeps what was scored across runs; null is results/<task>/<model>/<data>.
        output: this run's own folder (Hydra's).
    """

    results: str | None = None
    output: str = MISSING


@dataclass
class EvaluateConfig:
    """`python evaluate.py`.

    Attributes:
        scoring: "strict", or "paper" for the published protocol with its faults.
        split: "group" (seeded hash of groups) or "paper" (the first 20 % in file order).
        seed: of the split, the resampling and every other random choice.
        batch_size: sequences a forward pass.
        padding: "right" or "left".
        max_length: tokens a prompt may have, older ones are cut; null is the model's limit.
        normalize_choices: divide a choice's summed log prob by its number of tokens.
        controls: score the controls beside the edit; null does it where logits of the whole vocabulary fit.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    laser: LaserConfig = field(default_factory=LaserConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    spectral: SpectralConfig = field(default_factory=SpectralConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    reft: ReftConfig = field(default_factory=ReftConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    scoring: str = "strict"
    split: str = "group"
    seed: int = 0
    batch_size: int = 64
    padding: str = "right"
    max_length: int | None = None
    normalize_choices: bool = False
    controls: bool | None = None


@dataclass
class TrainConfig:
    """`python train.py`; fields as in EvaluateConfig. `laser` is there because each model names its default."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    laser: LaserConfig = field(default_factory=LaserConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    reft: ReftConfig = field(default_factory=ReftConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    seed: int = 0


def register_schemas() -> None:
    """Makes the dataclasses known to Hydra as `evaluate_schema` and `train_schema`."""
    for name, config in (("evaluate_schema", EvaluateConfig), ("train_schema", TrainConfig)):
        node = OmegaConf.structured(config)
        with open_dict(node.laser):
            node.laser["from"] = None
        ConfigStore.instance().store(name=name, node=node)


def plain(config: DictConfig) -> dict[str, Any]:
    """Returns the resolved config as plain dicts and lists, fit for JSON; missing values are null."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    if not isinstance(container, dict):
        raise TypeError(f"a config is a mapping, not {type(container).__name__}")
    return {str(key): _without_missing(value) for key, value in container.items()}


def _without_missing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_missing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_missing(item) for item in value]
    return None if value == MISSING else value


def config_hash(content: dict[str, Any]) -> str:
    """Returns 16 hex digits that name what was scored.

    Args:
        content: plain values; everything that decides the scores (contents, not paths), nothing that does not.
    """
    text = json.dumps({"schema": SCHEMA, **content}, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return xxhash.xxh3_64_hexdigest(text.encode())
