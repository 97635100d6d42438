"""Settings of GAN training: LossConfig, TrainConfig (also for recognisers), and the choices for each setting."""

import dataclasses

from emogan.errors import check

ADVERSARIAL_FORMS = ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein")
"""Adversarial losses of D and G; see `emogan.losses.adversarial_losses` for the formulas."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Forms and weights of the losses, and augmentation of D's and Q's inputs.

    Attributes:
        adversarial: one of `ADVERSARIAL_FORMS`. `minimax` is the paper's Eq. 3; the default is our choice.
        lambda_l1: weight of |y - y'| in G's loss (paper, Eq. 4; the weight is our choice, after Isola et al. 2017).
        lambda_code: weight of |y - G(x | c, E(y))| in G's loss: the L1 distance if the noise is the real image's code, see
            `emogan.codes` (as the cVAE-GAN part of BicycleGAN, Zhu et al. 2017b, with a code that is not learned).
        lambda_q: weight of Q's cross entropy in G's loss; no effect without Q.
        lambda_mismatch: weight, in D's loss, of the adversarial loss with real images and another speaker's source in place
            of generated images (GAN-CLS, Reed et al. 2016); only if D sees the source.
        other_requests: share of labelled examples for which G generates a random emotion instead of the example's own; D
            then does not see the source. Our choice: a face shows the emotion of its clip, so that otherwise G would never
            be trained on other emotions.
        gradient_penalty: weight of the penalty that keeps the norm of D's gradient near 1; only for `wasserstein`.
        r1_gamma: weight gamma of the penalty on D's gradient at real images; 0 for none.
        r1_interval: steps between two such penalties, whose weight is multiplied by it (Karras et al. 2020).
        label_smoothing: s; the label of real images is 1 - s. No effect on `hinge` and `wasserstein`.
        instance_noise: standard deviation of the Gaussian noise on D's image inputs at the first step; decays linearly to 0
            at the last step (Sonderby et al. 2017).
        diff_augment: whether D's image inputs are augmented, see `emogan.perturbation` (Zhao et al. 2020).
        q_augment: whether Q's inputs are augmented in the same way in training.
    """

    adversarial: str = "non_saturating"
    lambda_l1: float = 100.0
    lambda_code: float = 0.0
    lambda_q: float = 1.0
    lambda_mismatch: float = 0.0
    other_requests: float = 0.0
    gradient_penalty: float = 10.0
    r1_gamma: float = 0.0
    r1_interval: int = 1
    label_smoothing: float = 0.0
    instance_noise: float = 0.0
    diff_augment: bool = False
    q_augment: bool = False

    def __post_init__(self) -> None:
        check(
            self.adversarial in ADVERSARIAL_FORMS,
            f"adversarial is {self.adversarial!r}; it must be one of {', '.join(ADVERSARIAL_FORMS)}",
        )
        check(self.r1_interval > 0, f"r1_interval is {self.r1_interval}; it must be positive")
        weights = ("lambda_l1", "lambda_code", "lambda_q", "lambda_mismatch", "gradient_penalty", "r1_gamma")
        for name in (*weights, "instance_noise"):
            check(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; it must not be negative")
        check(0 <= self.other_requests <= 1, f"other_requests is {self.other_requests}; it must be in [0, 1]")
        check(
            0 <= self.label_smoothing < 0.5,
            f"label_smoothing is {self.label_smoothing}; it must be in [0, 0.5), or real images would count as generated",
        )


SELECTIONS = ("last", "best")
"""Weights that a training returns: the last ones, or those with the best validation metric."""
ABLATIONS = ("none", "shuffled_faces", "no_face", "shuffled_labels")
"""Changes of a GAN's training data, to measure the contribution of faces and labels."""


PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
"""Keras's precision policies; half precision is for GPUs and TPUs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the training of a GAN stage or of a recogniser.

    Attributes:
        steps: number of updates; of D, Q and G simultaneously.
        batch_size: global batch size: examples per step, over all replicas.
        learning_rate: Adam's learning rate.
        d_learning_rate: a separate learning rate for D (Heusel et al. 2017); 0 for the same.
        beta_1: Adam's decay of the first moment.
        seed: seed of the initial weights, the order of examples and the noise.
        interval: steps between log lines, checkpoints and sample images.
        accumulate: number of sequential parts of a replica's batch, to save memory.
        g_ema: decay of the moving average of G's weights, which is then saved in their place; 0 for none.
        precision: one of `PRECISIONS`; weights and losses are always float32.
        xla: whether the step is compiled by XLA; slower on CPUs.
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 2e-4
    d_learning_rate: float = 0.0
    beta_1: float = 0.5
    seed: int = 1
    interval: int = 500
    accumulate: int = 1
    g_ema: float = 0.0
    precision: str = "float32"
    xla: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "interval", "accumulate"):
            check(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be positive")
        check(
            self.steps % self.interval == 0,
            f"steps is {self.steps}; it must be a multiple of the interval {self.interval}",
        )
        check(0 <= self.seed < 2**32, f"seed is {self.seed}; it must be between 0 and {2**32 - 1:,}")
        check(self.learning_rate > 0, f"learning_rate is {self.learning_rate}; it must be positive")
        check(self.d_learning_rate >= 0, f"d_learning_rate is {self.d_learning_rate}; it must not be negative")
        for name in ("beta_1", "g_ema"):
            check(0 <= getattr(self, name) < 1, f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        check(
            self.batch_size % self.accumulate == 0,
            f"batch_size is {self.batch_size}; it must be a multiple of accumulate, {self.accumulate}",
        )
        check(
            self.precision in PRECISIONS, f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}"
        )
