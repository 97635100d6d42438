"""Classifiers of emotion: f_S, which reads G's condition in what G sees, and the recognisers of what it makes.

Public names: face_classifier, recognise. Both train networks of Q's architecture and keep the weights of the best validation
accuracy.
"""

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
    network = load_network(folder / "classifier", job.config.model, "classifier")
    examples = [input_pipeline.load_arrays(corpus, split, [kind]) for split in read]
    joined = {name: np.concatenate([part[name] for part in examples]) for name in examples[0]}
    if np.intersect1d(joined["speaker_id"], corpus.column("speaker_id", trained_on)).size:
        raise UserError(f"{read} of {corpus.name} have speakers that f_S was trained on; rebuild the dataset")
    logits = network.predict(input_pipeline.to_input(tf.constant(joined[kind])), batch_size=64, verbose=0)
    labels = examples[0]["label"]  # of validation, where test is read too: that stays closed until the evaluation
    accuracy = recognition.accuracy(labels, logits[: len(labels)].argmax(-1))
    log.info("f_S trained on %s finds %.1f%% of the emotions of %s", trained_on, 100 * accuracy, read[0])
    return joined["clip_id"], tf.nn.softmax(logits).numpy()


def recognise(job: Job, run: RunFolder, folder: Path) -> None:
    """Trains a recogniser: `recognise_baseline` on real pictures, `recognise_augmented` on real and generated ones, by the same
    number of updates of the same batch size. Kept as the SavedModel `recogniser`.
    """
    config, split, kind = job.config, job.protocol.train, job.target.name
    made, generated = 0, None
    if folder.name == "recognise_augmented":
        made = round(config.generated_share * config.recognise.batch_size)
        generated = generating.generated_training_set(job, run)

    def streams_and_sizes(first_step: int) -> list[tuple[tf.data.Dataset, int]]:
        real = config.recognise.batch_size - made
        parts = [(_real(job, split, kind, first_step, real), real)]
        return parts if generated is None else [*parts, (_generated(job, generated, first_step, made), made)]

    _train(job, run, folder / "recogniser", job.target, split, streams_and_sizes)


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

    def batches(first_step: int) -> tf.data.Dataset:
        parts, sizes = zip(*streams_and_sizes(first_step), strict=True)
        return input_pipeline.mixed_batches(list(parts), list(sizes), seed=settings.seed, augment=augment)

    validation = job.labelled.examples(job.protocol.validation, pictures=[picture.name], keep=True).map(
        lambda e: (input_pipeline.to_input(e[picture.name]), tf.one_hot(e["label"], config.model.num_classes))
    )
    stage = str(path.parent.relative_to(run.path))
    training.fit(
        network, batches, settings, run, stage, validation=validation.batch(64), best_by="val_accuracy", keep="best"
    )
    save_network(network, config.model, path)


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
