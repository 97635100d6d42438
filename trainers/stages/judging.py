"""The stage `judge`: predictions for generated examples by recognisers that never saw their speakers."""

import numpy as np
import tensorflow as tf

from trainers.runs.folder import log
from trainers.runs.job import StageContext
from trainers.stages import classifiers, sampling


def judge(context: StageContext) -> None:
    """Predicts all draws with strong recognisers of real clips: one for each training fold, trained on the other folds.

    A draw from a labelled clip is predicted by the recogniser that never saw its speaker; for one from an unlabelled clip, the
    predictions of all recognisers are averaged. Writes probabilities, float32 [n, num_classes], to readings.npy.
    """
    job, run, folder = context.job, context.run, context.folder
    draws, folds = sampling.read_draws(job, run), job.training_folds
    readings = np.zeros_like(draws.conditions)
    for fold in folds:
        recogniser = classifiers.cross_fitted(job, run, folder / f"without_{fold}", fold)
        for selected, weight in ((draws.folds == fold, 1.0), (draws.folds == "", 1 / len(folds))):
            rows = np.flatnonzero(selected)
            for batch in np.array_split(rows, -(-len(rows) // sampling.DRAWN_AT_ONCE)) if len(rows) else ():
                logits = recogniser.predict_on_batch(draws.images[batch])
                readings[batch] += weight * tf.nn.softmax(logits)
    right = readings.argmax(-1) == draws.labels
    log.info("cross-fitted recognisers predict the requested emotion of %.1f%% of the draws", 100 * right.mean())
    np.save(folder / "readings.npy", readings)
