"""What can be said against `analysis=` before anything is loaded."""

from omegaconf import DictConfig

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
