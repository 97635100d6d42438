"""What a run measures on the held-out fold, opened once: how well its recognisers do, and `trainers.quality`.

Public name: `evaluate`. Every figure becomes a line of metrics.jsonl with its n and what it was computed on.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from emogan.metrics import intervals
from trainers import quality
from trainers.classifying import classes_of
from trainers.figures import Figures
from trainers.job import Job
from trainers.plan import RECOGNISERS
from trainers.plan import recognisers as recognisers_of
from trainers.run_config import RunConfig
from trainers.run_folder import RunFolder
from trainers.saved_networks import load_network


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
    test = corpus.arrays(protocol.test)
    real = input_pipeline.to_input(tf.constant(test[job.target.name])).numpy()
    trained_on = f", {config.train_speakers} training speakers" if config.train_speakers else ""
    about = f"{protocol.test} of {corpus.name}{trained_on}"
    figures = Figures(run, folder, corpus.class_names, job.source.name, about)
    unseen = corpus.speakers(protocol.test)
    recognisers = {
        name: load_network(run.path / f"recognise_{name}" / "recogniser", config.model, "classifier", unseen=unseen)
        for name in recognisers_of(config)
    }
    sexes = dict(zip(*(corpus.column(name, protocol.test) for name in ("speaker_id", "actor_sex")), strict=True))
    predicted = {name: classes_of(network, real) for name, network in recognisers.items()}
    _recognition(figures, test, sexes, predicted, config)
    if config.schedule != "none":
        generator = load_network(run.path / "calibrate" / "generator", config.model, "generator", unseen=unseen)
        quality.measure(figures, job, run, generator, recognisers["baseline"], test, real)


def _recognition(
    figures: Figures,
    test: dict[str, np.ndarray],
    sexes: dict[str, str],
    predicted: dict[str, np.ndarray],
    config: RunConfig,
) -> None:
    """All recognisers on what is real of unseen speakers, and whether augmentation makes one better than the other."""
    trained_on = RECOGNISERS | ({"augmented": "augmented real"} if config.schedule == "none" else {})
    for name, classes in predicted.items():
        figures.recognised(name, test, sexes, classes, trained_on[name])
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
    figures.add("accuracy_difference", per_speaker.mean(), len(per_speaker), about, **interval)
