"""The data: datasets, and the choice of training speakers."""

from absl import flags

from trainers.flags.networks import by_generator
from trainers.runs.config import DEFAULTS

flags.DEFINE_string(
    "pretrain_dataset",
    DEFAULTS["pretrain_dataset"],
    "Unlabelled dataset of pretraining, or a variant such as voxceleb_av/64_vox1. Or left_out: the speakers of the training "
    "folds that --train_speakers leaves out; their labels are not read.",
)
flags.DEFINE_string(
    "dataset",
    DEFAULTS["dataset"],
    "Labelled dataset: crema_d_av, ravdess_av, folder_av, or a variant such as ravdess_av/64_eight.",
)
flags.DEFINE_integer(
    "test_fold", DEFAULTS["test_fold"], "Held-out speaker fold for testing; the next fold is for validation."
)
flags.DEFINE_integer(
    "train_speakers",
    DEFAULTS["train_speakers"],
    "Low data: number of training speakers of the labelled corpus, 0 for all. --seed chooses them, with equal numbers of men "
    "and women; a smaller choice is a subset of a larger one. Validation and test folds stay complete.",
)
flags.DEFINE_float(
    "unlabelled_share",
    None,
    "Share of each calibration batch taken from --pretrain_dataset, without a condition, so that G and D do not forget what "
    f"they learnt in pretraining. {by_generator('unlabelled_share')} Without pretraining in the run, and in a study's "
    "moderate cases: 0.",
)
flags.DEFINE_bool(
    "balance_classes",
    DEFAULTS["balance_classes"],
    "Sample all emotions equally often in calibration and for the strong recogniser.",
)
flags.DEFINE_bool(
    "flip_faces",
    DEFAULTS["flip_faces"],
    "Mirror the training faces of G at random, with probability 0.5.",
)
flags.DEFINE_bool(
    "vary_faces",
    None,
    "Randomly shift the training faces of G and change their brightness and contrast, so that G does not memorise them. "
    f"{by_generator('vary_faces')}",
)
