"""The method: which stages there are, and what each takes over from the one before."""

from absl import flags

from emogan.config import CONTROLS, SELECTIONS
from emogan.path_flags import DEFINE_path
from trainers.runs.config import CONDITIONS, DEFAULTS, SCHEDULES, TAKEN_OVER

flags.DEFINE_enum(
    "schedule",
    DEFAULTS["schedule"],
    SCHEDULES,
    "Pretraining then calibration; calibration from scratch (moderate); or no GAN, but the recognisers of real data alone.",
)
flags.DEFINE_enum(
    "condition",
    DEFAULTS["condition"],
    CONDITIONS,
    "Condition of G and target of Q: the label, or (semi-supervised) the probabilities that f_S reads in what G sees. f_S is "
    "trained first, on training speakers; training clips are read by networks that never saw their speaker.",
)
flags.DEFINE_float(
    "face_certainty",
    DEFAULTS["face_certainty"],
    "Of --condition=face: the probability from which the likeliest emotion counts as if it were the label; clips of which f_S "
    "is less sure have none. 0 for its probabilities, as the paper has it.",
)
flags.DEFINE_bool("use_classifier", DEFAULTS["use_classifier"], "Whether Q takes part in calibration.")
DEFINE_path(
    "pretrained",
    DEFAULTS["pretrained"],
    "Begin calibration from the networks of another run instead of pretraining: give its folder's pretrain or calibrate. Its "
    "classes may be others.",
)
flags.DEFINE_enum("take_over", DEFAULTS["take_over"], TAKEN_OVER, "What calibration takes over from pretraining.")
flags.DEFINE_bool(
    "freeze_encoder", DEFAULTS["freeze_encoder"], "Leave G's way down in calibration as it was taken over."
)
flags.DEFINE_enum(
    "keep",
    DEFAULTS["keep"],
    SELECTIONS,
    "Weights that a GAN stage hands on: the last ones, or those of the best validation L1 distance, which prefers a blur.",
)
flags.DEFINE_enum(
    "control",
    DEFAULTS["control"],
    CONTROLS,
    "A GAN without a part of what it needs: with other clips' faces, no face, or other clips' labels.",
)
