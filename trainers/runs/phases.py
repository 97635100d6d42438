"""What a run will do, told before it does it.

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
from trainers.runs.job import Job, open_devices
from trainers.runs.recognisers import RECOGNISERS, recognisers

NETWORKS = ("G, encoder", "G, decoder", "D", "Q", "f_S", "recogniser")
"""All that is trained in a run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One stage of a run.

    Attributes:
        stage: its name.
        steps: its number of training steps, for each network that it trains.
        data: what it is trained on.
        state: of each of `NETWORKS` that takes part: trained anew, trained on from what it was, frozen, or used.
    """

    stage: str
    steps: int
    data: str
    state: dict[str, str]


def phases(config: RunConfig) -> list[Phase]:
    """The stages that train something, in their order."""
    anew, found = "trained anew", []
    if config.pretrains:
        state = dict.fromkeys(NETWORKS[:3], anew)
        found.append(
            Phase(
                stage="pretrain",
                steps=config.pretrain.steps,
                data=f"{config.pretrain_dataset}, without labels",
                state=state,
            )
        )
    if config.reads_faces:
        found.append(
            Phase(stage="face_classifier", steps=config.recognise.steps, data=config.dataset, state={"f_S": anew})
        )
    if config.schedule != "none":
        found.append(_calibration(config))
        source = networks.source_and_target(config.model)[0].name
        state = dict.fromkeys(NETWORKS[:2], "used")
        if config.reads_faces and config.requests == "own":
            state["f_S"] = "used"
        drawn_from = config.dataset if config.draw_from == "labelled" else config.pretrain_dataset
        found.append(Phase(stage="draw", steps=0, data=f"{drawn_from}, {source}s", state=state))
    if config.judges_draws:
        data = f"{config.dataset}, without a training fold each"
        found.append(Phase(stage="judge", steps=config.recognise.steps, data=data, state={"recogniser": anew}))
    for name in recognisers(config):
        data = f"{config.dataset}, {RECOGNISERS[name].data}"
        state = {"recogniser": f"trained anew, {config.recognise_seeds} times" if config.recognise_seeds > 1 else anew}
        found.append(Phase(stage=f"recognise_{name}", steps=config.recognise.steps, data=data, state=state))
    return found


def _calibration(config: RunConfig) -> Phase:
    taken = {
        "generator_and_discriminator": NETWORKS[:3],
        "generator": NETWORKS[:2],
        "encoder": NETWORKS[:1],
    }[config.transfer] if config.schedule == "progressive" else ()  # fmt: skip
    state = {
        name: "trained on" if name in taken else "trained anew"
        for name in NETWORKS[: 4 if config.use_classifier else 3]
    }
    if config.freeze_encoder:
        state[NETWORKS[0]] = "frozen"
    if config.condition == "face":
        state["f_S"] = "used"
    data = f"{config.dataset} and {config.pretrain_dataset}" if config.unlabelled_share else config.dataset
    return Phase(stage="calibrate", steps=config.calibrate.steps, data=data, state=state)


def phases_table(config: RunConfig) -> str:
    """`phases` as aligned plain text, a line for each stage."""
    rows: list[tuple[str, ...]] = [("stage", "steps", "data", *NETWORKS)]
    rows += [(p.stage, f"{p.steps:,}", p.data, *(p.state.get(name, "-") for name in NETWORKS)) for p in phases(config)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def describe(job: Job, run_dir: Path) -> str:
    """All that a dry run prints: settings, stages, parameters, memory, data. Nothing is trained or written."""
    return _describe(job.config, job.strategy, run_dir, [_draws(job)], [*_data(job), *needs.gaps(job)])


def describe_without_data(config: RunConfig, run_dir: Path, missing: list[str]) -> str:
    """The same where datasets are not built yet, of which `missing` tells.

    Raises:
        UserError: where it could not be run with any data.
    """
    needs.check_settings(config)
    return _describe(config, open_devices(config), run_dir, [], missing)


def planned_classes(config: RunConfig) -> RunConfig:
    """The settings with as many classes as the labelled dataset will have, as far as its builder can tell."""
    names = configuration(config.dataset, str(config.model.size)).variant.class_names or EMOTIONS
    return dataclasses.replace(config, model=dataclasses.replace(config.model, num_classes=len(names)))


def _describe(
    config: RunConfig, strategy: tf.distribute.Strategy, run_dir: Path, draws: list[str], data: list[str]
) -> str:
    state = "is there, and would be gone on with" if holds_run(run_dir, config) else "would be made"
    parts = [to_json(config), f"run folder {run_dir} {state}", phases_table(config)]
    if config.schedule != "none":
        memory = _memory(config, strategy.num_replicas_in_sync)
        parts += ["\n".join(_parameters(config)), "\n".join([*memory, *draws])]
    return "\n\n".join([*parts, "\n".join(data)])


def _networks(run: RunConfig) -> dict[str, tf.keras.Model]:
    config = run.model
    made = {"G": networks.build_generator(config), "D": networks.build_discriminator(config)}
    return made | ({"Q": networks.build_classifier(config)} if run.use_classifier else {})


def _parameters(config: RunConfig) -> list[str]:
    counts = {name: trainable_parameters(network) for name, network in _networks(config).items()}
    lines = [f"{name:5} {count:13,} trainable parameters" for name, count in counts.items()]
    return [*lines, f"{'all':5} {sum(counts.values()):13,}"]


def trainable_parameters(network: tf.keras.Model) -> int:
    """Number of weights that training moves."""
    return sum(v.shape.num_elements() for v in network.trainable_variables)


def _memory(config: RunConfig, replicas: int) -> list[str]:
    """By device: weights, their gradients and Adam's two moments; and what the backward pass needs of the forward one."""
    made, lines = _networks(config), []
    weights = 16 * sum(map(trainable_parameters, made.values()))
    if config.calibrate.g_ema:
        weights += 4 * trainable_parameters(made["G"])
    loss = config.loss  # D and Q judge what is real and what is generated
    passes = {"G": 1 + bool(loss.lambda_code), "D": 2 + bool(loss.lambda_mismatch), "Q": 2}
    for stage, settings in (("pretrain", config.pretrain), ("calibrate", config.calibrate)):
        if stage == "pretrain" and not config.pretrains:
            continue
        at_once = settings.batch_size // replicas // settings.accumulate
        values = sum(times * _activations(made[name]) for name, times in passes.items() if name in made)
        held = at_once * values * (4 if settings.precision == "float32" else 2)
        lines.append(
            f"{stage}: about {(weights + held) / 2**20:,.0f} MiB a device ({weights / 2**20:,.0f} for weights, gradients and "
            f"Adam, {held / 2**20:,.0f} for {at_once} examples at once), beside TensorFlow's own and the data's"
        )
    return lines


def _draws(job: Job) -> str:
    config = job.config
    clips = job.labelled.count(job.protocol.train)
    if config.draw_from == "unlabelled" and job.unlabelled:
        clips = min(job.unlabelled.count(job.unlabelled_splits[0]), MOST_UNLABELLED)
    count = clips * config.draws_each * (config.model.num_classes if config.requests == "all" else 1)
    size = 2 * count * config.model.size**2 * job.target.channels
    return f"draws: {count:,} images at most, {size / 2**20:,.0f} MiB on disk until the evaluation has ended"


def _activations(network: tf.keras.Model) -> int:
    """Number of values that the layers give for one example."""
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
            watched = "watching pretraining" + (", for want of others" if held_out == train else "")
            lines.append(_split_line(job.unlabelled, held_out, watched))
    if job.config.pretrained:
        lines.append(f"what is pretrained is taken from {job.config.pretrained}")
    if job.left_out:
        lines.append(_split_line(job.left_out, protocol.train, "the oracle"))
    for split, use in (
        (protocol.train, "training"), (protocol.validation, "validation and selection"), (protocol.test, "the test, once")
    ):  # fmt: skip
        lines.append(_split_line(job.labelled, split, use))
    return lines


def _split_line(corpus: Corpus, split: str, use: str) -> str:
    speakers = len(np.unique(corpus.column("speaker_id", split)))
    synthetic = ", synthetic" if corpus.synthetic else ""
    return f"{corpus.name}{synthetic}, {split}: {corpus.count(split):,} examples of {speakers:,} speakers, for {use}"
