"""The stages of a run, each resumable, strung together. Public names: run_all, stages_of, run_stage, make_gan."""

import functools
import itertools
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.controls import spoilt_sources
from datasets.corpus import Corpus
from datasets.input_pipeline import Condition
from emogan import audio, networks
from emogan.codes import EXAMPLES, PictureCode, averaged_down
from emogan.config import LossConfig, TrainConfig, to_json
from emogan.model import EmoGAN
from trainers.release import export
from trainers.reports import plots, run_report
from trainers.run import cluster, devices, needs, saved_networks, training
from trainers.run.config import RunConfig
from trainers.run.folder import RunFolder, log, write_atomically
from trainers.run.job import Job, pictures, served_settings
from trainers.run.phases import phases_table
from trainers.run.recognisers import recognisers
from trainers.stages import classifiers, evaluate, grids, judging, sampling

VALIDATION_EXAMPLES = 2_048
"""Examples on which G, D and Q are watched at every interval: all of a labelled fold, a part of VoxCeleb's, in random order."""
PICTURED = 4
"""Validation examples in a sample picture; the first of them is also heard."""
DRAWN = 2
"""Further draws of the first of them."""


def run_all(job: Job, run_dir: Path, flags: str) -> Path:
    """Runs all stages of a job that are not done yet, in `run_dir`; returns the report's path.

    Raises:
        UserError: where the run folder holds another run, or a stage cannot be done.
        Stopped: after a signal.
    """
    processes = devices.processes(job.strategy)
    pause = cluster.waiting_for_chief(*processes)
    run = RunFolder(run_dir, job.config, flags, writes=devices.is_chief(job.strategy), pause=pause)
    with run.logging(), cluster.lost_ones_named(*processes):
        if job.config.train_speakers:
            speakers = np.unique(job.labelled.column("speaker_id", job.protocol.train))
            log.info("speakers trained on: %s", ", ".join(speakers))
        log.info("%s", phases_table(job.config))
        for gap in needs.gaps(job):
            log.warning("%s", gap)
        for name in stages_of(job.config):
            run_stage(job, run, name)
        return run_report.write_report(run.path) if run.writes else run.path / "report.html"


def stages_of(config: RunConfig) -> list[str]:
    """The names of a run's stages, in their order."""
    made = config.schedule != "none"
    served = config.model.direction == "face_to_sound"
    return [
        *(["pretrain"] if config.pretrains else []),
        *(["face_classifier"] if config.reads_faces else []),
        *(["calibrate", "draw"] if made else []),
        *(["judge"] if config.judges_draws else []),
        *(f"recognise_{name}" for name in recognisers(config)),
        "evaluate",
        *(["serving"] if served else []),
    ]


def run_stage(job: Job, run: RunFolder, name: str) -> None:
    """Does one of `stages_of`, unless it is done."""
    together = {"pretrain": pretrain, "calibrate": calibrate}
    alone = {
        "face_classifier": classifiers.face_classifier,
        "draw": sampling.draw,
        "judge": judging.judge,
        "evaluate": evaluate.evaluate,
        "serving": _export,
    }
    work = (together | alone).get(name, classifiers.recognise)
    run.stage(name, lambda folder: work(job, run, folder), together=name in together)


def _export(_: Job, run: RunFolder, folder: Path) -> None:
    export.export(run.path, folder / "emogan")


def pretrain(job: Job, run: RunFolder, folder: Path) -> None:
    """Stage 1, weight initialisation: G and D on unlabelled pairs, null condition, no Q; ends in two SavedModels."""
    config, settings, corpus = job.config, job.config.pretrain, job.unlabelled
    assert corpus, "a job with this stage has an unlabelled corpus"
    splits = job.unlabelled_splits
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _fresh(job, corpus, splits[0])
        gan = _compiled_gan(config.loss, settings, generator, discriminator, None)
    condition = input_pipeline.null_condition(config.model.num_classes)
    _fit_gan(gan, job, settings, corpus, splits, condition, run, folder, corpus.speakers("+".join({*splits})))


def calibrate(job: Job, run: RunFolder, folder: Path) -> None:
    """Stage 2: G and D go on from pretraining's SavedModels, or begin here in a moderate run; they and Q train on labelled
    pairs, emotion as condition.
    """
    config, settings, corpus, protocol = job.config, job.config.calibrate, job.labelled, job.protocol
    tf.keras.utils.set_random_seed(settings.seed)
    with job.strategy.scope(), training.computing_with(settings.precision):
        generator, discriminator = _fresh(job, corpus, protocol.train)
        classifier = None
        if config.use_classifier:
            classifier = networks.build_classifier(config.model)
            networks.standardise_by(classifier, job.target, pictures(corpus, protocol.train, job.target.name))
        start, taken = saved_networks.start_folder(run), []
        known = corpus.speakers(f"{protocol.train}+{protocol.validation}")
        if config.schedule == "progressive":
            taken = saved_networks.start_from(generator, discriminator, config, start, corpus.class_names)
            known |= saved_networks.seen_speakers(start / "generator")
        if config.unlabelled_share and job.unlabelled:
            known |= job.unlabelled.speakers(job.unlabelled_splits[0])
        gan = _compiled_gan(config.calibration_loss, settings, generator, discriminator, classifier)
    for network, lines in itertools.groupby(taken, key=lambda line: line.split()[0]):
        log.info("taken over: %d layers of the %s of %s", len(list(lines)), network, start)
    if run.writes:
        (folder / "taken_over.txt").write_text("".join(f"{line}\n" for line in taken), encoding="utf-8")
    splits = protocol.train, protocol.validation
    condition = job.condition(run)
    _fit_gan(gan, job, settings, corpus, splits, condition, run, folder, known, balance=config.balance_classes)
    if run.writes:
        if gan.code:
            np.savez(folder / "code.npz", means=gan.code.means.numpy(), components=gan.code.components.numpy())
        write_atomically(folder / "served.json", to_json(served_settings(job, known)))


def _fresh(job: Job, corpus: Corpus, split: str) -> tuple[tf.keras.Model, tf.keras.Model]:
    """G and D with random weights and the statistics of a split."""
    config = job.config.model
    generator, discriminator = networks.build_generator(config), networks.build_discriminator(config)
    networks.standardise_by(generator, job.source, pictures(corpus, split, job.source.name))
    for picture in (job.target, *([job.source] if config.d_sees_source else [])):
        networks.standardise_by(discriminator, picture, pictures(corpus, split, picture.name))
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


def _adapt_code(code: PictureCode, batches: tf.data.Dataset) -> None:
    seen = [(averaged_down(batch["target"]), batch["condition"]) for batch in batches]
    code.adapt(*(np.concatenate(part) for part in zip(*seen, strict=True)))


def _fit_gan(
    gan: EmoGAN,
    job: Job,
    settings: TrainConfig,
    corpus: Corpus,
    splits: tuple[str, str],
    condition: Condition,
    run: RunFolder,
    folder: Path,
    speakers: frozenset[str],
    *,
    balance: bool = False,
) -> None:
    """Trains, with sample pictures of fixed validation examples, and saves every network with whom it knows."""
    config, stage, (training_split, held_out) = job.config, folder.name, splits
    calibrates = corpus is job.labelled
    to_batches = functools.partial(
        input_pipeline.gan_batches,
        noise_dim=config.model.noise_dim,
        seed=settings.seed,
        pictures=(job.source.name, job.target.name),
        control=config.control if calibrates else "none",
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
    watched = corpus.examples(held_out, keep=True).take(VALIDATION_EXAMPLES)
    validation = once(watched.enumerate(), condition)
    if gan.code:
        seen = [once(one.examples(split).take(EXAMPLES).enumerate(), own) for one, split, own, *_ in parts]
        _adapt_code(gan.code, functools.reduce(tf.data.Dataset.concatenate, seen))
    samples = grids.fixed_samples(corpus.examples(held_out), PICTURED)
    if corpus is job.labelled:
        samples[job.source.name] = spoilt_sources(samples[job.source.name], config.control)

    def show(step: int, _: dict[str, float]) -> None:
        _show_samples(gan, job, settings, corpus, samples, run, f"{stage}_{step:07d}")

    training.fit(
        gan, batches, settings, run, stage,
        validation=validation, best_by="val_g_l1_loss", keep=config.keep, on_interval=show if run.writes else lambda *_: None,
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
    picture = plots.sample_grid(source, target, made, draws, names, run.path / "pictures" / f"{name}.png")
    tf.summary.image("samples", picture[np.newaxis])
    if job.target is networks.SPECTROGRAM:
        spectrograms = tf.concat([target[:1], made[0]], 0)  # the real one, then the generated ones
        sound = audio.waveform(spectrograms, corpus.media.spectrogram)[..., tf.newaxis]
        order = f"In this order: real, {', '.join(names)}"
        tf.summary.audio(
            "sounds", sound, corpus.media.spectrogram.sample_rate, max_outputs=len(sound), description=order
        )
