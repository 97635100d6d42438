"""Checks that the data of a run suffice for all of its stages, before the first stage starts.

Public names: check_data, gaps; for plans without data, not_built, check_settings; and check_labels, check_size, check_start.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

from datasets import protocols
from datasets.corpus import Corpus, NotBuilt, configuration, open_corpus
from datasets.folds import FOLDS
from emogan.config import MediaConfig, differences
from emogan.errors import UserError
from emogan.metrics.inception import load_inception
from trainers.runs import saved_networks
from trainers.runs.config import FORMAT, LEFT_OUT, RunConfig
from trainers.runs.job import Job

CHECKED_LATER = "the data are checked once they are built"
"""Last line of a plan without data."""
MIN_TEST_CLIPS = 4
"""Minimum for a run with a GAN: FID between two halves of the test fold needs two clips in each."""


def check_data(job: Job, whole: Corpus) -> None:
    """Checks that the data suffice for all stages; `whole` is the labelled corpus with the left out speakers.

    A class without training examples is an error. If it were dropped, the folds of a study could have different classes, and
    accuracies that are not comparable.

    Raises:
        UserError: if a stage cannot run, or a class has no training examples.
    """
    config, train, test = job.config, job.protocol.train, job.protocol.test
    _check_classes(job, whole)
    if config.reads_faces or config.judges_draws:
        _check_cross_fitting(job)
    if config.oracle and job.left_out and config.strong.balance_classes:
        job.left_out.class_counts(train)
    if config.schedule == "none":
        return
    if (count := job.labelled.count(test)) < MIN_TEST_CLIPS:
        raise UserError(
            f"{test} of {job.labelled.name} has {count} clips, and FID needs {MIN_TEST_CLIPS}; choose another --test_fold, "
            "build more of the corpus, or train no GAN (--schedule=none)"
        )
    if config.inception:
        _check_inception(config.inception)


def gaps(job: Job) -> list[str]:
    """Warnings about classes without validation or test examples, one line per split."""
    effects = {
        job.protocol.validation: "weights are selected without them",
        job.protocol.test: "they are not tested, and UAR and macro-F1 are over the other classes",
    }
    return [
        f"{split} of {job.labelled.name} has no examples of {', '.join(missing)}: {effect}"
        for split, effect in effects.items()
        if (missing := job.labelled.missing_classes(split))
    ]


def not_built(configs: Iterable[RunConfig], data_dir: Path) -> list[str]:
    """Instructions to build the missing datasets of runs, one line each, and a last line `CHECKED_LATER`; or nothing.

    Raises:
        UserError: if a dataset is unknown.
    """
    instructions: dict[tuple[str, int], str] = {}
    for config in configs:
        for dataset in _datasets(config):
            if (dataset, config.model.size) not in instructions:
                instructions[dataset, config.model.size] = _how_to_build(dataset, config.model.size, data_dir)
    lines = [line for line in instructions.values() if line]
    return [*lines, CHECKED_LATER] if lines else []


def check_settings(config: RunConfig) -> None:
    """Checks a run as far as possible before its datasets are built; assumes that official corpora are complete.

    Raises:
        UserError: if a dataset has no such fold, too few speakers, no labels or another image size; or `pretrained` or
            `inception` cannot be used.
    """
    name, size = config.dataset.partition("/")[0], str(config.model.size)
    for dataset in _datasets(config):
        check_size(dataset, configuration(dataset, size).media, config)
    check_labels(config.dataset, configuration(config.dataset, size).variant.class_names is not None)
    if name in FOLDS:
        training = protocols.protocol(name, config.test_fold).train
        speakers = sum(len(FOLDS[name][int(fold.removeprefix("fold_"))]) for fold in training.split("+"))
        if config.train_speakers > speakers:
            raise UserError(
                f"--train_speakers={config.train_speakers}: {training} of {name} has {speakers} speakers; give a number from "
                f"1 to {speakers}"
            )
    if config.pretrained:
        check_start(config)
    if config.inception and config.schedule != "none":
        _check_inception(config.inception)


def check_labels(name: str, labels: object) -> None:
    """Raises UserError if a dataset for calibration has no labels."""
    if not labels:
        raise UserError(f"{name} has no labels; calibration needs a labelled dataset, such as crema_d_av")


def check_size(name: str, media: MediaConfig, config: RunConfig) -> None:
    """Raises UserError if the images of a dataset and of the networks have different sizes."""
    if media.size != config.model.size:
        raise UserError(
            f"{name} has images of {media.size} pixels, but the preset needs {config.model.size}; choose another one"
        )


def check_start(config: RunConfig, unseen: frozenset[str] = frozenset()) -> None:
    """Raises UserError if the networks of another run do not fit, or were trained on a speaker of the test fold."""
    given = f"--pretrained={config.pretrained}"
    for name in ("generator", "discriminator"):
        path = Path(config.pretrained) / name
        if not path.exists():
            raise UserError(f"{given} has no {name}; give a run's folder pretrain or calibrate, as runs/first/pretrain")
        about = saved_networks.about(path)
        if about.format != FORMAT:
            raise UserError(
                f"{given} was saved by another version of emogan (format {about.format}, not {FORMAT}); give another run"
            )
        found = dataclasses.replace(about.model, num_classes=config.model.num_classes)
        if found != config.model:
            raise UserError(
                f"{given} does not fit ({differences(config.model, found)}: expected, found); give a run with these settings"
            )
        known = unseen.intersection(about.speakers)
        if known:
            raise UserError(
                f"{given} was trained or selected on {min(known)}, a speaker of the test fold; choose another --test_fold, or "
                "a run without that speaker"
            )


def _datasets(config: RunConfig) -> list[str]:
    unlabelled = config.uses_unlabelled and config.pretrain_dataset != LEFT_OUT
    return [config.dataset, *([config.pretrain_dataset] if unlabelled else [])]


def _how_to_build(dataset: str, size: int, data_dir: Path) -> str:
    """How to build a dataset; empty if it is built."""
    try:
        open_corpus(dataset, data_dir, str(size))
    except NotBuilt as missing:
        return str(missing)
    return ""


def _check_classes(job: Job, whole: Corpus) -> None:
    train = job.protocol.train
    missing = job.labelled.missing_classes(train)
    if not missing:
        return
    remedy = "choose another --test_fold, or build more of the corpus"
    if nowhere := whole.missing_classes("+".join(whole.splits)):
        remedy = (
            f"no fold has any of {', '.join(nowhere)}; see rejections.csv next to the dataset, and rebuild it with such clips "
            "or, for your own videos, without that class"
        )
    elif not set(missing) & set(whole.missing_classes(train)):
        remedy = f"give a larger --train_speakers (now {job.config.train_speakers}) or another --seed"
    raise UserError(f"{train} of {whole.name} has no training examples of {', '.join(missing)}; {remedy}")


def _check_cross_fitting(job: Job) -> None:
    """Checks the data for f_S or the judges: for each training fold, one is trained on all other training folds."""
    classifier = "f_S" if job.config.reads_faces else "a judge of generated examples"
    remedy = "omit it, or use more speakers (a larger --train_speakers, or more of the corpus)"
    folds = job.training_folds
    if len(folds) < 2:
        raise UserError(f"{classifier} needs training speakers in two folds, but all are in {folds[0]}; {remedy}")
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        if missing := job.labelled.missing_classes(others):
            raise UserError(
                f"{classifier} needs examples of every class in two training folds, but only {fold} of {job.labelled.name} has "
                f"{', '.join(missing)}; {remedy}"
            )


@functools.cache
def _check_inception(module: str) -> None:
    load_inception(module)
