r"""Progressive training, whole: pretrain on VoxCeleb, calibrate on a labelled corpus, evaluate, export.

python -m trainers.progressive --flagfile=trainers/configs/demo.flags

The datasets are those that `trainers.prepare` built in --data_dir. Started again with the same flags after a stop, a run goes
on where it was.
"""

import dataclasses
from pathlib import Path

from absl import flags, logging

from emogan import command
from emogan.config import (
    ADVERSARIAL_FORMS,
    PRECISIONS,
    PRESETS,
    AugmentConfig,
    LossConfig,
    RunConfig,
    TrainConfig,
)

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of this run.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the built datasets.", required=True)
_PRETRAIN_DATASET = flags.DEFINE_string("pretrain_dataset", "voxceleb_av", "Unlabelled corpus of the first stage.")
_DATASET = flags.DEFINE_string("dataset", "crema_d_av", "Labelled corpus: crema_d_av or ravdess_av.")
_TEST_FOLD = flags.DEFINE_integer("test_fold", 0, "Fold of speakers that is held out; the next one is for validation.")
_TRAIN_SPEAKERS = flags.DEFINE_integer(
    "train_speakers",
    0,
    "Low data: number of speakers of the labelled corpus that are trained on, 0 for all. --seed chooses them, as many men as "
    "women; those of a smaller number are among those of a larger one. Validation and test stay whole.",
)

_SCHEDULE = flags.DEFINE_enum(
    "schedule", "progressive", ["progressive", "moderate"], "Pretraining then calibration, or calibration from scratch."
)
_CONDITION = flags.DEFINE_enum(
    "condition", "label", ["label", "face"], "Condition of G: the label, or what a classifier reads in the face."
)
_USE_CLASSIFIER = flags.DEFINE_bool("use_classifier", True, "Whether Q takes part in calibration.")
_DIRECTION = flags.DEFINE_enum(
    "direction", "face_to_sound", ["face_to_sound", "sound_to_face"], "What is generated from what."
)

_PRESET = flags.DEFINE_enum("preset", "64", list(PRESETS), "Shape of G, D and Q, and the picture size.")
_ADVERSARIAL = flags.DEFINE_enum(
    "adversarial", "non_saturating", ADVERSARIAL_FORMS, "The game of D and G; minimax is the paper's Eq. 3."
)
_LAMBDA_L1 = flags.DEFINE_float("lambda_l1", 100.0, "Weight of the L1 distance in G's loss.")
_LAMBDA_Q = flags.DEFINE_float("lambda_q", 1.0, "Weight of Q's cross entropy in G's loss.")
_GRADIENT_PENALTY = flags.DEFINE_float("gradient_penalty", 10.0, "Weight of D's gradient penalty; of wasserstein only.")
_R1_GAMMA = flags.DEFINE_float("r1_gamma", 0.0, "Weight of R1, the penalty on D's gradient at real pictures.")
_LABEL_SMOOTHING = flags.DEFINE_float("label_smoothing", 0.0, "By how much the label of real pictures is less than 1.")
_INSTANCE_NOISE = flags.DEFINE_float(
    "instance_noise", 0.0, "Deviation of the noise on all that D judges, at first; it fades to nothing."
)
_DIFF_AUGMENT = flags.DEFINE_bool("diff_augment", False, "Augment all that D judges, real and generated (DiffAugment).")
_SPECTRAL_NORM = flags.DEFINE_bool("spectral_norm", False, "Divide D's kernels by their largest singular values.")
_D_SEES_SOURCE = flags.DEFINE_bool("d_sees_source", False, "Show D the face beside the spectrogram it judges.")

_PRETRAIN_STEPS = flags.DEFINE_integer("pretrain_steps", 100_000, "Steps of the first stage.")
_CALIBRATE_STEPS = flags.DEFINE_integer("calibrate_steps", 50_000, "Steps of the second stage.")
_RECOGNISE_STEPS = flags.DEFINE_integer("recognise_steps", 5_000, "Steps of each recogniser.")
_INTERVAL = flags.DEFINE_integer("interval", 500, "Steps between log lines, checkpoints and sample pictures.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Examples per step, over all devices together.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 2e-4, "Adam's, of G, D and Q.")
_D_LEARNING_RATE = flags.DEFINE_float("d_learning_rate", 0.0, "D's where it is another one (TTUR); 0: the same.")
_G_EMA = flags.DEFINE_float("g_ema", 0.0, "Decay of the moving average of G's weights, which is then what is kept.")
_ACCUMULATE = flags.DEFINE_integer(
    "accumulate", 1, "Parts of a device's batch that are worked on one after the other, where memory is short."
)
_PRECISION = flags.DEFINE_enum("precision", "float32", PRECISIONS, "What G, D and Q compute with; half is for GPUs.")
_XLA = flags.DEFINE_bool("xla", False, "Compile the training step by XLA; on CPUs that is slower.")
_RECOGNISE_BATCH_SIZE = flags.DEFINE_integer("recognise_batch_size", 32, "Examples per step of the recognisers.")
_RECOGNISE_LEARNING_RATE = flags.DEFINE_float("recognise_learning_rate", 1e-3, "Adam's, of the recognisers.")
_GENERATED_SHARE = flags.DEFINE_float("generated_share", 0.5, "Share of generated examples in the augmented batches.")
_BALANCE_CLASSES = flags.DEFINE_bool(
    "balance_classes", False, "Draw all emotions equally often in calibration and by the recognisers."
)
_FLIP_FACES = flags.DEFINE_bool("flip_faces", False, "Mirror half of the faces that G is trained on, by chance.")
_TIME_MASKS = flags.DEFINE_integer(
    "time_masks", 0, "SpecAugment: bands of frames that fall silent in each spectrogram a recogniser is trained on."
)
_TIME_MASK_SHARE = flags.DEFINE_float("time_mask_share", 0.1, "Widest time mask, as a share of all frames.")
_FREQUENCY_MASKS = flags.DEFINE_integer("frequency_masks", 0, "SpecAugment: the same for bands of frequency rows.")
_FREQUENCY_MASK_SHARE = flags.DEFINE_float(
    "frequency_mask_share", 0.1, "Widest frequency mask, as a share of all rows."
)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of weights, order, noise, augmentation and the choice of speakers.")
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", True, "Same machine, flags and data give the same weights, stopped or not; on GPUs it costs time."
)


def main(_: list[str]) -> None:
    """Runs what the flags say."""
    import tensorflow as tf

    gan = {
        "interval": _INTERVAL.value,
        "batch_size": _BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "d_learning_rate": _D_LEARNING_RATE.value,
        "seed": _SEED.value,
        "accumulate": _ACCUMULATE.value,
        "g_ema": _G_EMA.value,
        "precision": _PRECISION.value,
        "xla": _XLA.value,
    }
    config = RunConfig(
        pretrain_dataset=_PRETRAIN_DATASET.value,
        dataset=_DATASET.value,
        test_fold=_TEST_FOLD.value,
        schedule=_SCHEDULE.value,
        condition=_CONDITION.value,
        use_classifier=_USE_CLASSIFIER.value,
        direction=_DIRECTION.value,
        model=dataclasses.replace(
            PRESETS[_PRESET.value], spectral_norm=_SPECTRAL_NORM.value, d_sees_source=_D_SEES_SOURCE.value
        ),
        loss=LossConfig(
            adversarial=_ADVERSARIAL.value,
            lambda_l1=_LAMBDA_L1.value,
            lambda_q=_LAMBDA_Q.value,
            gradient_penalty=_GRADIENT_PENALTY.value,
            r1_gamma=_R1_GAMMA.value,
            label_smoothing=_LABEL_SMOOTHING.value,
            instance_noise=_INSTANCE_NOISE.value,
            diff_augment=_DIFF_AUGMENT.value,
        ),
        pretrain=TrainConfig(steps=_PRETRAIN_STEPS.value, **gan),
        calibrate=TrainConfig(steps=_CALIBRATE_STEPS.value, **gan),
        recognise=TrainConfig(
            steps=_RECOGNISE_STEPS.value,
            interval=_INTERVAL.value,
            batch_size=_RECOGNISE_BATCH_SIZE.value,
            learning_rate=_RECOGNISE_LEARNING_RATE.value,
            beta_1=0.9,
            seed=_SEED.value,
        ),
        generated_share=_GENERATED_SHARE.value,
        train_speakers=_TRAIN_SPEAKERS.value,
        balance_classes=_BALANCE_CLASSES.value,
        augment=AugmentConfig(
            flip_faces=_FLIP_FACES.value,
            time_masks=_TIME_MASKS.value,
            time_mask_share=_TIME_MASK_SHARE.value,
            frequency_masks=_FREQUENCY_MASKS.value,
            frequency_mask_share=_FREQUENCY_MASK_SHARE.value,
        ),
    )
    from trainers.run_folder import read_metrics
    from trainers.stages import run_all
    from trainers.table import read_results, results_table

    logging.set_verbosity(logging.ERROR)  # not what TFDS says of its own doings

    if _DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    run_dir = Path(_RUN_DIR.value)
    report = run_all(config, Path(_DATA_DIR.value), run_dir, flags.FLAGS.flags_into_string())
    print(results_table(read_results(read_metrics(run_dir))))
    print(f"report: {report}")


if __name__ == "__main__":
    command.run(main)
