"""Classifiers of emotion: f_S, which reads G's condition in what G sees, and the recognisers of what it makes.

Public names: face_classifier; recognise, cross_fitted; classes_of. All train networks of Q's architecture.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from datasets import input_pipeline, streams
from datasets.corpus import Corpus
from emogan import networks
from emogan.config import BARE, AugmentConfig, RecogniserConfig, TrainConfig, to_json
from emogan.consistency import ConsistentClassifier
from emogan.metrics import recognition
from trainers.runs import readings, training
from trainers.runs.folder import RunFolder, log, recogniser_path, write_atomically
from trainers.runs.job import Job, StageContext, images, served_settings
from trainers.runs.recognisers import RECOGNISERS
from trainers.runs.saved_networks import load_network, save_network, seen_speakers, start_folder, transfer_trunk
from trainers.stages import sampling

MUCH = AugmentConfig(
    time_masks=2, time_mask_share=0.2, frequency_masks=2, frequency_mask_share=0.2, time_shift_share=0.15,
    frequency_shift_share=0.06,
)  # fmt: skip
"""How unlabelled spectrograms are changed in which a recogniser shall read what it reads in them slightly changed."""


def face_classifier(context: StageContext) -> None:
    """f_S: the probabilities that semi-supervised training has instead of labels, for every clip of the labelled corpus.

    Those of a training clip come from a network that never saw its speaker: one for each training fold, trained on the other
    ones, since a network nearly repeats the labels of what it was trained on. Those of validation and test clips come from one
    that was trained on all training folds. All are kept as SavedModels, `<which>/classifier`, and read back; what they read is
    kept by `trainers.runs.readings`.
    """
    job, run, folder = context.job, context.run, context.folder
    folds = job.training_folds
    parts = []
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        parts.append(_read_by(job, run, folder / f"without_{fold}", others, [fold]))
    parts.append(_read_by(job, run, folder / "all", "+".join(folds), [job.protocol.validation, job.protocol.test]))
    clip_ids, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    label_of = dict(zip(*(job.labelled.column(name, job.protocol.train) for name in ("clip_id", "label")), strict=True))
    rows = [row for row, clip_id in enumerate(clip_ids) if clip_id in label_of]
    labels = np.array([label_of[clip_ids[row]] for row in rows])
    temperature = readings.temperature_of(probabilities[rows], labels)
    log.info("what f_S reads in training clips is as certain as it is right at a temperature of %.2f", temperature)
    readings.save(readings.Readings(clip_ids=clip_ids, probabilities=probabilities, temperature=temperature), folder)


def _read_by(job: Job, run: RunFolder, folder: Path, trained_on: str, read: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Trains one f_S, unless that is done, and has it read some splits: clip ids [n], probabilities [n, num_classes]."""
    corpus, kind = job.labelled, job.source.name
    unseen = corpus.speakers("+".join(read)) - corpus.speakers(job.protocol.validation)  # on which all are selected
    network = _of_real(job, run, folder / "classifier", job.source, trained_on, BARE, unseen)
    examples = [corpus.arrays(split, [kind]) for split in read]
    joined = {name: np.concatenate([part[name] for part in examples]) for name in examples[0]}
    logits = network.predict(input_pipeline.to_input(tf.constant(joined[kind])), batch_size=64, verbose=0)
    labels = examples[0]["label"]  # of validation, where test is read too: that stays closed until the evaluation
    accuracy = recognition.accuracy(labels, logits[: len(labels)].argmax(-1))
    log.info("f_S trained on %s finds %.1f%% of the emotions of %s", trained_on, 100 * accuracy, read[0])
    return joined["clip_id"], tf.nn.softmax(logits).numpy()


def recognise(context: StageContext, *, name: str) -> None:
    """Trains one of `trainers.runs.recognisers.RECOGNISERS`, by its name, once for each seed.

    All recognisers of a run have equally many updates of one batch size. Each is kept at `recogniser_path`.

    Raises:
        UserError: where what was generated comes from a speaker who is not trained on.
    """
    job, run, folder = context.job, context.run, context.folder
    config, split, kind = job.config, job.protocol.train, job.target.name
    recogniser, size = RECOGNISERS[name], config.recognise.batch_size
    regularised, generated = recogniser.config(config), None
    added = 0 if not recogniser.added else round(config.generated_share * size) if recogniser.real else size
    if recogniser.added == "generated":
        generated = sampling.learnt_from(job, run)

    def mixed(settings: TrainConfig, added: int, first_step: int) -> tf.data.Dataset:
        drawn: dict[str, Any] = {"first_step": first_step, "balance": regularised.balance_classes}
        other = {"batch_size": added, "seed": settings.seed + 1, **drawn}  # so that no clip meets what was made of it
        parts = []
        if recogniser.real:
            real = {"batch_size": size - added, "seed": settings.seed, **drawn}
            parts.append((_real(job.labelled, split, kind, real), size - added))
        if generated and added:
            draws, targets, labels = generated
            parts.append((streams.array_stream((draws.images, targets), labels, **other), added))
        elif added:
            assert job.left_out, "a job with this recogniser has a corpus of the left out speakers"
            parts.append((_real(job.left_out, split, kind, other), added))
        weighted = generated and recogniser.real and config.generated_weight != 1
        weights = [1.0, config.generated_weight][: len(parts)] if weighted else []
        return _batches(job, parts, settings, regularised, weights)

    def batches(settings: TrainConfig, first_step: int) -> tf.data.Dataset:
        if not (generated and recogniser.real and config.generated_until < 1):
            return mixed(settings, added, first_step)
        last = max(first_step, round(config.generated_until * settings.steps))
        return mixed(settings, added, first_step).take(last - first_step).concatenate(mixed(settings, 0, last))

    known = job.labelled.speakers(f"{split}+{job.protocol.validation}")
    if recogniser.added == "left_out" and job.left_out:
        known |= job.left_out.speakers(split)
    if generated:
        known |= generated[0].speakers
    if job.unlabelled and (regularised.consistency or regularised.start == "discriminator"):
        known |= job.unlabelled.speakers(job.unlabelled_splits[0])
    if regularised.start == "discriminator":
        known |= seen_speakers(start_folder(run) / "discriminator")
    for number, seed in enumerate(config.recogniser_seeds):
        path, settings = recogniser_path(run.path, name, number), dataclasses.replace(config.recognise, seed=seed)
        if not path.exists():
            network = _train(
                job, run, path, job.target, split, functools.partial(batches, settings), settings, regularised
            )
            save_network(network, config.model, path, known)
    write_atomically(folder / "served.json", to_json(served_settings(job, known)))


def cross_fitted(job: Job, run: RunFolder, folder: Path, left_out: str) -> tf.keras.Model:
    """A strong recogniser of the real clips of all training folds but one, trained unless that is done."""
    split = "+".join(fold for fold in job.training_folds if fold != left_out)
    regularised = dataclasses.replace(job.config.strong, start="random", consistency=0.0)
    unseen = job.labelled.speakers(left_out)
    return _of_real(job, run, folder / "recogniser", job.target, split, regularised, unseen)


def _of_real(
    job: Job,
    run: RunFolder,
    path: Path,
    kind: networks.ImageKind,
    split: str,
    regularised: RecogniserConfig,
    unseen: frozenset[str],
) -> tf.keras.Model:
    """The classifier of a split's real images that is kept at `path`, trained unless it is there, which knows none of
    `unseen`."""
    settings = job.config.recognise
    if not path.exists():

        def batches(first_step: int) -> tf.data.Dataset:
            drawn = {"batch_size": settings.batch_size, "seed": settings.seed, "first_step": first_step}
            real = _real(job.labelled, split, kind.name, drawn)
            return _batches(job, [(real, settings.batch_size)], settings, regularised)

        network = _train(job, run, path, kind, split, batches, settings, regularised)
        save_network(network, job.config.model, path, job.labelled.speakers(f"{split}+{job.protocol.validation}"))
    return load_network(path, job.config.model, "classifier", unseen=unseen)


def classes_of(recogniser: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    """What a recogniser takes each image for, float32 [n, S, S, channels] in [-1, 1]: classes, int64 [n]."""
    return recogniser.predict(images, batch_size=64, verbose=0).argmax(-1)


def _train(
    job: Job,
    run: RunFolder,
    path: Path,
    kind: networks.ImageKind,
    split: str,
    batches: Callable[[int], tf.data.Dataset],
    settings: TrainConfig,
    regularised: RecogniserConfig,
) -> tf.keras.Model:
    """Trains a classifier of a kind of image that will be kept at `path`; its checkpoints lie beside it."""
    config = job.config
    tf.keras.utils.set_random_seed(settings.seed)
    network = networks.build_classifier(config.model, kind)
    networks.adapt_standardisation(network, kind, images(job.labelled, split, kind.name))
    rate: float | tf.keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if regularised.decay == "cosine":
        rate = tf.keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    if regularised.start == "discriminator":
        transfer_trunk(network, start_folder(run) / "discriminator")
    model = network
    if regularised.consistency:
        model = ConsistentClassifier(network, regularised.consistency, regularised.certainty)
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=regularised.smoothing)
    model.compile(training.adam(settings, rate), loss, metrics=["accuracy"])
    if regularised.consistency:
        labelled = batches

        def batches(first_step: int) -> tf.data.Dataset:
            return tf.data.Dataset.zip(
                (labelled(first_step), _unlabelled_batches(job, settings, first_step, regularised))
            )

    validation = job.labelled.examples(job.protocol.validation, images=[kind.name], cache=True).map(
        lambda e: (input_pipeline.to_input(e[kind.name]), tf.one_hot(e["label"], config.model.num_classes))
    )
    stage = str(path.parent.relative_to(run.path))
    training.fit(
        model, batches, settings, run, stage,
        validation=validation.batch(64), best_by="val_accuracy", select_weights=regularised.weights,
    )  # fmt: skip
    return network


def _batches(
    job: Job,
    parts: list[tuple[tf.data.Dataset, int]],
    settings: TrainConfig,
    regularised: RecogniserConfig,
    weights: Sequence[float] = (),
) -> tf.data.Dataset:
    """Batches, augmented and mixed, from streams with each one's share of a batch and perhaps its weight in the loss."""
    found, sizes = (list(column) for column in zip(*parts, strict=True))
    augment = regularised.augment
    if job.target is not networks.SPECTROGRAM:
        augment = AugmentConfig(mixup=augment.mixup)  # all else is of spectrograms
    return input_pipeline.mixed_batches(
        found, sizes, weights=weights,
        seed=settings.seed, augment=augment, settings=job.labelled.media.spectrogram,
    )  # fmt: skip


def _unlabelled_batches(
    job: Job, settings: TrainConfig, first_step: int, regularised: RecogniserConfig
) -> tf.data.Dataset:
    """Batches of unlabelled spectrograms, each twice: changed as the labelled ones are, but not mixed; and by `MUCH`."""
    corpus, split, size = job.unlabelled, job.unlabelled_splits[0], settings.batch_size
    assert corpus, "a job with this recogniser has an unlabelled corpus"
    clips = corpus.stream(
        split, images=[job.target.name], batch_size=size, seed=settings.seed + 2, first_step=first_step
    )
    stream = clips.map(lambda n, example: (n, (example[job.target.name], ())))
    changed = [
        input_pipeline.mixed_batches([stream], [size], seed=seed, augment=changes, settings=corpus.media.spectrogram)
        for seed, changes in (
            (settings.seed + 2, dataclasses.replace(regularised.augment, mixup=0.0)), (settings.seed + 3, MUCH)
        )
    ]  # fmt: skip
    return tf.data.Dataset.zip(tuple(changed)).map(lambda slightly, much: (slightly[0], much[0]))


def _real(corpus: Corpus, split: str, kind: str, drawn: dict[str, Any]) -> tf.data.Dataset:
    """Real images with their labels, numbered; `drawn` as `Corpus.stream` has it."""
    classes = len(corpus.class_names)
    stream = corpus.stream(split, images=[kind], **drawn)
    return stream.map(lambda n, e: (n, (e[kind], tf.one_hot(e["label"], classes))))
