"""The corpus: which trainer, after which failure it is modelled, when it is killed, and what the judge must say.

`errors` must be exactly the rules that find an error, in every run. `warnings` must appear; `tolerated` may (a regular
save that a kill happens to cut, a script that leaves SIGTERM alone while its checkpoints are current). A warning in
neither is a wrong one. Correct trainers have no errors, and must be called survived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

QUIET_WARNINGS = frozenset({"SPOT006", "SPOT007"})
"""What the judge may remark on any periodic saver without being wrong: it was killed at last, with a save under way."""


COSTLY = QUIET_WARNINGS | {"SPOT010", "SPOT014"}
"""The same of those that save slowly or keep all that they save, which is worth a remark whatever else they do."""
EARLY = QUIET_WARNINGS | {"SPOT001"}
"""The same where an interruption comes before the first checkpoint was due."""


@dataclass(frozen=True)
class Run:
    """One run of a trainer: when its attempts are interrupted, and how."""

    interrupt: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Keywords of simulate()."""
        named = {"interrupt": self.interrupt, **self.options}
        profile = named.get("profile", "two-minute")
        if profile in ("two-minute", "ec2"):
            named.setdefault("warning", 0.5)
        if profile in ("two-minute", "sagemaker"):
            named.setdefault("grace", 1.0)
        return named

    def __str__(self) -> str:
        profile = self.options.get("profile")
        return ", ".join(self.interrupt) + (f" ({profile})" if profile else "")


@dataclass(frozen=True)
class Trainer:
    """One row. `settings` are simulate()'s, for all runs. `needs` are modules that must be there; `needs_root`: only
    root can see which process wrote what. `weight` tells long ones, which start first; `docker`: it is run in
    containers too."""

    script: str
    about: str
    runs: tuple[Run, ...]
    errors: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()
    tolerated: frozenset[str] = QUIET_WARNINGS
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    needs_root: bool = False
    weight: int = 0
    docker: bool = False

    @property
    def path(self) -> Path:
        """The script."""
        return HERE / self.script

    @property
    def docker_run(self) -> Run:
        """The run that is repeated in containers: one without SIGTERM, which the SDK's driver scripts swallow there."""
        return next(run for run in self.runs if run.options.get("profile") in ("sudden", "ec2"))

    @property
    def is_faulty(self) -> bool:
        """Whether it loses training state."""
        return self.script.startswith("faulty/")


def at(*interrupt: str, **options: Any) -> Run:
    """A run with these interruptions, one an attempt."""
    return Run(interrupt, options)


def sudden(*interrupt: str, **options: Any) -> Run:
    """The same without notice or SIGTERM."""
    return Run(interrupt, {"profile": "sudden", **options})


def mid_save(trigger: str, after_seconds: float) -> Run:
    """A kill so long after the trigger, without SIGTERM: into a save that begins with the trigger's line."""
    return Run((trigger,), {"profile": "ec2", "warning": after_seconds})


def faulty(script: str, about: str, *runs: Run, errors: str = "", warnings: str = "", **more: Any) -> Trainer:
    """A trainer that loses state; rules as a string of ids."""
    return Trainer(
        f"faulty/{script}",
        about,
        runs,
        errors=frozenset(errors.split()),
        warnings=frozenset(warnings.split()),
        **more,
    )


def correct(script: str, about: str, *runs: Run, warnings: str = "", **more: Any) -> Trainer:
    """A trainer that survives."""
    return Trainer(f"correct/{script}", about, runs, warnings=frozenset(warnings.split()), **more)


BASELINE = {"baseline": True}
TENSORFLOW = {"needs": ("tensorflow",), "weight": 3}
SOON = {"profile": "ec2", "warning": 0.15}  # the kill comes into the middle of an epoch that its line announced

CORRECT = (
    correct(
        "keras_backup_and_restore.py", "Keras fit, BackupAndRestore", at("epoch=4", **SOON), docker=True, **TENSORFLOW
    ),
    correct("keras_initial_epoch.py", "Keras fit, ModelCheckpoint, initial epoch", at("epoch=4", **SOON), **TENSORFLOW),
    correct(
        "tf_checkpoint_manager.py",
        "tf.train.CheckpointManager in a custom loop",
        sudden("step=35", "step=65"),  # between two saves: its files go up one by one, and a part of them is none
        **TENSORFLOW,
    ),
    correct(
        "tf_preemption_handler.py", "tf.distribute PreemptionCheckpointHandler", at("step=45", grace=4), **TENSORFLOW
    ),
    correct(
        "pytorch_loop.sh",
        "PyTorch, all state in one file",
        at("step=45", grace=5, baseline=True),
        needs=("torch",),
        weight=3,
    ),
    correct(
        "sklearn_partial_fit.py",
        "scikit-learn partial_fit, joblib",
        at("chunk=20"),
        settings={"metrics": {"chunk": r"chunk (\d+)/"}},
        needs=("sklearn",),
        weight=2,
    ),
    correct(
        "boosting_rounds.py",
        "boosting rounds, XGBoost's log and file names",
        at("round=30"),
        sudden("round=20", "save", "round=40"),
        settings={"metrics": {"round": r"^\[(\d+)\]"}},
        docker=True,
    ),
    correct(
        "numpy_periodic_only.py",
        "plain NumPy, periodic saves only",
        sudden("step=4", "step=45"),
        at("step=45"),
        sudden("step=45", "download", "step=80"),
        sudden("step=45", "step=52"),
        tolerated=EARLY,
        docker=True,
    ),
    correct(
        "signal_and_periodic.py",
        "logging module, flag in every step, periodic saves too",
        at("it=30"),
        at("it=30", "it=33"),
        sudden("upload", "it=60"),
        tolerated=EARLY,
        settings={"metrics": {"it": r"iteration (\d+)/"}},
    ),
    correct(
        "signal_only.py",
        "saves on SIGTERM and after long epochs",
        at("batch=20"),
        settings={"metrics": {"batch": r"\[(\d+)/40\]", "epoch": r"Epoch: \[(\d+)\]"}},
    ),
    correct("asynchronous_saver.py", "snapshots written by a thread", at("step=50", grace=2), sudden("step=50")),
    correct(
        "slow_saves.py",
        "a save lasts as long as twenty steps",
        at("step=50"),
        sudden("step=30", "save", "step=70"),
        tolerated=COSTLY,
    ),
    correct(
        "huge_steps.py",
        "steps of most of a second",
        at("generation=3"),
        settings={"metrics": {"generation": r'"generation": (\d+)'}},
    ),
    correct("noisy_logs.py", "progress bars, warnings, other numbers", at("epoch=2", **SOON)),
    correct(
        "notice_watcher.py",
        "SQLite; saves on the notice and trains on",
        at("episode=40"),
        at("episode=40", profile="ec2"),
        settings={"metrics": {"episode": r"episode=(\d+)"}},
    ),
    correct(
        "shell_exec.sh", "a start script that execs", at("it=30"), settings={"metrics": {"it": r"iteration (\d+)/"}}
    ),
    correct("forwarding_launcher.py", "a launcher that passes SIGTERM on", at("step=50")),
    correct(
        "folder_with_a_seal.py",
        "sharded folders, sealed by a list of sums",
        at("it=45"),
        sudden("it=41", "upload", "save", "it=80"),
        settings={"metrics": {"it": r"\bit +(\d+)"}},
    ),
    correct("long_evaluation.py", "evaluates for long", at("line=validating", grace=2.2)),
    correct("sample_ledger.py", "tells its samples", at("step=45"), at("step=45", "step=50"), settings=BASELINE),
    correct("remaining_epochs.py", "counts what is left from one again", at("epoch=5"), sudden("epoch=5")),
    correct("prints_its_history.py", "prints old epochs again", at("epoch=15"), sudden("epoch=15")),
    correct("two_phases.py", "phases that each count from one", sudden("line=all. step 45"), at("line=head. step 25")),
    correct("evaluates_first.py", "shelve; saves in a finally", at("step=45"), at("step=45", "step=52")),
    correct(
        "stays_until_the_end.py",
        "another checkpoint path; saves and waits",
        at("it=45", grace=2),
        settings={"metrics": {"it": r"^Iteration=(\d+);"}, "checkpoint_local_path": "/opt/ml/state"},
    ),
    correct("workers_and_a_queue.py", "loader processes, files in turn", at("step=45"), sudden("step=45")),
    correct("heartbeat_and_events.py", "other files in the same folder", at("step=45"), sudden("step=45", "step=50")),
    correct("link_to_the_newest.py", "a link to the newest", at("step=45"), sudden("step=45", "save", "step=70")),
    correct("best_and_last.py", "best and last, large", sudden("step=60"), at("step=60"), tolerated=COSTLY),
    correct("quick_and_exact.py", "a second's work, to the bit", at("step=30"), settings=BASELINE),
    correct("two_slots.py", "two slots in turn, checksums", at("step=55"), sudden("step=55", "step=62")),
)

FAULTY = (
    # Nothing to come back to
    faulty(
        "asked_without_checkpoints.py",
        "managed_spot_training_tensorflow_estimator.ipynb",
        at("step=30"),
        errors="SPOT016",
        settings={"checkpoint_config": False},
    ),
    faulty("never_saves.py", "sagemaker-python-sdk #1040", sudden("step=40"), errors="SPOT001", docker=True),
    faulty(
        "saves_once_an_hour.py",
        "ai2cm/ace #347",
        at("step=60"),
        errors="SPOT001 SPOT006",
    ),
    faulty("saves_when_done.py", "transformers #11390", sudden("epoch=4"), errors="SPOT001"),
    faulty("only_the_first_is_saved.py", "sagemaker-python-sdk #3062", at("step=70"), errors="SPOT006"),
    faulty(
        "checkpoints_in_the_model_folder.py",
        "huggingface/notebooks PR #138",
        sudden("step=60"),
        errors="SPOT001 SPOT009",
        docker=True,
    ),
    faulty(
        "checkpoints_in_tmp.py",
        "sagemaker-tensorflow-training-toolkit #346",
        sudden("step=55"),
        errors="SPOT001 SPOT009",
        docker=True,
    ),
    faulty(
        "relative_path.py",
        "sagemaker-tensorflow-training-toolkit #346",
        sudden("epoch=12"),
        errors="SPOT001 SPOT009",
        docker=True,
    ),
    faulty("last_is_a_link.py", "pytorch-lightning #18995", sudden("step=55"), errors="SPOT001 SPOT009", docker=True),
    faulty("saver_thread_dies_with_us.py", "pytorch/torchtitan PR #4270", at("step=40", grace=3.0), errors="SPOT001"),
    faulty("launcher_kills_too_soon.py", "pytorch #68258", at("step=40", grace=3.0), errors="SPOT001 SPOT006"),
    # Something to come back to, and nobody who takes it up
    faulty(
        "saves_never_loads.py", "AWS's MXNet sample", sudden("epoch=6"), errors="SPOT002", tolerated=COSTLY, docker=True
    ),
    faulty(
        "loader_wants_another_name.py",
        "yifan123/flow_grpo #26",
        sudden("step=60"),
        errors="SPOT002",
        docker=True,
    ),
    faulty(
        "failed_load_is_hidden.py",
        "facebookresearch/metaseq PR #143",
        sudden("it=50"),
        errors="SPOT002",
        settings={"metrics": {"it": r"^iter (\d+)"}},
    ),
    faulty("counter_begins_again.py", "nanoporetech/taiyaki #78", sudden("step=60"), errors="SPOT002", docker=True),
    # The wrong one is taken up
    faulty(
        "string_sort.py",
        "sagemaker-xgboost-container #154",
        sudden("step=118"),
        errors="SPOT003",
        tolerated=COSTLY,
        docker=True,
    ),
    faulty("best_instead_of_last.py", "facebookresearch/mmf PR #310", sudden("step=105"), warnings="SPOT003"),
    faulty("back_to_the_epochs_start.py", "accelerate #2016", at("step=65"), warnings="SPOT003"),
    # Half a checkpoint
    faulty(
        "written_in_place.py", "pytorch-lightning #688", mid_save("step=50", 1.2), errors="SPOT004", tolerated=COSTLY
    ),
    faulty("torn_file_is_skipped.py", "returnn #1444", mid_save("step=50", 1.0), errors="SPOT004", tolerated=COSTLY),
    faulty(
        "mixed_generation.py",
        "fms-hf-tuning #432",
        mid_save("step=60", 1.0),
        errors="SPOT008",
        settings=BASELINE,
        tolerated=COSTLY,
    ),
    faulty(
        "newest_folder_is_incomplete.py",
        "transformers #35782",
        mid_save("step=60", 0.8),
        errors="SPOT004",
        tolerated=COSTLY,
    ),
    # Restoring is what kills it
    faulty(
        "dies_of_an_empty_folder.py",
        "torchok #97",
        sudden("step=12"),
        errors="SPOT017",
        tolerated=QUIET_WARNINGS | {"SPOT001"},
        docker=True,
    ),
    faulty("keys_with_a_prefix.py", "pytorch #3805", sudden("step=55"), errors="SPOT017", docker=True),
    faulty("stumbles_over_markers.py", "transformers #21586", sudden("step=30"), errors="SPOT017"),
    # SIGTERM
    faulty("wrapper_without_exec.sh", "sagemaker-training-toolkit #125", at("step=40"), errors="SPOT001 SPOT005"),
    faulty("job_control.sh", "sagemaker-training-toolkit #173", at("step=40"), errors="SPOT001 SPOT005"),
    faulty("driver_keeps_sigterm.py", "sagemaker-training-toolkit #126", at("step=40"), errors="SPOT001 SPOT005"),
    faulty("flag_seen_after_the_epoch.py", "goodfire-ai/spd #677", at("step=40"), errors="SPOT001 SPOT006"),
    faulty("flag_not_seen_in_evaluation.py", "goodfire-ai/spd #741", at("line=evaluating"), errors="SPOT001 SPOT006"),
    faulty("framework_takes_sigterm.py", "pytorch-lightning #1455", at("step=40"), errors="SPOT001 SPOT006"),
    faulty("handler_deadlocks.py", "pytorch-lightning #21406", at("step=40"), errors="SPOT001 SPOT006"),
    faulty(
        "save_outlasts_the_grace.py", "StoppingCondition; goodfire-ai/spd #677", at("step=40"), errors="SPOT001 SPOT006"
    ),
    # Written is not durable
    faulty(
        "saves_at_the_last_moment.py",
        "aws-samples/amazon-sagemaker-managed-spot-training #3",
        at("step=40", grace=2),
        errors="SPOT007",
    ),
    # What the exit code says
    faulty(
        "leaves_with_zero_on_the_notice.py",
        "the XGBoost container's handler",
        at("step=60", warning=30),
        errors="SPOT011",
    ),
    faulty("fails_after_saving_on_the_notice.py", "goodfire-ai/spd #672", at("step=60", warning=30), errors="SPOT011"),
    faulty(
        "dies_cleaning_up.py",
        "How Amazon SageMaker signals success and failure",
        sudden("step=45"),
        errors="SPOT011",
        docker=True,
    ),
    # The model
    faulty(
        "nothing_left_to_do.py",
        "How Amazon SageMaker processes training output",
        mid_save("line=final evaluation", 1.0),
        errors="SPOT012",
    ),
    faulty(
        "model_left_in_the_working_folder.py",
        "sagemaker-tensorflow-training-toolkit #346",
        sudden("step=45"),
        errors="SPOT012",
        docker=True,
    ),
    faulty("no_time_left.py", "StoppingCondition", sudden("step=75"), errors="SPOT013", settings={"max_runtime": 4.5}),
    # Resumed, and not the same any more
    faulty("schedule_restarts.py", "hi-ml #502", sudden("step=45"), errors="SPOT008", settings=BASELINE),
    faulty("momentum_is_forgotten.py", "AWS's MXNet sample", sudden("step=45"), errors="SPOT008", settings=BASELINE),
    faulty("generator_is_reseeded.py", "ai2cm/ace #690", sudden("step=45"), errors="SPOT008", settings=BASELINE),
    faulty("average_is_forgotten.py", "ai2cm/ace #349", sudden("step=45"), errors="SPOT008", settings=BASELINE),
    faulty("epoch_is_done_twice.py", "FFCV-SSL PR #3", sudden("epoch=5"), errors="SPOT008", settings=BASELINE),
    faulty("shuffle_restarts.py", "accelerate #4071", sudden("step=36"), errors="SPOT015"),
    faulty("rest_of_the_epoch_is_skipped.py", "accelerate #2016", sudden("step=45"), errors="SPOT015"),
    # What it costs
    faulty("never_prunes.py", "nyu-mll/jiant #51", sudden("step=60"), warnings="SPOT010"),
    faulty("saves_more_than_it_trains.py", "CheckFreq (FAST '21)", sudden("step=125"), warnings="SPOT014"),
    faulty("every_process_saves.py", "NVIDIA/apex #886", sudden("step=45"), errors="SPOT018", needs_root=True),
)

TRAINERS = FAULTY + CORRECT
