"""Classifiers of emotion: f_S, which reads G's condition in what G sees, and the recognisers of what it makes.

Public names: face_classifier, recognise, classes_of. All train networks of Q's architecture, and keep the weights
of the best validation accuracy.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline, streams
from emogan import networks
from emogan.config import AugmentConfig
from emogan.errors import UserError
from emogan.metrics import recognition
from trainers import generating, training
from trainers.job import Job, pictures
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
    corpus, kind = job.labelled, job.source.name
    if not (folder / "classifier").exists():
        size = job.config.recognise.batch_size
        _train(
            job,
            run,
            folder / "classifier",
            job.source,
            trained_on,
            lambda n: [(_real(job, trained_on, kind, n, size), size)],
        )
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
    """Trains one of `trainers.plan.RECOGNISERS`, whose name the stage ends in; all by equally many updates of one batch size.

    Where there is no GAN, `augmented` is trained on real pictures too, and differs from `baseline` by the augmentation of its
    examples alone, and by `balance_classes`. Kept as the SavedModel `recogniser`.

    Raises:
        UserError: where what was generated comes from a speaker who is not trained on.
    """
    name, size = folder.name.removeprefix("recognise_"), job.config.recognise.batch_size
    if job.config.schedule == "none":
        made, generated = 0, None
        if name == "baseline":
            job = dataclasses.replace(
                job, config=dataclasses.replace(job.config, augment=AugmentConfig(), balance_classes=False)
            )
    else:
        made = {"baseline": 0, "augmented": round(job.config.generated_share * size), "generated": size}[name]
        generated = generating.generated_training_set(job, run) if made else None
    split, kind = job.protocol.train, job.target.name
    if generated and not generated.speakers <= job.labelled.speakers(split):
        raise UserError(f"generated examples come from other speakers than those of {split}; do the run anew")

    def streams_and_sizes(first_step: int) -> list[tuple[tf.data.Dataset, int]]:
        real, parts = size - made, []
        if real:
            parts.append((_real(job, split, kind, first_step, real), real))
        if generated:
            parts.append((_generated(job, generated, first_step, made), made))
        return parts

    _train(job, run, folder / "recogniser", job.target, split, streams_and_sizes)


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
) -> None:
    """Trains a classifier of a kind of picture and saves it at `path`; its checkpoints lie beside it."""
    config, settings = job.config, job.config.recognise
    tf.keras.utils.set_random_seed(settings.seed)
    network = networks.build_classifier(config.model, picture)
    networks.standardise_by(network, picture, pictures(job.labelled, split, picture.name))
    network.compile(
        training.adam(settings), tf.keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    augment = config.augment if picture is networks.SPECTROGRAM else AugmentConfig()
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
        network, batches, settings, run, stage, validation=validation.batch(64), best_by="val_accuracy", keep="best"
    )
    save_network(network, config.model, path, job.labelled.speakers(f"{split}+{job.protocol.validation}"))


def _real(job: Job, split: str, kind: str, first_step: int, batch_size: int) -> tf.data.Dataset:
    """Real pictures with their labels, numbered."""
    settings, classes = job.config.recognise, job.config.model.num_classes
    drawn = job.labelled.stream(
        split,
        batch_size=batch_size,
        seed=settings.seed,
        first_step=first_step,
        balance=job.config.balance_classes,
        pictures=[kind],
    )
    return drawn.map(lambda n, e: (n, (e[kind], tf.one_hot(e["label"], classes))))


def _generated(job: Job, generated: generating.GeneratedSet, first_step: int, batch_size: int) -> tf.data.Dataset:
    """Generated pictures with what was asked for, numbered."""
    return streams.array_stream(
        (generated.pictures, generated.conditions),
        generated.labels,
        batch_size=batch_size,
        seed=job.config.recognise.seed + 1,  # so that a batch does not pair each clip with what was generated from it
        first_step=first_step,
        balance=job.config.balance_classes,
    )
