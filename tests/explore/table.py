"""The corpus' trainers as the search over moments is to see them: what is found, and how small it can be told.

`interruptions` is how many instances have to go for the failure to show, and `kinds` the moments at which the last one
of them may go in the smallest schedule; where any moment will do, `kinds` is empty. Correct trainers are to survive
everything under the profiles that they claim: one that saves only when it is told cannot survive `sudden`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.core.plan import PROFILES
from simulator.explore.points import PointKind
from tests.trainers.table import TRAINERS, Trainer

WARNING_SECONDS, GRACE_SECONDS = 0.5, 1.0  # as in the corpus' own runs: its trainers save in tenths of seconds
K = PointKind
ALL_PROFILES = tuple(PROFILES)
TOLD = ("two-minute", "sagemaker")


@dataclass(frozen=True)
class Searched:
    """A trainer, and what the search is to come to. `moment` tells where the failure hides; `besides` are rules
    that the corpus' own runs do not meet, and other moments do."""

    trainer: Trainer
    moment: str
    interruptions: int = 1
    kinds: frozenset[PointKind] = frozenset()
    profiles: tuple[str, ...] = ALL_PROFILES
    besides: frozenset[str] = frozenset()

    @property
    def settings(self) -> Mapping[str, Any]:
        """Keywords of simulate(): the corpus' own, with the grace that its runs give this trainer."""
        graces = [run.options["grace"] for run in self.trainer.runs if "grace" in run.options]
        warnings = {"warning": WARNING_SECONDS, "grace": max(graces, default=GRACE_SECONDS)}
        return {**warnings, **self.trainer.settings, "baseline": True}

    @property
    def expected(self) -> frozenset[str]:
        """The rules of which one has to be found; none where the trainer is to survive."""
        return self.trainer.errors | self.besides


def fails(script: str, moment: str, interruptions: int = 1, *kinds: PointKind, besides: str = "") -> Searched:
    """A faulty trainer of the corpus."""
    trainer = _BY_SCRIPT[f"faulty/{script}"]
    return Searched(trainer, moment, interruptions, frozenset(kinds), besides=frozenset(besides.split()))


def survives(script: str, *profiles: str, why: str = "any moment") -> Searched:
    """A correct trainer of the corpus, under the profiles that it claims: all of them unless told."""
    return Searched(_BY_SCRIPT[f"correct/{script}"], why, profiles=profiles or ALL_PROFILES)


_BY_SCRIPT = {trainer.script: trainer for trainer in TRAINERS}
_SAVING = (K.SAVE, K.SAVED, K.UPLOAD, K.UPLOADED)
_NEEDS_TWO = Trainer("../explore/trainers/deletes_what_it_took_up.py", "made up", (), errors=frozenset({"SPOT001"}))

TABLE = (
    # Half a checkpoint
    fails("written_in_place.py", "when a part of its only file is in S3", 1, *_SAVING),
    fails("torn_file_is_skipped.py", "when a part of a later save is in S3", 1, K.STEP, *_SAVING),
    fails("mixed_generation.py", "between the files of one save", 1, K.STEP, *_SAVING),
    fails("newest_folder_is_incomplete.py", "before a folder is wholly in S3", 1, *_SAVING),
    # The wrong one
    fails("string_sort.py", "after step 100", 1, K.STEP),
    fails("epoch_is_done_twice.py", "after a first save"),
    fails("rest_of_the_epoch_is_skipped.py", "in the middle of an epoch"),
    fails("shuffle_restarts.py", "in the middle of an epoch"),
    # Nothing to come back to
    fails("saves_once_an_hour.py", "at any moment before its first save"),
    fails("saves_when_done.py", "at any moment"),
    fails("only_the_first_is_saved.py", "long after its first save"),
    fails("last_is_a_link.py", "at any moment"),
    Searched(_NEEDS_TWO, "twice: after a save, and again before the next", 2),
    # Restoring is what kills it
    fails("dies_of_an_empty_folder.py", "between its first file and its first checkpoint"),
    fails("keys_with_a_prefix.py", "after a first save"),
    fails("failed_load_is_hidden.py", "after a first save"),
    fails("stumbles_over_markers.py", "after a first save"),
    # SIGTERM, and what follows it
    fails("save_outlasts_the_grace.py", "at any moment"),
    fails("saves_at_the_last_moment.py", "at any moment: it saves only when it is told", besides="SPOT001"),
    fails("flag_not_seen_in_evaluation.py", "in its evaluation, or without SIGTERM"),
    fails("flag_seen_after_the_epoch.py", "at any moment"),
    fails("handler_deadlocks.py", "at any moment"),
    fails("launcher_kills_too_soon.py", "at any moment"),
    fails("nothing_left_to_do.py", "after its last save", 1, K.STEP, K.EPOCH, K.EVALUATION, *_SAVING),
    # Those that survive
    survives("numpy_periodic_only.py"),
    survives("boosting_rounds.py"),
    survives("signal_and_periodic.py"),
    survives("slow_saves.py"),
    survives("folder_with_a_seal.py"),
    survives("two_slots.py"),
    survives("link_to_the_newest.py"),
    survives("asynchronous_saver.py"),
    survives("workers_and_a_queue.py"),
    survives("quick_and_exact.py"),
    survives("remaining_epochs.py"),
    survives("best_and_last.py"),
    survives("signal_only.py", *TOLD, why="it saves when it is told, and after long epochs"),
    survives("notice_watcher.py", "two-minute", "ec2", why="it saves when it sees the notice"),
)
