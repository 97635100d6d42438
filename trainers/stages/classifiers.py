"""Trains the emotion classifiers: f_S, which predicts G's condition from G's input, and the recognisers.

Public names: face_classifier; recognise, cross_fitted; classes_of. All networks have the architecture of Q.
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

STRONG_AUGMENT = AugmentConfig(
    time_masks=2, time_mask_share=0.2, frequency_masks=2, frequency_mask_share=0.2, time_shift_share=0.15,
    frequency_shift_share=0.06,
)  # fmt: skip
"""Strong augmentation of unlabelled spectrograms for the consistency loss."""


def face_classifier(context: StageContext) -> None:
    """Trains f_S, and predicts class probabilities for all labelled clips, which semi-supervised training uses as labels.

    A network nearly reproduces the labels of its training clips. Therefore the predictions for a training fold come from a
    network trained on the other training folds, and those for validation and test clips from a network trained on all
    training folds. The networks are saved as SavedModels `<name>/classifier`, the predictions by `trainers.runs.readings`.
    """
    job, run, folder = context.job, context.run, context.folder
    folds = job.training_folds
    parts = []
    for fold in folds:
        others = "+".join(other for other in folds if other != fold)
        parts.append(_predict(job, run, folder / f"without_{fold}", others, [fold]))
    parts.append(_predict(job, run, folder / "all", "+".join(folds), [job.protocol.validation, job.protocol.test]))
    clip_ids, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    label_of = dict(zip(*(job.labelled.column(name, job.protocol.train) for name in ("clip_id", "label")), strict=True))
    rows = [row for row, clip_id in enumerate(clip_ids) if clip_id in label_of]
    labels = np.array([label_of[clip_ids[row]] for row in rows])
    temperature = readings.temperature_of(probabilities[rows], labels)
    log.info("temperature of f_S on training clips: %.2f", temperature)
    readings.save(readings.Readings(clip_ids=clip_ids, probabilities=probabilities, temperature=temperature), folder)


def _predict(
    job: Job, run: RunFolder, folder: Path, trained_on: str, splits: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Trains an f_S unless it is saved, and predicts `splits`: clip ids, str [n]; probabilities, float [n, num_classes]."""
    corpus, kind = job.labelled, job.source.name
    unseen = corpus.speakers("+".join(splits)) - corpus.speakers(job.protocol.validation)  # used for model selection
    network = _of_real(job, run, folder / "classifier", job.source, trained_on, BARE, unseen)
    examples = [corpus.arrays(split, [kind]) for split in splits]
    joined = {name: np.concatenate([part[name] for part in examples]) for name in examples[0]}
    logits = network.predict(input_pipeline.to_input(tf.constant(joined[kind])), batch_size=64, verbose=0)
    labels = examples[0]["label"]  # test labels, if any, are not used before the evaluation
    accuracy = recognition.accuracy(labels, logits[: len(labels)].argmax(-1))
    log.info("f_S trained on %s: accuracy %.1f%% on %s", trained_on, 100 * accuracy, splits[0])
    return joined["clip_id"], tf.nn.softmax(logits).numpy()


def recognise(context: StageContext, *, name: str) -> None:
    """Trains one of `trainers.runs.recognisers.RECOGNISERS`, once for each seed.

    All recognisers of a run have the same number of updates and batch size. Each is saved at `recogniser_path`.

    Raises:
        UserError: if generated examples come from a speaker that is not a training speaker.
        NoResult: if all generated examples are discarded.
    """
    job, run, folder = context.job, context.run, context.folder
    config, split, kind = job.config, job.protocol.train, job.target.name
    recogniser, size = RECOGNISERS[name], config.recognise.batch_size
    regularised, generated = recogniser.config(config), None
    added = 0 if not recogniser.added else round(config.generated_share * size) if recogniser.real else size
    if recogniser.added == "generated":
        generated = sampling.learnt_from(job, run)

    def mixed(settings: TrainConfig, added: int, first_step: int) -> tf.data.Dataset:
        shared: dict[str, Any] = {"first_step": first_step, "balance": regularised.balance_classes}
        other = {"batch_size": added, "seed": settings.seed + 1, **shared}  # never aligned with the real clips
        parts = []
        if recogniser.real:
            real = {"batch_size": size - added, "seed": settings.seed, **shared}
            parts.append((_real(job.labelled, split, kind, real), size - added))
        if generated and added:
            draws, targets, labels = generated
            parts.append((streams.array_stream((draws.images, targets), labels, **other), added))
        elif added:
            assert job.left_out, "oracles need a corpus of the left out speakers"
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
    """Returns a strong recogniser of the real clips of all training folds but one; trains it unless it is saved."""
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
    """Returns the classifier at `path`, trained on the real images of a split and not on `unseen`; trains it unless saved."""
    settings = job.config.recognise
    if not path.exists():

        def batches(first_step: int) -> tf.data.Dataset:
            stream = {"batch_size": settings.batch_size, "seed": settings.seed, "first_step": first_step}
            real = _real(job.labelled, split, kind.name, stream)
            return _batches(job, [(real, settings.batch_size)], settings, regularised)

        network = _train(job, run, path, kind, split, batches, settings, regularised)
        save_network(network, job.config.model, path, job.labelled.speakers(f"{split}+{job.protocol.validation}"))
    return load_network(path, job.config.model, "classifier", unseen=unseen)


def classes_of(recogniser: tf.keras.Model, images: np.ndarray) -> np.ndarray:
    """Predicts the class of each image, float32 [n, S, S, channels] in [-1, 1]: int64 [n]."""
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
    """Trains a classifier of one kind of image; its checkpoints are next to `path`, where it will be saved."""
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
    model.compile(training.adam(settings, rate), loss, metrics=[tf.keras.metrics.CategoricalAccuracy("accuracy")])
    model.optimizer._create_all_weights(
        network.trainable_variables
    )  # so that the step is traced once, see EmoGAN.compile
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
    """Augmented batches from several streams, each with its number of examples per batch and optionally a loss weight."""
    streams, sizes = (list(column) for column in zip(*parts, strict=True))
    augment = regularised.augment
    if job.target is not networks.SPECTROGRAM:
        augment = AugmentConfig(mixup=augment.mixup)  # the other augmentations are for spectrograms
    return input_pipeline.mixed_batches(
        streams, sizes, weights=weights,
        seed=settings.seed, augment=augment, settings=job.labelled.media.spectrogram,
    )  # fmt: skip


def _unlabelled_batches(
    job: Job, settings: TrainConfig, first_step: int, regularised: RecogniserConfig
) -> tf.data.Dataset:
    """Batches of unlabelled spectrograms, each twice: augmented like the labelled ones, without mixup; and strongly."""
    corpus, split, size = job.unlabelled, job.unlabelled_splits[0], settings.batch_size
    assert corpus, "the consistency loss needs an unlabelled corpus"
    clips = corpus.stream(
        split, images=[job.target.name], batch_size=size, seed=settings.seed + 2, first_step=first_step
    )
    stream = clips.map(lambda n, example: (n, (example[job.target.name], ())))
    augmented = [
        input_pipeline.mixed_batches([stream], [size], seed=seed, augment=augment, settings=corpus.media.spectrogram)
        for seed, augment in (
            (settings.seed + 2, dataclasses.replace(regularised.augment, mixup=0.0)), (settings.seed + 3, STRONG_AUGMENT)
        )
    ]  # fmt: skip
    return tf.data.Dataset.zip(tuple(augmented)).map(lambda weak, strong: (weak[0], strong[0]))


def _real(corpus: Corpus, split: str, kind: str, arguments: dict[str, Any]) -> tf.data.Dataset:
    """Numbered real images with their labels; `arguments` are those of `Corpus.stream`."""
    classes = len(corpus.class_names)
    stream = corpus.stream(split, images=[kind], **arguments)
    return stream.map(lambda n, e: (n, (e[kind], tf.one_hot(e["label"], classes))))
