r"""Runs a study like the paper's Table 1: cases, baselines and ablations over corpora, folds and seeds, with statistics.

python -m trainers.table1 --flagfile=trainers/configs/table1_demo.flags --data_dir=... --study_dir=...
python -m trainers.table1 --flagfile=trainers/configs/table1_paper.flags --data_dir=... --study_dir=... --dry_run
python -m trainers.table1 --flagfile=... --cases=baseline,progressive_supervised --shares=0.25,0.75 --low_data=6,12

If a study is stopped at any point, the same command resumes it. Stages that several cases share (pretraining, the baseline and
f_S of a fold) run once. The study writes table1.md, table1.tex and report.html to --study_dir; all their values come from
metrics.jsonl in the same folder. Runs take the flags of trainers.progressive, except those that the cases, folds and seeds set.
"""

import itertools
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TypeVar

from absl import flags

from emogan import command
from emogan.errors import UserError
from emogan.path_flags import DEFINE_path
from trainers import flags as run_flags
from trainers.runs.config import RunConfig
from trainers.study.cases import CASES, GROUPS, SWEPT_CASE

_DATA_DIR = DEFINE_path("data_dir", None, "Folder of the built datasets.", required=True)
_STUDY_DIR = DEFINE_path("study_dir", None, "Folder of this study.", required=True)
_DATASETS = flags.DEFINE_list("datasets", "crema_d_av,ravdess_av", "Labelled datasets.")
_FOLDS = flags.DEFINE_list("folds", "all", "Test folds, such as 0,1; or all folds of each dataset.")
_SEEDS = flags.DEFINE_list(
    "seeds", "1,2,3", "Seeds of calibration and of the recognisers; --seed is the seed of pretraining."
)
_CASES = flags.DEFINE_list(
    "cases",
    "all",
    f"Cases and groups of cases: {', '.join([*GROUPS, *CASES])}; or all. Cases of a group that do not fit the settings are "
    "skipped.",
)
_SHARES = flags.DEFINE_list(
    "shares", [], f"Further shares of generated examples, such as 0.25,0.75, for the case {SWEPT_CASE}."
)
_LOW_DATA = flags.DEFINE_list(
    "low_data", [], "Further numbers of training speakers, such as 6,12, for the low-data curve."
)
_WORKERS = flags.DEFINE_integer(
    "workers",
    1,
    "Number of folds to run in parallel, each in its own process, or of seeds of a fold where --train_speakers gives each its "
    "own speakers; on CPUs, at most the number of cores is useful.",
)
_ONLY = flags.DEFINE_string(
    "only",
    "",
    "Run only this fold of the study, such as crema_d_av/fold_0, or a part of it as shown by --dry_run, without a report; so "
    "that several machines can share a study.",
)
_END_WITH_STDIN = flags.DEFINE_bool(
    "end_with_stdin", False, "Stop when standard input closes; set for the processes that --workers starts."
)
_REPORT_ONLY = flags.DEFINE_bool("report_only", False, "Write tables and report of the finished runs, and exit.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print the planned runs and their estimated time, and exit.")
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic",
    True,
    "Deterministic training: the same machine, flags and data give bit-identical weights, resumed or not; slower on GPUs.",
)
Number = TypeVar("Number", int, float)

SET_BY_STUDY = (
    "dataset", "test_fold", "schedule", "condition", "use_classifier", "ablation", "balance_classes", "oracle", "direction",
)  # fmt: skip
"""Flags of a run that the study's datasets, cases and folds set."""

for _flag in flags.FLAGS.get_key_flags_for_module(run_flags):
    if _flag.name not in SET_BY_STUDY:
        flags.declare_key_flag(_flag.name)


def main(_: list[str]) -> None:
    """Runs the study and writes its report; or prints the plan."""
    for name in SET_BY_STUDY:
        if flags.FLAGS[name].present:
            raise UserError(f"--{name} is set by the datasets, cases and folds of the study; omit it")
    if _END_WITH_STDIN.value:
        threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    base, shares = run_flags.run_config(), _numbers(_SHARES, float)
    seeds, low_data = (_numbers(flag, int) for flag in (_SEEDS, _LOW_DATA))
    import tensorflow as tf

    from trainers.study import report, results, running, tables
    from trainers.study.plan import Study

    if _DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    data_dir, folder = Path(_DATA_DIR.value), Path(_STUDY_DIR.value)
    study = Study(
        base=base,
        datasets=tuple(_DATASETS.value),
        folds={name: _folds(name, base.model.size, data_dir) for name in _DATASETS.value},
        seeds=seeds,
        cases=_cases(base),
        shares=shares,
        low_data=low_data,
    )
    if _DRY_RUN.value:
        print(running.describe(study, data_dir, folder, _WORKERS.value))
        return
    if _REPORT_ONLY.value:
        runs = running.done_so_far(study, folder)
    else:
        runs = running.run_study(
            study,
            data_dir,
            folder,
            flags.FLAGS.flags_into_string(),
            only=_ONLY.value,
            workers=_WORKERS.value,
            start_anew=command.start_anew,
        )
    if _ONLY.value:
        return
    found = results.collect(runs, folder)
    print(tables.text_table(found))
    print(f"report: {report.write(study, runs, found, folder)}")


def _cases(base: RunConfig) -> tuple[str, ...]:
    """The named cases, and those cases of the named groups that fit the settings."""
    names = [*GROUPS] if _CASES.value == ["all"] else _CASES.value
    fitting = [name for name, case in CASES.items() if case.fits(base)]
    cases = [[case for case in fitting if CASES[case].group == name] if name in GROUPS else [name] for name in names]
    return tuple(itertools.chain.from_iterable(cases))


def _stop_at_end_of_stdin() -> None:
    os.read(sys.stdin.fileno(), 1)  # a buffered reader would still hold its lock at exit
    os.kill(os.getpid(), signal.SIGTERM)


def _numbers(flag: flags.FlagHolder[list[str]], kind: type[Number]) -> tuple[Number, ...]:
    try:
        return tuple(map(kind, flag.value))
    except ValueError as error:
        numbers = "integers" if kind is int else "numbers"
        raise UserError(f"--{flag.name}={','.join(flag.value)}: must be {numbers}, separated by commas") from error


def _folds(dataset: str, size: int, data_dir: Path) -> tuple[int, ...]:
    """The test folds given by --folds, by default all folds of the corpus."""
    from datasets import protocols
    from datasets.corpus import NotBuilt, open_corpus
    from datasets.folder_av.folder_av_dataset_builder import MAX_FOLDS
    from datasets.folds import FOLDS

    name = dataset.partition("/")[0]
    if _FOLDS.value != ["all"]:
        return _numbers(_FOLDS, int)
    if name in FOLDS:
        return tuple(range(len(FOLDS[name])))
    try:
        return tuple(protocols.folds_of(open_corpus(dataset, data_dir, str(size))))
    except NotBuilt:
        if not _DRY_RUN.value:
            raise
        print(f"{dataset} is not built; planned for {MAX_FOLDS} folds, the maximum")
        return tuple(range(MAX_FOLDS))


if __name__ == "__main__":
    command.run(main)
