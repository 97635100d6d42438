"""Miniature corpora in the official layouts of CREMA-D, RAVDESS, VoxCeleb2 and VoxCeleb1, as real media files.

Faces and voices are synthetic and share planted, known emotion and speaker information. Public names: make_corpus,
Dials.
"""

from datasets.synthetic.settings import Dials
from datasets.synthetic.writing import make_corpus

__all__ = ["Dials", "make_corpus"]
