"""The losses of G, D and Q."""

from absl import flags

from emogan.config import ADVERSARIAL_FORMS
from trainers.flags.networks import by_generator
from trainers.runs.config import DEFAULTS

flags.DEFINE_enum(
    "adversarial",
    DEFAULTS["adversarial"],
    ADVERSARIAL_FORMS,
    "Adversarial loss of D and G; minimax is the paper's Eq. 3.",
)
flags.DEFINE_float("lambda_l1", None, f"Weight of the L1 distance in G's loss. {by_generator('lambda_l1')}")
flags.DEFINE_float(
    "lambda_code",
    None,
    "Weight of the L1 distance in G's loss where the noise is the code of the real picture. "
    f"{by_generator('lambda_code')}",
)
flags.DEFINE_float("lambda_q", None, f"Weight of Q's cross entropy in G's loss. {by_generator('lambda_q')}")
flags.DEFINE_float(
    "lambda_mismatch",
    None,
    "Weight in D's loss of real pictures beside another speaker's source; needs --d_sees_source, without which it is 0. "
    f"{by_generator('lambda_mismatch')}",
)
flags.DEFINE_float(
    "other_requests",
    None,
    "Share of labelled examples for whose draws G is asked for an emotion by lot, not their own; D does not see their source. "
    f"{by_generator('other_requests')}",
)
flags.DEFINE_float(
    "gradient_penalty", DEFAULTS["gradient_penalty"], "Weight of D's gradient penalty; of wasserstein only."
)
flags.DEFINE_float(
    "r1_gamma", None, f"Weight of R1, the penalty on D's gradient at real pictures. {by_generator('r1_gamma')}"
)
flags.DEFINE_integer(
    "r1_interval",
    None,
    f"Steps from one such penalty to the next, which weighs as much more. {by_generator('r1_interval')}",
)
flags.DEFINE_float(
    "label_smoothing", DEFAULTS["label_smoothing"], "By how much the label of real pictures is less than 1."
)
flags.DEFINE_float(
    "instance_noise",
    DEFAULTS["instance_noise"],
    "Deviation of the noise on all that D judges, at first; it fades to nothing.",
)
flags.DEFINE_bool(
    "diff_augment",
    None,
    f"Augment all spectrograms that D judges, real and generated (DiffAugment). {by_generator('diff_augment')}",
)
flags.DEFINE_bool("q_augment", None, f"Augment all spectrograms that Q sees likewise. {by_generator('q_augment')}")
