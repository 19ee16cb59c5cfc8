"""What can be said against `analysis=` before anything is loaded."""

from dataclasses import asdict

from omegaconf import DictConfig

from laser_lit.config_analysis import TextConfig
from laser_lit.data.documents import check_corpus, is_named
from laser_lit.errors import InputError


def check_analysis(config: DictConfig) -> None:
    """Raises an error where the analyses cannot be meant, or do not go with the task.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    analysis = config.analysis
    check_corpus(analysis.corpus)
    named = {"corpus": is_named(analysis.corpus), "components": bool(analysis.components)}
    for name, wanted in named.items():
        if wanted and config.data.levels is not None:
            raise InputError(f"analysis.{name} with data={config.data.name}: rooms are no facts; leave it out")
        if wanted and config.search.also:
            raise InputError(f"analysis.{name} with search.also: one data set is analysed; leave one of them out")
    for share in analysis.components:
        if not 0 < share < 1:
            raise InputError(f"analysis.components {share}: each must lie in (0, 1), as a share of the components")
    for share in analysis.storage:
        if not 0 < share <= 1:
            raise InputError(f"analysis.storage {share}: each must lie in (0, 1], as a share of the matrices' numbers")
    _check_text(analysis.text)


def _check_text(text: TextConfig) -> None:
    if text.tokens < 1 or text.window < 2:
        raise InputError(
            f"analysis.text.tokens {text.tokens}, analysis.text.window {text.window}: must be at least 1 and 2"
        )
    given = {name: getattr(text, name) for name in ("path", "tokens", "window")}
    usual = asdict(TextConfig())
    for name, entry in given.items():
        if text.data is None and entry != usual[name]:
            raise InputError(
                f"analysis.text.{name}={entry} would count for nothing: say what text it is, as in "
                "analysis.text.data=text analysis.text.path=book.txt"
            )
