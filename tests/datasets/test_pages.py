"""Names, numbers, files and codes in the builders' READMEs are those of the code."""

import re
from pathlib import Path

import pytest

import datasets
from datasets import files, media
from datasets.crema_d_av import crema_d_av_dataset_builder as crema_d
from datasets.crema_d_av.tables import MAX_LEVEL
from datasets.folder_av import folder_av_dataset_builder as folder
from datasets.folds import CREMA_D_FOLDS, RAVDESS_FOLDS
from datasets.ravdess_av import ravdess_av_dataset_builder as ravdess
from datasets.voxceleb_av import voxceleb1
from datasets.voxceleb_av import voxceleb_av_dataset_builder as voxceleb
from emogan.config import MIN_FACE_WIDTH, SPECTROGRAMS, FaceConfig
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from emogan.media import audio_streams, kinds

FOLDER = Path(datasets.__file__).parent
NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ARCHIVES = re.findall(r"\S+\.zip", (FOLDER / "ravdess_av" / "md5sums.txt").read_text())

ACTORS = [[actor for fold in folds for actor in fold] for folds in (CREMA_D_FOLDS, RAVDESS_FOLDS)]
SENTENCES, CODES, LEVELS = (part.split("|") for part in re.findall(r"\(([A-Z|]+)\)", crema_d._NAME.pattern))
(FILES, _) = re.findall(r"([0-9,]+) files", crema_d.Builder.MANUAL_DOWNLOAD_INSTRUCTIONS)
# Two intensities of all emotions but neutral, two statements, two repetitions.
SPOKEN = len(ACTORS[1]) * (2 * len(ravdess._LABELS["eight"]) - 1) * 2 * 2
(WINDOW,) = {config.clip_samples / config.sample_rate for config in SPECTROGRAMS.values()}
STATED = {
    "crema_d_av": [
        f"{len(ACTORS[0])} actors speak {NUMBERS[len(SENTENCES)]} sentences with {NUMBERS[len(CODES)]} emotions",
        f"emotions ({FILES} clips)",
        f"`fold_0` to `fold_{len(CREMA_D_FOLDS) - 1}` are contiguous blocks of actors",
        f"`<actor {ACTORS[0][0]}-{ACTORS[0][-1]}>_<sentence>_<{' '.join(CODES)}>_<{' '.join(LEVELS)}>`",
        f"these raters gave it, 0 to {MAX_LEVEL:.0f};",
        f"names {NUMBERS[len(crema_d._KNOWN_BROKEN)]} clips",
    ],
    "ravdess_av": [
        f"{len(ACTORS[1])} actors speak two sentences ({SPOKEN:,} clips with",
        f"The {NUMBERS[len(EMOTIONS)]} emotions shared with CREMA-D are kept by default.",
        f"`fold_0` to `fold_{len(RAVDESS_FOLDS) - 1}` are groups of {NUMBERS[len(RAVDESS_FOLDS[0])]} actors",
        f"`{ARCHIVES[1]}` to `{ARCHIVES[-1]}`",
    ],
    "folder_av": [
        f"`{folder.TABLE}` is UTF-8",
        f"{', '.join(EMOTIONS)} first, in this order, then others by name",
        f"There must be {NUMBERS[folder.MIN_FOLDS]} folds at least",
        f"speakers are spread over {NUMBERS[folder.MAX_FOLDS]} (over as many as there are speakers",
    ],
    "voxceleb_av": [
        f"{voxceleb.VALIDATION_PERCENT}% (by a hash of their id) are `validation` and the rest `train`",
        f"the next nearest are looked into, {NUMBERS[voxceleb1.MAX_CROPS]} in all",
    ],
}
ON_EACH_PAGE = [
    f"spectrogram shows {WINDOW:g} s around the middle of the same",
    f"the nearest one with a face, up to {NUMBERS[FaceConfig(size=64).search_frames]} frames away",
    f"less than {MIN_FACE_WIDTH:g} pixels (`--min_face_width`)",
]


def page(name: str) -> str:
    return (FOLDER / name / "README.md").read_text()


def section(name: str, heading: str) -> str:
    return page(name).partition(f"## {heading}\n")[2].partition("\n## ")[0]


def layout(name: str, config: str) -> dict[str, str]:
    """The files of a configuration's layout, each with its description."""
    (variant,) = [known.variant for known in datasets.BUILDERS[name].BUILDER_CONFIGS if known.name == config]
    return dict(re.findall(rf"(?m)^    ({variant.folder}/\S+)(?: \.\.\.)? *(.*)$", page(name)))


def write_speakers(root: Path) -> None:
    """Writes the table that VoxCeleb1 requires."""
    (root / "VoxCeleb1").mkdir(parents=True)
    rows = "VoxCeleb1 ID,VGGFace1 ID,Gender,Set\nid10001,A.J._Buckley,m,dev\n"
    (root / "VoxCeleb1" / voxceleb1.META).write_text(rows)


@pytest.fixture
def listed(tmp_path):
    """A function that creates files, and returns the usable clips of the whole corpus and the listing."""
    root = tmp_path / "corpus"

    def listed(name, *files, config="64", text=""):
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text)
        builder = datasets.BUILDERS[name](data_dir=tmp_path / "tfds", config=config)
        listing = builder.list_clips(builder.find_corpus(root))
        return [clip for found in listing.splits.values() for clip in found], listing

    return listed


@pytest.mark.parametrize(
    ("name", "words"), [(name, words) for name, stated in STATED.items() for words in stated + ON_EACH_PAGE]
)
def test_numbers_and_codes(name, words):
    assert words in " ".join(page(name).split())


@pytest.mark.parametrize("name", datasets.BUILDERS)
def test_names_are_those_of_the_code(name):
    files = [
        *(FOLDER / name).glob("[!_]*.py"),
        *(FOLDER / file for file in ("builder.py", "clips.py", "extraction.py", "files.py")),
    ]
    known = {*re.findall(r'"([\w.]+)"', "".join(file.read_text() for file in files).lower()), *EMOTIONS}
    stated = set(re.findall(r"`([a-z][a-z_]+(?:\.json)?)`", page(name)))
    assert stated <= known
    own = (FOLDER / name / f"{name}_dataset_builder.py").read_text()
    reasons = set(re.findall(r'(?:left_out\[|reject\([\w.]+, )"(\w+)"', own))
    assert reasons
    assert reasons <= stated


@pytest.mark.parametrize("name", datasets.BUILDERS)
def test_configurations(name):
    sizes, variants = zip(*re.findall(r"`(\d+)((?:_[a-z]\w*)?)`", page(name)), strict=True)
    stated = [f"{size}{variant}" for variant in dict.fromkeys(variants) for size in dict.fromkeys(sizes)]
    assert stated == [config.name for config in datasets.BUILDERS[name].BUILDER_CONFIGS]


@pytest.mark.parametrize("name", datasets.BUILDERS)
def test_features_of_its_own(name):
    text = section(name, "Features of its own")
    heads = re.findall(r"(?m)^\| (`.+?) \|", text) or re.findall(r"`\w+` \(", text)
    assert sorted(re.findall(r"`(\w+)`", "".join(heads))) == sorted(datasets.BUILDERS[name].FEATURES)


@pytest.mark.parametrize("name", ["crema_d_av", "ravdess_av", "voxceleb_av"])
def test_home_and_licence(name):
    builder = datasets.BUILDERS[name]
    licences = re.findall(r"[A-Z].+?\d\.\d", builder.LICENSE)
    assert licences
    for words in (builder.HOMEPAGE, *licences):
        assert words in " ".join(section(name, "Access and licence").split())


@pytest.mark.parametrize(
    ("name", "config"),
    [("crema_d_av", "64"), ("ravdess_av", "64"), ("voxceleb_av", "64"), ("voxceleb_av", "64_vox1")],
)
def test_layout(tmp_path, listed, name, config):
    root = tmp_path / "corpus"
    files = layout(name, config)
    media = [file for file in files if not file.endswith((".zip", ".csv"))]
    write_speakers(root)
    (clip,), listing = listed(name, *media, config=config)
    assert {path for path in clip.paths if path} == {root / file for file in media if not file.endswith(".txt")}
    assert (listing.rejections, listing.left_out) == ([], {})
    assert {Path(file).name for file in files if file.endswith(".zip")} <= set(ARCHIVES)
    for file in (file for file in files if file.endswith(".csv")):
        with pytest.raises(UserError, match=f"{file} is empty"):
            listed(name, file, config=config)
        (root / file).unlink()
        if "may be missing" in files[file]:
            assert listed(name, config=config)[0] == [clip]
        else:
            with pytest.raises(UserError, match=f"contains no {Path(file).name}"):
                listed(name, config=config)


def test_clips_of_crema_d_without_a_row_in_its_tables(listed):
    (clip,), _ = listed("crema_d_av", "VideoFlash/1001_DFA_ANG_XX.flv")
    rows = re.findall(r"(?m)^\| (`.+`) \| .+ \| (.+) \|$", section("crema_d_av", "Features of its own"))
    stated = {feature: missing for names, missing in rows for feature in re.findall(r"\w+", names)}
    assert {feature: "empty" if value == "" else f"{value:g}" for feature, value in clip.features.items()} == stated


def test_known_faults_of_crema_d():
    stated = re.findall(r"`(\d{4}_\w+)`", section("crema_d_av", "Known faults"))
    assert sorted(stated) == sorted(crema_d._KNOWN_BROKEN)


def test_classes_of_ravdess():
    eight, merged = ravdess._LABELS["eight"], ravdess._LABELS["calm_as_neutral"]
    left, still_left = (
        " and ".join(eight[code] for code in eight if code not in labels) for labels in (ravdess._LABELS[""], merged)
    )
    ((name, label),) = {(eight[code], label) for code, label in merged.items() if label != eight[code]}
    classes = {config.name: ", ".join(config.variant.class_names) for config in ravdess.Builder.BUILDER_CONFIGS}
    assert dict(re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", page("ravdess_av"))) == {
        "64": f"{classes['64']}; {left} are left out",
        "64_calm_as_neutral": f"the same {NUMBERS[len(EMOTIONS)]}; {name} is labelled {label}, {still_left} left out",
        "64_eight": f"the {NUMBERS[len(EMOTIONS)]}{classes['64_eight'].removeprefix(classes['64'])}, in this order",
    }
    assert classes["64_calm_as_neutral"] == classes["64"]


def test_parts_of_a_name_of_ravdess(listed):
    parts = re.findall(r"A name is (.+?)\.", page("ravdess_av"))[0].split(", ")
    names = {  # with another code than 01 in one part
        (part, code): "-".join(f"{code:02d}" if other == part else "01" for other in parts)
        for part in set(parts) - {"channel"}
        for code in range(1, 25)
    }
    found, listing = listed("ravdess_av", *(f"Actor_01/{name}.mp4" for name in names.values()), config="64_eight")
    clip_of = {clip.clip_id: clip for clip in found}
    text = " ".join(section("ravdess_av", "Features of its own").split())
    for part in ("intensity", "statement", "repetition"):
        (stated,) = re.findall(rf"`{part}` \((.+?)\)", text)
        values = [clip_of[name].features[part] for (of, _), name in names.items() if of == part and name in clip_of]
        assert [int(value) for value in re.findall(r"\b\d\b", stated)] == values
    assert clip_of[names["emotion", 2]].label == "calm"
    assert [clip_of[names["actor", number]].speaker_id for number in range(1, 25)] == sorted(ACTORS[1])
    (_, even), (_, odd) = sorted({(int(clip.speaker_id) % 2, clip.features["actor_sex"]) for clip in found})
    assert f"`actor_sex` (`{odd}` for odd actors, `{even}` for even ones)" in text
    (reason,) = listing.left_out
    assert f"`02-*` (`{reason}`:" in page("ravdess_av")


def test_columns_of_a_folders_table(listed):
    rules = dict(re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", page("folder_av")))
    code = Path(folder.__file__).read_text()
    assert set(rules) == set(re.findall(r'(?:row\[|cells\.get\(|_path\(row, )"(\w+)"', code))

    def listed_with(columns, **cells):
        rows = [{column: str(i) for column in columns} | {"sex": "male"} | cells for i in range(3)]
        lines = [columns, *([row[column] for column in columns] for row in rows)]
        return listed("folder_av", folder.TABLE, text="\n".join(map(",".join, lines)))[0]

    for left_out, rule in rules.items():
        columns = [column for column in rules if column != left_out]
        if rule.startswith("may be missing"):
            assert len(listed_with(columns)) == 3
        else:
            with pytest.raises(UserError, match=f"lacks the column {left_out};"):
                listed_with(columns)
    for column, wrong in {"emotion": "so so", "fold": "-1"}.items():
        with pytest.raises(UserError, match=f"line 2: {column} is '{wrong}'; it must be ") as caught:
            listed_with(rules, **{column: wrong})
        words = str(caught.value).rpartition("must be ")[2].removeprefix("made of ")
        assert words in rules[column].replace("`", "")


def test_files_of_a_folder(listed):
    assert set(re.findall(r"`(\.\w+)`", page("folder_av"))) >= kinds.VIDEO_SUFFIXES
    limits = files.MAX_FILE_BYTES >> 20, media.MAX_FRAME_PIXELS // 10**6, round(audio_streams.MAX_AUDIO_SECONDS / 60)
    assert re.search(r"{} MiB.*\b{} million pixels.*\b{} minutes".format(*limits), page("folder_av"))
    videos = re.findall(r"(?m)^    (\S+\.mp4)", page("folder_av").partition("by emotion and speaker:")[2])
    third = "sad/eve/third"  # there must be three speakers
    found, listing = listed("folder_av", *videos, f"{third}.mp4")
    assert {clip.clip_id for clip in found} == {third, *(file.removesuffix(".mp4") for file in videos)}
    assert listing.rejections == []


def test_pairings_of_voxceleb(tmp_path, listed):
    write_speakers(tmp_path / "corpus")
    found = []
    for config, text in (("64", ""), ("64_vox1", "FRAME\n800 \n"), ("64_vox1", "")):
        files = [file for file in layout("voxceleb_av", config) if not file.endswith(".csv")]
        (clip,), _ = listed("voxceleb_av", *files, config=config, text=text)
        found.append(clip.features["pairing"])
    assert "| `pairing` | `{}` (VoxCeleb2), `{}` or `{}` (VoxCeleb1) |".format(*found) in page("voxceleb_av")
