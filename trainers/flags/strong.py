"""The strong recogniser: its regularisation; the bare recogniser has none."""

from absl import flags

from emogan.config import DECAYS, SELECTIONS, STARTS
from trainers.runs.config import DEFAULTS

flags.DEFINE_float(
    "time_shift_share",
    DEFAULTS["time_shift_share"],
    "Maximum time shift of a training spectrogram, as a share of all frames.",
)
flags.DEFINE_float(
    "frequency_shift_share", DEFAULTS["frequency_shift_share"], "Maximum frequency shift, as a share of all rows."
)
flags.DEFINE_float("mixup", DEFAULTS["mixup"], "Alpha of mixup; 0 for none.")
flags.DEFINE_float(
    "recognise_smoothing", DEFAULTS["recognise_smoothing"], "Label smoothing: share of the uniform distribution."
)
flags.DEFINE_enum("recognise_decay", DEFAULTS["recognise_decay"], DECAYS, "Learning-rate schedule.")
flags.DEFINE_enum(
    "recognise_weights",
    DEFAULTS["recognise_weights"],
    SELECTIONS,
    "Weights to keep: the last ones, or those of the best validation accuracy.",
)
flags.DEFINE_integer("time_masks", DEFAULTS["time_masks"], "SpecAugment: number of time masks.")
flags.DEFINE_float(
    "time_mask_share", DEFAULTS["time_mask_share"], "Maximum width of a time mask, as a share of all frames."
)
flags.DEFINE_integer("frequency_masks", DEFAULTS["frequency_masks"], "SpecAugment: number of frequency masks.")
flags.DEFINE_float(
    "frequency_mask_share",
    DEFAULTS["frequency_mask_share"],
    "Maximum width of a frequency mask, as a share of all rows.",
)
flags.DEFINE_float(
    "noise_snr_db",
    DEFAULTS["noise_snr_db"],
    "Minimum signal-to-noise ratio of added white noise, dB. Default: no noise.",
)
flags.DEFINE_enum(
    "recognise_start",
    DEFAULTS["recognise_start"],
    STARTS,
    "Initial weights: random, or convolutions initialised from the D that was pretrained on unlabelled clips.",
)
flags.DEFINE_float(
    "recognise_consistency",
    DEFAULTS["recognise_consistency"],
    "Weight of a consistency loss on unlabelled clips: the prediction for a weakly augmented clip is the target for the same "
    "clip strongly augmented (FixMatch); 0 for none.",
)
flags.DEFINE_float(
    "recognise_certainty",
    DEFAULTS["recognise_certainty"],
    "Confidence threshold of the consistency loss: lower predictions are ignored.",
)
