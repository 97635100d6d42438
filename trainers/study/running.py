"""Runs a study: every stage once, whatever stops it.

Public names: run_study, done_so_far, describe, why_no_result.
"""

import gc
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from emogan.config import from_json, to_json
from emogan.errors import NoResult, UserError
from trainers.runs import needs
from trainers.runs.config import RunConfig
from trainers.runs.folder import RunFolder, log, write_atomically
from trainers.runs.job import open_job
from trainers.stages import pipeline, sampling
from trainers.study.estimate import TIMED_STEPS, estimate, in_words, measured, stages_left
from trainers.study.plan import PlannedRun, Study, plan
from trainers.study.sharing import held, take

NO_RESULT = "no_result.txt"
"""Where a run's folder says why the run has no result."""
RUNS_A_PROCESS = 20
"""After these a study goes on in a new process: TensorFlow keeps some 70 MiB of a run for as long as its process lasts."""


def run_study(
    study: Study,
    data_dir: Path,
    folder: Path,
    flags: str,
    *,
    only: str = "",
    workers: int = 1,
    start_anew: Callable[[], None] = lambda: None,
) -> list[PlannedRun]:
    """Does all runs of a study that are not done yet; returns the plan.

    Args:
        study: what is compared.
        data_dir: the built datasets.
        folder: the study's.
        flags: the command's, for the record.
        only: the part that is done, or a fold of several parts, and what it needs; all if it is empty.
        workers: number of parts that are worked on at the same time, each by this command in a process of its own.
        start_anew: called once after `RUNS_A_PROCESS` runs; a command goes on in a new process then.

    Raises:
        UserError: where the folder holds another study, there is no such part, or a run cannot be done.
        Stopped: after a signal; the same call goes on.
    """
    runs = plan(study)
    parts = {run.part for run in runs if run.part}
    wanted = [run for run in runs if not only or not run.part or f"{run.part}/".startswith(f"{only}/")]
    if only and not any(run.part for run in wanted):
        raise UserError(f"--only={only} is no part of this study; its parts are {', '.join(sorted(parts))}")
    side_by_side = workers > 1 and not only
    _check(wanted, data_dir)
    _claim(study, folder)
    alone, done = [run for run in wanted if not (side_by_side and run.part)], 0
    for number, planned in enumerate(alone):
        if done == RUNS_A_PROCESS:
            start_anew()
        with held(folder, planned.part):
            if not is_done(planned, folder):
                title = f"run {number + 1} of {len(alone)}, {planned.path}{_time_left(alone, folder)}"
                _do(planned, data_dir, folder, flags, title)
                done += 1
    if side_by_side:
        undone = dict.fromkeys(run.part for run in runs if run.part and not is_done(run, folder))
        _side_by_side(list(undone), folder, workers)
    return runs


def _check(runs: Sequence[PlannedRun], data_dir: Path) -> list[str]:
    """Opens all that the runs will need, before hours are spent on some of them; returns the gaps of their data.

    Raises:
        UserError: as `open_job` does.
    """
    gaps = [needs.gaps(open_job(config, data_dir)) for config in _different(runs)]
    return list(dict.fromkeys(itertools.chain.from_iterable(gaps)))


def _different(runs: Sequence[PlannedRun]) -> list[RunConfig]:
    """One of those settings that need the same."""
    different: dict[tuple[object, ...], RunConfig] = {}
    for config in (run.config for run in runs):
        speakers = (config.train_speakers, config.calibrate.seed) if config.train_speakers else ()
        needed = (
            config.uses_unlabelled, config.reads_faces, config.judges_draws, config.oracle, config.pretrained,
            config.schedule != "none",
        )  # fmt: skip
        different[config.dataset, config.test_fold, speakers, needed, config.strong.balance_classes] = config
    return list(different.values())


def _time_left(runs: Sequence[PlannedRun], folder: Path) -> str:
    """In words, once every kind of stage that is left was done somewhere."""
    known, counts = measured(runs, folder), stages_left([run for run in runs if not is_done(run, folder)])
    if counts.keys() - known.keys():
        return ""
    return f", about {in_words(sum(count * known[kind] for kind, count in counts.items()))} to go"


def _side_by_side(parts: Sequence[str], folder: Path, workers: int) -> None:
    """Gives each part to a process with this one's command line; what it prints goes to output.txt in the part's folder."""
    waiting, working = list(parts), dict[str, subprocess.Popen[bytes]]()
    try:
        with tqdm(total=len(parts), unit="part", desc="parts") as bar:
            while waiting or working:
                while waiting and len(working) < workers:
                    part = waiting.pop(0)
                    working[part] = _start(part, folder)
                time.sleep(0.5)
                for part, process in list(working.items()):
                    if process.poll() is None:
                        continue
                    del working[part]
                    if process.returncode:
                        output = folder / part / "output.txt"
                        words = output.read_text(errors="replace").strip().rpartition("\n")[2]
                        raise UserError(
                            f"{part} ended with exit code {process.returncode}: {words} (all of it: {output})"
                        )
                    bar.update()
    finally:
        for process in working.values():
            process.terminate()
        for process in working.values():
            process.wait()


def _start(part: str, folder: Path) -> "subprocess.Popen[bytes]":
    (folder / part).mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "trainers.table1",
        *sys.argv[1:],
        f"--only={part}",
        "--workers=1",
        "--end_with_stdin",
    ]
    with (folder / part / "output.txt").open("ab") as output:
        # In a session of its own, so that Ctrl-C reaches it through this process alone, and once. Its standard input closes
        # when this process ends, however that comes about.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def is_done(planned: PlannedRun, folder: Path) -> bool:
    """Whether all stages of a run are done, or will never be."""
    return bool(why_no_result(folder / planned.path)) or all(
        (folder / planned.path / stage / "done.json").exists() for stage in planned.stages
    )


def done_so_far(study: Study, folder: Path) -> list[PlannedRun]:
    """The runs that are done. Raises UserError where the folder holds another study, or no case beside the baseline is done."""
    if not (folder / "study.json").exists():
        raise UserError(f"{folder} holds no study; give the --study_dir of one that was begun")
    _claim(study, folder)
    done = [run for run in plan(study) if is_done(run, folder)]
    if not any(run.place and run.place.case != "baseline" for run in done):
        raise UserError(f"no case of {folder} is done yet; give it more time")
    return done


def why_no_result(run_dir: Path) -> str:
    """Why the run in a folder has no result, or nothing."""
    note = run_dir / NO_RESULT
    return note.read_text(encoding="utf-8") if note.exists() else ""


def _claim(study: Study, folder: Path) -> None:
    """Makes the folder, or finds in it a study whose runs have the same settings: folds, seeds and cases may be added."""
    _check_folder(study, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "study.json", to_json(study))


def _check_folder(study: Study, folder: Path) -> None:
    settings = folder / "study.json"
    if settings.exists():
        found = from_json(RunConfig, json.dumps(json.loads(settings.read_text())["base"]))
        if found != study.base:
            raise UserError(
                f"{folder} holds a study with other settings ({study.base.differences_from(found)}: now, there); "
                "choose another --study_dir, or give the same flags to go on with that one"
            )
    elif folder.exists() and any(item.suffix != ".part" for item in folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no study; choose another --study_dir")


def _do(planned: PlannedRun, data_dir: Path, folder: Path, flags: str, title: str) -> None:
    """One run: a run folder as `trainers.progressive` makes it, in which the stages that it shares are links.

    A GAN without a result is noted and passed over, as is what needs its networks.

    Raises:
        NoResult: where something has none that all runs of a fold need.
    """
    job = open_job(planned.config, data_dir)
    run = RunFolder(folder / planned.path, job.config, flags)
    for stage, target in planned.links.items():
        take(run.path / stage, folder / target)
    with run.logging():
        log.info("%s", title)
        for gap in needs.gaps(job):
            log.warning("%s", gap)
        try:
            for target in planned.links.values():
                if why := why_no_result((folder / target).parent):
                    raise NoResult(why)
            for stage in planned.stages:
                pipeline.run_stage(job, run, stage)
                for checkpoints in (run.path / stage).rglob("checkpoints"):
                    shutil.rmtree(checkpoints)  # a stage that is done needs none, and a study has hundreds
        except NoResult as error:
            if planned.place is None or planned.config.schedule == "none":
                raise
            log.warning("%s has no result: %s", planned.path, error)
            sampling.discard_draws(run)
            write_atomically(run.path / NO_RESULT, str(error))
    tf.keras.backend.clear_session()
    gc.collect()


def describe(study: Study, data_dir: Path, folder: Path, workers: int) -> str:
    """What a dry run prints: every run with its state, and about how long the rest takes. Nothing is written.

    Where datasets are not built, it says how to build them.

    Raises:
        UserError: where a run could not be done, as far as can be told without datasets that are not built.
    """
    runs = plan(study)
    _check_folder(study, folder)
    about_data = needs.not_built([run.config for run in runs], data_dir)
    for config in _different(runs) if about_data else []:
        needs.check_settings(config)
    about_data = about_data or _check(runs, data_dir)
    left = [run for run in runs if not is_done(run, folder)]
    lines = [f"{'done' if run not in left else 'to do':6} {run.path}: {', '.join(run.stages)}" for run in runs]
    expected, counts = estimate(study, runs, left, folder), stages_left(left)
    total = (
        f"{len(left)} of {len(runs)} runs to do: about {in_words(sum(expected.seconds.values()))} one after the other"
    )
    if workers > 1:
        total += f", on {workers} free cores or more about 1/{workers} of that"
    parts = []
    for kind, count in counts.items():
        basis = "by those done so far" if kind in expected.measured else f"by {TIMED_STEPS} steps just timed"
        time = f"{in_words(expected.seconds[kind])}, {basis}" if kind in expected.seconds else "not known yet"
        parts.append(f"{kind}: {count} x, {time}")
    return "\n".join([*lines, "", total, *parts, *([""] if about_data else []), *about_data])
