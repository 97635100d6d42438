"""Measures the quality of G's samples from the faces of unseen speakers. Public name: measure."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.ablations import ablate_sources
from emogan import audio, networks
from emogan.metrics import copying, distribution, manifold, similarity, variety
from emogan.metrics.inception import load_inception
from trainers.reports.run_table import QUALITY, REFERENCE
from trainers.runs.folder import RunFolder
from trainers.runs.job import Job
from trainers.stages import grids
from trainers.stages.classifiers import classes_of
from trainers.stages.metrics_recorder import MetricRecorder

SHOWN = 6
"""Maximum number of test clips shown in the report, one per emotion."""
VARIED = 96
"""Number of test clips, in their random order on disk, with several draws."""
DRAWS = 4
"""Number of draws from each of these faces, for each emotion."""
HEARD = 3
"""Number of test clips whose audio is written."""


def measure(
    recorder: MetricRecorder,
    job: Job,
    run: RunFolder,
    generator: tf.keras.Model,
    judges: Sequence[tf.keras.Model],
    test: dict[str, np.ndarray],
    real: np.ndarray,
) -> None:
    """Measures the quality of G's samples, and writes images and audio of some.

    Args:
        recorder: receives the metrics.
        job: settings and data of the run.
        run: folder of the run, with the predictions of f_S.
        generator: G.
        judges: the strong recognisers, trained on real images only; the first one provides the features.
        test: the test fold; see `datasets.corpus.Corpus.arrays`.
        real: targets of the test fold, float32 [n, S, S, channels] in [-1, 1].
    """
    config, seed = job.config, job.config.calibrate.seed
    train = job.labelled.arrays(job.protocol.train, [job.target.name])
    known = input_pipeline.to_input(tf.constant(train[job.target.name])).numpy()
    source = ablate_sources(test[job.source.name], config.ablation)
    features = tf.keras.Model(judges[0].input, [judges[0].get_layer("features").output, judges[0].output])
    emotions, conditions = np.eye(config.model.num_classes), job.conditions(test, run, certainty=0.0)
    grid = grids.generate_grid(generator, source, emotions, seed)[:, :, 0]
    draws = grids.generate_grid(generator, source[:VARIED], emotions, seed + 1, DRAWS)
    own = grids.generate(generator, source, conditions, seed)
    others = grids.generate(generator, np.roll(source, 1, 0), conditions, seed)
    _requested(recorder, judges, grid, own, real, seed)
    predict = functools.partial(features.predict, batch_size=64, verbose=0)
    by_kind = _distributions(recorder, predict, "the first strong recogniser", real, own, seed)
    np.savez_compressed(recorder.folder / "features.npz", labels=test["label"], **by_kind)
    if config.inception:
        _distributions(recorder, load_inception(config.inception), "Inception", real, own, seed, prefix="inception_")
    mean = similarity.class_mean_ssim(real, test["label"], known, train["label"])
    _similarity(recorder, real, test["speaker_id"], own, mean, seed)
    _variety(recorder, draws, test, real, seed)
    _explained(recorder, draws, test, real)
    _changes(recorder, grid, draws, own, others)
    _copying(recorder, own, real, known)
    chosen = np.unique(test["label"], return_index=True)[1][:SHOWN]
    shown = grids.generate_grid(generator, source[chosen[:1]], emotions, seed + 1, DRAWS)[0]
    _write_samples(recorder.folder, job, test | {job.source.name: source}, grid, chosen, shown)


def _requested(
    recorder: MetricRecorder,
    judges: Sequence[tf.keras.Model],
    grid: np.ndarray,
    own: np.ndarray,
    real: np.ndarray,
    seed: int,
) -> None:
    """Accuracy and certainty with which recognisers that never saw generated images predict the requested emotion."""
    sources, classes = grid.shape[:2]
    requested = np.tile(np.arange(classes), sources)
    chance = np.random.default_rng(seed).permutation(requested)
    generated = grid.reshape(-1, *grid.shape[2:])
    predicted = np.stack([classes_of(judge, generated) for judge in judges])
    about = f"all {classes} emotions from {sources} unseen {recorder.kind}s, predicted by the strong recognisers"
    recorder.add("requested_accuracy", (requested == predicted).mean(), len(requested), about, is_share=True)
    value, about = (chance == predicted).mean(), f"{about}, requests shuffled"
    recorder.add("requested_accuracy_shuffled", value, len(requested), about, group=REFERENCE, is_share=True)
    recorder.confusion("requested", np.tile(requested, len(judges)), predicted.ravel())
    for suffix, images, kind, group in (("", own, "generated", QUALITY), ("_real", real, "real", REFERENCE)):
        certainties = [variety.certainty(judge.predict(images, batch_size=64, verbose=0)) for judge in judges]
        about = f"mean probability of the emotion that the strong recognisers predict, {kind}"
        recorder.add(f"certainty{suffix}", float(np.mean(certainties)), len(images), about, group=group, is_share=True)


def _distributions(
    recorder: MetricRecorder,
    features_and_logits: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    network: str,
    real: np.ndarray,
    generated: np.ndarray,
    seed: int,
    prefix: str = "",
) -> dict[str, np.ndarray]:
    """FID, KID, IS and manifold metrics of a network's features, with the values for real images; returns the features."""
    (real_features, real_logits), (fake_features, fake_logits) = map(features_and_logits, (real, generated))
    n, on = len(real), f"features of {network}"
    for name, distance in (("fid", distribution.frechet_distance), ("kid", distribution.kernel_distance)):
        recorder.add(prefix + name, distance(real_features, fake_features), n, "real against generated", on=on)
        floor = distribution.real_versus_real(distance, real_features, seed)
        about = "two halves of the real examples"
        recorder.add(f"{prefix}{name}_real_vs_real", floor, n // 2, about, on=on, group=REFERENCE)
    for name, logits, kind, group in (
        ("is", fake_logits, "generated", QUALITY), ("is_real", real_logits, "real", REFERENCE),
    ):  # fmt: skip
        score = distribution.inception_score(logits)
        recorder.add(prefix + name, score, n, kind, on=f"logits of {network}", group=group)
    measures = [f"{prefix}{measure}" for measure in ("precision", "recall", "density", "coverage")]
    with recorder.unless_too_few(*measures, references=[f"{measure}_real_vs_real" for measure in measures]):
        halves = manifold.manifold_halves(real_features, fake_features, seed=seed)
        for measure in measures:
            for suffix, group, values, kind in zip(
                ("", "_real_vs_real"), (QUALITY, REFERENCE), halves, ("generated", "the other half"), strict=True
            ):
                value = getattr(values, measure.removeprefix(prefix))
                about = f"{kind} against half of the real examples, mean of 10 splits, k = {manifold.NEIGHBOURS}"
                is_share = not measure.endswith("density")
                recorder.add(f"{measure}{suffix}", value, n // 2, about, on=on, group=group, is_share=is_share)
    return {"real": real_features, "generated": fake_features}


def _similarity(
    recorder: MetricRecorder,
    real: np.ndarray,
    speaker_ids: np.ndarray,
    own: np.ndarray,
    class_mean: np.ndarray,
    seed: int,
) -> None:
    """SSIM to the paired real image, with reference values."""
    n = len(own)
    about = "generated from a clip's face with its emotion, against the clip's real target"
    recorder.add("ssim", similarity.ssim(own, real).mean(), n, about)
    about = "mean of the training examples of the emotion, against the clip's real target"
    recorder.add("ssim_class_mean", class_mean.mean(), n, about, group=REFERENCE)
    shuffled = similarity.shuffled_pairing(own, real, speaker_ids, seed=seed)
    about = "generated against the real targets of other clips, 20 shuffles"
    recorder.add("ssim_shuffled", shuffled.ssim, n, about, group=REFERENCE)
    gain = shuffled.difference
    about = f"SSIM minus shuffled SSIM, {'no' if gain.low is None else '95% t'} interval over {gain.unit}"
    recorder.add(
        "ssim_paired_minus_shuffled", gain.mean, gain.n, about,
        group=REFERENCE, is_difference=True, low=gain.low, high=gain.high,
    )  # fmt: skip


def _variety(
    recorder: MetricRecorder, draws: np.ndarray, test: dict[str, np.ndarray], real: np.ndarray, seed: int
) -> None:
    """Differences between draws of one face and emotion, relative to those between real clips of one emotion."""
    with recorder.unless_too_few("spread", "spread_within_speaker"):
        spread = variety.spread(draws, real, test["label"], test["speaker_id"], seed=seed)
        ratio = f"mean |difference| of two draws of one {recorder.kind} and emotion, levels removed, divided by that of"
        about = f"{ratio} {spread.real_pairs:,} pairs of real clips of one emotion"
        recorder.add("spread", spread.ratio, spread.pairs, about)
        if spread.ratio_within_speaker is None:
            recorder.missing("spread_within_speaker", "no speaker of the test fold has two clips of one emotion")
        else:
            about = f"{ratio} {spread.real_within_pairs:,} pairs of real clips of one emotion and speaker"
            recorder.add("spread_within_speaker", spread.ratio_within_speaker, spread.pairs, about)


def _explained(recorder: MetricRecorder, draws: np.ndarray, test: dict[str, np.ndarray], real: np.ndarray) -> None:
    """Share of the variance that the face explains in generated spectrograms, and the speaker in real ones."""
    faces, classes, count = draws.shape[:3]
    generated = draws.reshape(-1, *draws.shape[3:])
    groups, emotions = (index.ravel() for index in np.indices((faces, classes, count))[:2])
    for measure, of in (("level", variety.level), ("profile", variety.row_profile)):
        quantity = "mean level" if measure == "level" else "row profile"
        variance = f"share of the variance of the {quantity} within an emotion explained by the"
        with recorder.unless_too_few(f"{measure}_explained"):
            share = variety.explained_share(of(generated), groups, emotions)
            about = f"{variance} {recorder.kind}, generated"
            recorder.add(f"{measure}_explained", share, len(generated), about, is_share=True)
        with recorder.unless_too_few(references=[f"{measure}_explained_real"]):
            share = variety.explained_share(of(real), test["speaker_id"], test["label"])
            about = f"{variance} speaker, real"
            recorder.add(f"{measure}_explained_real", share, len(real), about, group=REFERENCE, is_share=True)


def _changes(
    recorder: MetricRecorder, grid: np.ndarray, draws: np.ndarray, own: np.ndarray, others: np.ndarray
) -> None:
    """L1 distances between generated images that differ only in the noise, the emotion or the source."""
    compared = {
        "noises": (draws[:, :, 0], draws[:, :, 1], f"{recorder.kind} and emotion"),
        "emotions": (grid, np.roll(grid, 1, axis=1), recorder.kind),
        f"{recorder.kind}s": (own, others, "emotion and noise"),
    }
    for name, (one, other, fixed) in compared.items():
        pairs = int(np.prod(one.shape[:-3]))
        about = f"mean |difference| between two {name}, same {fixed}"
        recorder.add(f"l1_between_{name}", np.abs(one - other).mean(), pairs, about)


def _copying(recorder: MetricRecorder, generated: np.ndarray, real: np.ndarray, training: np.ndarray) -> None:
    """Distances of generated images to the training images, and those of real images of unseen speakers."""
    result, n = copying.copying(generated, real, training), len(generated)
    distance = "root mean square difference to the nearest training example, median"
    recorder.add("nearest_distance", result.generated, n, f"generated: {distance}")
    recorder.add("nearest_distance_real", result.real, len(real), f"real: {distance}", group=REFERENCE)
    recorder.add("nearest_distance_minimum", result.nearest, n, "generated: minimum of these distances; 0 is a copy")
    about = "share of generated examples that are nearer to a training example than 95% of the real ones"
    recorder.add("near_copy_share", result.closer, n, about, is_share=True)


def _write_samples(
    folder: Path,
    job: Job,
    test: dict[str, np.ndarray],
    grid: np.ndarray,
    chosen: np.ndarray,
    draws: np.ndarray,
) -> None:
    """Writes images and audio of the chosen clips for the report, with further draws of the first one's face."""
    np.savez_compressed(
        folder / "samples.npz",
        sources=test[job.source.name][chosen], real=test[job.target.name][chosen], generated=grid[chosen], draws=draws,
        labels=test["label"][chosen], names=np.array(job.labelled.class_names),
        clip_ids=test["clip_id"][chosen], speaker_ids=test["speaker_id"][chosen],
    )  # fmt: skip
    if job.target is not networks.SPECTROGRAM:
        return
    settings = job.labelled.media.spectrogram
    for item in chosen[:HEARD]:
        spectrograms = np.concatenate([test["spectrogram"][item][np.newaxis], grid[item]])
        names = ["real", *(f"generated_{emotion}" for emotion in job.labelled.class_names)]
        for name, samples in zip(names, audio.waveform(tf.constant(spectrograms), settings), strict=True):
            path = folder / "audio" / f"{test['clip_id'][item]}_{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)  # a clip's id may be a path
            grids.write_wav(path, samples, settings.sample_rate)
