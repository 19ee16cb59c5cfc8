"""What the user typed on the command line."""

from hydra.core.hydra_config import HydraConfig


def typed_overrides(*beginnings: str) -> list[str]:
    """Returns the overrides of the command line, a field=value each; none where no command runs.

    Args:
        beginnings: only those that begin with one of them.
    """
    if not HydraConfig.initialized():
        return []
    texts = [str(override).lstrip("+~") for override in HydraConfig.get().overrides.task]
    return [text for text in texts if text.startswith(beginnings)]
