"""The augmentation of training examples."""

from absl import flags

flags.DEFINE_bool("flip_faces", False, "Mirror half of the faces that G is trained on, by chance.")
flags.DEFINE_integer(
    "time_masks", 0, "SpecAugment: bands of frames that fall silent in each spectrogram a recogniser is trained on."
)
flags.DEFINE_float("time_mask_share", 0.1, "Widest time mask, as a share of all frames.")
flags.DEFINE_integer("frequency_masks", 0, "SpecAugment: the same for bands of frequency rows.")
flags.DEFINE_float("frequency_mask_share", 0.1, "Widest frequency mask, as a share of all rows.")
flags.DEFINE_float(
    "time_shift_share",
    0.0,
    "Farthest shift in time of a spectrogram that a recogniser is trained on, as a share of all frames.",
)
flags.DEFINE_float("frequency_shift_share", 0.0, "The same in frequency, of all rows.")
flags.DEFINE_float(
    "noise_snr_db", 0.0, "Lowest signal-to-noise ratio of white noise added to these spectrograms, dB; 0 for none."
)
flags.DEFINE_float("mixup", 0.0, "Alpha of mixup in the training of recognisers; 0 for none.")
