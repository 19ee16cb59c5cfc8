"""Files of a checkpoint, from a local folder or through the hub's own client and its cache."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from laser_lit.errors import InputError
from laser_lit.files import refuse_unfinished

PATTERNS = ("config.json", "model*.safetensors", "model*.safetensors.index.json")
_PATIENCE = 10
"""Seconds to wait for the hub's first answer."""


def checkpoint_folder(path_or_id: str | Path, revision: str | None = None, also: Sequence[str] = ()) -> Path:
    """Returns the folder of a checkpoint; of one on the hub, the cache's, with its weights fetched where missing.

    Args:
        path_or_id: a folder, or an id of the hub.
        revision: commit, tag or branch on the hub.
        also: patterns of further files to fetch.

    Raises:
        InputError: neither a folder nor an id, or an id that is out of reach.
    """
    path = Path(path_or_id).expanduser()
    if path.is_file():
        raise InputError(f"{path} is a file; give the model's folder")
    if path.is_dir():
        refuse_unfinished(path)
        if not (path / "config.json").is_file():
            raise InputError(f"{path} is a folder without config.json: not a model that save_pretrained wrote")
        return path
    text = str(path_or_id)
    if not is_hub_id(text):
        raise InputError(f"no model folder at {text}, and it is not an id of the hub (owner/name) either")
    return _fetched(text, revision, [*PATTERNS, *also])


def is_hub_id(text: str) -> bool:
    """Whether a text has the form of an id of the hub: name or owner/name."""
    return bool(re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", text))


def hub_answers(endpoint: str) -> bool:
    """Whether the hub answers at all; asked once, since the hub's own client retries for most of a minute.

    Args:
        endpoint: the hub's address.
    """
    try:
        with urlopen(Request(endpoint, method="HEAD"), timeout=_PATIENCE):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def _fetched(id: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    offline = constants.HF_HUB_OFFLINE
    reachable = not offline and hub_answers(constants.ENDPOINT)
    local = "give a local folder with model=local model.path=DIR"
    try:
        folder = snapshot_download(id, revision=revision, allow_patterns=patterns, local_files_only=not reachable)
    except GatedRepoError as error:
        raise InputError(
            f"{id} is gated: accept its licence on the hub and log in (`hf auth login` or HF_TOKEN)"
        ) from error
    except LocalEntryNotFoundError as error:
        unreachable = f"{constants.ENDPOINT} cannot be reached;"
        why = "HF_HUB_OFFLINE forbids fetching it; unset that, or" if offline else unreachable
        raise InputError(f"{id} is no folder here and not in the hub's cache, and {why} {local}") from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"cannot fetch {id} from the hub: {str(error).strip().splitlines()[0]}; or {local}") from error
    found = Path(folder)
    if not (found / "config.json").is_file():
        raise InputError(f"{id} has no config.json {'on the hub' if reachable else 'in the cache'}; {local}")
    return found
