"""What every stage of a run works on. Public names: Job, StageContext, open_job, images, served_settings."""

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
"""Training examples from which a network takes the statistics that standardise its input; they lie in random order."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A run's settings and what they stand for.

    Attributes:
        config: the settings, with as many classes as `labelled` has.
        unlabelled: the corpus of unlabelled clips; None where the run needs none.
        unlabelled_splits: of it, what is trained on and what is watched.
        left_out: the labelled corpus without the speakers that are trained on, for the oracle; None where there is none.
        labelled: the corpus of calibration and evaluation, without the speakers that are left out.
        protocol: who of its speakers trains, validates and is tested.
        strategy: on what devices G, D and Q are trained.
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
        """What G sees."""
        return networks.source_and_target(self.config.model)[0]

    @property
    def target(self) -> networks.ImageKind:
        """What G makes."""
        return networks.source_and_target(self.config.model)[1]

    @property
    def training_folds(self) -> list[str]:
        """The splits with training speakers."""
        return [fold for fold in self.protocol.train.split("+") if self.labelled.column("split", fold).size]

    def condition(self, run: RunFolder) -> Condition:
        """c of a labelled example: its label, or what f_S reads in it."""
        if self.config.condition == "label":
            return input_pipeline.label_condition(self.config.model.num_classes)
        read = readings.load(run)
        return input_pipeline.table_condition(read.clip_ids, self._counted(read, self.config.face_certainty))

    def conditions(
        self, examples: dict[str, np.ndarray], run: RunFolder, *, certainty: float | None = None
    ) -> np.ndarray:
        """The same for examples in memory, float32 [n, num_classes]; with another `certainty` than the run's if it is given."""
        if self.config.condition == "label":
            return np.eye(self.config.model.num_classes, dtype=np.float32)[examples["label"]]
        read = readings.load(run)
        rows = {clip_id: row for row, clip_id in enumerate(read.clip_ids)}
        own = read.probabilities[[rows[clip_id] for clip_id in examples["clip_id"]]]
        certainty = self.config.face_certainty if certainty is None else certainty
        return self._counted(dataclasses.replace(read, probabilities=own), certainty)

    def _counted(self, read: Readings, certainty: float) -> np.ndarray:
        if not self.config.face_certainty:
            return read.probabilities
        return readings.certain(read.probabilities, certainty, read.temperature)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage works with.

    Attributes:
        job: the run's settings and data.
        run: its folder.
        name: of the stage.
        folder: of the stage.
    """

    job: Job
    run: RunFolder
    name: str
    folder: Path


def open_job(config: RunConfig, data_dir: Path) -> Job:
    """Opens the datasets in `data_dir`, and checks that they and the settings go together and that no stage will lack anything.

    Raises:
        UserError: where a dataset is missing, does not fit, or lacks something that a stage needs (`trainers.runs.needs`); or a
            batch cannot be shared out among the devices.
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
    """What G, D and Q are trained on. Raises UserError where a batch cannot be shared out among the devices."""
    strategy = devices.make_strategy()
    for settings in (config.pretrain, config.calibrate):
        devices.check_batch(strategy, settings)
    return strategy


def _left_out(whole: Corpus, labelled: Corpus, protocol: Protocol) -> Corpus:
    """The corpus without its training speakers: in the splits of training it has those that are left out."""
    if not protocol.left_out:
        raise UserError(
            f"all {len(labelled.speakers(protocol.train))} speakers of {protocol.train} of {whole.name} are trained on, and "
            "none is left out; give a smaller --train_speakers"
        )
    return whole.without(np.unique(labelled.column("speaker_id", protocol.train)))


def _open_unlabelled(config: RunConfig, data_dir: Path, labelled: Corpus) -> Corpus:
    try:
        unlabelled = _open_corpus(config.pretrain_dataset, config, data_dir)
    except UserError as error:
        raise UserError(
            f"{error}; or do without pretraining (--schedule=moderate), begin from another run's (--pretrained), or pretrain "
            f"on the speakers that --train_speakers leaves out (--pretrain_dataset={LEFT_OUT})"
        ) from error
    if unlabelled.media != labelled.media:
        raise UserError(
            f"{unlabelled.name} and {labelled.name} were built differently "
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
    """Up to `STATISTICS_EXAMPLES` images of a split in batches, for `networks.adapt_standardisation`."""
    taken = corpus.examples(split, images=[kind]).take(STATISTICS_EXAMPLES)
    return taken.map(lambda e: input_pipeline.to_input(e[kind])).batch(256).as_numpy_iterator()


def served_settings(job: Job, known: frozenset[str]) -> ServedSettings:
    """What a served model of a run says of itself; `known` are all speakers that it was trained or selected on."""
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
    """Of all corpora that are trained on, those of a run that networks were transferred from included."""
    names = {speaker.partition(":")[0] for speaker in known}
    here = {one.name: one.licence for one in (labelled, unlabelled) if one and one.name.partition("/")[0] in names}
    others = names - {name.partition("/")[0] for name in here}
    return here | {name: datasets.BUILDERS[name].LICENSE for name in sorted(others)}
