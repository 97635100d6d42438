"""The recognisers, and what is measured."""

from absl import flags

from trainers.run_config import REQUESTS

flags.DEFINE_integer("recognise_steps", 5_000, "Steps of each recogniser.")
flags.DEFINE_integer("recognise_batch_size", 32, "Examples per step of the recognisers.")
flags.DEFINE_float("recognise_learning_rate", 1e-3, "Adam's, of the recognisers.")
flags.DEFINE_float("generated_share", 0.5, "Share of generated examples in the augmented batches.")
flags.DEFINE_enum(
    "requests",
    "own",
    REQUESTS,
    "What the augmented recogniser gets from a training face: its own emotion, or all of them.",
)
flags.DEFINE_string(
    "inception",
    "",
    "FID, KID and IS on Inception's features too: the folder of its SavedModel, or its address at TF-Hub, "
    "https://tfhub.dev/tensorflow/tfgan/eval/inception/1.",
)
