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
"""Examples on which G, D and Q are watched at every interval: all of a labelled fold, a part of VoxCeleb's, in random order."""
SHOWN = 4
"""Validation examples in a sample image; the first of them is also heard."""
DRAWN = 2
"""Further draws of the first of them."""


def pretrain(context: StageContext) -> None:
    """Stage 1, weight initialisation: G and D on unlabelled pairs, null condition, no Q; ends in two SavedModels."""
    job = context.job
    config, settings, corpus = job.config, job.config.pretrain, job.unlabelled
    assert corpus, "a job with this stage has an unlabelled corpus"
    splits = job.unlabelled_splits
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _fresh(job, corpus, splits[0])
        gan = _compiled_gan(config.loss, settings, generator, discriminator, None)
    condition = input_pipeline.null_condition(config.model.num_classes)
    _fit_gan(gan, context, settings, corpus, splits, condition, corpus.speakers("+".join({*splits})))


def calibrate(context: StageContext) -> None:
    """Stage 2: G and D go on from pretraining's SavedModels, or begin here in a moderate run; they and Q train on labelled
    pairs, emotion as condition.
    """
    job, run, folder = context.job, context.run, context.folder
    config, settings, corpus, protocol = job.config, job.config.calibrate, job.labelled, job.protocol
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _fresh(job, corpus, protocol.train)
        classifier = None
        if config.use_classifier:
            classifier = networks.build_classifier(config.model)
            networks.adapt_standardisation(classifier, job.target, images(corpus, protocol.train, job.target.name))
        start, taken = saved_networks.start_folder(run), []
        known = corpus.speakers(f"{protocol.train}+{protocol.validation}")
        if config.schedule == "progressive":
            taken = saved_networks.start_from(generator, discriminator, config, start, corpus.class_names)
            known |= saved_networks.seen_speakers(start / "generator")
        if config.unlabelled_share and job.unlabelled:
            known |= job.unlabelled.speakers(job.unlabelled_splits[0])
        gan = _compiled_gan(config.calibration_loss, settings, generator, discriminator, classifier)
    for network, lines in itertools.groupby(taken, key=lambda line: line.split()[0]):
        log.info("transferred: %d layers of the %s of %s", len(list(lines)), network, start)
    if run.writes:
        (folder / "transferred.txt").write_text("".join(f"{line}\n" for line in taken), encoding="utf-8")
    splits = protocol.train, protocol.validation
    condition = job.condition(run)
    _fit_gan(gan, context, settings, corpus, splits, condition, known, balance=config.balance_classes)
    if run.writes:
        if gan.code:
            np.savez(folder / "code.npz", means=gan.code.means.numpy(), components=gan.code.components.numpy())
        write_atomically(folder / "served.json", to_json(served_settings(job, known)))


def _fresh(job: Job, corpus: Corpus, split: str) -> tuple[tf.keras.Model, tf.keras.Model]:
    """G and D with random weights and the statistics of a split."""
    config = job.config.model
    generator, discriminator = networks.build_generator(config), networks.build_discriminator(config)
    networks.adapt_standardisation(generator, job.source, images(corpus, split, job.source.name))
    for kind in (job.target, *([job.source] if config.d_sees_source else [])):
        networks.adapt_standardisation(discriminator, kind, images(corpus, split, kind.name))
    return generator, discriminator


def make_gan(config: RunConfig) -> EmoGAN:
    """G, D and Q as calibration trains them, with random weights and no statistics."""
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
    seen = [(averaged_down(batch["target"]), batch["condition"]) for batch in batches]
    code.adapt(*(np.concatenate(part) for part in zip(*seen, strict=True)))


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
    """Trains, with sample images of fixed validation examples, and saves every network with whom it knows."""
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
        made = [
            to_batches(
                one.stream(split, batch_size=size, seed=seed, first_step=first_step, balance=balanced),
                own, batch_size=size, seed=seed, flip_faces=config.flip_faces,
                vary_faces=config.vary_faces,
            )
            for seed, (one, split, own, size, balanced) in enumerate(parts, settings.seed)
        ]  # fmt: skip
        return input_pipeline.joined_batches(made)

    once = functools.partial(to_batches, batch_size=settings.batch_size, drop_remainder=False)
    watched = corpus.examples(held_out, cache=True).take(VALIDATION_EXAMPLES)
    validation = once(watched.enumerate(), condition)
    if gan.code:
        seen = [once(one.examples(split).take(EXAMPLES).enumerate(), own) for one, split, own, *_ in parts]
        _adapt_code(gan.code, functools.reduce(tf.data.Dataset.concatenate, seen))
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
    made = {"generator": gan.averaged_generator, "discriminator": gan.discriminator, "classifier": gan.classifier}
    with tempfile.TemporaryDirectory() as aside:  # of several processes all take part in saving
        for name, network in made.items():
            if network is not None:
                saved_networks.save_network(
                    network, config.model, (folder if run.writes else Path(aside)) / name, speakers
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
    """Draws what is generated from fixed examples, under every condition that is trained; the first can be heard."""
    classes, names = job.config.model.num_classes, corpus.class_names or ("generated",)
    conditions = np.eye(classes) if corpus.class_names else np.zeros((1, classes))
    source, target = samples[job.source.name], samples[job.target.name]
    make = functools.partial(grids.generate_grid, gan.averaged_generator, conditions=conditions)
    made, draws = make(source, seed=settings.seed)[:, :, 0], make(source[:1], seed=settings.seed + 1, draws=DRAWN)[0]
    image = plots.sample_grid(source, target, made, draws, names, run.path / "images" / f"{name}.png")
    tf.summary.image("samples", image[np.newaxis])
    if job.target is networks.SPECTROGRAM:
        spectrograms = tf.concat([target[:1], made[0]], 0)  # the real one, then the generated ones
        sound = audio.waveform(spectrograms, corpus.media.spectrogram)[..., tf.newaxis]
        order = f"In this order: real, {', '.join(names)}"
        tf.summary.audio(
            "sounds", sound, corpus.media.spectrogram.sample_rate, max_outputs=len(sound), description=order
        )
