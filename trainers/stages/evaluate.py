"""The evaluation of a run on the test fold: its recognisers, and the quality of its generator (`trainers.stages.quality`).

Public name: evaluate. Each metric is a line of metrics.jsonl with n and a description.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from datasets import input_pipeline
from emogan.metrics import intervals
from trainers.reports.run_table import RECOGNITION
from trainers.runs.folder import recogniser_path
from trainers.runs.job import StageContext
from trainers.runs.recognisers import RECOGNISERS
from trainers.runs.recognisers import recognisers as recognisers_of
from trainers.runs.saved_networks import load_network
from trainers.stages import quality, sampling
from trainers.stages.classifiers import classes_of
from trainers.stages.metrics_recorder import MetricRecorder


def evaluate(context: StageContext) -> None:
    """Evaluates a run on the test fold; writes metrics.jsonl, and images, audio and confusion matrices to the stage's folder.

    Raises:
        UserError: if a network was trained or selected on a speaker of the test fold.
    """
    job, run, folder = context.job, context.run, context.folder
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
    recorder = MetricRecorder(run, folder, corpus.class_names, job.source.name, about)
    unseen = corpus.speakers(protocol.test)
    recognisers = {
        name: [
            load_network(recogniser_path(run.path, name, number), config.model, "classifier", unseen=unseen)
            for number in range(config.recognise_seeds)
        ]
        for name in recognisers_of(config)
    }
    sexes = dict(zip(*(corpus.column(name, protocol.test) for name in ("speaker_id", "actor_sex")), strict=True))
    predicted = {
        name: np.stack([classes_of(network, real) for network in trained]) for name, trained in recognisers.items()
    }
    _recognition(recorder, test, sexes, predicted)
    if config.schedule != "none":
        generator = load_network(run.path / "calibrate" / "generator", config.model, "generator", unseen=unseen)
        quality.measure(recorder, job, run, generator, recognisers["strong"], test, real)
        sampling.discard_draws(run)


def _recognition(
    recorder: MetricRecorder, test: dict[str, np.ndarray], sexes: dict[str, str], predicted: dict[str, np.ndarray]
) -> None:
    """Metrics of all recognisers on real examples of unseen speakers, and their comparisons; `predicted`: int [seeds, n]."""
    accuracies = {}
    for name, classes in predicted.items():
        accuracies[name] = recorder.recognised(name, test, sexes, classes, RECOGNISERS[name])
    if "generated" in predicted and accuracies["strong"]:
        share = accuracies["generated"] / accuracies["strong"]
        about = "accuracy of the recogniser trained on generated examples alone, as a share of that of the strong one"
        recorder.add("generated_accuracy_of_strong", share, len(test["label"]), about, is_share=True)
    elif "generated" in predicted:
        recorder.missing("generated_accuracy_of_strong", "the strong recogniser's accuracy is 0")
    right = {name: (classes == test["label"]).mean(0) for name, classes in predicted.items()}
    for name in predicted:
        base = RECOGNISERS[name].against
        if base:
            _difference(recorder, name, base, intervals.speaker_means(right[name] - right[base], test["speaker_id"]))


def _difference(recorder: MetricRecorder, name: str, base: str, per_speaker: np.ndarray) -> None:
    about = f"{name} minus {base}, mean over speakers"
    if RECOGNISERS[name].primary:
        about += "; a primary comparison"
    interval: dict[str, Any] = {}
    if missing := intervals.no_interval(per_speaker, "speakers"):
        about += f"; no interval: {missing}"
    else:
        estimate = intervals.t_interval(per_speaker, "speakers")
        interval = {"low": estimate.low, "high": estimate.high}
        about += "; 95% t interval over speakers"
    recorder.add(
        f"accuracy_{name}_minus_{base}", per_speaker.mean(), len(per_speaker), about,
        group=RECOGNITION, is_share=True, is_difference=True, **interval,
    )  # fmt: skip
