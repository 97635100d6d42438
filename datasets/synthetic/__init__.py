"""Generates miniature corpora of media files in the official layouts of CREMA-D, RAVDESS, VoxCeleb2 and VoxCeleb1.

Faces and voices are synthetic and share emotion and speaker cues with known ground truth. Public names: make_corpus,
Dials.
"""

from datasets.synthetic.settings import Dials
from datasets.synthetic.writing import make_corpus

__all__ = ["Dials", "make_corpus"]
