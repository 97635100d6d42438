"""The pipeline of a run: its stages in order, each resumable. Public names: run_all, stages_of, run_stage, STAGES."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from trainers.release import export
from trainers.reports import run_report
from trainers.runs import cluster, devices, needs
from trainers.runs.config import RunConfig
from trainers.runs.folder import RunFolder, log
from trainers.runs.job import Job, StageContext
from trainers.runs.phases import phases_table
from trainers.runs.recognisers import RECOGNISERS, recognisers
from trainers.stages import classifiers, evaluate, gan, judging, sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a run.

    Attributes:
        work: runs the stage, and resumes from what an interrupted run left in its folder.
        all_processes: whether all processes run it together; otherwise only the chief runs it, and the others wait.
    """

    work: Callable[[StageContext], None]
    all_processes: bool = False


def _export(context: StageContext) -> None:
    export.export(context.run.path, context.folder / "emogan")


STAGES: Mapping[str, Stage] = {
    "pretrain": Stage(work=gan.pretrain, all_processes=True),
    "face_classifier": Stage(work=classifiers.face_classifier),
    "calibrate": Stage(work=gan.calibrate, all_processes=True),
    "draw": Stage(work=sampling.draw),
    "judge": Stage(work=judging.judge),
    **{f"recognise_{name}": Stage(work=functools.partial(classifiers.recognise, name=name)) for name in RECOGNISERS},
    "evaluate": Stage(work=evaluate.evaluate),
    "serving": Stage(work=_export),
}
"""All stages by name, in the order of a run."""


def run_all(job: Job, run_dir: Path, flags: str) -> Path:
    """Runs all unfinished stages of a job in `run_dir`, and returns the path of the report.

    Raises:
        UserError: if the folder contains another run, or a stage cannot run.
        Stopped: after a signal.
    """
    processes = devices.processes(job.strategy)
    pause = cluster.waiting_for_chief(*processes)
    run = RunFolder(run_dir, job.config, flags, writes=devices.is_chief(job.strategy), pause=pause)
    with run.logging(), cluster.lost_ones_named(*processes):
        if job.config.train_speakers:
            speakers = np.unique(job.labelled.column("speaker_id", job.protocol.train))
            log.info("training speakers: %s", ", ".join(speakers))
        log.info("%s", phases_table(job.config))
        for gap in needs.gaps(job):
            log.warning("%s", gap)
        for name in stages_of(job.config):
            run_stage(job, run, name)
        return run_report.write_report(run.path) if run.writes else run.path / "report.html"


def stages_of(config: RunConfig) -> list[str]:
    """The names of a run's stages, in order."""
    generates = config.schedule != "none"
    exports = config.model.direction == "face_to_audio"
    return [
        *(["pretrain"] if config.pretrains else []),
        *(["face_classifier"] if config.reads_faces else []),
        *(["calibrate", "draw"] if generates else []),
        *(["judge"] if config.judges_draws else []),
        *(f"recognise_{name}" for name in recognisers(config)),
        "evaluate",
        *(["serving"] if exports else []),
    ]


def run_stage(job: Job, run: RunFolder, name: str) -> None:
    """Runs one of `STAGES`, unless it is done."""
    stage = STAGES[name]

    def work(folder: Path) -> None:
        stage.work(StageContext(job=job, run=run, name=name, folder=folder))

    run.stage(name, work, all_processes=stage.all_processes)
