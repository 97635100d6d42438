"""The plan of a run: its stages, parameters, memory and data.

Public names: Phase, phases, phases_table, trainable_parameters; describe, describe_without_data, planned_classes.
"""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets.corpus import Corpus, configuration
from emogan import networks
from emogan.config import to_json
from emogan.emotions import EMOTIONS
from trainers.runs import needs
from trainers.runs.config import MOST_UNLABELLED, RunConfig
from trainers.runs.folder import holds_run
from trainers.runs.job import Job
from trainers.runs.opening import open_devices
from trainers.runs.recognisers import RECOGNISERS, recognisers

NETWORKS = ("G, encoder", "G, decoder", "D", "Q", "f_S", "recogniser")
"""The networks of a run; G in two parts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One stage of a run.

    Attributes:
        stage: name of the stage.
        steps: number of training steps of each network that it trains.
        data: its training data, in words.
        state: state of each of `NETWORKS` that takes part: trained (from scratch), fine-tuned, frozen or used.
    """

    stage: str
    steps: int
    data: str
    state: dict[str, str]


def phases(config: RunConfig) -> list[Phase]:
    """The stages that train or use networks, in order."""
    stages = []
    if config.pretrains:
        state = dict.fromkeys(NETWORKS[:3], "trained")
        stages.append(
            Phase(
                stage="pretrain",
                steps=config.pretrain.steps,
                data=f"{config.pretrain_dataset}, without labels",
                state=state,
            )
        )
    if config.reads_faces:
        stages.append(
            Phase(stage="face_classifier", steps=config.recognise.steps, data=config.dataset, state={"f_S": "trained"})
        )
    if config.schedule != "none":
        stages.append(_calibration(config))
        source = networks.source_and_target(config.model)[0].name
        state = dict.fromkeys(NETWORKS[:2], "used")
        if config.reads_faces and config.requests == "own":
            state["f_S"] = "used"
        drawn_from = config.dataset if config.draw_from == "labelled" else config.pretrain_dataset
        stages.append(Phase(stage="draw", steps=0, data=f"{drawn_from}, {source}s", state=state))
    if config.judges_draws:
        data = f"{config.dataset}, all training folds but one"
        stages.append(Phase(stage="judge", steps=config.recognise.steps, data=data, state={"recogniser": "trained"}))
    for name in recognisers(config):
        data = f"{config.dataset}, {RECOGNISERS[name].data}"
        seeds = config.recognise_seeds
        state = {"recogniser": f"trained {seeds} times" if seeds > 1 else "trained"}
        stages.append(Phase(stage=f"recognise_{name}", steps=config.recognise.steps, data=data, state=state))
    return stages


def _calibration(config: RunConfig) -> Phase:
    transferred = {
        "generator_and_discriminator": NETWORKS[:3],
        "generator": NETWORKS[:2],
        "encoder": NETWORKS[:1],
    }[config.transfer] if config.schedule == "progressive" else ()  # fmt: skip
    state = {
        name: "fine-tuned" if name in transferred else "trained"
        for name in NETWORKS[: 4 if config.use_classifier else 3]
    }
    if config.freeze_encoder:
        state[NETWORKS[0]] = "frozen"
    if config.condition == "face":
        state["f_S"] = "used"
    data = f"{config.dataset} and {config.pretrain_dataset}" if config.unlabelled_share else config.dataset
    return Phase(stage="calibrate", steps=config.calibrate.steps, data=data, state=state)


def phases_table(config: RunConfig) -> str:
    """`phases` as aligned plain text, one line per stage."""
    rows: list[tuple[str, ...]] = [("stage", "steps", "data", *NETWORKS)]
    rows += [(p.stage, f"{p.steps:,}", p.data, *(p.state.get(name, "-") for name in NETWORKS)) for p in phases(config)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def describe(job: Job, run_dir: Path) -> str:
    """The output of a dry run: settings, stages, parameters, memory, data. Trains and writes nothing."""
    return _describe(job.config, job.strategy, run_dir, [_draws(job)], [*_data(job), *needs.gaps(job)])


def describe_without_data(config: RunConfig, run_dir: Path, missing: list[str]) -> str:
    """`describe` before the datasets are built; `missing` says how to build them.

    Raises:
        UserError: if the run could not succeed with any data.
    """
    needs.check_settings(config)
    return _describe(config, open_devices(config), run_dir, [], missing)


def planned_classes(config: RunConfig) -> RunConfig:
    """The settings with the number of classes of the labelled dataset, as far as known from its builder."""
    names = configuration(config.dataset, str(config.model.size)).variant.class_names or EMOTIONS
    return dataclasses.replace(config, model=dataclasses.replace(config.model, num_classes=len(names)))


def _describe(
    config: RunConfig, strategy: tf.distribute.Strategy, run_dir: Path, draws: list[str], data: list[str]
) -> str:
    state = "exists; would resume" if holds_run(run_dir, config) else "would be created"
    parts = [to_json(config), f"run folder {run_dir} {state}", phases_table(config)]
    if config.schedule != "none":
        memory = _memory(config, strategy.num_replicas_in_sync)
        parts += ["\n".join(_parameters(config)), "\n".join([*memory, *draws])]
    return "\n\n".join([*parts, "\n".join(data)])


def _networks(run: RunConfig) -> dict[str, tf.keras.Model]:
    config = run.model
    gan = {"G": networks.build_generator(config), "D": networks.build_discriminator(config)}
    return gan | ({"Q": networks.build_classifier(config)} if run.use_classifier else {})


def _parameters(config: RunConfig) -> list[str]:
    counts = {name: trainable_parameters(network) for name, network in _networks(config).items()}
    lines = [f"{name:5} {count:13,} trainable parameters" for name, count in counts.items()]
    return [*lines, f"{'all':5} {sum(counts.values()):13,}"]


def trainable_parameters(network: tf.keras.Model) -> int:
    """Number of trainable weights."""
    return sum(v.shape.num_elements() for v in network.trainable_variables)


def _memory(config: RunConfig, replicas: int) -> list[str]:
    """Memory per device: weights, gradients and Adam's two moments; and the activations kept for the backward pass."""
    gan, lines = _networks(config), []
    weights = 16 * sum(map(trainable_parameters, gan.values()))
    if config.calibrate.g_ema:
        weights += 4 * trainable_parameters(gan["G"])
    loss = config.loss  # D and Q see real and generated examples
    passes = {"G": 1 + bool(loss.lambda_code), "D": 2 + bool(loss.lambda_mismatch), "Q": 2}
    for stage, settings in (("pretrain", config.pretrain), ("calibrate", config.calibrate)):
        if stage == "pretrain" and not config.pretrains:
            continue
        at_once = settings.batch_size // replicas // settings.accumulate
        values = sum(times * _activations(gan[name]) for name, times in passes.items() if name in gan)
        activations = at_once * values * (4 if settings.precision == "float32" else 2)
        lines.append(
            f"{stage}: about {(weights + activations) / 2**20:,.0f} MiB per device ({weights / 2**20:,.0f} for weights, "
            f"gradients and Adam, {activations / 2**20:,.0f} for {at_once} examples at once), plus TensorFlow and the data"
        )
    return lines


def _draws(job: Job) -> str:
    config = job.config
    clips = job.labelled.count(job.protocol.train)
    if config.draw_from == "unlabelled" and job.unlabelled:
        clips = min(job.unlabelled.count(job.unlabelled_splits[0]), MOST_UNLABELLED)
    count = clips * config.draws_each * (config.model.num_classes if config.requests == "all" else 1)
    size = 2 * count * config.model.size**2 * job.target.channels
    return f"draws: at most {count:,} images, {size / 2**20:,.0f} MiB on disk until the evaluation ends"


def _activations(network: tf.keras.Model) -> int:
    """Number of output values of all layers for one example."""
    return sum(tensor.shape[1:].num_elements() for layer in network.layers for tensor in tf.nest.flatten(layer.output))


def _data(job: Job) -> list[str]:
    protocol, lines = job.protocol, []
    if job.unlabelled:
        train, held_out = job.unlabelled_splits
        uses = {
            "pretraining": job.config.pretrains,
            "calibration, without labels": job.config.unlabelled_share,
            "drawing": job.config.schedule != "none" and job.config.draw_from == "unlabelled",
            "the strong recogniser": job.config.strong.consistency,
        }
        lines.append(_split_line(job.unlabelled, train, " and ".join(use for use, given in uses.items() if given)))
        if job.config.pretrains:
            use = "validation of pretraining" + (", since there are no other speakers" if held_out == train else "")
            lines.append(_split_line(job.unlabelled, held_out, use))
    if job.config.pretrained:
        lines.append(f"pretrained networks from {job.config.pretrained}")
    if job.left_out:
        lines.append(_split_line(job.left_out, protocol.train, "the oracle"))
    for split, use in (
        (protocol.train, "training"), (protocol.validation, "validation and selection"), (protocol.test, "the final test")
    ):  # fmt: skip
        lines.append(_split_line(job.labelled, split, use))
    return lines


def _split_line(corpus: Corpus, split: str, use: str) -> str:
    speakers = len(np.unique(corpus.column("speaker_id", split)))
    synthetic = ", synthetic" if corpus.synthetic else ""
    return f"{corpus.name}{synthetic}, {split}: {corpus.count(split):,} examples of {speakers:,} speakers, for {use}"
