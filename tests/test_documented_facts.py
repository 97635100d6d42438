"""Limits, defaults, shapes and names in the documents' tables are those of the code. Sentences are not tested."""

import dataclasses
import inspect
import re

import pytest
import tensorflow as tf
from documents import CODE, PAGES, ROOT

import datasets
from datasets import distributed, files, media, workers
from datasets.builder import MAX_REJECTS
from datasets.corpus import CACHE_BYTES
from datasets.streams import SHUFFLE_EXAMPLES
from emogan import config, networks, speech
from emogan.config import PRESETS, SPECTROGRAMS, LossConfig, MediaConfig
from emogan.emotions import EMOTIONS
from emogan.media import audio_streams
from emogan.metrics.intervals import MIN_SPEAKERS
from emogan.serving import signatures
from trainers.runs import checkpoints
from trainers.runs.config import DEFAULTS, RunConfig
from trainers.stages import gan
from trainers.study.cases import CASES, GROUPS

SETTINGS = signatures.ServedSettings(
    media=MediaConfig.of_size(64), model=PRESETS["tiny"], class_names=list(EMOTIONS), dataset="", synthetic=True,
    licences={},
)  # fmt: skip


def limits_table() -> str:
    """The table of docs/limits.md."""
    spectrogram, face, loss = SPECTROGRAMS[64], MediaConfig.of_size(64).face, LossConfig()
    bands = [str(one.mel_bands) for one in SPECTROGRAMS.values() if one.mel_bands]
    (linear,) = (size for size, one in SPECTROGRAMS.items() if not one.mel_bands)
    rows = {
        "size of a media file": f"at most {files.MAX_FILE_BYTES >> 20} MiB",
        "size of a video frame": f"at most {media.MAX_FRAME_PIXELS // 10**6} million pixels",
        "duration of a clip's audio": f"at most {audio_streams.MAX_AUDIO_SECONDS / 60:.0f} minutes",
        "processing time of a clip": f"at most {workers.MAX_ITEM_SECONDS / 60:.0f} minutes",
        "time without a finished clip in a build with Apache Beam": f"at most {distributed.SILENCE_SECONDS / 60:.0f} minutes",
        "rejected clips of a dataset (`--max_rejects`)": f"at most {MAX_REJECTS:.0%}",
        "width of a face in its frame (`--min_face_width`)": f"at least {face.min_width:g} pixels",
        "frames searched for a face": f"the middle one, {face.search_frames} before and {face.search_frames} after it",
        "spectrogram": f"{spectrogram.clip_samples / spectrogram.sample_rate:g} s at {spectrogram.sample_rate:,} Hz, "
        f"{spectrogram.floor_db:g} to {spectrogram.ceiling_db:g} dB against a full-scale sine",
        "frequency rows of a spectrogram": f"{' or '.join(bands)} mel bands, or {linear} linear bins",
        "dataset decoded into memory": f"up to {CACHE_BYTES >> 30} GiB",
        "shuffle buffer of larger datasets": f"{SHUFFLE_EXAMPLES:,} examples",
        "validation examples of G": f"at most {gan.VALIDATION_EXAMPLES:,}",
        "checkpoints of a stage": f"the {checkpoints.LAST_KEPT} newest and the best",
        "weights of L1 and Q in the U-Net's loss (`--lambda_l1`, `--lambda_q`)": f"{loss.lambda_l1:g} and {loss.lambda_q:g}",
        "share of generated examples in a batch (`--generated_share`)": f"{DEFAULTS['generated_share']:.0%}",
        "samples for each face and emotion (`--draws`)": f"{DEFAULTS['draws']}",
        "trainings of each recogniser (`--recognise_seeds`)": f"{DEFAULTS['recognise_seeds']}",
        "speakers for a 95% interval": f"at least {MIN_SPEAKERS}",
        "duration of a recording to recognise": f"at most {speech.MAX_SECONDS / 3600:.0f} hours",
        "image sent to a served model": f"at most {signatures.MAX_BYTES >> 20} MiB and "
        f"{signatures.MAX_PIXELS >> 20} million pixels",
    }
    lines = ["| what | limit or default |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows.items())]
    return "\n".join(lines)


def test_limits_and_defaults_are_those_of_the_code():
    assert limits_table() in PAGES["docs/limits.md"]


def test_the_signatures_of_a_served_model_are_those_of_its_page():
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \| (.+) \|$", PAGES["SERVING.md"])
    assert {name for name, _, _ in rows} == set(signatures.OUTPUTS)
    for name, inputs, outputs in rows:
        taken = list(inspect.signature(getattr(signatures.ServedModel, name)).parameters)[1:]
        assert inputs == "as `serving_default`" or re.findall(r"`(\w+)`", inputs) == taken
        assert outputs == "the same" or re.findall(r"`(\w+)`", outputs) == list(signatures.OUTPUTS[name])


def test_the_shapes_of_a_served_model_are_those_of_its_page():
    made = networks.build_generator(SETTINGS.model), networks.build_classifier(SETTINGS.model)
    served = signatures.ServedModel(*made, SETTINGS).signatures()
    specs = [spec for signature in served.values() for spec in signature.input_signature]
    assert {spec.shape[0] for spec in specs} == {None}
    words = {64: "S", PRESETS["tiny"].noise_dim: "noise_dim", len(EMOTIONS): "classes"}
    shapes = {
        spec.name: [words.get(side, str(side)) for side in spec.shape[1:]] for spec in specs if len(spec.shape) > 1
    }
    table = re.search(r"\| signature \|(?:.+\n)+", PAGES["SERVING.md"])[0]
    assert set(re.findall(r"`(\w+)` \[(.+?)\]", table)) == {(name, ", ".join(shape)) for name, shape in shapes.items()}
    assert set(re.findall(r"`(\w+)` \(int64", table)) == {spec.name for spec in specs if spec.dtype == tf.int64}


def test_settings_are_frozen():
    found = [one for one in vars(config).values() if dataclasses.is_dataclass(one)]
    assert len(found) > 6
    assert all(one.__dataclass_params__.frozen for one in (*found, RunConfig))


def test_the_store_of_decoded_clips_has_the_path_of_the_model_card(tmp_path):
    store = datasets.BUILDERS["folder_av"](data_dir=tmp_path, config="64").store_dir
    assert f"`{store.relative_to(tmp_path)}/`" in PAGES["MODEL_CARD.md"]


def test_the_groups_of_cases_are_all_in_the_table_of_studies():
    table = re.search(r"\| group \|(?:.+\n)+", PAGES["docs/studies.md"])[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == list(GROUPS)


def test_the_map_of_the_code_has_every_module_in_its_folder():
    table = re.search(r"\| folder \|(?:.+\n)+", PAGES["BUILD.md"])[0]
    rows = {
        folder: set(re.findall(r"`(\w+)`", text)) for folder, text in re.findall(r"(?m)^\| `(.+?)/` \| (.+) \|$", table)
    }
    for path in (path.relative_to(ROOT) for path in CODE):
        folder = re.sub(r"datasets/\w+_av$", "datasets/<corpus>_av", path.parent.as_posix())
        if not re.search(r"__|_dataset_builder|trainers/flags", path.as_posix()):
            assert path.stem in rows[folder], path


def test_the_rows_of_table_1_are_cases():
    table = re.search(r"\| case \| CREMA-D-like .+\n(?:.+\n)+", PAGES["docs/results.md"])[0]
    rows = re.findall(r"(?m)^\| ([^|]+?) \|", table)[1:]
    assert {row for row in rows if "without Q" not in row} <= {case.title for case in CASES.values()}


@pytest.mark.parametrize("key", ["doi", "title"])
def test_the_paper_is_cited_alike_everywhere(key):
    (paper,) = re.findall(rf"(?m)^    {key}: (.+)$", (ROOT / "CITATION.cff").read_text())
    cited = re.search(r"```bibtex\n(.*?)```", PAGES["README.md"], re.S)[1].replace("{", "").replace("}", "")
    assert paper in cited
