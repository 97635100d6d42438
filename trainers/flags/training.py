"""The training of G, D and Q."""

from absl import flags

from emogan.config import PRECISIONS
from trainers.flags.networks import by_generator
from trainers.runs.config import DEFAULTS

flags.DEFINE_integer("pretrain_steps", DEFAULTS["pretrain_steps"], "Steps of pretraining.")
flags.DEFINE_integer("calibrate_steps", DEFAULTS["calibrate_steps"], "Steps of calibration.")
flags.DEFINE_integer("interval", DEFAULTS["interval"], "Steps between log lines, checkpoints and sample grids.")
flags.DEFINE_integer(
    "seed", DEFAULTS["seed"], "Seed of initial weights, data order, noise, augmentation and the choice of speakers."
)
flags.DEFINE_integer("batch_size", DEFAULTS["batch_size"], "Global batch size, over all devices.")
flags.DEFINE_integer(
    "accumulate",
    DEFAULTS["accumulate"],
    "Gradient accumulation: number of parts that a device's batch is split into, to save memory.",
)
flags.DEFINE_float("learning_rate", None, f"Adam learning rate of G, D and Q. {by_generator('learning_rate')}")
flags.DEFINE_float(
    "d_learning_rate", DEFAULTS["d_learning_rate"], "Separate learning rate of D (TTUR); 0 for the same one."
)
flags.DEFINE_float(
    "g_ema",
    None,
    f"Decay of the moving average of G's weights, which is then saved as G; 0 for none. {by_generator('g_ema')}",
)
flags.DEFINE_enum(
    "precision", DEFAULTS["precision"], PRECISIONS, "Precision of G, D and Q; mixed precision is for GPUs."
)
flags.DEFINE_bool("xla", DEFAULTS["xla"], "Compile the training step with XLA; slower on CPUs.")
