"""Opens the datasets and devices of a run. Public names: open_job, open_devices."""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import protocols
from datasets.corpus import Corpus, open_corpus
from datasets.protocols import Protocol
from emogan.config import differences
from emogan.errors import UserError
from trainers.runs import devices, needs
from trainers.runs.config import LEFT_OUT, RunConfig
from trainers.runs.job import Job


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
