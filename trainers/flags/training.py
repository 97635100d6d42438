"""The training of G, D and Q."""

from absl import flags

from emogan.config import PRECISIONS
from trainers.flags.networks import by_generator
from trainers.runs.config import DEFAULTS

flags.DEFINE_integer("pretrain_steps", DEFAULTS["pretrain_steps"], "Steps of the first stage.")
flags.DEFINE_integer("calibrate_steps", DEFAULTS["calibrate_steps"], "Steps of the second stage.")
flags.DEFINE_integer("interval", DEFAULTS["interval"], "Steps between log lines, checkpoints and sample pictures.")
flags.DEFINE_integer(
    "seed", DEFAULTS["seed"], "Seed of weights, order, noise, augmentation and the choice of speakers."
)
flags.DEFINE_integer("batch_size", DEFAULTS["batch_size"], "Examples per step, over all devices together.")
flags.DEFINE_integer(
    "accumulate",
    DEFAULTS["accumulate"],
    "Parts of a device's batch that are worked on one after the other, where memory is short.",
)
flags.DEFINE_float("learning_rate", None, f"Adam's, of G, D and Q. {by_generator('learning_rate')}")
flags.DEFINE_float("d_learning_rate", DEFAULTS["d_learning_rate"], "D's where it is another one (TTUR); 0: the same.")
flags.DEFINE_float(
    "g_ema",
    None,
    f"Decay of the moving average of G's weights, which is then what is kept; 0 for none. {by_generator('g_ema')}",
)
flags.DEFINE_enum("precision", DEFAULTS["precision"], PRECISIONS, "What G, D and Q compute with; half is for GPUs.")
flags.DEFINE_bool("xla", DEFAULTS["xla"], "Compile the training step by XLA; on CPUs that is slower.")
