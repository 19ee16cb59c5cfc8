"""`task=sokoban`: `train.py` trains a policy, `evaluate.py` scores one under LASER."""

from omegaconf import DictConfig

from rl.jobs.evaluate import evaluate
from rl.jobs.train import train


def run(config: DictConfig) -> float:
    """Returns the validation solve rate under the configured stack or the one found; of a training the validation loss.

    Args:
        config: of `evaluate.py`, or of `train.py`, which has no `search`.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    return evaluate(config) if "search" in config else train(config)
