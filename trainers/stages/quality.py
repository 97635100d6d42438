"""The quality of what a run's G makes from the faces of unseen speakers.

Public name: `measure`.
"""

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
from trainers.runs.folder import RunFolder
from trainers.runs.job import Job
from trainers.stages import grids
from trainers.stages.classifiers import classes_of
from trainers.stages.metrics_recorder import MetricRecorder

SHOWN = 6
"""Test clips shown in the report, one per emotion where the fold has all."""
VARIED = 96
"""Test clips, in their random order on disk, whose faces are drawn for `DRAWS` times."""
DRAWS = 4
"""For each of these faces and each emotion."""
HEARD = 3
"""Test clips whose sound is kept."""


def measure(
    recorder: MetricRecorder,
    job: Job,
    run: RunFolder,
    generator: tf.keras.Model,
    judges: Sequence[tf.keras.Model],
    test: dict[str, np.ndarray],
    real: np.ndarray,
) -> None:
    """Measures what G makes, and keeps images and sounds of it.

    Args:
        recorder: where the metrics go.
        job: the run's settings and data.
        run: the run, for what f_S reads.
        generator: G.
        judges: the strong recognisers, which know real images only; features are those of the first.
        test: the test fold, see `datasets.corpus.Corpus.arrays`.
        real: its targets, float32 [n, S, S, channels] in [-1, 1].
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
    kept = _distributions(recorder, predict, "the first strong recogniser", real, own, seed)
    np.savez_compressed(recorder.folder / "features.npz", labels=test["label"], **kept)
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
    _keep_samples(recorder.folder, job, test | {job.source.name: source}, grid, chosen, shown)


def _requested(
    recorder: MetricRecorder,
    judges: Sequence[tf.keras.Model],
    grid: np.ndarray,
    own: np.ndarray,
    real: np.ndarray,
    seed: int,
) -> None:
    """Is the emotion that was asked for found again, by recognisers that never saw anything generated; how surely?"""
    sources, classes = grid.shape[:2]
    requested = np.tile(np.arange(classes), sources)
    chance = np.random.default_rng(seed).permutation(requested)
    generated = grid.reshape(-1, *grid.shape[2:])
    found = np.stack([classes_of(judge, generated) for judge in judges])
    about = f"all {classes} emotions asked for {sources} unseen {recorder.kind}s, recognised by the strong recognisers"
    recorder.add("requested_accuracy", (requested == found).mean(), len(requested), about)
    recorder.add("requested_accuracy_shuffled", (chance == found).mean(), len(requested), about + ", requests shuffled")
    recorder.confusion("requested", np.tile(requested, len(judges)), found.ravel())
    for name, images, what in (("certainty", own, "generated"), ("certainty_real", real, "real")):
        surely = [variety.certainty(judge.predict(images, batch_size=64, verbose=0)) for judge in judges]
        what = f"mean probability of the emotion that the strong recognisers find in {what} ones"
        recorder.add(name, float(np.mean(surely)), len(images), what)


def _distributions(
    recorder: MetricRecorder,
    features_and_logits: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    network: str,
    real: np.ndarray,
    generated: np.ndarray,
    seed: int,
    prefix: str = "",
) -> dict[str, np.ndarray]:
    """FID, KID and IS by a network, each with what real images reach; returns the features."""
    (real_features, real_logits), (made_features, made_logits) = map(features_and_logits, (real, generated))
    n, on = len(real), f"features of {network}"
    for name, distance in (("fid", distribution.frechet_distance), ("kid", distribution.kernel_distance)):
        recorder.add(prefix + name, distance(real_features, made_features), n, "real against generated", on=on)
        floor = distribution.real_versus_real(distance, real_features, seed)
        recorder.add(f"{prefix}{name}_real_vs_real", floor, n // 2, "two halves of the real ones", on=on)
    for name, logits, what in (("is", made_logits, "generated"), ("is_real", real_logits, "real")):
        recorder.add(prefix + name, distribution.inception_score(logits), n, what, on=f"logits of {network}")
    measures, suffixes = ("precision", "recall", "density", "coverage"), ("", "_real_vs_real")
    with recorder.unless_too_few(*(f"{prefix}{measure}{suffix}" for measure in measures for suffix in suffixes)):
        halves = manifold.manifold_halves(real_features, made_features, seed=seed)
        for measure in measures:
            for suffix, found, what in zip(suffixes, halves, ("generated", "other real ones"), strict=True):
                about = f"{what} against half of the real ones, mean of 10 halvings, k = {manifold.NEIGHBOURS}"
                recorder.add(f"{prefix}{measure}{suffix}", getattr(found, measure), n // 2, about, on=on)
    return {"real": real_features, "generated": made_features}


def _similarity(
    recorder: MetricRecorder,
    real: np.ndarray,
    speaker_ids: np.ndarray,
    own: np.ndarray,
    class_mean: np.ndarray,
    seed: int,
) -> None:
    """SSIM to the paired real image, with the references that make it readable."""
    n = len(own)
    recorder.add(
        "ssim", similarity.ssim(own, real).mean(), n, "generated for the clip's own emotion against its real one"
    )
    recorder.add("ssim_class_mean", class_mean.mean(), n, "the emotion's mean training one against each real one")
    shuffled = similarity.shuffled_pairing(own, real, speaker_ids, seed=seed)
    recorder.add("ssim_shuffled", shuffled.ssim, n, "generated against the real ones of other clips, 20 shuffles")
    gain = shuffled.difference
    about = f"difference of the two, {'no' if gain.low is None else '95% t'} interval over {gain.unit}"
    recorder.add("ssim_paired_minus_shuffled", gain.mean, gain.n, about, low=gain.low, high=gain.high)


def _variety(
    recorder: MetricRecorder, draws: np.ndarray, test: dict[str, np.ndarray], real: np.ndarray, seed: int
) -> None:
    """How far draws of one face and emotion lie apart, beside real clips of one emotion."""
    with recorder.unless_too_few("spread", "spread_within_speaker"):
        found = variety.spread(draws, real, test["label"], test["speaker_id"], seed=seed)
        what = (
            f"mean |difference| of two draws for one {recorder.kind} and emotion, levels taken out, divided by that of"
        )
        recorder.add(
            "spread", found.ratio, found.pairs, f"{what} {found.real_pairs:,} pairs of real clips of one emotion"
        )
        if found.ratio_within_speaker is None:
            recorder.missing("spread_within_speaker", "no speaker of the test fold has two clips of one emotion")
        else:
            about = f"{what} {found.real_within_pairs:,} pairs of real clips of one emotion and speaker"
            recorder.add("spread_within_speaker", found.ratio_within_speaker, found.pairs, about)


def _explained(recorder: MetricRecorder, draws: np.ndarray, test: dict[str, np.ndarray], real: np.ndarray) -> None:
    """What the face explains of the differences between generated spectrograms, what the speaker of those between real ones."""
    faces, classes, count = draws.shape[:3]
    made = draws.reshape(-1, *draws.shape[3:])
    groups, emotions = (index.ravel() for index in np.indices((faces, classes, count))[:2])
    for measure, of in (("level", variety.level), ("profile", variety.row_profile)):
        what = f"share of the variance of the {'mean level' if measure == 'level' else 'row profile'} within an emotion that"
        with recorder.unless_too_few(f"{measure}_explained"):
            share = variety.explained_share(of(made), groups, emotions)
            recorder.add(f"{measure}_explained", share, len(made), f"{what} the {recorder.kind} explains, generated")
        with recorder.unless_too_few(f"{measure}_explained_real"):
            share = variety.explained_share(of(real), test["speaker_id"], test["label"])
            recorder.add(f"{measure}_explained_real", share, len(real), f"{what} the speaker explains, real")


def _changes(
    recorder: MetricRecorder, grid: np.ndarray, draws: np.ndarray, own: np.ndarray, others: np.ndarray
) -> None:
    """How far two noises, two emotions and two clips' sources take apart what is otherwise made from the same."""
    compared = {
        "noises": (draws[:, :, 0], draws[:, :, 1], f"{recorder.kind} and emotion"),
        "emotions": (grid, np.roll(grid, 1, axis=1), recorder.kind),
        f"{recorder.kind}s": (own, others, "emotion and noise"),
    }
    for name, (one, other, fixed) in compared.items():
        pairs = int(np.prod(one.shape[:-3]))
        recorder.add(
            f"l1_between_{name}", np.abs(one - other).mean(), pairs, f"mean |difference| of two {name}, same {fixed}"
        )


def _copying(recorder: MetricRecorder, generated: np.ndarray, real: np.ndarray, training: np.ndarray) -> None:
    """How near what is generated lies to what was trained on, beside real images of unseen speakers."""
    found, n = copying.copying(generated, real, training), len(generated)
    distance = "root mean square difference to the nearest training one, median"
    recorder.add("nearest_distance", found.generated, n, f"generated: {distance}")
    recorder.add("nearest_distance_real", found.real, len(real), f"real: {distance}")
    recorder.add("nearest_distance_minimum", found.nearest, n, "generated: the nearest of all; 0 would be a copy")
    recorder.add(
        "near_copy_share",
        found.closer,
        n,
        "share of generated ones nearer to training ones than 95% of the real ones are",
    )


def _keep_samples(
    folder: Path,
    job: Job,
    test: dict[str, np.ndarray],
    grid: np.ndarray,
    chosen: np.ndarray,
    draws: np.ndarray,
) -> None:
    """Images and sounds for the figures: of the chosen clips, and further draws of the first one's face."""
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
