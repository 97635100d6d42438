"""The settings and data of a run, as its stages use them.

Public names: Job, StageContext, images, served_settings. `trainers.runs.opening` opens a job.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import datasets
from datasets import input_pipeline
from datasets.corpus import Corpus
from datasets.input_pipeline import Condition
from datasets.protocols import Protocol
from emogan import networks
from emogan.serving.signatures import ServedSettings
from trainers.runs import readings
from trainers.runs.config import RunConfig
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
