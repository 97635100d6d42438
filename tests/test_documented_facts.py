"""What the documents state of the code is so: shapes, units, defaults, limits and names."""

import dataclasses
import inspect
import operator
import re
from collections.abc import Iterable

import model_server
import pytest
import tensorflow as tf
import yaml
from documents import CODE, MAKEFILE, PAGES, ROOT, SETUP

import datasets
from datasets import files, media, sounds, workers
from datasets.builder import MAX_REJECTS
from datasets.corpus import CACHE_BYTES
from datasets.folds import FOLDS
from datasets.streams import SHUFFLE_EXAMPLES
from datasets.synthetic import Dials
from datasets.synthetic.corpora import speaker_ids, voxceleb_part
from datasets.synthetic.phones import CREMA_D_SENTENCES, RAVDESS_STATEMENTS
from datasets.voxceleb_av import voxceleb1
from datasets.voxceleb_av import voxceleb_av_dataset_builder as voxceleb
from emogan import config, connections, faces, networks, serving
from emogan.config import (
    BARE,
    PRECISIONS,
    PRESETS,
    SIZES,
    SPECTROGRAMS,
    STRONG,
    FaceConfig,
    LossConfig,
    MediaConfig,
    TrainConfig,
)  # fmt: skip
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.metrics.intervals import MIN_SPEAKERS
from trainers import checkpoints, classifying, server_files, stages, training
from trainers.recognisers import RECOGNISERS
from trainers.run_config import RunConfig
from trainers.study import running, tables
from trainers.study.cases import CASES


def flagfile(name: str) -> dict[str, str]:
    text = (ROOT / "trainers" / "configs" / f"{name}.flags").read_text()
    return dict(re.findall(r"(?m)^--(\w+)=?(.*)$", text))


def made(line: str) -> tuple[int, int]:
    """Speakers, and clips of each, of the synthetic corpus that a line of the Makefile makes."""
    speakers, clips = re.search(rf"{line}.* --speakers=(\d+) --clips_per_speaker=(\d+)", MAKEFILE).groups()
    return int(speakers), int(clips)


def held_out(corpus: str, speakers: int, folds: str) -> int:
    """How many of the first speakers of a synthetic corpus are in these folds."""
    official = FOLDS[f"{corpus}_av"]
    return sum(speaker in official[int(fold)] for fold in folds.split(",") for speaker in speaker_ids(corpus, speakers))


def required(name: str, parts: int = 2) -> str:
    """The lowest version of a package that setup.py takes."""
    return ".".join(re.search(rf'"{name}[>=]=([\d.]+)', SETUP)[1].split(".")[:parts])


def titles(group: str) -> list[str]:
    return [case.title for case in CASES.values() if case.group == group]


def joined(words: Iterable[object]) -> str:
    """Each once, with `and` before the last."""
    *first, last = dict.fromkeys(map(str, words))
    return f"{', '.join(first)} and {last}"


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
PYTHON, LICENCE = (re.search(words, SETUP)[1] for words in (r'python_requires=">=([\d.]+),', 'license="(.+)"'))
REFERENCE = (ROOT / "docs" / yaml.safe_load((ROOT / "docs" / "site.yml").read_text())["site_dir"]).resolve()
MARKER = re.search(r'markers = \["(\w+):', (ROOT / "pyproject.toml").read_text())[1]
NOTEBOOKS = list((ROOT / "notebooks").glob("*.ipynb"))

STAGE = TrainConfig(steps=100)
RUN = RunConfig(
    pretrain_dataset="voxceleb_av", dataset="crema_d_av", test_fold=0, condition="face", model=PRESETS["tiny"],
    loss=LossConfig(), pretrain=STAGE, calibrate=STAGE, recognise=STAGE,
)  # fmt: skip
RUN_SETTINGS = f"{RunConfig.__module__.replace('.', '/')}.py"
FIRST, SECOND, THIRD, *_, EVALUATION, LAST = stages.stages_of(RUN)
BEST_GAN, BEST_CLASSIFIER = (re.search(r'best_by="(\w+)"', inspect.getsource(one))[1] for one in (stages, classifying))
FLAG_FOLDERS = {  # of modules that define flags and are no commands
    path.parent.relative_to(ROOT).as_posix()
    for path, code in CODE.items()
    if re.search(r"flags\.DEFINE_(?!flag)", code) and '__name__ == "__main__"' not in code
}

SOUND, FACE, LOSS = SPECTROGRAMS[64], FaceConfig(size=64), RUN.loss
MEDIA = MediaConfig.of_size(64).face
SECONDS = f"{SOUND.clip_samples / SOUND.sample_rate:g} s"
BANDS = joined(sound.mel_bands for sound in SPECTROGRAMS.values() if sound.mel_bands)
(LINEAR,) = (size for size, sound in SPECTROGRAMS.items() if not sound.mel_bands)
PARAMETERS = re.findall(r"\d+,\d+,\d+", re.search(r"\| `paper unet` .+", PAGES["MODEL_CARD.md"])[0])
VARIANTS = {name: [one.variant for one in builder.BUILDER_CONFIGS] for name, builder in datasets.BUILDERS.items()}
ACTORS = {name: sum(map(len, folds)) for name, folds in FOLDS.items()}
OF_KNOWN_AGE = [name for name, builder in datasets.BUILDERS.items() if "actor_age" in builder.FEATURES]

DEMO, TABLE_1, PLANTED = (flagfile(name) for name in ("demo", "table1_demo", "table1_planted"))
(PAIRED, PAIRED_CLIPS), (LABELLED, LABELLED_CLIPS) = made("SIZE_voxceleb2"), made("SIZE_crema_d")
DEMO_SIZE, DEMO_SPEAKERS = PRESETS[DEMO["preset"]].size, held_out("crema_d", LABELLED, DEMO["test_fold"])
STUDY_FOLDS, STUDY_SEEDS = (len(TABLE_1[name].split(",")) for name in ("folds", "seeds"))
TESTED = [held_out(name, made(f"SIZE_{name}")[0], TABLE_1["folds"]) for name in ("crema_d", "ravdess")]
(MANY, FEW_CLIPS), (PLANTED_SPEAKERS, PLANTED_CLIPS) = made("corpus=voxceleb2"), made("corpus=crema_d")
PAIRS = FEW_CLIPS * [
    voxceleb._split(speaker, voxceleb_part(index)) for index, speaker in enumerate(speaker_ids("voxceleb2", MANY))
].count("train")
TRAINED = int(PLANTED["train_speakers"])
SIMULATION = (ROOT / "tests" / "emogan" / "metrics" / "test_comparison.py").read_text()
SIMULATED = re.search(r"CLIPS, SEEDS, DRAWS = (\d+), (\d+), ", SIMULATION).groups()
SIMULATED_SPEAKERS = re.search(r'"speakers", \[(.+)\]', SIMULATION)[1].split(", ")
(SPOILT,) = {case.changes["schedule"] for case in CASES.values() if case.group == "spoilt"}

MODEL, MODELS_CONFIG = server_files.MODEL, server_files.SETTINGS["models.config"]
BASE_PATH, KEPT_VERSIONS = (
    re.search(words, MODELS_CONFIG)[1] for words in ('base_path: "(.+)"', r"num_versions: (\d+)")
)
REST, GRPC = re.findall(r"\w+://host:(\d+)", inspect.getdoc(connections.connect))

STATED = {
    "README.md": [
        f"with {NUMBERS[TRAINED]} labelled speakers",
        f"with Python {PYTHON} and make",
        f"the side of the pictures, {SIZES[0]}, {SIZES[1]} or {SIZES[2]} pixels",
        f"the {ACTORS['ravdess_av']} Video_Speech zips",
        f"Actor_NN folders; {NUMBERS[len(VARIANTS['ravdess_av'][0].class_names)]} classes",
        f"# all {NUMBERS[len(VARIANTS['ravdess_av'][-1].class_names)]} emotions",
        f"# VoxCeleb1: wav, {voxceleb1.FACES}, {voxceleb1.META},",
        f"more than {MAX_REJECTS:.0%} (`--max_rejects`)",
        f"must be {MEDIA.min_width:g} pixels wide in its frame (`--min_face_width`)",
        f"at the presets {joined(name for name in PRESETS if (ROOT / f'trainers/configs/{name}.flags').exists())}.",
        f"{NUMBERS[len(NOTEBOOKS)].capitalize()} notebooks show",
        f"corpora, {TABLE_1.get('cases', 'every case and control')}, on {NUMBERS[STUDY_FOLDS]} folds; about four hours on "
        f"{NUMBERS[int(TABLE_1['workers'])]} cores",
        f"the paper's cases ({joined(title.split()[0] for title in titles('without_q'))}, "
        f"{joined(title.split()[1] for title in titles('without_q'))}, each with and without Q)",
        f"({', '.join(titles('spoilt')).replace(' (label only)', '')})",
        f"over {joined(TESTED)} test speakers",
        f"| the same {NUMBERS[len(titles('without_q'))]} without Q |",
        f"{NUMBERS[STUDY_FOLDS].capitalize()} folds, {NUMBERS[STUDY_SEEDS]} seed, small networks",
        f": {PAIRED * PAIRED_CLIPS + LABELLED * LABELLED_CLIPS} synthetic clips",
        f"a generator of {DEMO_SIZE} x {DEMO_SIZE} pictures; {DEMO_SPEAKERS * LABELLED_CLIPS} test clips of "
        f"{DEMO_SPEAKERS} speakers",
        f"none below {MIN_SPEAKERS} speakers",
        f"recognisers, each trained {NUMBERS[RUN.recognise_seeds]} times by as many updates",
        f"of {NUMBERS[RUN.draws]} draws for each face",
        f"citation {LICENCE}. The corpora have",
        f"writes the reference of the code to `{REFERENCE.relative_to(ROOT)}`",
    ],
    "BUILD.md": [
        f"fits into {CACHE_BYTES >> 30} GiB is decoded once; of more, {SHUFFLE_EXAMPLES:,} examples",
        f"`RunFolder`: {FIRST}, {SECOND.replace('_', ' ')} (`trainers.classifying`), {THIRD}, "
        f"draw (`trainers.drawing`: what G makes of training faces), judge (`trainers.judging`, where that is asked for), "
        f"up to {NUMBERS[len(RECOGNISERS)]} recognisers ({', '.join(RECOGNISERS)}), {EVALUATION}, "
        "export, report",
        f"is noted (`{running.NO_RESULT}`)",
        f"those of a whole run in `{RUN_SETTINGS}`",
        f"flags exist only in the mains of runnable modules and in `{', '.join(FLAG_FOLDERS)}`",
        f"the reference of the code in `{REFERENCE.relative_to(ROOT)}`",
        f"TensorFlow {required('tensorflow')}, Keras {required('keras')}, Python {PYTHON}.** "
        f"tensorflow-gan {required('tensorflow-gan')} needs",
        f"({required('tensorflow-io')} beside {required('tensorflow')})",
        f"| the middle one of the video packets; no face there: the nearest within {FACE.search_frames} frames |",
        f"| {SECONDS} around the middle; {BANDS} mel bands, at {LINEAR} linear; "
        f"{SOUND.floor_db:g} to {SOUND.ceiling_db:g} dB against a full-scale sine |",
        f"| {LOSS.adversarial.replace('_', '-')}; `--adversarial=minimax` is Eq. 3 |",
        f"| L1 {LOSS.lambda_l1:g}, Q {LOSS.lambda_q:g} (of the U-Net) |",
        f"| the bare recogniser's weights | those of the {BARE.weights} {BEST_CLASSIFIER.replace('val_', 'validation ')}, with",
        f"| the strong recogniser's | the {STRONG.weights} ones, at the end of a falling learning rate |",
        f"| {MEDIA.min_width:g} pixels; `--min_face_width` |",
        f"| ArcFace's five points, {MEDIA.scale:g} times as large and {-MEDIA.vertical_shift:g} of the side higher |",
        f"with its {RUN.requests} condition, {RUN.draws} draws of each; `--requests=all`",
        f"and mixup {STRONG.augment.mixup:g} instead of 0.3: **strong**",
        f"| time shift {STRONG.augment.time_shift_share:g}, frequency shift {STRONG.augment.frequency_shift_share:g} |",
        f"labels smoothed by {STRONG.smoothing:g} |",
        f"| {'half' if RUN.generated_share == 0.5 else RUN.generated_share} of each batch is generated |",
        f"| the {RUN.keep} ones; `--keep=best`",
        f"`paper` preset of the U-Net has {sum(int(n.replace(',', '')) for n in PARAMETERS) / 1e6:.1f} million trainable",
        f"They are {SPOILT} runs",
        f"with {SIMULATED[0]} clips a speaker and {SIMULATED[1]} seeds (a test)",
        f"at {joined(SIMULATED_SPEAKERS)} speakers. What it does not hold",
        f"({TRAINED} training speakers, {TRAINED * PLANTED_CLIPS} clips), unlabelled pairs are not "
        f"({PAIRS} to pretrain on)",
        f"Preset {PLANTED['preset']}, L1 {PLANTED['lambda_l1']}, {'' if 'diff_augment' in PLANTED else 'no '}"
        f"DiffAugment; {held_out('crema_d', PLANTED_SPEAKERS, PLANTED['folds'])} unseen speakers in "
        f"{len(PLANTED['folds'].split(','))} folds, {len(PLANTED['seeds'].split(','))} seeds",
        f"name: `64`, `64_{VARIANTS['ravdess_av'][-1].name}`, `64_{VARIANTS['voxceleb_av'][-1].name}`",
        f"shrunk to {FACE.detection_side} pixels, for faces of {faces.USUAL_FACE} pixels",
        f"sees a picture {'half' if faces.USUAL_FACE == 2 * faces._MTCNN_FACE else 'not half'} as large, its",
        f"at the full frame, for faces of {faces._MTCNN_FACE} pixels and more",
        f"Its last network then looks {'twice' if faces._REFINEMENTS == 2 else faces._REFINEMENTS} more",
        f"takes longer than {NUMBERS[int(workers.MAX_ITEM_SECONDS / 60)]} minutes",
        f"read up to {files.MAX_FILE_BYTES >> 20} MiB, frames to {media.MAX_FRAME_PIXELS // 10**6} million pixels",
        f"sound to {sounds.MAX_SOUND_SECONDS / 60:.0f} minutes",
        f"keeps its {NUMBERS[checkpoints.LAST_KEPT]} newest checkpoints and its best one (lowest `{BEST_GAN}` of G, "
        f"highest `{BEST_CLASSIFIER}` of a classifier; on {stages.VALIDATION_EXAMPLES:,} validation examples at most)",
        f"`--precision={PRECISIONS[1]}` (or `{PRECISIONS[2]}`)",
        f"PyTorch {required('torch')}'s eager step",
        f"those that occur (`class_names={VARIANTS['folder_av'][0].class_names}`)",
    ],
    "SERVING.md": [
        f"in `<run_dir>/{LAST}/{MODEL}`",
        f"in `{serving.EXTRA}`: `emogan.json`",
        f"more than {serving.MAX_BYTES >> 20} MiB or {serving.MAX_PIXELS >> 20} million pixels",
        f"tensorflow/serving:{required('tensorflow-serving-api', parts=3)} \\",
        f'-v "$PWD/models/{MODEL}:{BASE_PATH}:ro"',
        *(f"_file=/models/{MODEL}/server/{name}" for name in server_files.SETTINGS),
        f"REST at port {REST} and gRPC at {GRPC}; the first one keeps the newest {NUMBERS[int(KEPT_VERSIONS)]} versions",
        f"--server=http://localhost:{REST} --face",
        f"--server=grpc://localhost:{GRPC} --face",
        f"```sh {model_server.VARIABLE}=/usr/bin/tensorflow_model_server",
    ],
    "MODEL_CARD.md": [
        f"a spectrogram of {SECONDS}",
        f"`{serving.EXTRA}/provenance.json`",
        f"in English: {ACTORS['crema_d_av']} actors with {NUMBERS[len(CREMA_D_SENTENCES)]} sentences, and "
        f"{ACTORS['ravdess_av']} with {NUMBERS[len(RAVDESS_STATEMENTS)]},",
        f"the age and sex of {', '.join(map(tables.corpus_title, OF_KNOWN_AGE))}'s actors, of the others the sex alone",
        f"below {LINEAR} pixels so is what lies within a mel band",
    ],
    "CONTRIBUTING.md": [
        f"with Python {PYTHON} and make",
        f"writes the reference of the code to `{REFERENCE.relative_to(ROOT)}`",
        f"those of a whole run in `{RUN_SETTINGS}`; flags are in commands and in `{', '.join(FLAG_FOLDERS)}` only",
        f"at preset `{min(PRESETS, key=lambda name: PRESETS[name].base_filters)}`",
        f"is marked `{MARKER}`",
    ],
}


@pytest.mark.parametrize(("page", "words"), [(page, words) for page, stated in STATED.items() for words in stated])
def test_what_the_documents_state_is_so_in_the_code(page, words):
    assert " ".join(words.split()) in " ".join(PAGES[page].split())


def test_the_signatures_of_a_served_model_are_as_its_page_has_them():
    text = PAGES["SERVING.md"]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \| (.+) \|$", text)
    assert [name for name, _, _ in rows] == list(serving.OUTPUTS)
    for name, inputs, outputs in rows:
        taken = list(inspect.signature(getattr(serving.ServedGenerator, name)).parameters)[1:]
        assert inputs == "as `serving_default`" or re.findall(r"`(\w+)`", inputs) == taken
        assert outputs == "the same" or re.findall(r"`(\w+)`", outputs) == list(serving.OUTPUTS[name])


def test_the_shapes_of_a_served_model_are_as_its_page_has_them():
    made = networks.build_generator(RUN.model), networks.build_classifier(RUN.model)
    settings = serving.ServedSettings(
        media=MediaConfig.of_size(64), model=PRESETS["tiny"], class_names=list(EMOTIONS), dataset="", synthetic=True,
        licences={},
    )  # fmt: skip
    signatures = serving.ServedGenerator(*made, settings).signatures()
    specs = [spec for signature in signatures.values() for spec in signature.input_signature]
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


def test_networks_are_built_as_the_page_says():
    text = " ".join(PAGES["BUILD.md"].split())

    def convolutions(layers: list[tf.keras.layers.Layer], way: str) -> tuple[str, str]:
        """Their kernels, and the last map, of the layers whose names begin so."""
        found = [layer for layer in layers if re.fullmatch(rf"{way}_\d_conv", layer.name)]
        ((height, width),) = {layer.kernel_size for layer in found}
        side = min(layer.output.shape[1] for layer in found)
        return f"{height} x {width}", f"{side} x {side}"

    generator = networks.build_generator(RUN.model).layers
    assert f"a U-Net down to {convolutions(generator, 'encoder')[1]}; condition" in text
    assert f"by transposed {convolutions(generator, 'decoder')[0]} convolutions" in text
    for build in (networks.build_discriminator, networks.build_classifier):
        kernel, side = convolutions(build(RUN.model).layers, "trunk")
        assert f"have trunks alike: {kernel} convolutions of stride 2 down to a {side} map" in text
    (norm,) = {type(layer).__name__ for layer in generator if "Norm" in type(layer).__name__}
    assert f"| normalisation layers | {norm.removesuffix('Norm').lower()} normalisation |" in text


def test_the_optimizer_is_the_one_that_is_named():
    name = re.search(r"\*\*Adam\*\* is `tf\.(.+?)`", PAGES["BUILD.md"])[1]
    assert type(training.adam(STAGE)) is operator.attrgetter(name)(tf)


def test_the_store_of_decoded_clips_is_where_the_card_has_it(tmp_path):
    store = datasets.BUILDERS["folder_av"](data_dir=tmp_path, config="64").store_dir
    assert f"`{store.relative_to(tmp_path)}/`" in PAGES["MODEL_CARD.md"]


def test_the_rows_of_table_1_are_cases():
    table = re.search(r"\| case \| CREMA-D-like .+\n(?:.+\n)+", PAGES["README.md"])[0]
    rows = re.findall(r"(?m)^\| ([^|]+?) \|", table)[1:]
    assert {row for row in rows if "without Q" not in row} <= {case.title for case in CASES.values()}


def test_the_studies_of_make_planted_have_the_dials_that_are_told():
    told = {
        "": "has the dials as they are by default",
        "--face_emotion=0 --face_voice=0": "faces without emotion and without ties to the voice",
        "--face_emotion=0": "faces without emotion but with those ties",
        "--face_emotion=1.5": "the strongest expressions",
    }
    dials = dict(re.findall(r"(?m)^DIALS_(\S+) := (.+)$", MAKEFILE))
    studies = re.search(r"(?m)^PLANTED := (.+)$", MAKEFILE)[1].split()
    assert set(studies) == {path.name for path in (ROOT / "results" / "planted").iterdir() if path.is_dir()}
    for study in studies:
        assert f"`{study}` {told[dials.get(study, '')]}" in " ".join(PAGES["BUILD.md"].split())
    with pytest.raises(UserError, match=r"face_emotion is 1\.51; it must lie between 0 and 1\.5"):
        Dials(face_emotion=1.51)
