"""Audio and video files: the supported formats, opening containers, and decoding audio."""
