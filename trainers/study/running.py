"""Runs a study: every stage once, whatever stops it. Public names: run_study, describe."""

import contextlib
import dataclasses
import fcntl
import gc
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import input_pipeline, streams
from emogan import networks
from emogan.config import RunConfig, TrainConfig, to_json
from emogan.errors import UserError
from trainers import stages, training
from trainers.job import open_job
from trainers.run_folder import RunFolder, log, write_atomically
from trainers.study.plan import PlannedRun, Study, plan

_TIMED_STEPS = 5


def run_study(
    study: Study, data_dir: Path, folder: Path, flags: str, *, only: str = "", workers: int = 1
) -> list[PlannedRun]:
    """Does all runs of a study that are not done yet; returns the plan.

    Args:
        study: what is compared.
        data_dir: the built datasets.
        folder: the study's.
        flags: the command's, for the record.
        only: the part that is done, and what it needs; all if it is empty.
        workers: number of parts that are worked on at the same time, each by this command in a process of its own.

    Raises:
        UserError: where the folder holds another study, there is no such part, or a run cannot be done.
        Stopped: after a signal; the same call goes on.
    """
    runs = plan(study)
    parts = {run.part for run in runs if run.part}
    if only and only not in parts:
        raise UserError(f"--only={only} is no part of this study; its parts are {', '.join(sorted(parts))}")
    _claim(study, folder)
    alone = [run for run in runs if run.part in ("", only) or not only]
    if workers > 1:
        alone = [run for run in runs if not run.part]
    for number, planned in enumerate(alone):
        with _held(folder, planned.part):
            if is_done(planned, folder):
                continue
            _do(planned, data_dir, folder, flags, f"run {number + 1} of {len(alone)}, {planned.path}")
        if rest := [run for run in alone[number + 1 :] if not is_done(run, folder)]:
            log.info("%d runs left, about %s", len(rest), _minutes(sum(_stage_seconds(rest, folder).values())))
    if workers > 1:
        undone = dict.fromkeys(run.part for run in runs if run.part and not is_done(run, folder))
        _side_by_side(list(undone), folder, workers)
    return runs


@contextlib.contextmanager
def _held(folder: Path, part: str) -> Iterator[None]:
    """Keeps other processes out of a part while this one works on it, and waits for one that does."""
    (folder / "locks").mkdir(exist_ok=True)
    with (folder / "locks" / (part.replace("/", "-") or "pretrained")).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waits for another process that works on {part or 'the pretraining'}", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _side_by_side(parts: Sequence[str], folder: Path, workers: int) -> None:
    """Gives each part to a process with this one's command line; what it prints goes to output.txt in the part's folder."""
    waiting, working = list(parts), dict[str, subprocess.Popen[bytes]]()
    try:
        with tqdm(total=len(parts), unit="fold", desc="folds") as bar:
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
    """Whether all stages of a run are done."""
    return all((folder / planned.path / stage / "done.json").exists() for stage in planned.stages)


def _claim(study: Study, folder: Path) -> None:
    """Makes the folder, or finds in it the same study."""
    settings, text = folder / "study.json", to_json(study)
    if settings.exists():
        if settings.read_text() != text:
            raise UserError(
                f"{folder} holds another study (its settings are in {settings}); choose another --study_dir, or give the same "
                "flags to go on with that one"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty and holds no study; choose another --study_dir")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(settings, text)


def _do(planned: PlannedRun, data_dir: Path, folder: Path, flags: str, title: str) -> None:
    """One run: a run folder as `trainers.progressive` makes it, in which the stages that it shares are links."""
    job = open_job(planned.config, data_dir)
    run = RunFolder(folder / planned.path, job.config, flags)
    for stage, target in planned.links.items():
        link = run.path / stage
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(folder / target, run.path), target_is_directory=True)
    with run.logging():
        log.info("%s", title)
        for stage in planned.stages:
            stages.run_stage(job, run, stage)
    tf.keras.backend.clear_session()
    gc.collect()


def describe(study: Study, data_dir: Path, folder: Path) -> str:
    """What a dry run prints: every run with its state, and about how long the rest takes. Nothing is written."""
    runs = plan(study)
    for dataset in study.datasets:
        open_job(dataclasses.replace(study.base, dataset=dataset, test_fold=study.folds[dataset][0]), data_dir)
    left = [run for run in runs if not is_done(run, folder)]
    lines = [f"{'done' if run not in left else 'to do':6} {run.path}: {', '.join(run.stages)}" for run in runs]
    seconds = _stage_seconds(left, folder) if _measured(folder) else _training_seconds(study, left)
    basis = "by the stages done so far" if _measured(folder) else (
        f"by {_TIMED_STEPS} steps of each kind just measured; evaluation, pictures and start-up come on top"
    )  # fmt: skip
    total = f"{len(left)} of {len(runs)} runs to do: about {_minutes(sum(seconds.values()))}, {basis}"
    parts = [f"{kind}: {count} x, {_minutes(seconds[kind])}" for kind, count in _count(left).items() if kind in seconds]
    return "\n".join([*lines, "", total, *parts])


def _count(runs: Sequence[PlannedRun]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for run in runs:
        for stage in run.stages:
            counts[_kind(stage)] += 1
    return counts


def _kind(stage: str) -> str:
    return "recognise" if stage.startswith("recognise") else stage


def _measured(folder: Path) -> dict[str, float]:
    """Mean seconds of the stages done so far, by kind."""
    found: dict[str, list[float]] = defaultdict(list)
    for done in folder.rglob("done.json"):  # links are not followed
        found[_kind(done.parent.name)].append(json.loads(done.read_text())["seconds_of_last_start"])
    return {kind: float(np.mean(seconds)) for kind, seconds in found.items()}


def _stage_seconds(left: Sequence[PlannedRun], folder: Path) -> dict[str, float]:
    """Expected seconds of the stages to do, by kind; of a kind that was never done as long as the others at the mean."""
    measured = _measured(folder)
    usual = float(np.mean(list(measured.values())))
    return {kind: count * measured.get(kind, usual) for kind, count in _count(left).items()}


def _training_seconds(study: Study, left: Sequence[PlannedRun]) -> dict[str, float]:
    """The same from a few steps on random pictures."""
    gan, recogniser = _gan_step(study.base), _recogniser_step(study.base)
    recognise = study.base.recognise.steps * recogniser
    expected = {
        "pretrain": study.base.pretrain.steps * gan,
        "calibrate": study.base.calibrate.steps * gan,
        "recognise": recognise,
        "face_classifier": recognise * 4,  # at most: one for each training fold, and one for all
    }
    return {kind: count * expected[kind] for kind, count in _count(left).items() if kind in expected}


def _gan_step(config: RunConfig) -> float:
    size, settings = config.model.size, config.calibrate
    rng = np.random.default_rng(1)
    examples = {
        "face": rng.integers(0, 255, (settings.batch_size, size, size, 3), np.uint8),
        "spectrogram": rng.uniform(-1, 1, (settings.batch_size, size, size, 1)).astype(np.float16),
        "label": np.zeros(settings.batch_size, np.int64),
    }
    numbered = streams.epochs(
        [(tf.data.Dataset.from_tensor_slices(examples), settings.batch_size)], batch_size=settings.batch_size, seed=1
    )
    batches = input_pipeline.gan_batches(
        numbered,
        input_pipeline.label_condition(config.model.num_classes),
        batch_size=settings.batch_size,
        noise_dim=config.model.noise_dim,
        seed=1,
    )
    return _seconds_a_step(stages.make_gan(config), batches)


def _recogniser_step(config: RunConfig) -> float:
    settings: TrainConfig = config.recognise
    network = networks.build_classifier(config.model)
    network.compile(training.adam(settings), tf.keras.losses.CategoricalCrossentropy(from_logits=True))
    pictures = tf.zeros([settings.batch_size, config.model.size, config.model.size, 1])
    targets = tf.one_hot(tf.zeros([settings.batch_size], tf.int32), config.model.num_classes)
    return _seconds_a_step(network, tf.data.Dataset.from_tensors((pictures, targets)).repeat())


def _seconds_a_step(model: tf.keras.Model, batches: tf.data.Dataset) -> float:
    model.fit(batches, steps_per_epoch=2, verbose=0)
    start = time.perf_counter()
    model.fit(batches, steps_per_epoch=_TIMED_STEPS, verbose=0)
    return (time.perf_counter() - start) / _TIMED_STEPS


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
