"""The recognisers, and what is measured."""

from absl import flags

from emogan.path_flags import DEFINE_path
from trainers.runs.config import DEFAULTS, DRAWN_FROM, REQUESTS, TARGETS

flags.DEFINE_integer("recognise_steps", DEFAULTS["recognise_steps"], "Steps of each recogniser.")
flags.DEFINE_integer("recognise_batch_size", DEFAULTS["recognise_batch_size"], "Examples per step of the recognisers.")
flags.DEFINE_float("recognise_learning_rate", DEFAULTS["recognise_learning_rate"], "Adam's, of the recognisers.")
flags.DEFINE_integer(
    "recognise_seeds", DEFAULTS["recognise_seeds"], "Trainings of each recogniser, over which figures are averaged."
)
flags.DEFINE_float(
    "generated_share", DEFAULTS["generated_share"], "Share of generated examples in the batches that have some."
)
flags.DEFINE_integer(
    "draws",
    DEFAULTS["draws"],
    "How many are generated from each training face and emotion for the recognisers, by different noise.",
)
flags.DEFINE_enum(
    "requests",
    DEFAULTS["requests"],
    REQUESTS,
    "What emotions are generated from a face: its own (of an unlabelled clip what f_S reads in it), all, or one by lot for "
    "each draw.",
)
flags.DEFINE_enum(
    "draw_from",
    DEFAULTS["draw_from"],
    DRAWN_FROM,
    "Whose faces are used for that: the training speakers', or those of the unlabelled clips.",
)
flags.DEFINE_bool(
    "revoice",
    DEFAULTS["revoice"],
    "Generate from a clip's code instead of noise, the same clip in each emotion; needs --requests=all and --lambda_code.",
)
flags.DEFINE_bool(
    "generated_alone",
    DEFAULTS["generated_alone"],
    "Also train a recogniser on generated examples alone, which tells how much of real speech they have.",
)
flags.DEFINE_float(
    "generated_weight",
    DEFAULTS["generated_weight"],
    "Weight of a generated example in the loss; that of a real one is 1.",
)
flags.DEFINE_float(
    "generated_until",
    DEFAULTS["generated_until"],
    "Share of the updates after which recognisers see real examples alone.",
)
flags.DEFINE_enum(
    "generated_targets",
    DEFAULTS["generated_targets"],
    TARGETS,
    "What is learnt of a generated example: the emotion asked for, or the probabilities that recognisers read in it that do "
    "not know its speaker.",
)
flags.DEFINE_bool(
    "generated_filter",
    DEFAULTS["generated_filter"],
    "Leave out generated examples in which such recognisers do not find the emotion asked for.",
)
flags.DEFINE_bool(
    "oracle",
    DEFAULTS["oracle"],
    "Also train recognisers with real labelled clips of the speakers that --train_speakers leaves out, in the place of "
    "generated ones: what perfect generation would bring.",
)
DEFINE_path(
    "inception",
    DEFAULTS["inception"],
    "FID, KID and IS on Inception's features too: the folder of its SavedModel, or its address at TF-Hub, "
    "https://tfhub.dev/tensorflow/tfgan/eval/inception/1.",
)
