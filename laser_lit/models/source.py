"""Where a model comes from, a folder or the hub, and what to do when it does not."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from laser_lit.errors import InputError
from laser_lit.files import refuse_unfinished
from laser_lit.models.hub import hub_answers, is_hub_id

_T = TypeVar("_T")


@dataclass(frozen=True)
class Source:
    """A model's folder or its id on the hub.

    Attributes:
        where: the folder's path or the id.
        keywords: what from_pretrained needs to find it.
        reachable: whether the hub answers; without it only the hub's cache is read.
    """

    where: str
    keywords: dict[str, Any]
    reachable: bool

    @property
    def folder(self) -> Path | None:
        """The local folder, if it is one."""
        return Path(self.where) if Path(self.where).is_dir() else None

    def load(self, loader: Callable[..., _T], **keywords: Any) -> _T:
        """Returns what a from_pretrained returns; its failures become errors that say what to do.

        Raises:
            InputError: the files are missing, out of reach, broken, or do not fit together.
        """
        with quiet():
            return self._loaded(loader, keywords)

    def _loaded(self, loader: Callable[..., _T], keywords: dict[str, Any]) -> _T:
        try:
            return loader(self.where, **self.keywords, **keywords)
        except SafetensorError as error:
            raise InputError(f"a weight file of {self.where} is broken ({error}); fetch or save it again") from error
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise InputError(self._explain(error)) from error
        except RuntimeError as error:
            if "size" not in str(error) or isinstance(error, torch.OutOfMemoryError):
                raise
            raise InputError(f"the weights of {self.where} do not fit its config.json: {_first_line(error)}") from error

    def _explain(self, error: Exception) -> str:
        """Returns why the model could not be loaded, and what to do."""
        if "trust_remote_code" in str(error):
            return f"{self.where} runs its own code; set model.trust_remote_code=true if you trust it"
        if self.folder or isinstance(error, ImportError | KeyError):
            return f"cannot load {self.where}: {_first_line(error)}"
        local = "give a local folder with model=local model.path=DIR"
        if constants.HF_HUB_OFFLINE:
            return (
                f"{self.where} is no folder here and not in the hub's cache, and HF_HUB_OFFLINE forbids fetching it; "
                f"unset that, or {local}"
            )
        if not self.reachable:
            return (
                f"{self.where} is no folder here and not in the hub's cache, and {constants.ENDPOINT} cannot be "
                f"reached; {local}"
            )
        causes = list(_chain(error))
        if any(isinstance(cause, GatedRepoError) for cause in causes):
            return f"{self.where} is gated: accept its licence on the hub and log in (`hf auth login` or HF_TOKEN)"
        if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
            return f"{self.where} has no revision {self.keywords.get('revision')!r} on the hub"
        if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
            return f"{self.where} is not on the hub, or is private (log in with `hf auth login`); or {local}"
        return f"cannot load {self.where} from the hub: {_first_line(error)}; or {local}"


def find_source(path_or_id: str | Path, revision: str | None = None, trust_remote_code: bool = False) -> Source:
    """Returns where a model is, having checked a folder as far as that goes without reading it.

    Args:
        path_or_id: a folder, or an id of the hub.
        revision: commit, tag or branch on the hub.
        trust_remote_code: whether code that comes with the model may run.

    Raises:
        InputError: neither a model's folder nor an id.
    """
    keywords: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    path = Path(path_or_id).expanduser()
    if path.is_dir():
        refuse_unfinished(path)
        if not (path / "config.json").is_file():
            raise InputError(f"{path} is a folder without config.json: not a model that save_pretrained wrote")
        return Source(str(path), keywords, reachable=False)
    if path.is_file():
        raise InputError(f"{path} is a file; give the model's folder")
    text = str(path_or_id)
    if not is_hub_id(text):
        raise InputError(f"no model folder at {text}, and it is not an id of the hub (owner/name) either")
    reachable = not constants.HF_HUB_OFFLINE and hub_answers(constants.ENDPOINT)
    return Source(text, keywords | {"local_files_only": not reachable}, reachable)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' warnings, and its progress bars where no one watches them, off the screen."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
