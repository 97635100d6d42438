"""The losses: forms and weights for G, D and Q."""

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
    "Weight in G's loss of the L1 distance to a real example if the noise is the code (principal components) of that example. "
    f"{by_generator('lambda_code')}",
)
flags.DEFINE_float("lambda_q", None, f"Weight of Q's cross entropy in G's loss. {by_generator('lambda_q')}")
flags.DEFINE_float(
    "lambda_mismatch",
    None,
    "Weight in D's loss of real examples paired with another speaker's input; needs --d_sees_source, otherwise 0. "
    f"{by_generator('lambda_mismatch')}",
)
flags.DEFINE_float(
    "other_requests",
    None,
    "Share of labelled examples for which G generates a random emotion instead of their own; D does not see their input. "
    f"{by_generator('other_requests')}",
)
flags.DEFINE_float(
    "gradient_penalty", DEFAULTS["gradient_penalty"], "Weight of D's gradient penalty; for wasserstein only."
)
flags.DEFINE_float(
    "r1_gamma", None, f"Weight of R1, the penalty on D's gradient at real examples. {by_generator('r1_gamma')}"
)
flags.DEFINE_integer(
    "r1_interval",
    None,
    f"Apply R1 every n steps, with its weight multiplied by n. {by_generator('r1_interval')}",
)
flags.DEFINE_float(
    "label_smoothing",
    DEFAULTS["label_smoothing"],
    "One-sided label smoothing: D's label of real examples is 1 minus this.",
)
flags.DEFINE_float(
    "instance_noise",
    DEFAULTS["instance_noise"],
    "Initial standard deviation of Gaussian noise added to D's inputs; it falls to 0 during training.",
)
flags.DEFINE_bool(
    "diff_augment",
    None,
    f"Augment all of D's input spectrograms, real and generated (DiffAugment). {by_generator('diff_augment')}",
)
flags.DEFINE_bool("q_augment", None, f"Augment Q's input spectrograms in the same way. {by_generator('q_augment')}")
