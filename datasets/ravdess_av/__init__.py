"""RAVDESS: pairs of a face and a spectrogram."""
