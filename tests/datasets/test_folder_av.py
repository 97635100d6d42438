"""Your own videos: the table, the folders, the folds of speakers, the classes."""

import random
import shutil
import unicodedata
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

import datasets
from datasets.corpus import open_corpus
from datasets.facts import read_facts
from datasets.protocols import protocol
from datasets.validation import anomalies
from emogan.errors import UserError

DUMMY = Path(datasets.__file__).parent / "folder_av" / "dummy_data"
HEAD = "file,speaker,emotion"
THREE = "a.mp4,ann,happy\nb.mp4,bob,happy\nc.mp4,eve,sad\n"


@pytest.fixture
def listed(root, tmp_path):
    """A function that lists the folder, after writing the table if one is given."""

    def listed(table=""):
        if table:
            (root / "clips.csv").write_text(table, encoding="utf-8")
        builder = datasets.BUILDERS["folder_av"](data_dir=tmp_path / "tfds", config="64")
        return builder.list_clips(builder.find_corpus(root))

    return listed


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def clips(listing):
    return {clip.clip_id: clip for clips in listing.splits.values() for clip in clips}


def speakers(listing):
    return {split: {clip.speaker_id for clip in clips} for split, clips in listing.splits.items()}


def rejected(listing, root):
    return {(rejection.path.relative_to(root).as_posix(), rejection.reason) for rejection in listing.rejections}


# With a table


def test_clips_of_a_table(root, listed):
    touch(root, "a.mp4", "sub/b.flv", "sub/b.wav", "sub/unnamed.mp4", "other.wav", "._a.mp4", "notes.txt")
    listing = listed(
        "note,emotion,file,sex,speaker,sound\n"
        'x,happy,./a.mp4,male,ann,\n,bored,sub/b.flv,,"bob, jr.",sub/b.wav\n\n,happy,gone.mp4,female,eve,\n'
    )
    assert list(clips(listing)) == ["a", "sub/b", "gone"]
    first, second, third = clips(listing).values()
    assert first.image_path == first.audio_path == root / "a.mp4"
    assert (second.image_path, second.audio_path) == (root / "sub/b.flv", root / "sub/b.wav")
    assert third.image_path == root / "gone.mp4"  # rejected when it is opened
    assert [(clip.speaker_id, clip.label) for clip in (first, second, third)] == [
        ("ann", "happy"), ("bob, jr.", "bored"), ("eve", "happy")
    ]  # fmt: skip
    assert [clip.features for clip in (first, second, third)] == [
        {"actor_sex": "male"}, {"actor_sex": ""}, {"actor_sex": "female"}
    ]  # fmt: skip
    assert listing.left_out == {"not_in_the_table": 2}
    assert listing.rejections == []


def test_folds_of_the_table(listed):
    listing = listed(
        f"{HEAD},fold\n1.mp4,ann,happy,7\n2.mp4,bob,sad,0\n3.mp4,ann,sad,7\n4.mp4,eve,sad,10\n5.mp4,joe,sad,0\n"
    )
    assert list(listing.splits) == ["fold_0", "fold_7", "fold_10"]
    assert speakers(listing) == {"fold_0": {"bob", "joe"}, "fold_7": {"ann"}, "fold_10": {"eve"}}
    assert listing.left_out == {}


def test_rows_of_one_clip(listed, root):
    listing = listed(f"{HEAD}\n{THREE}a.mkv,ann,happy\n./b.mp4,bob,sad\n")
    assert list(clips(listing)) == ["a", "b", "c"]
    assert rejected(listing, root) == {("a.mkv", "duplicate_clip"), ("b.mp4", "duplicate_clip")}
    assert clips(listing)["b"].label == "happy"


OUT = "it must be a path .*happy/ann/1.mp4"


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        (HEAD, "/etc/x.mp4,ann,sad", f"file is '/etc/x.mp4'; {OUT}"),
        (HEAD, "../x.mp4,ann,sad", f"file is '../x.mp4'; {OUT}"),
        (HEAD, "sub/../../x.mp4,ann,sad", f"file is 'sub/../../x.mp4'; {OUT}"),
        (HEAD, "sub\\x.mp4,ann,sad", rf"file is 'sub\\\\x.mp4'; {OUT}"),
        (HEAD, ".,ann,sad", rf"file is '\.'; {OUT}"),
        (HEAD, ",ann,sad", "file is ''; it must not be empty"),
        (HEAD, "a.mp4,ann,sad", "file is 'a.mp4'; it must differ from line 2"),
        (HEAD, "x.mp4,,sad", "speaker is ''; it must not be empty"),
        (HEAD, "x.mp4,ann,", "emotion is ''; it must be made of letters, digits, _ and -"),
        (HEAD, 'x.mp4,ann,"sad,angry"', "emotion is 'sad,angry'; it must be made of letters"),
        (HEAD, "x.mp4,ann,../sad", "emotion is '../sad'; it must be made of letters"),
        (HEAD, "x.mp4,ann", "2 cells; must be 3"),
        (f"{HEAD},sound", "x.mp4,ann,sad,../x.wav", f"sound is '../x.wav'; {OUT}"),
        (f"{HEAD},sex", "x.mp4,joe,sad,Male", "sex is 'Male'; it must be male or female, or empty"),
        (f"{HEAD},sex", "x.mp4,ann,sad,male", "sex is 'male'; it must be '', as in line 2"),
        (f"{HEAD},fold", "x.mp4,joe,sad,", "fold is ''; it must be a whole number from 0"),
        (f"{HEAD},fold", "x.mp4,joe,sad,-1", "fold is '-1'; it must be a whole number from 0"),
        (f"{HEAD},fold", "x.mp4,joe,sad,1.0", "fold is '1.0'; it must be a whole number from 0"),
        (f"{HEAD},fold", "x.mp4,ann,sad,1", "fold is '1'; it must be '0', as in line 2"),
    ],
)
def test_a_row_that_breaks_a_rule(root, listed, head, row, message):
    further = {"sound": "", "sex": "", "fold": "0"}.get(head.rpartition(",")[2])
    first = "a.mp4,ann,happy" if further is None else f"a.mp4,ann,happy,{further}"
    with pytest.raises(UserError, match=rf"^{root}/clips\.csv, line 3: {message}"):
        listed(f"{head}\n{first}\n{row}\n")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"file,speaker,label\n", r"line 1: .* column emotion; .*\['file', 'speaker', 'label'\]"),
        (b"file,speaker,emotion\na.mp4,M\xfcller,sad\n", "line 2: .*UTF-8"),
        (b'file,speaker,emotion\n"a.mp4,ann,sad\n', "line 2: not a valid table"),
        (b" ", r"line 1: .* column file, speaker, emotion"),
    ],
)
def test_a_malformed_table(root, listed, table, message):
    (root / "clips.csv").write_bytes(table)
    with pytest.raises(UserError, match=rf"^{root}/clips\.csv, {message}"):
        listed()


# Without a table


def test_clips_of_folders(root, listed):
    good = ["happy/ann/1.mp4", "happy/ann/2.MOV", "very_sad/bob/1.mp4", "Glück-2/eve/clip.one.webm"]
    bad = ["1.mp4", "happy/2.mp4", "happy/ann/more/3.mp4", "so so/ann/1.mp4"]
    touch(root, *good, *bad, "happy/ann/2.wav", "happy/ann/._1.mp4", ".trash/ann/1.mp4", "happy/ann/notes.txt")
    listing = listed()
    assert {(clip_id, clip.label, clip.speaker_id) for clip_id, clip in clips(listing).items()} == {
        ("happy/ann/1", "happy", "ann"), ("happy/ann/2", "happy", "ann"), ("very_sad/bob/1", "very_sad", "bob"),
        ("Glück-2/eve/clip.one", "Glück-2", "eve"),
    }  # fmt: skip
    assert all(clip.image_path == clip.audio_path for clip in clips(listing).values())
    assert all(clip.features == {"actor_sex": ""} for clip in clips(listing).values())
    assert rejected(listing, root) == {(name, "bad_name") for name in bad}
    details = {rejection.detail for rejection in listing.rejections if rejection.reason == "bad_name"}
    assert details == {
        "must be <emotion>/<speaker>/<file>, the emotion of letters, digits, _ and -, because there is no clips.csv"
    }
    assert listing.left_out == {"sound_beside_its_video": 1}


def test_links_are_followed_as_in_the_other_corpora(root, tmp_path, listed):
    """Links in the folder come from its owner, but a table may come from someone else."""
    touch(tmp_path, "disk/ann/1.mp4", "disk/bob/1.mp4", "file.mp4")
    (root / "happy").symlink_to(tmp_path / "disk")
    touch(root, "sad/ann/1.mp4")
    (root / "sad" / "eve").mkdir()
    (root / "sad" / "eve" / "1.mp4").symlink_to(tmp_path / "file.mp4")
    assert clips(listed()).keys() == {"happy/ann/1", "happy/bob/1", "sad/ann/1", "sad/eve/1"}
    assert clips(listed(f"{HEAD}\nhappy/ann/1.mp4,ann,a\nhappy/bob/1.mp4,bob,b\nsad/eve/1.mp4,eve,a\n")).keys() == {
        "happy/ann/1", "happy/bob/1", "sad/eve/1"
    }  # fmt: skip


# Folds and classes


def test_speakers_are_spread_by_their_number_of_clips(listed):
    # In order: amy 0, bob 1, cat 2, dan 3, eve 4; fay (2) joins eve (2). The sizes are then 5, 4, 3, 3, 4 for gus, and
    # 5, 4, 4, 3, 4 for hal.
    counts = {"hal": 1, "gus": 1, "amy": 5, "bob": 4, "cat": 3, "dan": 3, "fay": 2, "eve": 2}
    rows = [f"{name}{i}.mp4,{name},{'sad' if i else 'happy'}\n" for name, n in counts.items() for i in range(n)]
    expected = {
        "fold_0": {"amy"}, "fold_1": {"bob"}, "fold_2": {"cat", "gus"}, "fold_3": {"dan", "hal"}, "fold_4": {"eve", "fay"}
    }  # fmt: skip
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        assert speakers(listed("".join([f"{HEAD}\n", *rows]))) == expected


def test_few_speakers_have_a_fold_each(listed):
    assert speakers(listed(f"{HEAD}\n{THREE}")) == {"fold_0": {"ann"}, "fold_1": {"bob"}, "fold_2": {"eve"}}


def test_classes_are_the_standard_ones_then_others_by_name(listed):
    emotions = ["surprised", "sad", "calm", "anger", "Calm", "happy"]
    rows = [f"{i}.mp4,{i % 3},{emotion}\n" for i, emotion in enumerate(emotions)]
    assert listed("".join([f"{HEAD}\n", *rows])).class_names == ("anger", "happy", "sad", "Calm", "calm", "surprised")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            f"{HEAD}\na.mp4,ann,happy\nb.mp4,bob,sad\n",
            "has 2 speakers in 2 folds",
        ),
        (
            f"{HEAD},fold\na.mp4,ann,happy,0\nb.mp4,bob,sad,1\nc.mp4,eve,sad,0\n",
            "has 3 speakers in 2 folds; .* column fold",
        ),
        (f"{HEAD}\n{THREE}".replace("happy", "sad"), "are labelled sad"),
    ],
)
def test_too_few_speakers_folds_or_emotions(root, listed, table, message):
    with pytest.raises(UserError, match=f"{root} {message}"):
        listed(table)


def test_folders_with_invalid_emotions_are_reported(root, listed):
    touch(root, *(f"{emotion}/{name}/a.mp4" for emotion in ("happy", "very sad") for name in ("ann", "bob", "eve")))
    with pytest.raises(UserError, match=r"labelled happy \(3 files rejected; the first is .*very sad/ann/a\.mp4: "):
        listed()


def test_a_table_with_semicolons_is_reported(listed):
    with pytest.raises(UserError, match=r"line 1: .*commas or tabs"):
        listed(f"{HEAD}\n{THREE}".replace(",", ";"))


# Builds


def build(corpus, data_dir, **settings):
    builder = datasets.BUILDERS["folder_av"](
        data_dir=data_dir, config="64", max_rejects=settings.pop("max_rejects", 0.05)
    )
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=corpus, **settings))
    return builder


def labels(data_dir):
    """The name of each clip's label, read with TFDS."""
    dataset, info = tfds.load("folder_av/64", data_dir=data_dir, split="all", with_info=True)
    label = info.features["label"]
    return {example["clip_id"].decode(): label.int2str(example["label"]) for example in tfds.as_numpy(dataset)}


@pytest.fixture
def own(root) -> Path:
    """The miniature corpus with other emotions."""
    shutil.copytree(DUMMY, root, dirs_exist_ok=True)
    text = (root / "clips.csv").read_text()
    for name, emotion in (("neutral", "calm"), ("sad", "bored"), ("disgust", "happy")):
        text = text.replace(f",{name},", f",{emotion},")
    (root / "clips.csv").write_text(text)
    return root


def test_other_emotions(own, tmp_path):
    builder = build(own, tmp_path)
    assert anomalies(builder, read_facts(builder)) == []
    expected = {
        "clips/neutral/ann/1": "calm", "clips/calm/ann/2": "calm", "clips/sad/bob/1": "bored", "clips/disgust/eve/1": "happy"
    }  # fmt: skip
    assert labels(tmp_path) == expected
    corpus = open_corpus("folder_av", tmp_path, "64")
    assert corpus.class_names == ("happy", "bored", "calm")
    assert corpus.column("label", "fold_0+fold_1+fold_2").tolist() == [2, 2, 1, 0]
    assert corpus.column("actor_sex", "fold_0+fold_1").tolist() == ["male", "male", "female"]
    assert corpus.synthetic
    whole = protocol(corpus, 2)
    assert (whole.train, whole.validation, whole.test) == ("fold_1", "fold_0", "fold_2")
    pairs = tfds.load("folder_av/64", data_dir=tmp_path, split="fold_1", as_supervised=True)
    ((spectrogram, label),) = tfds.as_numpy(pairs)
    assert (spectrogram.shape, label) == ((64, 64, 1), 1)


def test_a_rebuilt_dataset_may_have_other_classes(own, tmp_path):
    build(own, tmp_path)
    table = own / "clips.csv"
    table.write_text(table.read_text().replace(",bored,", ",excited,").replace(",calm,", ",anger,"))
    build(own, tmp_path, download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)
    assert open_corpus("folder_av", tmp_path, "64").class_names == ("anger", "happy", "excited")
    assert labels(tmp_path)["clips/sad/bob/1"] == "excited"


def test_a_missing_file_is_rejected(own, tmp_path):
    (own / "clips/calm/ann/2.mp4").unlink()
    (own / "sounds/eve.wav").unlink()
    metadata = build(own, tmp_path, max_rejects=0.5).info.metadata
    assert {(row["path"], row["reason"]) for row in metadata["rejected"]} == {
        ("clips/calm/ann/2.mp4", "missing_picture_file"), ("sounds/eve.wav", "missing_sound_file")
    }  # fmt: skip
    assert metadata["examples"] == 2


def test_a_folder_without_media(root, tmp_path):
    layout = r"expected as the manual directory itself(.|\n)*clips\.csv(.|\n)*happy/ann/anything\.mp4"
    builder = datasets.BUILDERS["folder_av"](data_dir=tmp_path, config="64")
    for folder, message in ((tmp_path / "gone", "does not exist"), (root, "is empty")):
        with pytest.raises(UserError, match=rf"^{folder} {message}\. (.|\n)*{layout}"):
            builder.find_corpus(folder)
    touch(root, "notes.txt", "happy/ann/image.jpg")
    with pytest.raises(UserError, match=rf"^{root} contains no usable clip\. (.|\n)*{layout}"):
        build(root, tmp_path)
    (root / "clips.csv").write_text(f"{HEAD}\n")
    with pytest.raises(UserError, match=rf"^{root} contains no usable clip\. (.|\n)*{layout}"):
        build(root, tmp_path)


def test_a_folder_that_is_not_sorted(root, tmp_path):
    touch(root, "1.mp4", "2.mp4")
    with pytest.raises(
        UserError, match=r"2 of 2 clips were rejected(.|\n)*1\.mp4: bad_name: .*<emotion>/<speaker>/<file>"
    ):
        build(root, tmp_path)


def test_a_speaker_must_have_one_spelling(listed):
    with pytest.raises(UserError, match="speakers 'Ann' and 'ann'"):
        listed(f"{HEAD}\n{THREE}d.mp4,Ann,sad\n")


def test_audio_next_to_its_video_is_left_out(root, listed):
    touch(root, "happy/ann/1.flac", "happy/ann/1.mp4", "sad/bob/1.m4v", "sad/eve/1.wav")
    listing = listed()
    assert [clip.image_path.name for clip in clips(listing).values()] == ["1.mp4", "1.m4v", "1.wav"]
    assert listing.left_out == {"sound_beside_its_video": 1}
    assert listing.rejections == []


def test_audio_next_to_another_file_is_a_clip(root, listed):
    touch(root, "happy/ann/1.wav", "happy/ann/1.txt", "sad/bob/1.wav", "sad/eve/1.wav")
    listing = listed()
    assert len(clips(listing)) == 3
    assert listing.left_out == {}


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_a_table_and_a_disk_may_use_different_unicode_forms(root, listed, on_disk, in_table):
    touch(root, *(unicodedata.normalize(on_disk, name) for name in ("Übung/José.mp4", "Übung/b.mp4", "c.mp4")))
    rows = "Übung/José.mp4,José,Glück\nÜbung/b.mp4,Zoë,sad\nc.mp4,eve,sad\n"
    listing = listed(f"{HEAD}\n{unicodedata.normalize(in_table, rows)}")
    assert all(clip.image_path.exists() for clip in clips(listing).values())
    assert {(clip_id, clip.speaker_id, clip.label) for clip_id, clip in clips(listing).items()} == {
        ("Übung/José", "José", "Glück"), ("Übung/b", "Zoë", "sad"), ("c", "eve", "sad")
    }  # fmt: skip
    assert listing.left_out == {}


def test_one_name_in_two_forms_is_one_speaker_and_one_class(root, listed):
    touch(root, *(unicodedata.normalize(form, "Glück/José") + "/1.mp4" for form in ("NFC", "NFD")))
    touch(root, unicodedata.normalize("NFD", "übel/José/1.mp4"), "übel/ann/1.mp4", "übel/bob/1.mp4")
    listing = listed()
    assert listing.class_names == ("Glück", "übel")
    assert {clip.speaker_id for clip in clips(listing).values()} == {"José", "ann", "bob"}
    assert len(clips(listing)) == 4
    assert listing.left_out == {"there_twice": 1}  # two folders that look alike, with a file of the same name


def test_swapped_folders_are_reported(root, listed):
    swapped = [f"{name}/{emotion}/1.mp4" for name in ("ann", "bob", "eve") for emotion in ("Angry", "happy", "bored")]
    touch(root, *swapped)
    (warning,) = listed().warnings.values()
    assert "Angry, happy are read as speakers" in warning
    for name in swapped:
        speaker, emotion, file = name.split("/")
        (root / name).unlink()
        touch(root, f"{emotion}/{speaker}/{file}", f"{emotion}/Joy/{file}")  # which may be a person's name
    assert listed().warnings == {}


def test_swapped_columns_are_reported(listed):
    rows = [(f"{number}.mp4", speaker, emotion) for number, (speaker, emotion) in enumerate(
        (speaker, emotion) for speaker in ("ann", "bob", "eve") for emotion in ("Angry", "happy", "bored")
    )]  # fmt: skip
    swapped = "".join(f"{file},{emotion},{speaker}\n" for file, speaker, emotion in rows)
    (warning,) = listed(f"{HEAD}\n{swapped}").warnings.values()
    assert "Angry, happy are read as speakers, ann, bob, eve as emotions" in warning
    right = "".join(f"{file},{speaker},{emotion}\n" for file, speaker, emotion in [*rows, ("x.mp4", "Joy", "sad")])
    assert listed(f"{HEAD}\n{right}").warnings == {}
    with pytest.raises(UserError, match=r"2 speakers in 2 folds(.|\n)*happy, sad are read as speakers"):
        listed(f"{HEAD}\na.mp4,happy,ann\nb.mp4,sad,ann\nc.mp4,happy,bob\n")


def test_archives_are_not_read_and_named(root, listed):
    touch(root, "happy/ann/1.mp4", "sad/bob/1.mp4", "sad/eve/1.mp4", "more.zip", "sad/eve/2.ZIP")
    listing = listed()
    assert len(clips(listing)) == 3
    assert {path.name for path in listing.unread} == {"more.zip", "2.ZIP"}
    assert (listing.rejections, listing.left_out) == ([], {})


def test_a_class_without_examples_is_an_anomaly(own, tmp_path):
    (own / "clips/sad/bob/1.mp4").write_text("404 not found\n" * 10)
    builder = build(own, tmp_path, max_rejects=0.5)
    (anomaly,) = anomalies(builder, read_facts(builder))
    assert (anomaly.where, anomaly.what) == ("corpus", "Classes without examples")
    assert "bored" in anomaly.detail


def test_the_same_file_of_two_people_is_an_anomaly(own, tmp_path):
    for copy in ("sad/bob/1.mp4", "neutral/ann/1.mp4"):  # the latter of the same speaker and class
        shutil.copy(own / "clips/calm/ann/2.mp4", own / "clips" / copy)
    builder = build(own, tmp_path)
    (anomaly,) = anomalies(builder, read_facts(builder))
    assert anomaly.what == "Same files"
    assert anomaly.detail.endswith(": clips/neutral/ann/1 = clips/sad/bob/1")


def test_all_folders_may_be_links(root, tmp_path, listed):
    touch(tmp_path, "happy/ann/1.mp4", "sad/bob/1.mp4", "sad/eve/1.mp4")
    for name in ("happy", "sad"):
        (root / name).symlink_to(tmp_path / name)
    assert list(clips(listed())) == ["happy/ann/1", "sad/bob/1", "sad/eve/1"]
