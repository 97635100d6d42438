"""The stage `judge`: what recognisers that do not know a speaker find in what was generated of the speaker's clips."""

import numpy as np
import tensorflow as tf

from trainers.runs.folder import log
from trainers.runs.job import StageContext
from trainers.stages import classifiers, sampling


def judge(context: StageContext) -> None:
    """Has every draw read by strong recognisers of real clips, of which there is one for each training fold that never saw it.

    A draw of a labelled clip is read by the one that does not know its speaker, one of an unlabelled clip by all, of which the
    mean counts. Probabilities, float32 [n, num_classes], are left in readings.npy.
    """
    job, run, folder = context.job, context.run, context.folder
    draws, folds = sampling.read_draws(job, run), job.training_folds
    readings = np.zeros_like(draws.conditions)
    for fold in folds:
        recogniser = classifiers.cross_fitted(job, run, folder / f"without_{fold}", fold)
        for read, share in ((draws.folds == fold, 1.0), (draws.folds == "", 1 / len(folds))):
            rows = np.flatnonzero(read)
            for some in np.array_split(rows, -(-len(rows) // sampling.DRAWN_AT_ONCE)) if len(rows) else ():
                logits = recogniser.predict_on_batch(draws.images[some])
                readings[some] += share * tf.nn.softmax(logits)
    found = readings.argmax(-1) == draws.labels
    log.info("cross-fitted recognisers find %.1f%% of what was asked for", 100 * found.mean())
    np.save(folder / "readings.npy", readings)
