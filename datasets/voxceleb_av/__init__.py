"""VoxCeleb2: pairs of a face and a spectrogram."""
