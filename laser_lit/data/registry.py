"""Every data set by the name typed after `data=`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from laser_lit.config_data import DataConfig, check_data_config, config_folder
from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.data.tokenized import apply_chat_template, limit_answer_tokens, shorten_masked_texts
from laser_lit.errors import InputError, unknown_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Loader = Callable[[DataConfig], ExampleSet | TextSet]

LOADERS = {
    "counterfact": "laser_lit.data.counterfact:load",
    "hotpotqa": "laser_lit.data.hotpotqa:load",
    "fever": "laser_lit.data.fever:load",
    "bios_gender": "laser_lit.data.bios:load",
    "bios_profession": "laser_lit.data.bios:load",
    "truthfulqa": "laser_lit.data.truthfulqa:load",
    "epistemic_reasoning": "laser_lit.data.bigbench:load_choices",
    "causal_judgement": "laser_lit.data.bigbench:load_choices",
    "web_of_lies": "laser_lit.data.bigbench:load_choices",
    "qa_wikidata": "laser_lit.data.bigbench:load_generated",
    "wikitext2": "laser_lit.data.corpus:load",
    "ptb": "laser_lit.data.corpus:load",
    "c4": "laser_lit.data.corpus:load",
    "gsm8k": "laser_lit.data.corpus:load",
    "text": "laser_lit.data.corpus:load",
    "jsonl": "laser_lit.data.jsonl:load",
    "commonsense": "laser_lit.data.llm_adapters:load",
    "math": "laser_lit.data.llm_adapters:load",
    "instruct": "laser_lit.data.instruct:load",
    "ultrafeedback": "laser_lit.data.instruct:load",
    "glue": "laser_lit.data.glue:load",
    "lm_eval": "laser_lit.data.lm_eval:load",
    "emoji": "laser_lit.data.emoji:load",
    "facts": "laser_lit.data.builtin:load",
    "facts_distractor": "laser_lit.data.builtin:load",
}
"""Name -> module:function; a function takes a DataConfig. Modules are imported when they are asked for."""


def load_data(
    config: DataConfig | str, tokenizer: "PreTrainedTokenizerBase | None" = None, **overrides: Any
) -> ExampleSet | TextSet:
    """Returns the examples (or the text) of a data set, in file order and before `data.limit` and the split.

    Args:
        config: a DataConfig or an OmegaConf node of that shape, or the name of a file in conf/data.
        tokenizer: of the evaluated model. Without one, what depends on it is left undone: the limit on answer tokens,
            the cut of masked prompts and the chat template.
        overrides: fields to change, where `config` is a name.

    Raises:
        InputError: the name is unknown, a file or row is at fault, or the hub cannot be reached.
    """
    config = named_config(config, config_folder(), **overrides) if isinstance(config, str) else as_data_config(config)
    check_data_config(config)
    data = loader(config.name)(config)
    if isinstance(data, TextSet):
        return data
    _require_unique_ids(data)
    return data if tokenizer is None else fit_tokenizer(data, config, tokenizer)


def fit_tokenizer(data: ExampleSet, config: DataConfig, tokenizer: "PreTrainedTokenizerBase") -> ExampleSet:
    """Returns the examples with everything done that depends on the tokenizer."""
    if config.max_answer_tokens is not None:
        data = limit_answer_tokens(data, tokenizer, config.max_answer_tokens)
    if getattr(tokenizer, "mask_token", None) is not None:
        data = shorten_masked_texts(data, tokenizer)
    return apply_chat_template(data, tokenizer) if config.chat_template else data


def loader(name: str) -> Loader:
    """Returns the function that loads a data set.

    Raises:
        UnknownNameError: lists the nearest names.
    """
    if name not in LOADERS:
        raise unknown_name("data", name, LOADERS, "your own task: data=jsonl, your own text: data=text")
    module, function = LOADERS[name].split(":")
    found: Loader = getattr(import_module(module), function)
    return found


def as_data_config(config: Any) -> DataConfig:
    """Returns a config as a plain DataConfig; unknown fields and wrong types are errors.

    Args:
        config: a DataConfig, a mapping, or an OmegaConf node.
    """
    if isinstance(config, DataConfig):
        config = OmegaConf.structured(config)
    merged = OmegaConf.merge(OmegaConf.structured(DataConfig), config)
    plain = OmegaConf.to_object(merged)
    if not isinstance(plain, DataConfig):
        raise TypeError(f"a data config is a mapping, not {type(plain).__name__}")
    return plain


def named_config(name: str, folder: Path, **overrides: Any) -> DataConfig:
    """Returns the config that `data=NAME` stands for.

    Args:
        name: a file of `folder`/data without its suffix.
        folder: the config folder.
        overrides: fields to change, of the types that DataConfig wants.

    Raises:
        UnknownNameError: there is no such file.
    """
    file = folder / "data" / f"{name}.yaml"
    if not file.is_file():
        raise unknown_name("data", name, sorted(path.stem for path in (folder / "data").glob("*.yaml")))
    return as_data_config(OmegaConf.merge(OmegaConf.load(file), overrides))


def _require_unique_ids(data: ExampleSet) -> None:
    seen: set[str] = set()
    for example in data.examples:
        if example.id in seen:
            raise InputError(f"data set {data.name}: two examples have the id {example.id!r}; ids must be unique")
        seen.add(example.id)
