"""Classifiers of emotion: f_S, which reads G's condition in what G sees, and the recognisers of what it makes.

Public names: face_classifier; recognise, recogniser_path; classes_of. All train networks of Q's architecture.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from datasets import input_pipeline, streams
from datasets.corpus import Corpus
from emogan import networks
from emogan.config import BARE, AugmentConfig, RecogniserConfig, TrainConfig
from emogan.errors import UserError
from emogan.metrics import recognition
from trainers import generating, training
from trainers.job import Job, pictures
from trainers.recognisers import RECOGNISERS
from trainers.run_folder import RunFolder, log
from trainers.saved_networks import load_network, save_network


def face_classifier(job: Job, run: RunFolder, folder: Path) -> None:
    """f_S: the probabilities that semi-supervised training has instead of labels, for every clip of the labelled corpus.

    Those of a training clip come from a network that never saw its speaker: one for each training fold, trained on the other
    ones, since a network nearly repeats the labels of what it was trained on. Those of validation and test clips come from one
    that was trained on all training folds. All are kept as SavedModels, `<which>/classifier`, and read back; the
    probabilities lie in probabilities.npz.
    """
    folds = job.training_folds
    rows = []
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        rows.append(_read_by(job, run, folder / f"without_{fold}", others, [fold]))
    rows.append(_read_by(job, run, folder / "all", "+".join(folds), [job.protocol.validation, job.protocol.test]))
    clip_ids, probabilities = (np.concatenate(column) for column in zip(*rows, strict=True))
    with (folder / "probabilities.part").open("wb") as file:
        np.savez(file, clip_ids=clip_ids, probabilities=probabilities)
    (folder / "probabilities.part").replace(folder / "probabilities.npz")


def _read_by(job: Job, run: RunFolder, folder: Path, trained_on: str, read: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Trains one f_S, unless that is done, and has it read some splits: clip ids [n], probabilities [n, num_classes]."""
    corpus, kind, settings = job.labelled, job.source.name, job.config.recognise
    if not (folder / "classifier").exists():

        def stream(first_step: int) -> list[tuple[tf.data.Dataset, int]]:
            drawn = {"batch_size": settings.batch_size, "seed": settings.seed, "first_step": first_step}
            return [(_real(corpus, trained_on, kind, drawn), settings.batch_size)]

        network = _train(job, run, folder / "classifier", job.source, trained_on, stream, settings, BARE)
        known = corpus.speakers(f"{trained_on}+{job.protocol.validation}")
        save_network(network, job.config.model, folder / "classifier", known)
    unseen = corpus.speakers("+".join(read)) - corpus.speakers(job.protocol.validation)  # on which all are selected
    network = load_network(folder / "classifier", job.config.model, "classifier", unseen=unseen)
    examples = [corpus.arrays(split, [kind]) for split in read]
    joined = {name: np.concatenate([part[name] for part in examples]) for name in examples[0]}
    logits = network.predict(input_pipeline.to_input(tf.constant(joined[kind])), batch_size=64, verbose=0)
    labels = examples[0]["label"]  # of validation, where test is read too: that stays closed until the evaluation
    accuracy = recognition.accuracy(labels, logits[: len(labels)].argmax(-1))
    log.info("f_S trained on %s finds %.1f%% of the emotions of %s", trained_on, 100 * accuracy, read[0])
    return joined["clip_id"], tf.nn.softmax(logits).numpy()


def recognise(job: Job, run: RunFolder, folder: Path) -> None:
    """Trains one of `trainers.recognisers.RECOGNISERS`, whose name the stage ends in, once for each seed.

    All recognisers of a run have equally many updates of one batch size. Each is kept at `recogniser_path`.

    Raises:
        UserError: where what was generated comes from a speaker who is not trained on.
    """
    name, config, split, kind = folder.name.removeprefix("recognise_"), job.config, job.protocol.train, job.target.name
    recogniser, size = RECOGNISERS[name], config.recognise.batch_size
    regularised, draws = recogniser.config(config), None
    added = 0 if not recogniser.added else round(config.generated_share * size) if recogniser.real else size
    if recogniser.added == "generated":
        draws = generating.read_draws(job, run)
        if not draws.speakers <= job.labelled.speakers(split):
            raise UserError(f"generated examples come from other speakers than those of {split}; do the run anew")

    def parts(settings: TrainConfig, first_step: int) -> list[tuple[tf.data.Dataset, int]]:
        drawn: dict[str, Any] = {"first_step": first_step, "balance": regularised.balance_classes}
        other = {"batch_size": added, "seed": settings.seed + 1, **drawn}  # so that no clip meets what was made of it
        found = []
        if recogniser.real:
            real = {"batch_size": size - added, "seed": settings.seed, **drawn}
            found.append((_real(job.labelled, split, kind, real), size - added))
        if draws:
            items = draws.pictures, draws.conditions
            found.append((streams.array_stream(items, draws.labels, **other), added))
        elif recogniser.added:
            assert job.left_out, "a job with this recogniser has a corpus of the left out speakers"
            found.append((_real(job.left_out, split, kind, other), added))
        return found

    known = job.labelled.speakers(f"{split}+{job.protocol.validation}")
    if recogniser.added == "left_out" and job.left_out:
        known |= job.left_out.speakers(split)
    for number, seed in enumerate(config.recogniser_seeds):
        path, settings = recogniser_path(run.path, name, number), dataclasses.replace(config.recognise, seed=seed)
        if not path.exists():
            drawn = functools.partial(parts, settings)
            network = _train(job, run, path, job.target, split, drawn, settings, regularised)
            save_network(network, config.model, path, known)


def recogniser_path(run_dir: Path, name: str, number: int = 0) -> Path:
    """Where a run keeps the recogniser of that name and number of a seed, a SavedModel."""
    return run_dir / f"recognise_{name}" / str(number) / "recogniser"


def classes_of(recogniser: tf.keras.Model, pictures: np.ndarray) -> np.ndarray:
    """What a recogniser takes each picture for, float32 [n, S, S, channels] in [-1, 1]: classes, int64 [n]."""
    return recogniser.predict(pictures, batch_size=64, verbose=0).argmax(-1)


def _train(
    job: Job,
    run: RunFolder,
    path: Path,
    picture: networks.Picture,
    split: str,
    streams_and_sizes: Callable[[int], list[tuple[tf.data.Dataset, int]]],
    settings: TrainConfig,
    regularised: RecogniserConfig,
) -> tf.keras.Model:
    """Trains a classifier of a kind of picture that will be kept at `path`; its checkpoints lie beside it."""
    config = job.config
    tf.keras.utils.set_random_seed(settings.seed)
    network = networks.build_classifier(config.model, picture)
    networks.standardise_by(network, picture, pictures(job.labelled, split, picture.name))
    rate: float | tf.keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if regularised.decay == "cosine":
        rate = tf.keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=regularised.smoothing)
    network.compile(training.adam(settings, rate), loss, metrics=["accuracy"])
    augment = regularised.augment
    if picture is not networks.SPECTROGRAM:
        augment = AugmentConfig(mixup=augment.mixup)  # all else is of spectrograms
    to_batches = functools.partial(
        input_pipeline.mixed_batches, seed=settings.seed, augment=augment, settings=job.labelled.media.spectrogram
    )

    def batches(first_step: int) -> tf.data.Dataset:
        parts, sizes = zip(*streams_and_sizes(first_step), strict=True)
        return to_batches(list(parts), list(sizes))

    validation = job.labelled.examples(job.protocol.validation, pictures=[picture.name], keep=True).map(
        lambda e: (input_pipeline.to_input(e[picture.name]), tf.one_hot(e["label"], config.model.num_classes))
    )
    stage = str(path.parent.relative_to(run.path))
    training.fit(
        network, batches, settings, run, stage,
        validation=validation.batch(64), best_by="val_accuracy", keep=regularised.weights,
    )  # fmt: skip
    return network


def _real(corpus: Corpus, split: str, kind: str, drawn: dict[str, Any]) -> tf.data.Dataset:
    """Real pictures with their labels, numbered; `drawn` as `Corpus.stream` has it."""
    classes = len(corpus.class_names)
    stream = corpus.stream(split, pictures=[kind], **drawn)
    return stream.map(lambda n, e: (n, (e[kind], tf.one_hot(e["label"], classes))))
