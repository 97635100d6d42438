"""The stages that train a GAN. Public names: pretrain, calibrate, make_gan."""

import functools
import itertools
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.ablations import ablate_sources
from datasets.corpus import Corpus
from datasets.input_pipeline import Condition
from emogan import audio, networks
from emogan.codes import EXAMPLES, ImageCode, averaged_down
from emogan.config import LossConfig, TrainConfig, to_json
from emogan.model import EmoGAN
from trainers.reports import plots
from trainers.runs import saved_networks, training
from trainers.runs.config import RunConfig
from trainers.runs.folder import RunFolder, log, write_atomically
from trainers.runs.job import Job, StageContext, images, served_settings
from trainers.stages import grids

VALIDATION_EXAMPLES = 2_048
"""Maximum number of validation examples of G, D and Q: all of a labelled fold, and a part of VoxCeleb, in random order."""
SHOWN = 4
"""Validation examples in a sample image; the first one also as audio."""
DRAWN = 2
"""Further draws for the first of these."""


def pretrain(context: StageContext) -> None:
    """Stage 1, weight initialisation: trains G and D on unlabelled pairs with the null condition, and saves both."""
    job = context.job
    config, settings, corpus = job.config, job.config.pretrain, job.unlabelled
    assert corpus, "pretraining needs an unlabelled corpus"
    splits = job.unlabelled_splits
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _new_networks(job, corpus, splits[0])
        gan = _compiled_gan(config.loss, settings, generator, discriminator, None)
    condition = input_pipeline.null_condition(config.model.num_classes)
    _fit_gan(gan, context, settings, corpus, splits, condition, corpus.speakers("+".join({*splits})))


def calibrate(context: StageContext) -> None:
    """Stage 2: trains G, D and Q on labelled pairs with the emotion as condition, and saves them.

    In a progressive run, G and D start from the pretrained networks.
    """
    job, run, folder = context.job, context.run, context.folder
    config, settings, corpus, protocol = job.config, job.config.calibrate, job.labelled, job.protocol
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _new_networks(job, corpus, protocol.train)
        classifier = None
        if config.use_classifier:
            classifier = networks.build_classifier(config.model)
            networks.adapt_standardisation(classifier, job.target, images(corpus, protocol.train, job.target.name))
        start, transferred = saved_networks.start_folder(run), []
        known = corpus.speakers(f"{protocol.train}+{protocol.validation}")
        if config.schedule == "progressive":
            transferred = saved_networks.start_from(generator, discriminator, config, start, corpus.class_names)
            known |= saved_networks.seen_speakers(start / "generator")
        if config.unlabelled_share and job.unlabelled:
            known |= job.unlabelled.speakers(job.unlabelled_splits[0])
        gan = _compiled_gan(config.calibration_loss, settings, generator, discriminator, classifier)
    for network, lines in itertools.groupby(transferred, key=lambda line: line.split()[0]):
        log.info("transferred: %d layers of the %s of %s", len(list(lines)), network, start)
    if run.writes:
        (folder / "transferred.txt").write_text("".join(f"{line}\n" for line in transferred), encoding="utf-8")
    splits = protocol.train, protocol.validation
    condition = job.condition(run)
    _fit_gan(gan, context, settings, corpus, splits, condition, known, balance=config.balance_classes)
    if run.writes:
        if gan.code:
            np.savez(folder / "code.npz", means=gan.code.means.numpy(), components=gan.code.components.numpy())
        write_atomically(folder / "served.json", to_json(served_settings(job, known)))


def _new_networks(job: Job, corpus: Corpus, split: str) -> tuple[tf.keras.Model, tf.keras.Model]:
    """G and D with random weights and the input statistics of a split."""
    config = job.config.model
    generator, discriminator = networks.build_generator(config), networks.build_discriminator(config)
    networks.adapt_standardisation(generator, job.source, images(corpus, split, job.source.name))
    for kind in (job.target, *([job.source] if config.d_sees_source else [])):
        networks.adapt_standardisation(discriminator, kind, images(corpus, split, kind.name))
    return generator, discriminator


def make_gan(config: RunConfig) -> EmoGAN:
    """Returns G, D and Q as for calibration, with random weights and without input statistics."""
    generator, discriminator = networks.build_generator(config.model), networks.build_discriminator(config.model)
    classifier = networks.build_classifier(config.model) if config.use_classifier else None
    return _compiled_gan(config.calibration_loss, config.calibrate, generator, discriminator, classifier)


def _compiled_gan(
    loss: LossConfig,
    settings: TrainConfig,
    generator: tf.keras.Model,
    discriminator: tf.keras.Model,
    classifier: tf.keras.Model | None,
) -> EmoGAN:
    gan = EmoGAN(
        generator=generator,
        discriminator=discriminator,
        classifier=classifier,
        loss=loss,
        train=settings,
    )
    gan.compile(
        g_optimizer=training.adam(settings),
        d_optimizer=training.adam(settings, settings.d_learning_rate),
        q_optimizer=training.adam(settings) if classifier is not None else None,
        jit_compile=settings.xla,
    )
    return gan


def _adapt_code(code: ImageCode, batches: tf.data.Dataset) -> None:
    examples = [(averaged_down(batch["target"]), batch["condition"]) for batch in batches]
    code.adapt(*(np.concatenate(part) for part in zip(*examples, strict=True)))


def _fit_gan(
    gan: EmoGAN,
    context: StageContext,
    settings: TrainConfig,
    corpus: Corpus,
    splits: tuple[str, str],
    condition: Condition,
    speakers: frozenset[str],
    *,
    balance: bool = False,
) -> None:
    """Trains a GAN, with sample images of fixed validation examples, and saves its networks with the speakers they know."""
    job, run, folder, stage = context.job, context.run, context.folder, context.name
    config, (training_split, held_out) = job.config, splits
    calibrates = corpus is job.labelled
    to_batches = functools.partial(
        input_pipeline.gan_batches,
        noise_dim=config.model.noise_dim,
        seed=settings.seed,
        images=(job.source.name, job.target.name),
        ablation=config.ablation if calibrates else "none",
        mismatched=bool(gan.loss_config.lambda_mismatch),
    )
    added = config.unlabelled_examples if calibrates else 0
    parts = [(corpus, training_split, condition, settings.batch_size - added, balance)]
    if added and job.unlabelled:
        null = input_pipeline.null_condition(config.model.num_classes)
        parts.append((job.unlabelled, job.unlabelled_splits[0], null, added, False))

    def batches(first_step: int) -> tf.data.Dataset:
        datasets = [
            to_batches(
                source.stream(split, batch_size=size, seed=seed, first_step=first_step, balance=balanced),
                own, batch_size=size, seed=seed, flip_faces=config.flip_faces,
                vary_faces=config.vary_faces,
            )
            for seed, (source, split, own, size, balanced) in enumerate(parts, settings.seed)
        ]  # fmt: skip
        return input_pipeline.joined_batches(datasets)

    one_epoch = functools.partial(to_batches, batch_size=settings.batch_size, drop_remainder=False)
    validation = one_epoch(corpus.examples(held_out, cache=True).take(VALIDATION_EXAMPLES).enumerate(), condition)
    if gan.code:
        datasets = [
            one_epoch(source.examples(split).take(EXAMPLES).enumerate(), own) for source, split, own, *_ in parts
        ]
        _adapt_code(gan.code, functools.reduce(tf.data.Dataset.concatenate, datasets))
    samples = grids.fixed_samples(corpus.examples(held_out), SHOWN)
    if corpus is job.labelled:
        samples[job.source.name] = ablate_sources(samples[job.source.name], config.ablation)

    def show(step: int, _: dict[str, float]) -> None:
        _show_samples(gan, job, settings, corpus, samples, run, f"{stage}_{step:07d}")

    training.fit(
        gan, batches, settings, run, stage,
        validation=validation, best_by="val_g_l1_loss", select_weights=config.select_weights,
        on_interval=show if run.writes else lambda *_: None,
    )  # fmt: skip
    trained = {"generator": gan.averaged_generator, "discriminator": gan.discriminator, "classifier": gan.classifier}
    with tempfile.TemporaryDirectory() as temporary:  # all processes must take part in saving; only the chief's is kept
        for name, network in trained.items():
            if network is not None:
                saved_networks.save_network(
                    network, config.model, (folder if run.writes else Path(temporary)) / name, speakers
                )


def _show_samples(
    gan: EmoGAN,
    job: Job,
    settings: TrainConfig,
    corpus: Corpus,
    samples: dict[str, np.ndarray],
    run: RunFolder,
    name: str,
) -> None:
    """Plots samples generated from fixed examples for every condition, and writes them and the first one's audio."""
    classes, names = job.config.model.num_classes, corpus.class_names or ("generated",)
    conditions = np.eye(classes) if corpus.class_names else np.zeros((1, classes))
    source, target = samples[job.source.name], samples[job.target.name]
    generate = functools.partial(grids.generate_grid, gan.averaged_generator, conditions=conditions)
    generated = generate(source, seed=settings.seed)[:, :, 0]
    draws = generate(source[:1], seed=settings.seed + 1, draws=DRAWN)[0]
    image = plots.sample_grid(source, target, generated, draws, names, run.path / "images" / f"{name}.png")
    tf.summary.image("samples", image[np.newaxis])
    if job.target is networks.SPECTROGRAM:
        spectrograms = tf.concat([target[:1], generated[0]], 0)  # the real one, then the generated ones
        waveforms = audio.waveform(spectrograms, corpus.media.spectrogram)[..., tf.newaxis]
        order = f"In this order: real, {', '.join(names)}"
        tf.summary.audio(
            "sounds", waveforms, corpus.media.spectrogram.sample_rate, max_outputs=len(waveforms), description=order
        )
