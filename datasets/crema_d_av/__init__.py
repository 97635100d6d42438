"""CREMA-D: pairs of a face and a spectrogram."""
