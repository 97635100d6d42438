"""Generates a synthetic corpus of media files in the official layout of a real one, with adjustable emotion and speaker cues.

python -m datasets.synthetic --corpus=crema_d --output_dir=synthetic_crema_d --speakers=20
python -m datasets.synthetic --corpus=ravdess --output_dir=synthetic_ravdess --speakers=4 --zip --face_emotion=0

The same settings give the same corpus, byte for byte. If it is stopped, the same command resumes it.
"""

import dataclasses
import inspect
import re

from absl import flags

from datasets.synthetic.settings import FORMATS, Dials
from datasets.synthetic.writing import make_corpus
from emogan.command import run
from emogan.errors import UserError
from emogan.path_flags import DEFINE_path

_OUTPUT_DIR = DEFINE_path(
    "output_dir", None, "Folder of the corpus: new, empty, or written with the same settings.", required=True
)
_CORPUS = flags.DEFINE_enum("corpus", None, list(FORMATS), "Which corpus to imitate.", required=True)
_SPEAKERS = flags.DEFINE_integer(
    "speakers", None, "Number of speakers, spread over the folds of the corpus.", required=True
)
_CLIPS = flags.DEFINE_integer(
    "clips_per_speaker", None, "Clips of each speaker; by default 12 (VoxCeleb), 36 (CREMA-D) or 60 (RAVDESS)."
)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of all random choices.")
_WORKERS = flags.DEFINE_integer("workers", None, "Number of processes; by default one per available CPU.")
_FRAME_SIZE = flags.DEFINE_list(
    "frame_size", None, "Width,height of the frames, pixels; by default those of the corpus."
)
_SECONDS = flags.DEFINE_list("seconds", None, "Minimum,maximum clip length in seconds; by default those of the corpus.")
_ZIP = flags.DEFINE_bool("zip", False, "RAVDESS only: write zip archives, one per actor, instead of folders.")
_FRAME_LISTS = flags.DEFINE_bool("frame_lists", False, "VoxCeleb1 only: write each utterance's list of frames.")
_ABOUT_DIALS = dict(re.findall(r"(?ms)^    (\w+): how (.+?)(?=^    \w+:|\Z)", inspect.cleandoc(Dials.__doc__ or "")))
_DIALS = {
    field.name: flags.DEFINE_float(field.name, field.default, f"How {' '.join(_ABOUT_DIALS[field.name].split())}")
    for field in dataclasses.fields(Dials)
}


def _pair(name: str, values: list[str] | None, kind: type) -> tuple | None:
    if values is None:
        return None
    try:
        first, second = map(kind, values)
    except ValueError as error:
        raise UserError(f"--{name}={','.join(values)}: must be two numbers, as in --{name}=3,4") from error
    return first, second


def main(_: list[str]) -> None:
    """Generates the corpus that the flags describe."""
    make_corpus(
        _OUTPUT_DIR.value,
        _CORPUS.value,
        speakers=_SPEAKERS.value,
        clips_per_speaker=_CLIPS.value,
        seed=_SEED.value,
        dials=Dials(**{name: flag.value for name, flag in _DIALS.items()}),
        workers=_WORKERS.value,
        frame_size=_pair("frame_size", _FRAME_SIZE.value, int),
        seconds=_pair("seconds", _SECONDS.value, float),
        zipped=_ZIP.value,
        frame_lists=_FRAME_LISTS.value,
    )


if __name__ == "__main__":
    run(main)
