"""The strong recogniser, and how it is kept from over-fitting; the bare one has none of this."""

from absl import flags

from emogan.config import DECAYS, SELECTIONS, STARTS, STRONG

flags.DEFINE_float(
    "time_shift_share",
    STRONG.augment.time_shift_share,
    "Farthest shift in time of a training spectrogram, as a share of all frames.",
)
flags.DEFINE_float("frequency_shift_share", STRONG.augment.frequency_shift_share, "The same in frequency, of all rows.")
flags.DEFINE_float("mixup", STRONG.augment.mixup, "Alpha of mixup; 0 for none.")
flags.DEFINE_float("recognise_smoothing", STRONG.smoothing, "Label smoothing: how much of each target is uniform.")
flags.DEFINE_enum("recognise_decay", STRONG.decay, DECAYS, "What the learning rate does.")
flags.DEFINE_enum(
    "recognise_weights",
    STRONG.weights,
    SELECTIONS,
    "The weights kept: the last, or those of the best validation accuracy.",
)
flags.DEFINE_integer("time_masks", STRONG.augment.time_masks, "SpecAugment: bands of frames that fall silent.")
flags.DEFINE_float("time_mask_share", STRONG.augment.time_mask_share, "Widest time mask, as a share of all frames.")
flags.DEFINE_integer(
    "frequency_masks", STRONG.augment.frequency_masks, "SpecAugment: the same for bands of frequency rows."
)
flags.DEFINE_float(
    "frequency_mask_share", STRONG.augment.frequency_mask_share, "Widest frequency mask, as a share of all rows."
)
flags.DEFINE_float(
    "noise_snr_db", STRONG.augment.noise_snr_db, "Lowest signal-to-noise ratio of added white noise, dB; 0 for none."
)
flags.DEFINE_enum(
    "recognise_start",
    STRONG.start,
    STARTS,
    "Its first weights: random, or of its convolutions those of the D that was pretrained on unlabelled clips.",
)
flags.DEFINE_float(
    "recognise_consistency",
    STRONG.consistency,
    "Weight of a loss on unlabelled clips: what it reads in one, it shall read in it much changed (FixMatch); 0 for none.",
)
flags.DEFINE_float("recognise_certainty", STRONG.certainty, "The probability from which such a reading counts.")
