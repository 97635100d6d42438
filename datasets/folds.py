"""Folds of speakers of the labelled corpora. Every protocol is a union of folds, so splits are always by speaker.

Public names: CREMA_D_FOLDS, RAVDESS_FOLDS, FOLDS, MIN_FOLDS.
"""

MIN_FOLDS = 3
"""Minimum number of folds with clips: training, validation and test need one each."""

_CREMA_D_BLOCKS = ((1001, 1018), (1019, 1036), (1037, 1054), (1055, 1072), (1073, 1091))

CREMA_D_FOLDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(str(actor) for actor in range(first, last + 1)) for first, last in _CREMA_D_BLOCKS
)
"""Actor ids of CREMA-D's five folds: contiguous blocks, our choice."""

RAVDESS_FOLDS: tuple[tuple[str, ...], ...] = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
"""Actor ids of RAVDESS's six folds, those of EmoBox (Ma et al. 2024); odd actors are male."""

FOLDS: dict[str, tuple[tuple[str, ...], ...]] = {"crema_d_av": CREMA_D_FOLDS, "ravdess_av": RAVDESS_FOLDS}
"""The folds of each labelled corpus, by the name of its builder."""
