"""What is generated for the recognisers: the stage `draw`. Public names: draw, Draws, read_draws, learnt_from,
discard_draws."""

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
"""Images that are generated before they are written."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draws:
    """Generated images, with the emotion that was asked for as their target.

    Attributes:
        images: float16 [n, S, S, channels] in [-1, 1], a memory-mapped file.
        conditions: float32 [n, num_classes].
        folds: the split of the labelled clip that each was made of, str [n]; empty where it is an unlabelled one.
        speakers: of whose clips they were made; see `Corpus.speakers`.
    """

    images: np.ndarray
    conditions: np.ndarray
    folds: np.ndarray
    speakers: frozenset[str]

    @property
    def labels(self) -> np.ndarray:
        """The likeliest emotion of each condition, int64 [n]."""
        return self.conditions.argmax(-1)


def draw(context: StageContext) -> None:
    """The stage of `make_draws`."""
    make_draws(context.job, context.run, context.folder)


def make_draws(job: Job, run: RunFolder, folder: Path) -> None:
    """Generates from clips of the training speakers, or of the unlabelled corpus, as the settings say.

    Item n is draw n % draws of request n // draws, and its noise follows from (seed of the recognisers, n). For `read_draws` it
    leaves in `folder` images.npy, conditions.npy, folds.npy, and the clips' speakers in speakers.json.

    Raises:
        UserError: where G knows a speaker of the test fold.
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
                some = slice(first, first + DRAWN_AT_ONCE)
                rows = clip_of_item[some]
                noise = None if codes is None else codes[rows]
                made = grids.generate(
                    generator, sources[rows], conditions[some], config.recognise.seed, first, noise=noise
                )
                file.write(made.astype("<f2").tobytes())
                bar.update(len(made))
    np.save(folder / "conditions.npy", conditions)
    np.save(folder / "folds.npy", clips.folds[clip_of_item])
    write_atomically(folder / "speakers.json", json.dumps(sorted(clips.speakers)))
    part.replace(folder / "images.npy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Clips:
    """Clips of which something is generated.

    Attributes:
        arrays: see `datasets.corpus.Corpus.arrays`: the sources, and the targets where these are said again.
        folds: the splits that they are of, str [n]; of unlabelled ones empty.
        speakers: whose clips they are.
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
        folds = np.array([fold_of[clip_id] for clip_id in arrays["clip_id"]])  # whose order is another one
        return _Clips(arrays=arrays, folds=folds, speakers=corpus.speakers(split))
    assert job.unlabelled, "a job that draws from unlabelled clips has a corpus of them"
    corpus, split = job.unlabelled, job.unlabelled_splits[0]
    count = min(corpus.count(split), MOST_UNLABELLED)
    arrays = grids.fixed_samples(corpus.examples(split, images=kinds), count)
    return _Clips(arrays=arrays, folds=np.full(count, ""), speakers=corpus.speakers(split))


def _requests(clips: _Clips, job: Job, run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    """For each item its clip's number, int64 [items], and its condition, float32 [items, num_classes]."""
    config, rows = job.config, np.arange(len(clips.folds))
    emotions = np.eye(config.model.num_classes, dtype=np.float32)
    if config.requests == "lot":
        rows = np.repeat(rows, config.draws)
        return rows, emotions[np.random.default_rng(config.recognise.seed).integers(len(emotions), size=len(rows))]
    if config.requests == "all":
        rows, conditions = np.repeat(rows, len(emotions)), np.tile(emotions, (len(rows), 1))
    else:
        conditions = _own(clips, job, run)
        rows, conditions = rows[conditions.any(-1)], conditions[conditions.any(-1)]
    return np.repeat(rows, config.draws_each), np.repeat(conditions, config.draws_each, 0)


def _own(clips: _Clips, job: Job, run: RunFolder) -> np.ndarray:
    """The condition of each clip, float32 [n, num_classes], which of an unlabelled one is what f_S reads in it; zeros where
    that is not certain."""
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
    """The noise from which G would have to make each clip's own target, float32 [n, noise_dim]."""
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
    """Deletes the images, which fill disks and can be drawn again."""
    (run.path / "draw" / "images.npy").unlink(missing_ok=True)


def read_draws(job: Job, run: RunFolder) -> Draws:
    """What `make_draws` has left in a run; made again where it was discarded."""
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
    """What recognisers learn from: the draws, their targets, float32 [n, num_classes], and their labels, int64 [n], which
    are -1 where a draw is left out.

    Raises:
        UserError: where the draws come from a speaker who is not trained on.
        NoResult: where all are left out.
    """
    config, draws = job.config, read_draws(job, run)
    known = job.labelled.speakers(job.protocol.train)
    if config.draw_from == "unlabelled" and job.unlabelled:
        known = job.unlabelled.speakers(job.unlabelled_splits[0])
    if not draws.speakers <= known:
        raise UserError("generated examples come from other speakers than those that are trained on; do the run anew")
    targets, labels = draws.conditions, draws.labels
    if config.judges_draws:
        readings = np.load(run.path / "judge" / "readings.npy", allow_pickle=False)
        if config.generated_filter:
            labels = np.where(readings.argmax(-1) == labels, labels, -1)
        if config.generated_targets == "readings":
            targets = readings
    if (labels < 0).all():
        raise NoResult("of no generated example is found what was asked for; leave --generated_filter out")
    return draws, targets, labels
