"""The method: the stages, and which weights each transfers from the one before."""

from absl import flags

from emogan.config import ABLATIONS, SELECTIONS
from emogan.path_flags import DEFINE_path
from trainers.runs.config import CONDITIONS, DEFAULTS, SCHEDULES, TRANSFERS

flags.DEFINE_enum(
    "schedule",
    DEFAULTS["schedule"],
    SCHEDULES,
    "Pretraining, then calibration (progressive); calibration from scratch (moderate); no GAN, only the recognisers of real "
    "data (none).",
)
flags.DEFINE_enum(
    "condition",
    DEFAULTS["condition"],
    CONDITIONS,
    "Condition of G and target of Q: the label, or (semi-supervised) the class probabilities that the classifier f_S predicts "
    "from G's input. f_S is trained first, on the training speakers, with cross-fitting: the predictions for a training clip "
    "come from networks that never saw its speaker.",
)
flags.DEFINE_float(
    "face_certainty",
    DEFAULTS["face_certainty"],
    "With --condition=face: the minimum probability at which the most likely emotion is used as the label; clips with a lower "
    "probability have no label. 0 uses the probabilities of f_S, as in the paper.",
)
flags.DEFINE_bool("use_classifier", DEFAULTS["use_classifier"], "Use Q in calibration.")
DEFINE_path(
    "pretrained",
    DEFAULTS["pretrained"],
    "Start calibration from the networks of another run instead of pretraining: the folder pretrain or calibrate of that run. "
    "Its classes may differ.",
)
flags.DEFINE_enum("transfer", DEFAULTS["transfer"], TRANSFERS, "Weights that calibration transfers from pretraining.")
flags.DEFINE_bool("freeze_encoder", DEFAULTS["freeze_encoder"], "Freeze G's transferred encoder in calibration.")
flags.DEFINE_enum(
    "select_weights",
    DEFAULTS["select_weights"],
    SELECTIONS,
    "Weights that a GAN stage hands on to the next: the last ones, or those of the best validation L1 distance, which favours "
    "blurred spectrograms.",
)
flags.DEFINE_enum(
    "ablation",
    DEFAULTS["ablation"],
    ABLATIONS,
    "Ablation of the GAN's inputs: other clips' faces, no face, or other clips' labels.",
)
