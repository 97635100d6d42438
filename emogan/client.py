r"""A spectrogram and its sound from the face in a photograph, by a model that TensorFlow Serving runs elsewhere.

python -m emogan.client --server=http://localhost:8501 --face=photo.jpg --emotion=happy --output_dir=out
python -m emogan.client --server=grpc://localhost:8500 --face=photo.jpg --emotion=happy --output_dir=out
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.path_flags import DEFINE_path

_SERVER = flags.DEFINE_string(
    "server",
    None,
    "http://host:8501 or https://host for REST, or grpc://host:8500 for gRPC; never by a proxy.",
    required=True,
)
_MODEL = flags.DEFINE_string("model", "emogan", "What the server calls the model.")
_VERSION = flags.DEFINE_integer("version", 0, "The model's version; without it the newest.", lower_bound=0)
_TIMEOUT = flags.DEFINE_float("timeout", 30.0, "Seconds that an answer may take, with all retries.", lower_bound=0.1)
_FACE = DEFINE_path("face", None, "A photograph with a face: any format that Pillow reads.", required=True)
_EMOTION = flags.DEFINE_list(
    "emotion",
    None,
    "What to ask for, one or several with commas between them, or all; the model knows which there are.",
    required=True,
    allow_overwrite=False,
)
_DRAWS = flags.DEFINE_integer("draws", 1, "How many of each emotion, by different noise.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first draw's noise; the next draws have the next numbers.")
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Where the PNGs and the WAV are written.", required=True)


def main(_: list[str]) -> None:
    """Writes <photo>_<digest>_face.png, and <photo>_<digest>_<emotion>_<seed>.png and .wav for each emotion and draw."""
    from emogan.connections import connect
    from emogan.photos import generate

    connection = connect(_SERVER.value, _MODEL.value, _VERSION.value, _TIMEOUT.value)
    asked = Path(_FACE.value), _EMOTION.value, _SEED.value, Path(_OUTPUT_DIR.value)
    for path in generate(connection, *asked, draws=_DRAWS.value):
        print(path)


if __name__ == "__main__":
    command.run(main)
