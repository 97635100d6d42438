"""What the run measures on the held-out fold, opened once: recognition, and the quality of what is generated.

Public name: `evaluate`. Every figure becomes a line of metrics.jsonl with its n and what it was computed on.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from datasets.input_pipeline import Corpus
from datasets.protocols import Protocol
from emogan import audio, networks
from emogan.errors import UserError
from emogan.metrics import distribution, intervals, recognition, similarity
from trainers import generating
from trainers.job import Job
from trainers.run_folder import RunFolder
from trainers.saved_networks import load_network

FEATURES = "features of the baseline recogniser"
PICTURED = 6
"""Test clips shown in the report, one per emotion where the fold has all."""
HEARD = 3
"""Test clips whose sound is kept."""


def evaluate(job: Job, run: RunFolder, folder: Path) -> None:
    """Measures on the test fold; writes figures to metrics.jsonl, and pictures, sounds and confusion matrices to `folder`.

    Raises:
        UserError: where a speaker of the test fold is among those trained or selected on.
    """
    config, corpus, protocol, seed = job.config, job.labelled, job.protocol, job.config.calibrate.seed
    run.forget("evaluate")
    _check_speakers(corpus, protocol)
    test = input_pipeline.load_arrays(corpus, protocol.test)
    train = input_pipeline.load_arrays(corpus, protocol.train, [job.target.name])
    source = test[job.source.name]
    real, known = (input_pipeline.to_input(tf.constant(part[job.target.name])).numpy() for part in (test, train))
    trained_on = f", {config.train_speakers} training speakers" if config.train_speakers else ""
    about = f"{protocol.test} of {corpus.name}{trained_on}"
    report = _Figures(run, folder, corpus.class_names, job.source.name, about)
    generator = load_network(run.path / "calibrate" / "generator", config.model, "generator")
    baseline, augmented = (
        load_network(run.path / f"recognise_{name}" / "recogniser", config.model, "classifier")
        for name in ("baseline", "augmented")
    )
    features = tf.keras.Model(baseline.input, [baseline.get_layer("features").output, baseline.output])
    _recognition(report, test, _classes(baseline, real), _classes(augmented, real))
    emotions = np.eye(config.model.num_classes)
    grid, again = (generating.generate_grid(generator, source, emotions, s) for s in (seed, seed + 1))
    own = generating.generate(generator, source, job.conditions(test, run), seed)
    _requested(report, baseline, grid, seed)
    _distributions(report, features, real, own, seed)
    mean = similarity.class_mean_ssim(real, test["label"], known, train["label"])
    _similarity(report, real, test["speaker_id"], own, mean, seed)
    _diversity(report, grid, again)
    _keep_samples(folder, job, test, grid)


def _check_speakers(corpus: Corpus, protocol: Protocol) -> None:
    test = corpus.column("speaker_id", protocol.test)
    for split in (protocol.train, protocol.validation):
        both = np.intersect1d(test, corpus.column("speaker_id", split))
        if both.size:
            raise UserError(
                f"speaker {both[0]} is in the test fold and was trained or selected on; rebuild the dataset"
            )


def _classes(recogniser: tf.keras.Model, spectrograms: np.ndarray) -> np.ndarray:
    return recogniser.predict(spectrograms, batch_size=64, verbose=0).argmax(-1)


class _Figures:
    """Writes figures where the report finds them."""

    def __init__(self, run: RunFolder, folder: Path, class_names: tuple[str, ...], kind: str, about: str) -> None:
        self.kind = kind
        self._run, self._folder, self._class_names, self._about = run, folder, class_names, about

    def add(self, name: str, value: float, n: int, about: str, **more: object) -> None:
        """One figure; `about` says what it is, to which the test set is added."""
        self._run.record(
            stage="evaluate", name=name, value=float(value), n=int(n), about=f"{about}; {self._about}", **more
        )

    def recognised(self, name: str, labels: np.ndarray, predicted: np.ndarray, about: str) -> None:
        """Accuracy, UAR, macro-F1 and the confusion matrix of a recogniser."""
        self.add(
            f"{name}_accuracy",
            recognition.accuracy(labels, predicted),
            len(labels),
            f"recogniser {about}, tested on real",
        )
        self.add(f"{name}_uar", recognition.uar(labels, predicted), len(labels), f"recogniser {about}, tested on real")
        self.add(
            f"{name}_macro_f1",
            recognition.macro_f1(labels, predicted),
            len(labels),
            f"recogniser {about}, tested on real",
        )
        self.confusion(name, labels, predicted)

    def confusion(self, name: str, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Keeps a confusion matrix as CSV: rows true (or requested), columns recognised."""
        counts = recognition.confusion_matrix(labels, predicted, len(self._class_names))
        header = ",".join(self._class_names)
        np.savetxt(self._folder / f"confusion_{name}.csv", counts, "%d", delimiter=",", header=header, comments="")


def _recognition(report: _Figures, test: dict[str, np.ndarray], baseline: np.ndarray, augmented: np.ndarray) -> None:
    """Both recognisers on what is real of unseen speakers, and whether one is better than the other."""
    labels = test["label"]
    report.recognised("baseline", labels, baseline, "trained on real")
    report.recognised("augmented", labels, augmented, "trained on real and generated")
    gain = (augmented == labels).astype(float) - (baseline == labels)
    per_speaker = intervals.speaker_means(gain, test["speaker_id"])
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
    report.confusion("generated", requested, found)


def _distributions(
    report: _Figures, features: tf.keras.Model, real: np.ndarray, generated: np.ndarray, seed: int
) -> None:
    """FID, KID and IS, each with what real pictures reach."""
    (real_features, real_logits), (made_features, made_logits) = (
        features.predict(pictures, batch_size=64, verbose=0) for pictures in (real, generated)
    )
    n = len(real)
    for name, distance in (("fid", distribution.frechet_distance), ("kid", distribution.kernel_distance)):
        report.add(name, distance(real_features, made_features), n, "real against generated", on=FEATURES)
        floor = distribution.real_versus_real(distance, real_features, seed)
        report.add(f"{name}_real_vs_real", floor, n // 2, "two halves of the real ones", on=FEATURES)
    report.add("is", distribution.inception_score(made_logits), n, "generated", on="logits of the baseline recogniser")
    report.add("is_real", distribution.inception_score(real_logits), n, "real", on="logits of the baseline recogniser")


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


def _diversity(report: _Figures, grid: np.ndarray, again: np.ndarray) -> None:
    """How far two noises, and two emotions, take apart what is made from the same source."""
    n = grid.shape[0] * grid.shape[1]
    for name, other, fixed in (("noises", again, "emotion"), ("emotions", np.roll(grid, 1, axis=1), "noise")):
        about = f"mean |difference| of two {name}, same {report.kind} and {fixed}"
        report.add(f"l1_between_{name}", np.abs(grid - other).mean(), n, about)


def _keep_samples(folder: Path, job: Job, test: dict[str, np.ndarray], grid: np.ndarray) -> None:
    """Pictures and sounds for the report: the first clip of each emotion."""
    _, first = np.unique(test["label"], return_index=True)
    chosen = first[:PICTURED]
    np.savez_compressed(
        folder / "samples.npz",
        sources=test[job.source.name][chosen], real=test[job.target.name][chosen], generated=grid[chosen],
        labels=test["label"][chosen],
        clip_ids=test["clip_id"][chosen], speaker_ids=test["speaker_id"][chosen],
    )  # fmt: skip
    if job.target is not networks.SPECTROGRAM:
        return
    settings = job.labelled.media.spectrogram
    sounds = folder / "audio"
    sounds.mkdir(exist_ok=True)
    for item in chosen[:HEARD]:
        spectrograms = np.concatenate([test["spectrogram"][item][np.newaxis], grid[item]])
        names = ["real", *(f"generated_{emotion}" for emotion in job.labelled.class_names)]
        for name, samples in zip(names, audio.waveform(tf.constant(spectrograms), settings), strict=True):
            generating.write_wav(sounds / f"{test['clip_id'][item]}_{name}.wav", samples, settings.sample_rate)
