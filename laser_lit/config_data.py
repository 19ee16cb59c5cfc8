"""What can be typed after `data.`: a plain dataclass that OmegaConf checks, and the rules that types cannot say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from laser_lit.config_sokoban import LevelsConfig, TrajectoriesConfig
from laser_lit.errors import InputError, unknown_name

TEMPLATES = ("data.prompt", "data.masked_prompt")
SCORE_AS = ("token", "choice", "generate")
DISTRACTORS = ("generic", "same_relation", "per_fact")


@dataclass
class FactsConfig:
    """What the world and its training text depend on.

    Attributes:
        subjects: number of surnames; five facts each.
        zipf: exponent of the facts' frequencies, 0 for equal ones.
        noise: probability in [0, 1) that training text says the distractor instead of the object.
        seed: decides surnames, objects, frequencies and order.
        distractor: "generic": the word "the"; "same_relation": one object of the relation for all its facts (a second
            one for the facts of which it is true); "per_fact": any wrong object of the relation, drawn once a fact.
    """

    subjects: int = 200
    zipf: float = 0.8
    noise: float = 0.40
    seed: int = 0
    distractor: str = "generic"

    def __post_init__(self) -> None:
        if not self.subjects >= 1:
            raise InputError(f"data.world.subjects {self.subjects}: must be at least 1")
        if not 0 <= self.noise < 1:
            raise InputError(f"data.world.noise {self.noise}: must lie in [0, 1)")
        if not self.zipf >= 0:
            raise InputError(f"data.world.zipf {self.zipf}: must be at least 0")
        if self.seed < 0:
            raise InputError(f"data.world.seed {self.seed}: must be at least 0")
        if self.distractor not in DISTRACTORS:
            raise unknown_name("data.world.distractor", self.distractor, DISTRACTORS)


@dataclass
class DataConfig:
    """Which examples, and how a row becomes a prompt. Null means: as the data set's published protocol has it.

    Attributes:
        name: as typed after `data=`.
        path: a local file, or a list of files, in the hub's schema or the original file's; wins over `id`.
        id: the data set's id on the hub.
        revision: commit on the hub, or a ref such as refs/convert/parquet.
        files: which files of the hub's repository to read, in this order: split -> path with wildcards.
        prompt: template of a row's text, fields in braces, as in "{question} Answer:" (jsonl, gsm8k,
            commonsense, math, instruct, ultrafeedback);
            "\\n" is a new line, "{{" and "}}" are braces.
        masked_prompt: the same for masked models, with <mask> where the answer goes.
        answer: the field with the gold answer (jsonl).
        choices: the field with the list of choices, or the list itself (jsonl).
        group: the field that names a row's group (jsonl); null groups equal prompts.
        subject: the field with what a row's fact is about, for `analysis.corpus` (jsonl).
        text_field: the field with the text, for perplexity on rows.
        score_as: token, choice or generate (jsonl).
        limit: keep this many groups, before the split.
        first_rows: read only the first rows of each part (from the hub without fetching whole files), for a quick look.
        chat_template: put prompts into the tokenizer's chat template.
        max_new_tokens: length of a generated answer, in tokens.
        max_answer_tokens: drop examples whose answer is longer, in tokens of the evaluated model.
        masks: how many masks a masked model is given for a generated answer.
        masked_tail_tokens: a masked model sees only this many last tokens of the text.
        window: tokens a window, for perplexity.
        world: the built-in world of data=facts; null for every other data set.
        task: name of a task, group or tag of lm-evaluation-harness (lm_eval; `path` is then the folder of its YAML, or
            a list of folders), or of GLUE (glue).
        num_fewshot: solved examples before a question (lm_eval); null takes the task's own number.
        levels: of Sokoban; null for every other data set.
        trajectories: that a policy learns Sokoban from; null for every other data set.
    """

    name: str = MISSING
    path: Any = None
    id: str | None = None
    revision: str | None = None
    files: dict[str, str] | None = None
    prompt: str | None = None
    masked_prompt: str | None = None
    answer: str | None = None
    choices: Any = None
    group: str | None = None
    subject: str | None = None
    text_field: str | None = None
    score_as: str | None = None
    limit: int | None = None
    first_rows: int | None = None
    chat_template: bool = False
    max_new_tokens: int | None = None
    max_answer_tokens: int | None = None
    masks: int | None = None
    masked_tail_tokens: int | None = None
    window: int = 384
    world: FactsConfig | None = None
    task: str | None = None
    num_fewshot: int | None = None
    levels: LevelsConfig | None = None
    trajectories: TrajectoriesConfig | None = None


def quote_templates(arguments: Sequence[str]) -> list[str]:
    """Returns command-line arguments with the templates among them quoted, whose braces Hydra would read as mappings.

    The shell takes the quotes of data.prompt='{question} Answer:' away before Hydra sees them.

    Args:
        arguments: as in `sys.argv[1:]`.
    """
    return [_quoted(argument) for argument in arguments]


def _quoted(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if name.lstrip("+") not in TEMPLATES or not equals or value[:1] in ("'", '"') or value in ("", "null"):
        return argument
    one_line = value.replace("\n", r"\n")
    # in Hydra's quotes a quote needs a backslash, and backslashes before a quote must be doubled
    inside = re.sub(r"(\\*)'", r"\1\1\\'", one_line)
    return name + "='" + re.sub(r"(\\+)$", r"\1\1", inside) + "'"


def config_folder() -> Path:
    """Returns where the config files are: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def check_data_config(config: DataConfig) -> None:
    """Raises an error where a value cannot be meant; types and names of fields are OmegaConf's business.

    Args:
        config: a DataConfig or an OmegaConf node of that shape.

    Raises:
        InputError: says which field, what was given and what is allowed.
    """
    for field in ("limit", "first_rows", "max_new_tokens", "max_answer_tokens", "masks", "masked_tail_tokens"):
        value = getattr(config, field)
        if value is not None and value < 1:
            raise InputError(f"data.{field} {value}: must be at least 1, or null for the protocol's value")
    if config.num_fewshot is not None and config.num_fewshot < 0:
        raise InputError(
            f"data.num_fewshot {config.num_fewshot}: must be at least 0, or null for the task's own number"
        )
    if config.window < 2:
        raise InputError(f"data.window {config.window}: must be at least 2 tokens")
    if config.score_as is not None and config.score_as not in SCORE_AS:
        raise unknown_name("data.score_as", config.score_as, SCORE_AS)
    if config.path is None and config.id is not None and not (config.revision and config.files):
        raise InputError(
            f"data.id {config.id}: name data.revision (a commit) and data.files "
            "(split -> file, as in '{test: data/test-*.parquet}') too"
        )
