"""What can be said against `analysis=` before anything is loaded."""

from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from laser_lit.config_analysis import CorpusConfig, TextConfig
from laser_lit.data.documents import check_corpus, is_named
from laser_lit.errors import InputError
from laser_lit.jobs.typed import typed_overrides


def check_analysis(config: DictConfig) -> None:
    """Raises an error where the analyses cannot be meant, or do not go with the task.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    analysis = config.analysis
    check_corpus(analysis.corpus)
    if not is_named(analysis.corpus):
        _refuse_unused("corpus", analysis.corpus, CorpusConfig, "analysis.corpus.path=book.txt")
    named = {"corpus": is_named(analysis.corpus), "components": bool(analysis.components)}
    for name, wanted in named.items():
        if wanted and config.data.levels is not None:
            raise InputError(f"analysis.{name} with data={config.data.name}: rooms are no facts; leave it out")
        if wanted and config.search.also:
            raise InputError(f"analysis.{name} with search.also: one data set is analysed; leave one of them out")
    for share in analysis.components:
        if not 0 < share < 1:
            raise InputError(f"analysis.components {share}: each must lie in (0, 1), as a share of the components")
    _check_searched(config)
    for share in analysis.storage:
        if not 0 < share <= 1:
            raise InputError(f"analysis.storage {share}: each must lie in (0, 1], as a share of the matrices' numbers")
    _check_text(analysis.text)


def refuse_analyses(config: DictConfig) -> None:
    """Raises an error for an analysis that was typed for a task that makes none.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was typed, and which task analyses.
    """
    typed = typed_overrides("analysis")
    if typed:
        raise InputError(
            f"{', '.join(typed)} with task={config.task.name}, which makes no analyses: leave it out, or take "
            "task=language"
        )


def _check_searched(config: DictConfig) -> None:
    """Raises an error where a search may choose what its components cannot be looked at: it would come after hours."""
    search = config.search
    if search.name == "none" or not config.analysis.components:
        return
    other = [f"search.kinds={list(search.kinds)}"] if set(search.kinds) != {"low_rank"} else []
    other += [f"search.decomposition={search.decomposition}"] if search.decomposition != "svd" else []
    if other:
        raise InputError(
            f"analysis.components with {' '.join(other)}: only plain low-rank edits are looked at, and the search may "
            "choose others; leave one of them out"
        )


def _check_text(text: TextConfig) -> None:
    if text.tokens < 1 or text.window < 2:
        raise InputError(
            f"analysis.text.tokens {text.tokens}, analysis.text.window {text.window}: must be at least 1 and 2"
        )
    if text.data is None:
        _refuse_unused("text", text, TextConfig, "analysis.text.data=text analysis.text.path=book.txt")


def _refuse_unused(group: str, given: Any, kind: type[CorpusConfig | TextConfig], named: str) -> None:
    """Raises an error for a setting of a text that is not named."""
    for name, usual in asdict(kind()).items():
        if given[name] != usual:
            raise InputError(
                f"analysis.{group}.{name}={given[name]} would count for nothing: say what text it is, as in {named}"
            )
