r"""Generates spectrograms and audio from the face in a photograph.

python -m trainers.generate --model=demo/run/serving/emogan --face=photo.jpg --emotion=happy --output_dir=out
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.emotions import EMOTIONS
from emogan.path_flags import DEFINE_path

_MODEL = DEFINE_path("model", None, "Folder of an exported generator, or of its versions.", required=True)
_FACE = DEFINE_path("face", None, "A photograph with a face: any format that Pillow reads.", required=True)
_EMOTION = flags.DEFINE_list(
    "emotion",
    None,
    f"Emotions to generate, comma-separated, or all; most models know {', '.join(EMOTIONS)}.",
    required=True,
    allow_overwrite=False,
)
_DRAWS = flags.DEFINE_integer("draws", 1, "Samples for each emotion, each from other noise.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first sample's noise; later samples use the next numbers.")
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Output folder of the PNG and WAV files.", required=True)


def main(_: list[str]) -> None:
    """Writes <photo>_<digest>_face.png, and <photo>_<digest>_<emotion>_<seed>.png and .wav for each emotion and draw."""
    from emogan import generation

    samples = generation.load(_MODEL.value).generate(
        Path(_FACE.value), _EMOTION.value, draws=_DRAWS.value, seed=_SEED.value
    )
    for path in dict.fromkeys(path for sample in samples for path in sample.save(_OUTPUT_DIR.value)):
        print(path)


if __name__ == "__main__":
    command.run(main)
