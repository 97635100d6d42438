"""The data: datasets, and who of their speakers trains."""

from absl import flags

from trainers.flags.networks import by_generator
from trainers.runs.config import DEFAULTS

flags.DEFINE_string(
    "pretrain_dataset",
    DEFAULTS["pretrain_dataset"],
    "Unlabelled dataset of the first stage; of several variants for example voxceleb_av/64_vox1. Or left_out: the speakers of "
    "the training folds that --train_speakers leaves out, whose labels are then not read.",
)
flags.DEFINE_string(
    "dataset",
    DEFAULTS["dataset"],
    "Labelled dataset: crema_d_av, ravdess_av, folder_av, or a variant such as ravdess_av/64_eight.",
)
flags.DEFINE_integer(
    "test_fold", DEFAULTS["test_fold"], "Fold of speakers that is held out; the next one is for validation."
)
flags.DEFINE_integer(
    "train_speakers",
    DEFAULTS["train_speakers"],
    "Low data: number of speakers of the labelled corpus that are trained on, 0 for all. --seed chooses them, as many men as "
    "women; those of a smaller number are among those of a larger one. Validation and test stay whole.",
)
flags.DEFINE_float(
    "unlabelled_share",
    None,
    "Share of each batch of calibration that comes from --pretrain_dataset, without a condition, so that what pretraining "
    f"learnt is not forgotten. {by_generator('unlabelled_share')} Without pretraining in the run, and in a study's moderate "
    "cases: 0.",
)
flags.DEFINE_bool(
    "balance_classes",
    DEFAULTS["balance_classes"],
    "Draw all emotions equally often in calibration and by the strong recogniser.",
)
flags.DEFINE_bool(
    "flip_faces",
    DEFAULTS["flip_faces"],
    "Mirror half of the faces that G is trained on, by chance.",
)
flags.DEFINE_bool(
    "vary_faces",
    None,
    "Move the faces that G is trained on a little, and change their brightness and contrast, so that they are not learnt by "
    f"heart. {by_generator('vary_faces')}",
)
