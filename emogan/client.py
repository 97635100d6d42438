r"""Client for TensorFlow Serving: generates speech from the face in a photograph, or recognises emotion in speech.

python -m emogan.client --server=http://localhost:8501 --face=photo.jpg --emotion=happy --output_dir=out
python -m emogan.client --server=grpc://localhost:8500 --face=photo.jpg --emotion=happy --output_dir=out
python -m emogan.client --server=http://localhost:8501 --recognise=speech.wav
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.errors import UserError
from emogan.path_flags import DEFINE_path

_SERVER = flags.DEFINE_string(
    "server",
    None,
    "http://host:8501 or https://host for REST, or grpc://host:8500 for gRPC; proxies are not used.",
    required=True,
)
_MODEL = flags.DEFINE_string("model", "emogan", "Name of the model on the server.")
_VERSION = flags.DEFINE_integer("version", None, "Version of the model; by default the newest.", lower_bound=1)
_TIMEOUT = flags.DEFINE_float(
    "timeout", 30.0, "Time limit of a request in seconds, including retries.", lower_bound=0.1
)
_FACE = DEFINE_path("face", None, "A photograph with a face: any format that Pillow reads.")
_EMOTION = flags.DEFINE_list(
    "emotion",
    None,
    "Emotions to generate, comma-separated, or all those of the model.",
    allow_overwrite=False,
)
_DRAWS = flags.DEFINE_integer("draws", 1, "Samples for each emotion, each from other noise.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first sample's noise; later samples use the next numbers.")
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Output folder of the PNG and WAV files.")
_RECOGNISE = DEFINE_path(
    "recognise", None, "Instead of --face: an audio or video file, or a folder of them, to recognise the emotion of."
)


def main(_: list[str]) -> None:
    """Writes <photo>_<digest>_face.png, and <photo>_<digest>_<emotion>_<seed>.png and .wav for each emotion and sample; or
    prints the probability of each emotion in a recording.
    """
    missing = [f"--{flag.name}" for flag in (_FACE, _EMOTION, _OUTPUT_DIR) if not flag.value]
    if len(missing) < 3 if _RECOGNISE.value else missing:
        raise UserError("give either all of --face, --emotion and --output_dir, or --recognise alone")
    from emogan.generation import Generator
    from emogan.recogniser import Recogniser, files_of
    from emogan.serving.connections import connect

    connection = connect(_SERVER.value, _MODEL.value, _VERSION.value, _TIMEOUT.value)
    if _RECOGNISE.value:
        recogniser = Recogniser(connection)
        print(recogniser.probabilities(files_of(_RECOGNISE.value)).to_string(float_format="{:.2f}".format))
        print(recogniser.about())
        return
    samples = Generator(connection).generate(Path(_FACE.value), _EMOTION.value, draws=_DRAWS.value, seed=_SEED.value)
    for path in dict.fromkeys(path for sample in samples for path in sample.save(_OUTPUT_DIR.value)):
        print(path)


if __name__ == "__main__":
    command.run(main)
