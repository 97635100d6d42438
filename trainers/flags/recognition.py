"""The recognisers, and how generated examples are used."""

from absl import flags

from emogan.path_flags import DEFINE_path
from trainers.runs.config import DEFAULTS, DRAWN_FROM, REQUESTS, TARGETS

flags.DEFINE_integer("recognise_steps", DEFAULTS["recognise_steps"], "Training steps of each recogniser.")
flags.DEFINE_integer("recognise_batch_size", DEFAULTS["recognise_batch_size"], "Batch size of the recognisers.")
flags.DEFINE_float(
    "recognise_learning_rate", DEFAULTS["recognise_learning_rate"], "Adam learning rate of the recognisers."
)
flags.DEFINE_integer(
    "recognise_seeds",
    DEFAULTS["recognise_seeds"],
    "How many times each recogniser is trained, with different seeds; metrics are averaged over these.",
)
flags.DEFINE_float(
    "generated_share",
    DEFAULTS["generated_share"],
    "Share of generated examples in the batches that mix real and generated ones.",
)
flags.DEFINE_integer(
    "draws",
    DEFAULTS["draws"],
    "Number of examples generated for the recognisers from each training face and emotion, each from other noise.",
)
flags.DEFINE_enum(
    "requests",
    DEFAULTS["requests"],
    REQUESTS,
    "Emotions to generate from a face: its own (for an unlabelled clip, the prediction of f_S), all, or a random one for each "
    "sample (lot).",
)
flags.DEFINE_enum(
    "draw_from",
    DEFAULTS["draw_from"],
    DRAWN_FROM,
    "Faces to generate from: those of the training speakers, or those of the unlabelled clips.",
)
flags.DEFINE_bool(
    "revoice",
    DEFAULTS["revoice"],
    "Voice conversion: generate each emotion from a clip's code instead of noise; needs --requests=all and --lambda_code.",
)
flags.DEFINE_bool(
    "generated_alone",
    DEFAULTS["generated_alone"],
    "Also train a recogniser on generated examples alone, to measure how well they replace real speech.",
)
flags.DEFINE_float(
    "generated_weight",
    DEFAULTS["generated_weight"],
    "Loss weight of a generated example; that of a real one is 1.",
)
flags.DEFINE_float(
    "generated_until",
    DEFAULTS["generated_until"],
    "Share of the updates after which recognisers train on real examples alone.",
)
flags.DEFINE_enum(
    "generated_targets",
    DEFAULTS["generated_targets"],
    TARGETS,
    "Target of a generated example: the requested emotion, or the probabilities predicted by recognisers that never saw its "
    "speaker.",
)
flags.DEFINE_bool(
    "generated_filter",
    DEFAULTS["generated_filter"],
    "Discard generated examples for which recognisers that never saw the speaker do not predict the requested emotion.",
)
flags.DEFINE_bool(
    "oracle",
    DEFAULTS["oracle"],
    "Also train recognisers with real labelled clips of the speakers that --train_speakers leaves out, instead of generated "
    "ones: an upper bound for the gain by generated ones.",
)
DEFINE_path(
    "inception",
    DEFAULTS["inception"],
    "Also compute FID, KID and IS on Inception features: the folder of its SavedModel, or its TF-Hub address, "
    "https://tfhub.dev/tensorflow/tfgan/eval/inception/1.",
)
