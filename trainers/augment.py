r"""Generates labelled spectrograms from the faces of a dataset, as NumPy, CSV, WAV and TFDS, for data augmentation.

python -m trainers.augment --model=demo/run/serving/emogan --dataset=crema_d_av/64 --data_dir=demo/tfds --test_fold=0 \
    --output_dir=generated

Files in --output_dir, for n generated spectrograms of S x S:
  spectrograms.npy   float32 [n, S, S, 1] in [-1, 1], rows from low to high frequency, columns in time
  items.csv          one line for each: item (its row), emotion, label, seed, and dataset, clip_id and speaker_id of its face
  wav/000000.wav     its audio (16-bit, mono)
  tfds               the same data for TFDS: tfds.load("generated_av/S", data_dir="generated/tfds", split="train")
  about.json         the request, the model and the licences
"""

from pathlib import Path

from absl import flags

from emogan import command
from emogan.path_flags import DEFINE_path

_MODEL = DEFINE_path("model", None, "Folder of an exported generator, or of its versions.", required=True)
_DATASET = flags.DEFINE_string("dataset", None, "A built dataset with faces, such as folder_av.", required=True)
_DATA_DIR = DEFINE_path("data_dir", None, "Folder of the built datasets.", required=True)
_TEST_FOLD = flags.DEFINE_integer(
    "test_fold",
    None,
    "Use only faces of this test fold's training speakers, so that speakers of the test and validation folds stay unseen; by "
    "default all faces.",
    lower_bound=0,
)
_EMOTIONS = flags.DEFINE_list(
    "emotions",
    [],
    "Emotions to generate from each face, comma-separated, or all; by default each clip's own label.",
    allow_overwrite=False,
)
_DRAWS = flags.DEFINE_integer("draws", 1, "Samples for each face and emotion, each from other noise.", lower_bound=1)
flags.DEFINE_alias("variants", "draws")  # its old name, for one release
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first sample's noise.")
_WAV = flags.DEFINE_bool("wav", True, "Also write audio, which takes most of the time.")
_OUTPUT_DIR = DEFINE_path("output_dir", None, "Output folder; it must not exist.", required=True)


def main(_: list[str]) -> None:
    """Generates the spectrograms, and prints their number and folder."""
    from datasets.corpus import open_corpus
    from emogan.serving.signatures import LocalModel
    from trainers.release.augment import Order, augment

    model = LocalModel(Path(_MODEL.value))
    corpus = open_corpus(_DATASET.value, Path(_DATA_DIR.value), str(model.settings.model.size))
    order = Order(
        test_fold=_TEST_FOLD.value,
        emotions=tuple(_EMOTIONS.value),
        draws=_DRAWS.value,
        seed=_SEED.value,
        wav=_WAV.value,
    )
    output_dir = Path(_OUTPUT_DIR.value)
    if order.test_fold is None:
        print("using the faces of all speakers; --test_fold excludes the validation and test speakers")
    count = augment(model, corpus, order, output_dir)
    print(f"{count:,} generated spectrograms in {output_dir}")


if __name__ == "__main__":
    command.run(main)
