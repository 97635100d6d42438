"""The stages of a run, each resumable: pretrain, calibrate, recognise, evaluate, export. Public name: `run_all`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline, protocols, streams
from datasets.input_pipeline import Corpus
from datasets.protocols import Protocol
from emogan import networks
from emogan.config import RunConfig, TrainConfig, differences, to_json
from emogan.errors import UserError
from emogan.model import EmoGAN
from emogan.serving import ServedSettings
from trainers import evaluation, exporting, generating, plots, report, training
from trainers.run_folder import RunFolder, log, write_atomically

STATISTICS_EXAMPLES = 8_192
"""Training examples from which a network takes the statistics that standardise its input; they lie in random order."""
PICTURED_FACES = 4
"""Validation faces in a sample picture."""


def run_all(config: RunConfig, data_dir: Path, run_dir: Path, flags: str) -> Path:
    """Runs all stages that are not done yet, in `run_dir`, on the datasets in `data_dir`; returns the report's path.

    Raises:
        UserError: where a dataset is missing or does not fit, or the run folder holds another run.
    """
    size = str(config.model.size)
    unlabelled = input_pipeline.open_corpus(config.pretrain_dataset, data_dir, size)
    labelled = input_pipeline.open_corpus(config.dataset, data_dir, size)
    _check_corpora(unlabelled, labelled, config)
    protocol = _protocol(config, labelled)
    labelled = labelled.without(protocol.left_out)
    if config.balance_classes:
        labelled.class_counts(protocol.train)
    run = RunFolder(run_dir, config, flags)  # only now, so that a wrong flag costs no time and leaves no folder behind
    with run.logging():
        if config.train_speakers:
            log.info("speakers trained on: %s", ", ".join(np.unique(labelled.column("speaker_id", protocol.train))))
        run.stage("pretrain", lambda folder: pretrain(config, unlabelled, run, folder))
        run.stage("calibrate", lambda folder: calibrate(config, labelled, protocol, run, folder))
        for stage in ("recognise_baseline", "recognise_augmented"):
            run.stage(stage, lambda folder: recognise(config, labelled, protocol, run, folder))
        run.stage("evaluate", lambda folder: evaluation.evaluate(config, labelled, protocol, run, folder))
        run.stage("serving", lambda folder: _export(run, folder))
        return report.write_report(run.path)


def _export(run: RunFolder, folder: Path) -> None:
    exporting.export(run.path, folder / "emogan")


def _check_corpora(unlabelled: Corpus, labelled: Corpus, config: RunConfig) -> None:
    if len(labelled.class_names) != config.model.num_classes:
        raise UserError(
            f"{labelled.name} has {len(labelled.class_names)} emotions and the preset {config.model.num_classes}; "
            "calibration needs a labelled dataset with as many classes as the preset"
        )
    if unlabelled.media != labelled.media:
        raise UserError(
            f"{unlabelled.name} and {labelled.name} were built differently "
            f"({differences(unlabelled.media, labelled.media)}); build both with the same version and settings"
        )


def _protocol(config: RunConfig, labelled: Corpus) -> Protocol:
    if not config.train_speakers:
        return protocols.protocol(labelled, config.test_fold)
    return protocols.low_data(
        labelled, config.test_fold, train_speakers=config.train_speakers, seed=config.calibrate.seed
    )


def pretrain(config: RunConfig, corpus: Corpus, run: RunFolder, folder: Path) -> None:
    """Stage 1, weight initialisation: G and D on unlabelled pairs, null condition, no Q; ends in two SavedModels."""
    splits = protocols.unlabelled_splits(corpus)
    tf.keras.utils.set_random_seed(config.pretrain.seed)
    strategy = training.make_strategy(config.pretrain.batch_size)
    with strategy.scope(), training.computing_with(config.pretrain.precision):
        generator = networks.build_generator(config.model)
        discriminator = networks.build_discriminator(config.model)
        networks.standardise_by(generator, networks.FACE, _pictures(corpus, splits[0], "face"))
        networks.standardise_by(discriminator, networks.SPECTROGRAM, _pictures(corpus, splits[0], "spectrogram"))
        if config.model.d_sees_source:
            networks.standardise_by(discriminator, networks.FACE, _pictures(corpus, splits[0], "face"))
        gan = _compiled_gan(config, config.pretrain, generator, discriminator, None)
    condition = input_pipeline.null_condition(config.model.num_classes)
    _fit_gan(gan, config, config.pretrain, corpus, splits, condition, run, folder)


def calibrate(config: RunConfig, corpus: Corpus, protocol: Protocol, run: RunFolder, folder: Path) -> None:
    """Stage 2: G and D go on from pretraining's SavedModels; they and Q train on labelled pairs, emotion as condition."""
    tf.keras.utils.set_random_seed(config.calibrate.seed)
    strategy = training.make_strategy(config.calibrate.batch_size)
    with strategy.scope(), training.computing_with(config.calibrate.precision):
        generator = training.load_network(run.path / "pretrain" / "generator", config.model)
        discriminator = training.load_network(run.path / "pretrain" / "discriminator", config.model)
        classifier = networks.build_classifier(config.model)
        networks.standardise_by(classifier, networks.SPECTROGRAM, _pictures(corpus, protocol.train, "spectrogram"))
        gan = _compiled_gan(config, config.calibrate, generator, discriminator, classifier)
    condition = input_pipeline.label_condition(config.model.num_classes)
    splits = protocol.train, protocol.validation
    _fit_gan(gan, config, config.calibrate, corpus, splits, condition, run, folder, balance=config.balance_classes)
    served = ServedSettings(
        media=corpus.media,
        model=config.model,
        class_names=list(corpus.class_names),
        dataset=corpus.name,
        synthetic=corpus.synthetic,
    )
    write_atomically(folder / "served.json", to_json(served))


def recognise(config: RunConfig, corpus: Corpus, protocol: Protocol, run: RunFolder, folder: Path) -> None:
    """Trains a recogniser with Q's architecture: `recognise_baseline` on real spectrograms, `recognise_augmented` on real and
    generated ones, by the same number of updates of the same batch size. The weights with the best validation accuracy are
    kept, as the SavedModel `recogniser`.
    """
    settings, stage = config.recognise, folder.name
    tf.keras.utils.set_random_seed(settings.seed)
    recogniser = networks.build_classifier(config.model)
    networks.standardise_by(recogniser, networks.SPECTROGRAM, _pictures(corpus, protocol.train, "spectrogram"))
    recogniser.compile(
        training.adam(settings), tf.keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    generated = (
        generating.generated_training_set(config, corpus, protocol, run) if stage == "recognise_augmented" else None
    )

    def batches(first_step: int) -> tf.data.Dataset:
        return _recogniser_batches(config, corpus, protocol, generated, first_step)

    best = tf.train.Checkpoint(model=recogniser)

    def keep_best(step: int, values: dict[str, float]) -> None:
        earlier = (row["val_accuracy"] for row in run.records(stage) if row["step"] < step)
        if values["val_accuracy"] > max(earlier, default=-1.0):
            best.write(str(folder / "best"))

    validation = corpus.examples(protocol.validation, pictures=["spectrogram"], keep=True).map(
        lambda e: (input_pipeline.to_input(e["spectrogram"]), _one_hot(config, e["label"]))
    )
    training.fit(recogniser, batches, settings, run, stage, validation=validation.batch(64), on_interval=keep_best)
    best.read(str(folder / "best")).expect_partial()
    training.save_network(recogniser, config.model, folder / "recogniser")


def _recogniser_batches(
    config: RunConfig,
    corpus: Corpus,
    protocol: Protocol,
    generated: generating.GeneratedSet | None,
    first_step: int,
) -> tf.data.Dataset:
    """Real spectrograms, or real and generated ones in their shares."""
    settings, balance = config.recognise, config.balance_classes
    made = round(config.generated_share * settings.batch_size) if generated else 0
    sizes = [settings.batch_size - made, made]
    real = corpus.stream(
        protocol.train, batch_size=sizes[0], seed=settings.seed, first_step=first_step, balance=balance,
        pictures=["spectrogram"],
    ).map(lambda n, e: (n, (e["spectrogram"], _one_hot(config, e["label"]))))  # fmt: skip
    if generated is None:
        return input_pipeline.mixed_batches([real], sizes[:1], seed=settings.seed, augment=config.augment)
    other = settings.seed + 1  # so that a batch does not pair each clip with what was generated from it
    drawn = streams.array_stream(
        (generated.spectrograms, generated.conditions), generated.labels,
        batch_size=made, seed=other, first_step=first_step, balance=balance,
    )  # fmt: skip
    return input_pipeline.mixed_batches([real, drawn], sizes, seed=settings.seed, augment=config.augment)


def _one_hot(config: RunConfig, label: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(label, config.model.num_classes)


def _compiled_gan(
    config: RunConfig,
    settings: TrainConfig,
    generator: tf.keras.Model,
    discriminator: tf.keras.Model,
    classifier: tf.keras.Model | None,
) -> EmoGAN:
    gan = EmoGAN(
        generator=generator,
        discriminator=discriminator,
        classifier=classifier,
        loss=config.loss,
        train=settings,
    )
    gan.compile(
        g_optimizer=training.adam(settings),
        d_optimizer=training.adam(settings, settings.d_learning_rate),
        q_optimizer=training.adam(settings) if classifier is not None else None,
        jit_compile=settings.xla,
    )
    return gan


def _fit_gan(
    gan: EmoGAN,
    config: RunConfig,
    settings: TrainConfig,
    corpus: Corpus,
    splits: tuple[str, str],
    condition: Callable[[input_pipeline.Example], tf.Tensor],
    run: RunFolder,
    folder: Path,
    *,
    balance: bool = False,
) -> None:
    """Trains, with sample pictures of fixed validation faces, and saves every network."""
    stage, dim, (training_split, held_out) = folder.name, config.model.noise_dim, splits

    def batches(first_step: int) -> tf.data.Dataset:
        numbered = corpus.stream(
            training_split, batch_size=settings.batch_size, seed=settings.seed, first_step=first_step, balance=balance
        )
        return input_pipeline.gan_batches(
            numbered,
            condition,
            batch_size=settings.batch_size,
            noise_dim=dim,
            seed=settings.seed,
            augment=config.augment,
        )

    validation = input_pipeline.gan_batches(
        corpus.examples(held_out, keep=True).enumerate(),
        condition,
        batch_size=settings.batch_size,
        noise_dim=dim,
        seed=settings.seed,
        drop_remainder=False,
    )
    samples = generating.fixed_samples(corpus.examples(held_out), PICTURED_FACES)

    def draw(step: int, _: dict[str, float]) -> None:
        conditions = np.eye(config.model.num_classes) if gan.classifier else np.zeros((1, config.model.num_classes))
        generated = generating.generate_grid(gan.averaged_generator, samples["face"], conditions, settings.seed)
        picture = plots.sample_grid(
            samples["face"], samples["spectrogram"], generated, run.path / "pictures" / f"{stage}_{step:07d}.png"
        )
        tf.summary.image("samples", picture[np.newaxis])

    training.fit(gan, batches, settings, run, stage, validation=validation, on_interval=draw)
    networks_made = {
        "generator": gan.averaged_generator,
        "discriminator": gan.discriminator,
        "classifier": gan.classifier,
    }
    for name, network in networks_made.items():
        if network is not None:
            training.save_network(network, config.model, folder / name)


def _pictures(corpus: Corpus, split: str, kind: str) -> Iterator[np.ndarray]:
    """Up to STATISTICS_EXAMPLES pictures of a split, in batches, as networks see them."""
    pictures = corpus.examples(split, pictures=[kind]).take(STATISTICS_EXAMPLES)
    return pictures.map(lambda e: input_pipeline.to_input(e[kind])).batch(256).as_numpy_iterator()
