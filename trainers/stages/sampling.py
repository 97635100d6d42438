"""The stage `draw`: generates examples for the recognisers.

Public names: draw, make_draws, Draws, read_draws, learnt_from, discard_draws.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from datasets import input_pipeline
from datasets.ablations import ablate_sources
from emogan.codes import ImageCode
from emogan.errors import NoResult, UserError
from trainers.runs import readings
from trainers.runs.config import MOST_UNLABELLED
from trainers.runs.folder import RunFolder, write_atomically
from trainers.runs.job import Job, StageContext
from trainers.runs.saved_networks import load_network
from trainers.stages import grids

DRAWN_AT_ONCE = 320
"""Number of images generated at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draws:
    """Generated images and their conditions.

    Attributes:
        images: float16 [n, S, S, channels] in [-1, 1], a memory-mapped file.
        conditions: float32 [n, num_classes].
        folds: split of the labelled clip of each draw, str [n]; empty for an unlabelled clip.
        speakers: speakers of the clips; see `Corpus.speakers`.
    """

    images: np.ndarray
    conditions: np.ndarray
    folds: np.ndarray
    speakers: frozenset[str]

    @property
    def labels(self) -> np.ndarray:
        """The most likely emotion of each condition, int64 [n]."""
        return self.conditions.argmax(-1)


def draw(context: StageContext) -> None:
    """Runs the stage; see `make_draws`."""
    make_draws(context.job, context.run, context.folder)


def make_draws(job: Job, run: RunFolder, folder: Path) -> None:
    """Generates images from clips of the training speakers, or from unlabelled clips.

    Item n is draw n % draws of request n // draws; its noise is a function of the seed of the recognisers and n. Writes
    images.npy, conditions.npy, folds.npy and speakers.json to `folder`, for `read_draws`.

    Raises:
        UserError: if G was trained or selected on a speaker of the test fold.
    """
    config, size = job.config, job.config.model.size
    unseen = job.labelled.speakers(job.protocol.test)
    generator = load_network(run.path / "calibrate" / "generator", config.model, "generator", unseen=unseen)
    clips = _clips(job)
    clip_of_item, conditions = _requests(clips, job, run)
    sources = ablate_sources(clips.arrays[job.source.name], config.ablation)
    codes = _codes(clips, job, run) if config.revoice else None
    part, shape = folder / "images.part", (len(clip_of_item), size, size, job.target.channels)
    with part.open("wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        with tqdm(total=shape[0], desc="draw", unit="item") as bar:
            for first in range(0, shape[0], DRAWN_AT_ONCE):
                batch = slice(first, first + DRAWN_AT_ONCE)
                rows = clip_of_item[batch]
                noise = None if codes is None else codes[rows]
                generated = grids.generate(
                    generator, sources[rows], conditions[batch], config.recognise.seed, first, noise=noise
                )
                file.write(generated.astype("<f2").tobytes())
                bar.update(len(generated))
    np.save(folder / "conditions.npy", conditions)
    np.save(folder / "folds.npy", clips.folds[clip_of_item])
    write_atomically(folder / "speakers.json", json.dumps(sorted(clips.speakers)))
    part.replace(folder / "images.npy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Clips:
    """Clips to generate from.

    Attributes:
        arrays: sources, and with `revoice` also targets; see `datasets.corpus.Corpus.arrays`.
        folds: split of each clip, str [n]; empty for unlabelled clips.
        speakers: speakers of the clips.
    """

    arrays: dict[str, np.ndarray]
    folds: np.ndarray
    speakers: frozenset[str]


def _clips(job: Job) -> _Clips:
    kinds = [job.source.name, *([job.target.name] if job.config.revoice else [])]
    if job.config.draw_from == "labelled":
        corpus, split = job.labelled, job.protocol.train
        arrays = corpus.arrays(split, kinds)
        fold_of = dict(zip(corpus.column("clip_id", split), corpus.column("split", split), strict=True))
        folds = np.array([fold_of[clip_id] for clip_id in arrays["clip_id"]])  # in the order of `arrays`
        return _Clips(arrays=arrays, folds=folds, speakers=corpus.speakers(split))
    assert job.unlabelled, "draws from unlabelled clips need an unlabelled corpus"
    corpus, split = job.unlabelled, job.unlabelled_splits[0]
    count = min(corpus.count(split), MOST_UNLABELLED)
    arrays = grids.fixed_samples(corpus.examples(split, images=kinds), count)
    return _Clips(arrays=arrays, folds=np.full(count, ""), speakers=corpus.speakers(split))


def _requests(clips: _Clips, job: Job, run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    """The clip of each item, int64 [items], and its condition, float32 [items, num_classes]."""
    config, rows = job.config, np.arange(len(clips.folds))
    emotions = np.eye(config.model.num_classes, dtype=np.float32)
    if config.requests == "lot":
        rows = np.repeat(rows, config.draws)
        return rows, emotions[np.random.default_rng(config.recognise.seed).integers(len(emotions), size=len(rows))]
    if config.requests == "all":
        rows, conditions = np.repeat(rows, len(emotions)), np.tile(emotions, (len(rows), 1))
    else:
        conditions = _own_conditions(clips, job, run)
        rows, conditions = rows[conditions.any(-1)], conditions[conditions.any(-1)]
    return np.repeat(rows, config.draws_each), np.repeat(conditions, config.draws_each, 0)


def _own_conditions(clips: _Clips, job: Job, run: RunFolder) -> np.ndarray:
    """The condition of each clip, float32 [n, num_classes]: for an unlabelled clip the prediction of f_S, or zeros if it is
    not certain."""
    if job.config.draw_from == "labelled":
        return job.conditions(clips.arrays, run)
    certainty = job.config.face_certainty
    f_s = load_network(run.path / "face_classifier" / "all" / "classifier", job.config.model, "classifier")
    sources = input_pipeline.to_input(tf.constant(clips.arrays[job.source.name]))
    probabilities = tf.nn.softmax(f_s.predict(sources, batch_size=64, verbose=0)).numpy()
    if not certainty:
        return probabilities
    return readings.certain(probabilities, certainty, readings.load(run).temperature)


def _codes(clips: _Clips, job: Job, run: RunFolder) -> np.ndarray:
    """The code of each clip's target, which G gets as noise, float32 [n, noise_dim]."""
    targets = clips.arrays[job.target.name]
    conditions = np.zeros([len(targets), job.config.model.num_classes], np.float32)
    if job.config.draw_from == "labelled":
        conditions = job.conditions(clips.arrays, run)
    code = ImageCode(job.config.model.noise_dim)
    code.build([targets.shape, conditions.shape])
    with np.load(run.path / "calibrate" / "code.npz", allow_pickle=False) as arrays:
        code.set_weights([arrays["means"], arrays["components"]])
    pairs = tf.data.Dataset.from_tensor_slices((targets, conditions)).batch(64)
    return np.concatenate([code(list(pair)) for pair in pairs])


def discard_draws(run: RunFolder) -> None:
    """Deletes the images, which are large and can be generated again."""
    (run.path / "draw" / "images.npy").unlink(missing_ok=True)


def read_draws(job: Job, run: RunFolder) -> Draws:
    """Reads the draws of a run; generates them again if they were discarded."""
    folder = run.path / "draw"
    if not (folder / "images.npy").exists():
        make_draws(job, run, folder)
    return Draws(
        images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
        conditions=np.load(folder / "conditions.npy", allow_pickle=False),
        folds=np.load(folder / "folds.npy", allow_pickle=False),
        speakers=frozenset(json.loads((folder / "speakers.json").read_text())),
    )


def learnt_from(job: Job, run: RunFolder) -> tuple[Draws, np.ndarray, np.ndarray]:
    """The generated training examples of recognisers: the draws, their targets, float32 [n, num_classes], and their labels,
    int64 [n], -1 for discarded draws.

    Raises:
        UserError: if a draw comes from a speaker that is not a training speaker.
        NoResult: if all draws are discarded.
    """
    config, draws = job.config, read_draws(job, run)
    known = job.labelled.speakers(job.protocol.train)
    if config.draw_from == "unlabelled" and job.unlabelled:
        known = job.unlabelled.speakers(job.unlabelled_splits[0])
    if not draws.speakers <= known:
        raise UserError(f"{run.path / 'draw'} has examples of speakers outside the training set; use another --run_dir")
    targets, labels = draws.conditions, draws.labels
    if config.judges_draws:
        readings = np.load(run.path / "judge" / "readings.npy", allow_pickle=False)
        if config.generated_filter:
            labels = np.where(readings.argmax(-1) == labels, labels, -1)
        if config.generated_targets == "readings":
            targets = readings
    if (labels < 0).all():
        raise NoResult("--generated_filter discards all generated examples; omit it")
    return draws, targets, labels
