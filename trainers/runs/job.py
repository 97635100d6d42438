"""The settings and data of a run, as its stages use them.

Public names: Job, StageContext, open_job, open_devices, images, served_settings.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import datasets
from datasets import input_pipeline, protocols
from datasets.corpus import Corpus, open_corpus
from datasets.input_pipeline import Condition
from datasets.protocols import Protocol
from emogan import networks
from emogan.config import differences
from emogan.errors import UserError
from emogan.serving.signatures import ServedSettings
from trainers.runs import devices, needs, readings
from trainers.runs.config import LEFT_OUT, RunConfig
from trainers.runs.folder import RunFolder
from trainers.runs.readings import Readings

STATISTICS_EXAMPLES = 8_192
"""Maximum number of training examples for the statistics of a network's input; they are stored in random order."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A run's settings, data and devices.

    Attributes:
        config: the settings, with the number of classes of `labelled`.
        unlabelled: corpus of unlabelled clips; None if the run needs none.
        unlabelled_splits: its splits for training and validation.
        left_out: the labelled corpus without the training speakers, for the oracle; None without an oracle.
        labelled: corpus of calibration and evaluation, without the left out speakers.
        protocol: its training, validation and test speakers.
        strategy: devices that train G, D and Q.
    """

    config: RunConfig
    unlabelled: Corpus | None
    labelled: Corpus
    protocol: Protocol
    strategy: tf.distribute.Strategy
    unlabelled_splits: tuple[str, str] = ("", "")
    left_out: Corpus | None = None

    @property
    def source(self) -> networks.ImageKind:
        """G's input."""
        return networks.source_and_target(self.config.model)[0]

    @property
    def target(self) -> networks.ImageKind:
        """G's output."""
        return networks.source_and_target(self.config.model)[1]

    @property
    def training_folds(self) -> list[str]:
        """The splits that contain training clips."""
        return [fold for fold in self.protocol.train.split("+") if self.labelled.column("split", fold).size]

    def condition(self, run: RunFolder) -> Condition:
        """The condition c of labelled examples: the label, or the prediction of f_S."""
        if self.config.condition == "label":
            return input_pipeline.label_condition(self.config.model.num_classes)
        predictions = readings.load(run)
        conditions = self._conditions_of(predictions, self.config.face_certainty)
        return input_pipeline.table_condition(predictions.clip_ids, conditions)

    def conditions(
        self, examples: dict[str, np.ndarray], run: RunFolder, *, certainty: float | None = None
    ) -> np.ndarray:
        """The conditions of examples in memory, float32 [n, num_classes]; `certainty` overrides the run's `face_certainty`."""
        if self.config.condition == "label":
            return np.eye(self.config.model.num_classes, dtype=np.float32)[examples["label"]]
        predictions = readings.load(run)
        rows = {clip_id: row for row, clip_id in enumerate(predictions.clip_ids)}
        probabilities = predictions.probabilities[[rows[clip_id] for clip_id in examples["clip_id"]]]
        certainty = self.config.face_certainty if certainty is None else certainty
        return self._conditions_of(dataclasses.replace(predictions, probabilities=probabilities), certainty)

    def _conditions_of(self, predictions: Readings, certainty: float) -> np.ndarray:
        if not self.config.face_certainty:
            return predictions.probabilities
        return readings.certain(predictions.probabilities, certainty, predictions.temperature)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageContext:
    """The arguments of a stage.

    Attributes:
        job: settings and data of the run.
        run: folder of the run.
        name: name of the stage.
        folder: folder of the stage.
    """

    job: Job
    run: RunFolder
    name: str
    folder: Path


def open_job(config: RunConfig, data_dir: Path) -> Job:
    """Opens the datasets of a run in `data_dir`, and checks that all stages can run with these settings and data.

    Raises:
        UserError: if a dataset is missing, does not fit the settings, or lacks data that a stage needs
            (`trainers.runs.needs`); or a batch cannot be split over the devices.
    """
    strategy = open_devices(config)
    whole = _open_corpus(config.dataset, config, data_dir)
    needs.check_labels(whole.name, whole.class_names)
    model = dataclasses.replace(config.model, num_classes=len(whole.class_names))
    config = dataclasses.replace(config, model=model)
    protocol = _protocol(config, whole)
    labelled, left_out = whole.without(protocol.left_out), None
    protocols.check_speakers(labelled, protocol)
    if config.oracle or config.pretrain_dataset == LEFT_OUT:
        left_out = _left_out(whole, labelled, protocol)
    unlabelled, splits = None, ("", "")
    if config.uses_unlabelled and config.pretrain_dataset == LEFT_OUT and left_out:
        unlabelled, splits = left_out.without_labels(), (protocol.train, protocol.validation)
    elif config.uses_unlabelled:
        unlabelled = _open_unlabelled(config, data_dir, labelled)
        splits = protocols.unlabelled_splits(unlabelled)
    if config.pretrained:
        needs.check_start(config, labelled.speakers(protocol.test))
    job = Job(
        config=config, unlabelled=unlabelled, unlabelled_splits=splits, labelled=labelled,
        left_out=left_out if config.oracle else None, protocol=protocol, strategy=strategy,
    )  # fmt: skip
    needs.check_data(job, whole)
    return job


def open_devices(config: RunConfig) -> tf.distribute.Strategy:
    """Devices that train G, D and Q. Raises UserError if a batch cannot be split over them."""
    strategy = devices.make_strategy()
    for settings in (config.pretrain, config.calibrate):
        devices.check_batch(strategy, settings)
    return strategy


def _left_out(whole: Corpus, labelled: Corpus, protocol: Protocol) -> Corpus:
    """The corpus without its training speakers; its training folds contain the left out speakers."""
    if not protocol.left_out:
        raise UserError(
            f"--train_speakers={len(labelled.speakers(protocol.train))} leaves no speaker of {protocol.train} of {whole.name} "
            "out; give a smaller number"
        )
    return whole.without(np.unique(labelled.column("speaker_id", protocol.train)))


def _open_unlabelled(config: RunConfig, data_dir: Path, labelled: Corpus) -> Corpus:
    try:
        unlabelled = _open_corpus(config.pretrain_dataset, config, data_dir)
    except UserError as error:
        raise UserError(
            f"{error}; or omit pretraining (--schedule=moderate), use another run's networks (--pretrained), or pretrain on "
            f"the speakers that --train_speakers leaves out (--pretrain_dataset={LEFT_OUT})"
        ) from error
    if unlabelled.media != labelled.media:
        raise UserError(
            f"{unlabelled.name} and {labelled.name} were built with different settings "
            f"({differences(unlabelled.media, labelled.media)}); build both with the same version and settings"
        )
    return unlabelled


def _open_corpus(dataset: str, config: RunConfig, data_dir: Path) -> Corpus:
    corpus = open_corpus(dataset, data_dir, str(config.model.size))
    needs.check_size(corpus.name, corpus.media, config)
    return corpus


def _protocol(config: RunConfig, labelled: Corpus) -> Protocol:
    if not config.train_speakers:
        return protocols.protocol(labelled, config.test_fold)
    return protocols.low_data(
        labelled, config.test_fold, train_speakers=config.train_speakers, seed=config.calibrate.seed
    )


def images(corpus: Corpus, split: str, kind: str) -> Iterator[np.ndarray]:
    """Batches of up to `STATISTICS_EXAMPLES` images of a split, for `networks.adapt_standardisation`."""
    taken = corpus.examples(split, images=[kind]).take(STATISTICS_EXAMPLES)
    return taken.map(lambda e: input_pipeline.to_input(e[kind])).batch(256).as_numpy_iterator()


def served_settings(job: Job, known: frozenset[str]) -> ServedSettings:
    """Description of a run's model for serving; `known` are all speakers that it was trained or selected on."""
    corpus = job.labelled
    return ServedSettings(
        media=corpus.media,
        model=job.config.model,
        class_names=list(corpus.class_names),
        dataset=corpus.name,
        synthetic=corpus.synthetic,
        licences=_licences(corpus, job.unlabelled, known),
    )


def _licences(labelled: Corpus, unlabelled: Corpus | None, known: frozenset[str]) -> dict[str, str]:
    """Licences of all training corpora, including those of transferred networks."""
    names = {speaker.partition(":")[0] for speaker in known}
    corpora = [corpus for corpus in (labelled, unlabelled) if corpus and corpus.name.partition("/")[0] in names]
    licences = {corpus.name: corpus.licence for corpus in corpora}
    others = names - {name.partition("/")[0] for name in licences}
    return licences | {name: datasets.BUILDERS[name].LICENSE for name in sorted(others)}
