"""What the run measures on the held-out fold, opened once: recognition, and the quality of what is generated.

Public name: `evaluate`. Every figure becomes a line of metrics.jsonl with its n and what it was computed on.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.controls import spoilt_sources
from emogan import audio, networks
from emogan.config import RunConfig
from emogan.metrics import copying, distribution, intervals, recognition, similarity
from emogan.metrics.inception import load_inception
from trainers import generating
from trainers.job import Job
from trainers.plan import RECOGNISERS
from trainers.plan import recognisers as recognisers_of
from trainers.run_folder import RunFolder
from trainers.saved_networks import load_network

PICTURED = 6
"""Test clips shown in the report, one per emotion where the fold has all."""
HEARD = 3
"""Test clips whose sound is kept."""


def evaluate(job: Job, run: RunFolder, folder: Path) -> None:
    """Measures on the test fold; writes figures to metrics.jsonl, and pictures, sounds and confusion matrices to `folder`.

    Raises:
        UserError: where a network was trained or selected on a speaker of the test fold.
    """
    config, corpus, protocol = job.config, job.labelled, job.protocol
    for stage in ("evaluate", "recognised", "data"):
        run.forget(stage)
    for side in ("train", "validation", "test"):
        split = getattr(protocol, side)
        counts = {"clips": corpus.count(split), "speakers": len(corpus.speakers(split))}
        run.record(stage="data", side=side, split=split, corpus=corpus.name, synthetic=corpus.synthetic, **counts)
    test = input_pipeline.load_arrays(corpus, protocol.test)
    real = input_pipeline.to_input(tf.constant(test[job.target.name])).numpy()
    trained_on = f", {config.train_speakers} training speakers" if config.train_speakers else ""
    about = f"{protocol.test} of {corpus.name}{trained_on}"
    report = _Figures(run, folder, corpus.class_names, job.source.name, about)
    unseen = corpus.speakers(protocol.test)
    recognisers = {
        name: load_network(run.path / f"recognise_{name}" / "recogniser", config.model, "classifier", unseen=unseen)
        for name in recognisers_of(config)
    }
    sexes = dict(zip(*(corpus.column(name, protocol.test) for name in ("speaker_id", "actor_sex")), strict=True))
    _recognition(report, test, sexes, {name: _classes(network, real) for name, network in recognisers.items()}, config)
    if config.schedule != "none":
        generator = load_network(run.path / "calibrate" / "generator", config.model, "generator", unseen=unseen)
        _generation(report, job, run, generator, recognisers["baseline"], test, real)


def _generation(
    report: "_Figures",
    job: Job,
    run: RunFolder,
    generator: tf.keras.Model,
    baseline: tf.keras.Model,
    test: dict[str, np.ndarray],
    real: np.ndarray,
) -> None:
    """What G makes from the faces of unseen speakers."""
    config, seed = job.config, job.config.calibrate.seed
    train = input_pipeline.load_arrays(job.labelled, job.protocol.train, [job.target.name])
    known = input_pipeline.to_input(tf.constant(train[job.target.name])).numpy()
    source = spoilt_sources(test[job.source.name], config.control)
    features = tf.keras.Model(baseline.input, [baseline.get_layer("features").output, baseline.output])
    emotions, conditions = np.eye(config.model.num_classes), job.conditions(test, run)
    grid, again = (generating.generate_grid(generator, source, emotions, s) for s in (seed, seed + 1))
    own = generating.generate(generator, source, conditions, seed)
    others = generating.generate(generator, np.roll(source, 1, 0), conditions, seed)
    _requested(report, baseline, grid, seed)
    predict = functools.partial(features.predict, batch_size=64, verbose=0)
    kept = _distributions(report, predict, "the baseline recogniser", real, own, seed)
    np.savez_compressed(report.folder / "features.npz", labels=test["label"], **kept)
    if config.inception:
        _distributions(report, load_inception(config.inception), "Inception", real, own, seed, prefix="inception_")
    mean = similarity.class_mean_ssim(real, test["label"], known, train["label"])
    _similarity(report, real, test["speaker_id"], own, mean, seed)
    _diversity(report, grid, again, own, others)
    _copying(report, own, real, known)
    _keep_samples(report.folder, job, test | {job.source.name: source}, grid)


def _classes(recogniser: tf.keras.Model, spectrograms: np.ndarray) -> np.ndarray:
    return recogniser.predict(spectrograms, batch_size=64, verbose=0).argmax(-1)


class _Figures:
    """Writes figures where the report finds them."""

    def __init__(self, run: RunFolder, folder: Path, class_names: tuple[str, ...], kind: str, about: str) -> None:
        self.kind, self.folder = kind, folder
        self._run, self._class_names, self._about = run, class_names, about

    def add(self, name: str, value: float, n: int, about: str, **more: object) -> None:
        """One figure; `about` says what it is, to which the test set is added."""
        self._run.record(
            stage="evaluate", name=name, value=float(value), n=int(n), about=f"{about}; {self._about}", **more
        )

    def recognised(
        self, name: str, test: dict[str, np.ndarray], sexes: dict[str, str], predicted: np.ndarray, about: str
    ) -> None:
        """Accuracy, UAR and macro-F1 of a recogniser, what it found of each speaker, and its confusion matrix."""
        labels, measures = test["label"], ("accuracy", "uar", "macro_f1")
        for measure in measures:
            value = getattr(recognition, measure)(labels, predicted)
            self.add(f"{name}_{measure}", value, len(labels), f"recogniser trained on {about}, tested on real")
        for speaker in np.unique(test["speaker_id"]):
            right = (predicted == labels)[test["speaker_id"] == speaker]
            line = {"speaker": str(speaker), "sex": str(sexes[speaker]), "right": int(right.sum()), "n": len(right)}
            self._run.record(stage="recognised", recogniser=name, **line)
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        self._run.record(stage="recognised", recogniser=name, classes=self._class_names, confusion=counts.tolist())
        self.confusion(name, labels, predicted)

    def confusion(self, name: str, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Keeps a confusion matrix as CSV: rows true (or requested), columns recognised."""
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        header = ",".join(self._class_names)
        np.savetxt(self.folder / f"confusion_{name}.csv", counts, "%d", delimiter=",", header=header, comments="")


def _recognition(
    report: _Figures,
    test: dict[str, np.ndarray],
    sexes: dict[str, str],
    predicted: dict[str, np.ndarray],
    config: RunConfig,
) -> None:
    """All recognisers on what is real of unseen speakers, and whether augmentation makes one better than the other."""
    trained_on = RECOGNISERS | ({"augmented": "augmented real"} if config.schedule == "none" else {})
    for name, classes in predicted.items():
        report.recognised(name, test, sexes, classes, trained_on[name])
    if "augmented" not in predicted:
        return
    right = {name: (classes == test["label"]).astype(float) for name, classes in predicted.items()}
    per_speaker = intervals.speaker_means(right["augmented"] - right["baseline"], test["speaker_id"])
    interval = {}
    about = "augmented minus baseline, mean over speakers"
    if len(per_speaker) >= intervals.MIN_SPEAKERS:
        estimate = intervals.t_interval(per_speaker, "speakers")
        interval = {"low": estimate.low, "high": estimate.high}
        about += ", 95% t interval over speakers of one training each"
    report.add("accuracy_difference", per_speaker.mean(), len(per_speaker), about, **interval)


def _requested(report: _Figures, baseline: tf.keras.Model, grid: np.ndarray, seed: int) -> None:
    """Is the emotion that was asked for found again, by a recogniser that never saw anything generated?"""
    sources, classes = grid.shape[:2]
    requested = np.tile(np.arange(classes), sources)
    found = _classes(baseline, grid.reshape(-1, *grid.shape[2:]))
    chance = np.random.default_rng(seed).permutation(requested)
    about = f"all {classes} emotions asked for {sources} unseen {report.kind}s, recognised by the baseline"
    report.add("requested_accuracy", recognition.accuracy(requested, found), len(found), about)
    report.add(
        "requested_accuracy_shuffled", recognition.accuracy(chance, found), len(found), about + ", requests shuffled"
    )
    report.confusion("requested", requested, found)


def _distributions(
    report: _Figures,
    features_and_logits: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    network: str,
    real: np.ndarray,
    generated: np.ndarray,
    seed: int,
    prefix: str = "",
) -> dict[str, np.ndarray]:
    """FID, KID and IS by a network, each with what real pictures reach; returns the features."""
    (real_features, real_logits), (made_features, made_logits) = map(features_and_logits, (real, generated))
    n, on = len(real), f"features of {network}"
    for name, distance in (("fid", distribution.frechet_distance), ("kid", distribution.kernel_distance)):
        report.add(prefix + name, distance(real_features, made_features), n, "real against generated", on=on)
        floor = distribution.real_versus_real(distance, real_features, seed)
        report.add(f"{prefix}{name}_real_vs_real", floor, n // 2, "two halves of the real ones", on=on)
    for name, logits, what in (("is", made_logits, "generated"), ("is_real", real_logits, "real")):
        report.add(prefix + name, distribution.inception_score(logits), n, what, on=f"logits of {network}")
    return {"real": real_features, "generated": made_features}


def _similarity(
    report: _Figures, real: np.ndarray, speaker_ids: np.ndarray, own: np.ndarray, class_mean: np.ndarray, seed: int
) -> None:
    """SSIM to the paired real picture, with the references that make it readable."""
    n = len(own)
    report.add(
        "ssim", similarity.ssim(own, real).mean(), n, "generated for the clip's own emotion against its real one"
    )
    report.add("ssim_class_mean", class_mean.mean(), n, "the emotion's mean training one against each real one")
    shuffled = similarity.shuffled_pairing(own, real, speaker_ids, seed=seed)
    report.add("ssim_shuffled", shuffled.ssim, n, "generated against the real ones of other clips, 20 shuffles")
    gain = shuffled.difference
    report.add(
        "ssim_paired_minus_shuffled", gain.mean, gain.n, f"difference of the two, 95% t interval over {gain.unit}",
        low=gain.low, high=gain.high,
    )  # fmt: skip


def _diversity(report: _Figures, grid: np.ndarray, again: np.ndarray, own: np.ndarray, others: np.ndarray) -> None:
    """How far two noises, two emotions and two clips' sources take apart what is otherwise made from the same."""
    compared = {
        "noises": (grid, again, f"{report.kind} and emotion"),
        "emotions": (grid, np.roll(grid, 1, axis=1), f"{report.kind} and noise"),
        f"{report.kind}s": (own, others, "emotion and noise"),
    }
    for name, (one, other, fixed) in compared.items():
        pairs = int(np.prod(one.shape[:-3]))
        report.add(
            f"l1_between_{name}", np.abs(one - other).mean(), pairs, f"mean |difference| of two {name}, same {fixed}"
        )


def _copying(report: _Figures, generated: np.ndarray, real: np.ndarray, training: np.ndarray) -> None:
    """How near what is generated lies to what was trained on, beside real pictures of unseen speakers."""
    found, n = copying.copying(generated, real, training), len(generated)
    distance = "root mean square difference to the nearest training one, median"
    report.add("nearest_distance", found.generated, n, f"generated: {distance}")
    report.add("nearest_distance_real", found.real, len(real), f"real: {distance}")
    report.add("nearest_distance_minimum", found.nearest, n, "generated: the nearest of all; 0 would be a copy")
    report.add(
        "near_copy_share",
        found.closer,
        n,
        "share of generated ones nearer to training ones than 95% of the real ones are",
    )


def _keep_samples(folder: Path, job: Job, test: dict[str, np.ndarray], grid: np.ndarray) -> None:
    """Pictures and sounds for the report: the first clip of each emotion."""
    _, first = np.unique(test["label"], return_index=True)
    chosen = first[:PICTURED]
    np.savez_compressed(
        folder / "samples.npz",
        sources=test[job.source.name][chosen], real=test[job.target.name][chosen], generated=grid[chosen],
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
            generating.write_wav(path, samples, settings.sample_rate)
