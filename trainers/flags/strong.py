"""The strong recogniser, and how it is kept from over-fitting; the bare one has none of this."""

from absl import flags

from emogan.config import DECAYS, SELECTIONS, STARTS
from trainers.runs.config import DEFAULTS

flags.DEFINE_float(
    "time_shift_share",
    DEFAULTS["time_shift_share"],
    "Farthest shift in time of a training spectrogram, as a share of all frames.",
)
flags.DEFINE_float("frequency_shift_share", DEFAULTS["frequency_shift_share"], "The same in frequency, of all rows.")
flags.DEFINE_float("mixup", DEFAULTS["mixup"], "Alpha of mixup; 0 for none.")
flags.DEFINE_float(
    "recognise_smoothing", DEFAULTS["recognise_smoothing"], "Label smoothing: how much of each target is uniform."
)
flags.DEFINE_enum("recognise_decay", DEFAULTS["recognise_decay"], DECAYS, "What the learning rate does.")
flags.DEFINE_enum(
    "recognise_weights",
    DEFAULTS["recognise_weights"],
    SELECTIONS,
    "The weights kept: the last, or those of the best validation accuracy.",
)
flags.DEFINE_integer("time_masks", DEFAULTS["time_masks"], "SpecAugment: bands of frames that fall silent.")
flags.DEFINE_float("time_mask_share", DEFAULTS["time_mask_share"], "Widest time mask, as a share of all frames.")
flags.DEFINE_integer(
    "frequency_masks", DEFAULTS["frequency_masks"], "SpecAugment: the same for bands of frequency rows."
)
flags.DEFINE_float(
    "frequency_mask_share", DEFAULTS["frequency_mask_share"], "Widest frequency mask, as a share of all rows."
)
flags.DEFINE_float(
    "noise_snr_db", DEFAULTS["noise_snr_db"], "Lowest signal-to-noise ratio of added white noise, dB; 0 for none."
)
flags.DEFINE_enum(
    "recognise_start",
    DEFAULTS["recognise_start"],
    STARTS,
    "Its first weights: random, or of its convolutions those of the D that was pretrained on unlabelled clips.",
)
flags.DEFINE_float(
    "recognise_consistency",
    DEFAULTS["recognise_consistency"],
    "Weight of a loss on unlabelled clips: what it reads in one, it shall read in it much changed (FixMatch); 0 for none.",
)
flags.DEFINE_float(
    "recognise_certainty", DEFAULTS["recognise_certainty"], "The probability from which such a reading counts."
)
