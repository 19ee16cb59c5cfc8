"""What all runs together have scored of each stack, as the results folder tells it."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from laser_lit.config import config_hash
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.results.store import ResultsStore
from laser_lit.search.cell import Cell, Piece, failed
from laser_lit.search.space import Edits

log = logging.getLogger(__name__)


class Known:
    """The pieces of every stack's score, put together where they are consecutive."""

    def __init__(self, store: ResultsStore, content: Mapping[str, Any]) -> None:
        """Reads the results folder.

        Args:
            store: of the folder.
            content: all that decides the scores besides edits.
        """
        self._content = dict(content)
        self._store = store
        self._entries = store.pieces()

    def refresh(self) -> None:
        """Reads what other processes have written since."""
        self._entries = self._store.pieces()

    def has(self, edits: Edits) -> bool:
        """Returns whether anything has been written down of a stack.

        Args:
            edits: the stack.
        """
        return bool(self._entries) and self._key(edits) in self._entries

    def add(self, edits: Edits, piece: Piece) -> None:
        """Writes a piece of a stack's score down.

        Args:
            edits: the stack.
            piece: of consecutive rows, or an error.
        """
        key, entry = self._key(edits), piece.to_json()
        self._store.add_piece(key, entry, [_named(edit) for edit in edits])
        self._entries.setdefault(key, []).append(entry)

    def cell(self, edits: Edits, most: int) -> Cell:
        """Returns what is known of the first rows of a stack, or, where some are missing, why the last attempt failed.

        Args:
            edits: the stack.
            most: rows, from the first on.
        """
        pieces = self._pieces(self._key(edits))
        parts: list[Piece] = []
        n = 0
        for piece in sorted((piece for piece in pieces if piece.error is None), key=lambda piece: piece.start):
            if piece.start <= n < piece.stop:
                correct = None if piece.correct is None else piece.correct[n - piece.start :]
                parts.append(Piece(n, correct, piece.log_loss[n - piece.start :], piece.seconds))
                n = piece.stop
        errors = [piece.error for piece in pieces if piece.error is not None and piece.start >= n]
        seconds = sum(piece.seconds for piece in pieces)
        if errors and n < most:
            return failed(edits, errors[-1], seconds)
        corrects = [part.correct for part in parts if part.correct is not None]
        losses = [part.log_loss for part in parts]
        return Cell(
            edits,
            np.concatenate(corrects) if parts and len(corrects) == len(parts) else None,
            np.concatenate(losses) if losses else np.zeros(0, dtype=np.float32),
            seconds,
        ).head(most)

    def _key(self, edits: Edits) -> str:
        return config_hash({**self._content, "edits": [_named(edit) for edit in edits]})

    def _pieces(self, key: str) -> list[Piece]:
        """Returns what was written down of a stack; what cannot be read is left out, and so is scored again."""
        pieces = []
        for entry in tuple(self._entries.get(key, ())):
            try:
                pieces.append(Piece.from_json(entry))
            except InputError as error:
                log.warning("%s: %s; it is scored again", self._store.folder, error)
                self._entries[key].remove(entry)
        return pieces


def _named(edit: Edit) -> dict[str, Any]:
    return {key: getattr(edit, key) for key in ("layer", "matrix", "part", "kind", "rank")} | edit.decomposed
