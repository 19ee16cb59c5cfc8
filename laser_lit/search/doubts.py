"""What a search cannot show with the data that it has, said before it begins."""

import numpy as np

from laser_lit.search.loop import Loop

LEVEL = 0.05
"""A smallest possible p above this is worth a word."""


def doubts(loop: Loop) -> tuple[str, ...]:
    """Returns what stands in the way of a clear result, a sentence each; none where nothing does.

    Args:
        loop: with its base.
    """
    return (*_few_groups(loop), *_no_room(loop))


def _few_groups(loop: Loop) -> tuple[str, ...]:
    count = len(np.unique(loop.groups))
    least = 2.0 ** (1 - count)  # of all sign patterns, this one and its opposite
    if least <= LEVEL:
        return ()
    way_out = "give more examples, or a data.group that tells more of them apart"
    if count == 1:
        return (f"All {loop.size:,} validation examples are one group: no interval, and no p below 1; {way_out}",)
    return (f"The {loop.size:,} validation examples are {count} groups: no p below {least:.4g}; {way_out}",)


def _no_room(loop: Loop) -> tuple[str, ...]:
    correct = loop.base.correct
    if loop.objective.name != "accuracy" or correct is None or (correct.any() and not correct.all()):
        return ()
    share = "all" if correct.any() else "none"
    told = "no edit can gain" if correct.any() else "an edit gains only where it puts the right answer first"
    return (
        f"The model answers {share} of the {loop.size:,} validation examples, so that {told}: "
        "search.objective=log_loss goes by the probability of the answers",
    )
