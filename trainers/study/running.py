"""Runs a study; resumes after any interruption. Public names: run_study, is_done, done_so_far, describe, why_no_result."""

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
from trainers.runs.folder import RunFolder, holds, log, write_atomically
from trainers.runs.opening import open_job
from trainers.stages import pipeline, sampling
from trainers.study.estimate import TIMED_STEPS, estimate, in_words, measured, stages_left
from trainers.study.plan import PlannedRun, Study, plan
from trainers.study.sharing import held, take

NO_RESULT = "no_result.txt"
"""File in a run's folder with the reason why the run has no result."""
RUNS_A_PROCESS = 20
"""Number of runs after which a study continues in a new process, since TensorFlow leaks about 70 MiB per run."""


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
    """Runs all unfinished runs of a study, and returns its plan.

    Args:
        study: settings of the study.
        data_dir: folder of the built datasets.
        folder: folder of the study.
        flags: flags of the command, for the record.
        only: the part to run, or a fold with several parts, with the runs that it needs; all if empty.
        workers: number of parts to run in parallel, each by this command in a separate process.
        start_anew: called once after `RUNS_A_PROCESS` runs; replaces the process of a command by a new one.

    Raises:
        UserError: if the folder contains another study, there is no such part, or a run cannot run.
        Stopped: after a signal; the same call resumes.
    """
    runs = plan(study)
    parts = {run.part for run in runs if run.part}
    selected = [run for run in runs if not only or not run.part or f"{run.part}/".startswith(f"{only}/")]
    if only and not any(run.part for run in selected):
        raise UserError(f"--only={only} is not a part of this study; its parts are {', '.join(sorted(parts))}")
    in_parallel = workers > 1 and not only
    _check(selected, data_dir)
    _claim(study, folder)
    own, done = [run for run in selected if not (in_parallel and run.part)], 0
    for number, planned in enumerate(own):
        if done == RUNS_A_PROCESS:
            start_anew()
        with held(folder, planned.part):
            if not is_done(planned, folder):
                title = f"run {number + 1} of {len(own)}, {planned.path}{_time_left(own, folder)}"
                _run(planned, data_dir, folder, flags, title)
                done += 1
    if in_parallel:
        undone = dict.fromkeys(run.part for run in runs if run.part and not is_done(run, folder))
        _run_in_parallel(list(undone), folder, workers)
    return runs


def _check(runs: Sequence[PlannedRun], data_dir: Path) -> list[str]:
    """Opens the data of all runs, before hours are spent on some of them, and returns warnings about their data.

    Raises:
        UserError: as `open_job`.
    """
    gaps = [needs.gaps(open_job(config, data_dir)) for config in _different(runs)]
    return list(dict.fromkeys(itertools.chain.from_iterable(gaps)))


def _different(runs: Sequence[PlannedRun]) -> list[RunConfig]:
    """Settings with different needs: one of each group of runs with the same needs."""
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
    """The remaining time as text; empty until a stage of each remaining kind is done."""
    known, counts = measured(runs, folder), stages_left([run for run in runs if not is_done(run, folder)])
    if counts.keys() - known.keys():
        return ""
    return f", about {in_words(sum(count * known[kind] for kind, count in counts.items()))} to go"


def _run_in_parallel(parts: Sequence[str], folder: Path, workers: int) -> None:
    """Runs each part in a process with this command line; its output goes to output.txt in the folder of the part."""
    waiting, running = list(parts), dict[str, subprocess.Popen[bytes]]()
    try:
        with tqdm(total=len(parts), unit="part", desc="parts") as bar:
            while waiting or running:
                while waiting and len(running) < workers:
                    part = waiting.pop(0)
                    running[part] = _start(part, folder)
                time.sleep(0.5)
                for part, process in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[part]
                    if process.returncode:
                        output = folder / part / "output.txt"
                        last_line = output.read_text(errors="replace").strip().rpartition("\n")[2]
                        raise UserError(
                            f"{part} ended with exit code {process.returncode}: {last_line} (full output: {output})"
                        )
                    bar.update()
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
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
        # In a new session, so that only this process receives Ctrl-C and terminates the others. Their standard input closes
        # when this process ends, for whatever reason.
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def is_done(planned: PlannedRun, folder: Path) -> bool:
    """Whether all stages of a run are done, or it has no result."""
    return bool(why_no_result(folder / planned.path)) or all(
        (folder / planned.path / stage / "done.json").exists() for stage in planned.stages
    )


def done_so_far(study: Study, folder: Path) -> list[PlannedRun]:
    """The finished runs. Raises UserError if the folder contains another study, or no case except the baseline is done."""
    if not (folder / "study.json").exists():
        raise UserError(f"{folder} contains no study; give the --study_dir of a started study")
    _claim(study, folder)
    done = [run for run in plan(study) if is_done(run, folder)]
    if not any(run.place and run.place.case != "baseline" for run in done):
        raise UserError(f"no case of {folder} except the baseline is done yet; try again later")
    return done


def why_no_result(run_dir: Path) -> str:
    """The reason why a run has no result; empty if it has one."""
    note = run_dir / NO_RESULT
    return note.read_text(encoding="utf-8") if note.exists() else ""


def _claim(study: Study, folder: Path) -> None:
    """Creates the folder, or checks that it contains a study with the same settings; folds, seeds and cases may be added."""
    _check_folder(study, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "study.json", to_json(study))


def _check_folder(study: Study, folder: Path) -> None:
    def read(text: str) -> RunConfig:
        return from_json(RunConfig, json.dumps(json.loads(text)["base"]))

    holds(folder, "study.json", read, study.base, "study")


def _run(planned: PlannedRun, data_dir: Path, folder: Path, flags: str, title: str) -> None:
    """Runs one run in a folder like that of `trainers.progressive`; shared stages are links.

    If the GAN has no result, records the reason and returns; runs that use its networks do the same.

    Raises:
        NoResult: if a stage that all runs of a fold need has no result.
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
                    shutil.rmtree(checkpoints)  # not needed after the stage; a study would have hundreds
        except NoResult as error:
            if planned.place is None or planned.config.schedule == "none":
                raise
            log.warning("%s has no result: %s", planned.path, error)
            sampling.discard_draws(run)
            write_atomically(run.path / NO_RESULT, str(error))
    tf.keras.backend.clear_session()
    gc.collect()


def describe(study: Study, data_dir: Path, folder: Path, workers: int) -> str:
    """The output of a dry run: all runs with their state, the estimated time, and how to build missing datasets.

    Writes nothing.

    Raises:
        UserError: if a run cannot succeed, as far as known without the missing datasets.
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
    total = f"{len(left)} of {len(runs)} runs to do: about {in_words(sum(expected.seconds.values()))} sequentially"
    if workers > 1:
        total += f", about 1/{workers} of that with at least {workers} free cores"
    parts = []
    for kind, count in counts.items():
        basis = "measured on finished stages" if kind in expected.measured else f"from {TIMED_STEPS} timed steps"
        time = f"{in_words(expected.seconds[kind])}, {basis}" if kind in expected.seconds else "unknown so far"
        parts.append(f"{kind}: {count} x, {time}")
    return "\n".join([*lines, "", total, *parts, *([""] if about_data else []), *about_data])
