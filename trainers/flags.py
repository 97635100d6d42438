"""The flags of a run, and the settings they make: `run_config`. Imports no TensorFlow, so that help is quick."""

import dataclasses

from absl import flags

from emogan.config import (
    ADVERSARIAL_FORMS,
    CONDITIONS,
    CONTROLS,
    DIRECTIONS,
    KEPT,
    PRECISIONS,
    PRESETS,
    REQUESTS,
    SCHEDULES,
    TAKEN_OVER,
    AugmentConfig,
    LossConfig,
    RunConfig,
    TrainConfig,
)

_PRETRAIN_DATASET = flags.DEFINE_string(
    "pretrain_dataset",
    "voxceleb_av",
    "Unlabelled dataset of the first stage; of several variants for example voxceleb_av/64_vox1.",
)
_DATASET = flags.DEFINE_string(
    "dataset",
    "crema_d_av",
    "Labelled dataset: crema_d_av, ravdess_av, folder_av, or a variant such as ravdess_av/64_eight.",
)
_TEST_FOLD = flags.DEFINE_integer("test_fold", 0, "Fold of speakers that is held out; the next one is for validation.")
_TRAIN_SPEAKERS = flags.DEFINE_integer(
    "train_speakers",
    0,
    "Low data: number of speakers of the labelled corpus that are trained on, 0 for all. --seed chooses them, as many men as "
    "women; those of a smaller number are among those of a larger one. Validation and test stay whole.",
)

_SCHEDULE = flags.DEFINE_enum(
    "schedule",
    "progressive",
    SCHEDULES,
    "Pretraining then calibration; calibration from scratch (moderate); or no GAN: then the second recogniser differs from the "
    "first by the augmentation of real spectrograms alone.",
)
_PRETRAINED = flags.DEFINE_string(
    "pretrained",
    "",
    "Begin calibration from the networks of another run instead of pretraining: give its folder's pretrain or calibrate. Its "
    "classes may be others.",
)
_CONDITION = flags.DEFINE_enum(
    "condition",
    "label",
    CONDITIONS,
    "Condition of G and target of Q: the label, or (semi-supervised) the probabilities that f_S reads in what G sees. f_S is "
    "trained first, on training speakers; training clips are read by networks that never saw their speaker.",
)
_USE_CLASSIFIER = flags.DEFINE_bool("use_classifier", True, "Whether Q takes part in calibration.")
_CONTROL = flags.DEFINE_enum(
    "control",
    "none",
    CONTROLS,
    "A GAN without a part of what it needs: with other clips' faces, no face, or other clips' labels.",
)
_DIRECTION = flags.DEFINE_enum("direction", "face_to_sound", DIRECTIONS, "What is generated from what.")
_TAKE_OVER = flags.DEFINE_enum(
    "take_over", "generator_and_discriminator", TAKEN_OVER, "What calibration takes over from pretraining."
)
_FREEZE_ENCODER = flags.DEFINE_bool("freeze_encoder", False, "Leave G's way down in calibration as it was taken over.")
_KEEP = flags.DEFINE_enum(
    "keep",
    "last",
    KEPT,
    "Weights that a GAN stage hands on: the last ones, or those of the best validation L1 distance.",
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
_REQUESTS = flags.DEFINE_enum(
    "requests",
    "own",
    REQUESTS,
    "What the augmented recogniser gets from a training face: its own emotion, or all of them.",
)
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
_TIME_SHIFT_SHARE = flags.DEFINE_float(
    "time_shift_share",
    0.0,
    "Farthest shift in time of a spectrogram that a recogniser is trained on, as a share of all frames.",
)
_FREQUENCY_SHIFT_SHARE = flags.DEFINE_float("frequency_shift_share", 0.0, "The same in frequency, of all rows.")
_NOISE_SNR_DB = flags.DEFINE_float(
    "noise_snr_db", 0.0, "Lowest signal-to-noise ratio of white noise added to these spectrograms, dB; 0 for none."
)
_MIXUP = flags.DEFINE_float("mixup", 0.0, "Alpha of mixup in the training of recognisers; 0 for none.")
_INCEPTION = flags.DEFINE_string(
    "inception",
    "",
    "FID, KID and IS on Inception's features too: the folder of its SavedModel, or its address at TF-Hub, "
    "https://tfhub.dev/tensorflow/tfgan/eval/inception/1.",
)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of weights, order, noise, augmentation and the choice of speakers.")


def run_config() -> RunConfig:
    """The settings that the parsed flags make.

    Raises:
        UserError: where they contradict each other.
    """
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
    return RunConfig(
        pretrain_dataset=_PRETRAIN_DATASET.value,
        dataset=_DATASET.value,
        test_fold=_TEST_FOLD.value,
        schedule=_SCHEDULE.value,
        pretrained=_PRETRAINED.value,
        condition=_CONDITION.value,
        use_classifier=_USE_CLASSIFIER.value,
        control=_CONTROL.value,
        inception=_INCEPTION.value,
        take_over=_TAKE_OVER.value,
        freeze_encoder=_FREEZE_ENCODER.value,
        keep=_KEEP.value,
        model=dataclasses.replace(
            PRESETS[_PRESET.value],
            spectral_norm=_SPECTRAL_NORM.value,
            d_sees_source=_D_SEES_SOURCE.value,
            direction=_DIRECTION.value,
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
        requests=_REQUESTS.value,
        train_speakers=_TRAIN_SPEAKERS.value,
        balance_classes=_BALANCE_CLASSES.value,
        augment=AugmentConfig(
            flip_faces=_FLIP_FACES.value,
            time_masks=_TIME_MASKS.value,
            time_mask_share=_TIME_MASK_SHARE.value,
            frequency_masks=_FREQUENCY_MASKS.value,
            frequency_mask_share=_FREQUENCY_MASK_SHARE.value,
            time_shift_share=_TIME_SHIFT_SHARE.value,
            frequency_shift_share=_FREQUENCY_SHIFT_SHARE.value,
            noise_snr_db=_NOISE_SNR_DB.value,
            mixup=_MIXUP.value,
        ),
    )
