"""What the stages of a run need of its data, so that all of it is checked before the first one begins.

Public names: check_data, gaps; for plans without data, not_built, check_settings; and check_labels, check_size, check_start.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import protocols
from datasets.corpus import Corpus, NotBuilt, configuration, open_corpus
from datasets.folds import FOLDS
from emogan.config import MediaConfig, differences
from emogan.errors import UserError
from emogan.metrics.inception import load_inception
from trainers.runs import saved_networks
from trainers.runs.config import FORMAT, LEFT_OUT, RunConfig

if TYPE_CHECKING:
    from trainers.runs.job import Job

CHECKED_LATER = "what the data must have is checked when they are there"
"""What is said where a plan is made without data."""
MIN_TEST_CLIPS = 4
"""Of a run with a GAN: FID is also measured between two halves of the test fold, and needs two clips of each."""


def check_data(job: "Job", whole: Corpus) -> None:
    """Checks what any stage needs of the data; `whole` is the labelled corpus with the speakers that are left out.

    A class that training never sees is refused, not left out: the folds of a study would have other classes than each other,
    and accuracies that cannot be compared.

    Raises:
        UserError: where a stage could not be done, or would use a class that was never learnt.
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
            f"{test} of {job.labelled.name} has {count} clips to test on, and FID needs {MIN_TEST_CLIPS}, two in each half; "
            "choose another --test_fold, build more of the corpus, or do without a GAN (--schedule=none)"
        )
    if config.inception:
        _check_inception(config.inception)


def gaps(job: "Job") -> list[str]:
    """What can be done without, but should be known: classes that are not among what is selected or tested by, a line each."""
    effects = {
        job.protocol.validation: "weights are selected without it",
        job.protocol.test: "it is not tested, and UAR and macro-F1 are of the other classes",
    }
    return [
        f"{split} of {job.labelled.name} has no example of {', '.join(missing)}: {effect}"
        for split, effect in effects.items()
        if (missing := job.labelled.missing_classes(split))
    ]


def not_built(configs: Iterable[RunConfig], data_dir: Path) -> list[str]:
    """Of the datasets that runs need those that are not built, a line each that says how to build it, and a last one.

    Raises:
        UserError: where there is no such dataset.
    """
    found: dict[tuple[str, int], str] = {}
    for config in configs:
        for dataset in _datasets(config):
            if (dataset, config.model.size) not in found:
                found[dataset, config.model.size] = _what_is_missing(dataset, config.model.size, data_dir)
    lines = [line for line in found.values() if line]
    return [*lines, CHECKED_LATER] if lines else []


def check_settings(config: RunConfig) -> None:
    """Checks what can be checked of a run before its datasets are built; an official corpus is taken to be complete.

    Raises:
        UserError: as `trainers.runs.job.open_job`, where there is no such fold, too few speakers, no label or other networks.
    """
    name, usual = config.dataset.partition("/")[0], str(config.model.size)
    for dataset in _datasets(config):
        check_size(dataset, configuration(dataset, usual).media, config)
    check_labels(config.dataset, configuration(config.dataset, usual).variant.class_names is not None)
    if name in FOLDS:
        training = protocols.protocol(name, config.test_fold).train
        speakers = sum(len(FOLDS[name][int(fold.removeprefix("fold_"))]) for fold in training.split("+"))
        if config.train_speakers > speakers:
            raise UserError(
                f"{config.train_speakers} training speakers: {training} of {name} has {speakers}; give a number from 1 to "
                f"{speakers}"
            )
    if config.pretrained:
        check_start(config)
    if config.inception and config.schedule != "none":
        _check_inception(config.inception)


def check_labels(name: str, labels: object) -> None:
    """Raises UserError where a dataset that is calibrated on has none."""
    if not labels:
        raise UserError(f"{name} has no labels; calibration needs a labelled dataset, such as crema_d_av")


def check_size(name: str, media: MediaConfig, config: RunConfig) -> None:
    """Raises UserError where a dataset has images of another size than the networks."""
    if media.size != config.model.size:
        raise UserError(f"{name} has images of {media.size} pixels, and the preset {config.model.size}")


def check_start(config: RunConfig, unseen: frozenset[str] = frozenset()) -> None:
    """Raises UserError where the networks of another run do not fit, or know a speaker of the test fold."""
    given = f"--pretrained={config.pretrained}"
    for name in ("generator", "discriminator"):
        path = Path(config.pretrained) / name
        if not path.exists():
            raise UserError(
                f"{given} holds no {name}; give a run's folder pretrain or calibrate, as runs/first/pretrain"
            )
        about = saved_networks.about(path)
        if about.format != FORMAT:
            raise UserError(
                f"{given} was made by another version of emogan (format {about.format}, not {FORMAT}); give another one"
            )
        there = dataclasses.replace(about.model, num_classes=config.model.num_classes)
        if there != config.model:
            raise UserError(
                f"{given} does not fit ({differences(config.model, there)}: wanted, there); give one that was made so"
            )
        known = unseen.intersection(about.speakers)
        if known:
            raise UserError(
                f"{given} was trained or selected on {min(known)}, who speaks in the test fold; choose another --test_fold, "
                "or a run that does not know that speaker"
            )


def _datasets(config: RunConfig) -> list[str]:
    unlabelled = config.uses_unlabelled and config.pretrain_dataset != LEFT_OUT
    return [config.dataset, *([config.pretrain_dataset] if unlabelled else [])]


def _what_is_missing(dataset: str, size: int, data_dir: Path) -> str:
    try:
        open_corpus(dataset, data_dir, str(size))
    except NotBuilt as missing:
        return str(missing)
    return ""


def _check_classes(job: "Job", whole: Corpus) -> None:
    train = job.protocol.train
    missing = job.labelled.missing_classes(train)
    if not missing:
        return
    remedy = "choose another --test_fold, or build more of the corpus"
    if nowhere := whole.missing_classes("+".join(whole.splits)):
        remedy = (
            f"no fold has one of {', '.join(nowhere)}: look into rejections.csv beside the dataset, and build it with such "
            "clips, or, from a folder of one's own, without that class"
        )
    elif not set(missing) & set(whole.missing_classes(train)):
        remedy = f"take a larger --train_speakers (now {job.config.train_speakers}), or another --seed"
    raise UserError(
        f"{train} of {whole.name}, which is trained on, has no example of {', '.join(missing)}, so that it cannot be learnt; "
        f"{remedy}"
    )


def _check_cross_fitting(job: "Job") -> None:
    """f_S and judges are trained on all training folds but one, for each of them."""
    what = "an f_S" if job.config.reads_faces else "judging what is generated"
    remedy = "do without it, or take more speakers (a larger --train_speakers, or more of the corpus)"
    folds = job.training_folds
    if len(folds) < 2:
        raise UserError(f"{what} needs training speakers in two folds, and they all are in {folds[0]}; {remedy}")
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        if missing := job.labelled.missing_classes(others):
            raise UserError(
                f"{what} needs every class in two training folds, since clips of a fold are read by networks of the others; of "
                f"{job.labelled.name} only {fold} has examples of {', '.join(missing)}; {remedy}"
            )


@functools.cache
def _check_inception(module: str) -> None:
    load_inception(module)
