"""The recognisers, and what is measured."""

from absl import flags

from trainers.run_config import REQUESTS, RunConfig

flags.DEFINE_integer("recognise_steps", 5_000, "Steps of each recogniser.")
flags.DEFINE_integer("recognise_batch_size", 32, "Examples per step of the recognisers.")
flags.DEFINE_float("recognise_learning_rate", 1e-3, "Adam's, of the recognisers.")
flags.DEFINE_integer(
    "recognise_seeds", RunConfig.recognise_seeds, "Trainings of each recogniser, over which figures are averaged."
)
flags.DEFINE_float(
    "generated_share", RunConfig.generated_share, "Share of generated examples in the batches that have some."
)
flags.DEFINE_integer(
    "draws",
    RunConfig.draws,
    "How many are generated from each training face and emotion for the recognisers, by different noise.",
)
flags.DEFINE_enum(
    "requests",
    RunConfig.requests,
    REQUESTS,
    "What is generated from a training face: its own emotion, or all of them.",
)
flags.DEFINE_bool(
    "oracle",
    RunConfig.oracle,
    "Also train recognisers with real labelled clips of the speakers that --train_speakers leaves out, in the place of "
    "generated ones: what perfect generation would bring.",
)
flags.DEFINE_string(
    "inception",
    RunConfig.inception,
    "FID, KID and IS on Inception's features too: the folder of its SavedModel, or its address at TF-Hub, "
    "https://tfhub.dev/tensorflow/tfgan/eval/inception/1.",
)
