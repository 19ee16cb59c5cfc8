"""Optuna's study in a results folder: shared by processes, continued by reruns, and not spoiled by kills."""

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import WilcoxonPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from laser_lit.config import config_hash
from laser_lit.config_search import SearchConfig
from laser_lit.search.loop import Loop

SCHEME = 1
"""Version of what a trial's parameters and reports mean; studies of another version are not continued."""
PRUNED_BELOW = 0.05
"""One-sided p of Wilcoxon's signed-rank test, against the best trial so far, under which a trial is given up."""
STARTUP = 10
"""Trials that are drawn at random before any is learned from."""
DRAWS = 24
"""Draws of which the sampler takes the most promising; half as many after each duplicate, for something new."""
SHARD, STACK, ERROR, DUPLICATE = "shard", "stack", "error", "duplicate"
"""What is noted of a trial: who ran it, its edits in words, and why it failed; without a reason, it was stopped."""


class WholeLines(JournalFileBackend):
    """Optuna's journal, in a file that survives kills at any byte.

    Whoever was killed while it wrote has left a torn line, and Optuna cannot read a journal that goes on after one.
    Only the holder of the lock writes, so what is torn then is nobody's any more. Nothing is synced: a trial is dozens
    of entries, a sync takes longer than scoring a small model, and what a crash of the machine could cost is advice to
    a sampler; the cells themselves are in the journal of the results folder.
    """

    def __init__(self, path: Path) -> None:
        """Opens the journal; the file is made when missing.

        Args:
            path: of the file, absolute.
        """
        self._path = path
        self._exclusive = JournalFileOpenLock(str(path))  # works on NFS, and where symbolic links are not allowed
        super().__init__(str(path), lock_obj=self._exclusive)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries under the lock.

        Args:
            logs: plain values.
        """
        lines = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs)
        self._exclusive.acquire()
        try:
            with self._path.open("rb+") as file:
                _cut_torn_line(file)
                file.write(lines.encode())
        finally:
            self._exclusive.release()


def _cut_torn_line(file: BinaryIO) -> None:
    """Leaves the file at its end, which is then the end of a line."""
    size = file.seek(0, os.SEEK_END)
    if size:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Optuna from logging every trial and from warning that parts of it may change."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """The trials of all processes that search for the same, and this process's share of them."""

    def __init__(self, loop: Loop, settings: SearchConfig) -> None:
        """Opens the study, or makes it.

        Args:
            loop: says what decides the study, and where it is kept.
            settings: of the search.
        """
        self._settings = settings
        self._seed = loop.seed
        name = study_name(loop, settings)
        path = loop.folder.resolve() / f"optuna-{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._study = optuna.create_study(
            storage=JournalStorage(WholeLines(path)),
            pruner=WilcoxonPruner(p_threshold=PRUNED_BELOW, n_startup_steps=0),
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )
        self._fail_stopped()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials of all processes, in the order of their numbers."""
        return self._study.get_trials(deepcopy=False)

    @property
    def scored(self) -> list[FrozenTrial]:
        """Trials that count: scored in full or in part, or found impossible to score."""
        return [trial for trial in self.trials if _counts(trial)]

    @property
    def stacks(self) -> set[str]:
        """Stacks in words that some process has scored or is scoring."""
        known = [trial for trial in self.trials if _counts(trial) or trial.state == TrialState.RUNNING]
        return {trial.user_attrs[STACK] for trial in known if STACK in trial.user_attrs}

    @property
    def left(self) -> int:
        """Trials that this process is still to make."""
        shard, shards, most = self._settings.shard, self._settings.shards, self._settings.trials
        share = most // shards + (shard < most % shards)
        mine = sum(map(_counts, self._own))
        return max(0, min(share - mine, most - len(self.scored)))

    @property
    def duplicates(self) -> int:
        """Last trials of this process's shard in a row that proposed what had been proposed before."""
        count = 0
        for trial in reversed(self._own):
            if DUPLICATE not in trial.user_attrs:
                break
            count += 1
        return count

    def ask(self) -> optuna.Trial:
        """Returns a new trial; which, depends on the seed and the trials before it alone."""
        self._study.sampler = self._sampler()
        trial = self._study.ask()
        trial.set_user_attr(SHARD, self._settings.shard)
        return trial

    def complete(self, trial: optuna.Trial, value: float) -> None:
        """Ends a trial that was scored in full.

        Args:
            trial: as asked.
            value: what is maximised.
        """
        self._study.tell(trial, value, skip_if_finished=True)

    def prune(self, trial: optuna.Trial) -> None:
        """Ends a trial that was given up.

        Args:
            trial: as asked.
        """
        self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)

    def fail(self, trial: optuna.Trial, why: str, said: Any = True) -> None:
        """Ends a trial that nothing was learned from.

        Args:
            trial: as asked.
            why: ERROR or DUPLICATE.
            said: what is noted under it.
        """
        trial.set_user_attr(why, said)
        self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    @property
    def _own(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.user_attrs.get(SHARD) == self._settings.shard]

    def _sampler(self) -> TPESampler:
        """Returns the sampler of one trial: a rerun must not draw again what the run before it has drawn."""
        words = np.random.SeedSequence([self._seed, self._settings.shard, len(self._own)])
        return TPESampler(
            seed=int(words.generate_state(1)[0]),
            n_startup_trials=STARTUP,
            n_ei_candidates=max(1, DRAWS >> self.duplicates),
            multivariate=True,
            group=True,  # stacks of unlike length have unlike parameters
            constant_liar=True,  # keeps processes apart
        )

    def _fail_stopped(self) -> None:
        """Marks trials that a process left running when it ended, as failed.

        A shard is one process at a time, so that what runs in this one's name does so no more.
        """
        names = {None, self._settings.shard}
        for trial in self.trials:
            mine = self._settings.shards == 1 or trial.user_attrs.get(SHARD) in names
            if trial.state == TrialState.RUNNING and mine:
                self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def study_name(loop: Loop, settings: SearchConfig) -> str:
    """Returns the hash of what decides a study: model, data, rows, candidates, objective and seed.

    Args:
        loop: of the search.
        settings: of the search; how many trials and shards there are does not count.
    """
    edits = [
        [edit.part, edit.layer, edit.matrix, edit.kind, edit.rank, *edit.decomposed.values()]
        for edit in loop.space.edits
    ]
    objective = {"name": loop.objective.name, "weights": [round(float(w), 9) for w in loop.objective.weights]}
    rows = {"order": loop.order.tolist(), "objective": objective, "seed": loop.seed}
    return config_hash({**loop.content, **rows, "space": edits, "stack": settings.stack, "scheme": SCHEME})


def _counts(trial: FrozenTrial) -> bool:
    failed = trial.state == TrialState.FAIL and ERROR in trial.user_attrs
    return failed or trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
