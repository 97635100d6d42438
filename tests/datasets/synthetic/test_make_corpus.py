"""Whole corpora on disk: media, tables, determinism, resume and refusals."""

import csv
import subprocess
import sys
import wave
import zipfile
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from datasets.synthetic import Dials, make_corpus
from datasets.synthetic.clips import ClipMaker
from datasets.synthetic.corpora import takes
from datasets.synthetic.settings import FORMATS, CorpusConfig
from emogan.errors import UserError

SMALL = {"frame_size": (160, 120), "seconds": (0.6, 0.8), "seed": 3, "workers": 1}


def _files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def crema_d(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "crema_d"
    make_corpus(root, "crema_d", speakers=2, clips_per_speaker=2, **SMALL)
    return root


def test_crema_d_layout(crema_d):
    names = {path.stem for path in (crema_d / "VideoFlash").iterdir()}
    assert len(names) == 4
    assert {path.name for path in (crema_d / "AudioWAV").iterdir()} == {f"{name}.wav" for name in names}
    assert not list(crema_d.rglob("*.part"))
    text = (crema_d / "README.txt").read_text()
    assert "SYNTHETIC" in text
    assert '"seed": 3' in text
    assert '"face_voice": 0.7' in text


def test_crema_d_media(crema_d):
    for path in (crema_d / "VideoFlash").iterdir():
        with av.open(str(path)) as container:
            assert container.format.name == "flv"
            video, sound = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, video.width, video.height) == ("flv", 160, 120)
            assert float(video.average_rate) == pytest.approx(29.97, abs=0.05)
            assert (sound.codec_context.name, sound.rate, sound.layout.name) == ("mp3float", 44_100, "mono")
        frames = _decoded(path)
        with wave.open(str(crema_d / "AudioWAV" / f"{path.stem}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            seconds = file.getnframes() / 16_000
        assert 0.6 <= seconds <= 0.8
        assert len(frames) == round(seconds * Fraction(30000, 1001))


def test_crema_d_tables(crema_d):
    with (crema_d / "VideoDemographics.csv").open() as file:
        people = list(csv.DictReader(file))
    assert [person["ActorID"] for person in people] == ["1001", "1019"]
    assert list(people[0]) == ["ActorID", "Age", "Sex", "Race", "Ethnicity"]
    assert {person["Sex"] for person in people} == {"Male", "Female"}
    with (crema_d / "processedResults" / "summaryTable.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == [
        "", "FileName", "VoiceVote", "VoiceLevel", "FaceVote", "FaceLevel", "MultiModalVote", "MultiModalLevel"
    ]  # fmt: skip
    assert [row[1] for row in rows[1:]] == sorted(path.stem for path in (crema_d / "VideoFlash").iterdir())
    for row in rows[1:]:
        for votes, levels in zip(row[2::2], row[3::2], strict=True):
            assert set(votes) <= set("ADFHNS:")
            assert len(votes.split(":")) == len(levels.split(":"))


def test_ravdess_media(tmp_path):
    make_corpus(tmp_path / "r", "ravdess", speakers=1, clips_per_speaker=2, **SMALL)
    clips = sorted((tmp_path / "r" / "Actor_01").iterdir())
    assert [path.suffix for path in clips] == [".mp4", ".mp4"]
    with av.open(str(clips[0])) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 160, 120)
        assert video.average_rate == Fraction(30000, 1001)
        assert (sound.codec_context.name, sound.rate) == ("aac", 48_000)
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert samples.std() > 1e-3
    assert 18 <= len(_decoded(clips[0])) <= 24


def test_voxceleb2_media(tmp_path):
    make_corpus(tmp_path / "v", "voxceleb2", speakers=2, clips_per_speaker=1, **SMALL | {"frame_size": (112, 112)})
    images = sorted((tmp_path / "v").rglob("*.mp4"))
    assert [path.relative_to(tmp_path / "v").parts[:3] for path in images] == [
        ("dev", "mp4", "id00012"), ("test", "mp4", "id00013")
    ]  # fmt: skip
    for image in images:
        with av.open(str(image)) as container:
            assert not container.streams.audio
            assert container.streams.video[0].average_rate == 25
            assert container.streams.video[0].width == 112
        with av.open(str(image).replace("/mp4/", "/aac/").replace(".mp4", ".m4a")) as container:
            assert not container.streams.video
            assert (container.streams.audio[0].codec_context.name, container.streams.audio[0].rate) == ("aac", 16_000)


def test_voxceleb1_media(tmp_path):
    settings = SMALL | {"frame_size": (128, 96), "seconds": (2.1, 2.1)}
    make_corpus(tmp_path / "v", "voxceleb1", speakers=2, clips_per_speaker=1, frame_lists=True, **settings)
    with (tmp_path / "v" / "vox1_meta.csv").open() as file:
        speakers = list(csv.DictReader(file, delimiter="\t"))
    assert list(speakers[0]) == ["VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"]
    for speaker, part in zip(speakers, ("dev", "test"), strict=True):
        assert speaker["Set"] == part
        (sound,) = (tmp_path / "v" / "wav" / speaker["VoxCeleb1 ID"]).rglob("*.wav")
        crops = sorted(
            (tmp_path / "v" / "unzippedFaces" / speaker["VGGFace1 ID"] / "1.6" / sound.parent.name).iterdir()
        )
        # 2.1 s at 25 frames a second are 52 or 53 frames; one crop for each second that begins.
        assert [crop.name for crop in crops] == ["0001000.jpg", "0001025.jpg", "0001050.jpg"]
        assert {Image.open(crop).size for crop in crops} == {(128, 96)}
        with wave.open(str(sound)) as file:
            count = round(file.getnframes() / 16_000 * 25)
        lines = (tmp_path / "v" / f"vox1_{part}_txt" / sound.relative_to(tmp_path / "v" / "wav")).with_suffix(".txt")
        head, _, rows = lines.read_text().partition("FRAME \tX \tY \tW \tH \n")
        assert f"Identity  : \t{speaker['VoxCeleb1 ID']}\nReference : \t{sound.parent.name}\nOffset    : \t" in head
        assert [int(row.split()[0]) for row in rows.splitlines()] == list(range(1000, 1000 + count))


def test_ravdess_in_zips_holds_the_files_of_the_folders(tmp_path):
    for name, zipped in (("folders", False), ("zips", True), ("again", True)):
        make_corpus(tmp_path / name, "ravdess", speakers=2, clips_per_speaker=1, zipped=zipped, **SMALL)
    folders = _files(tmp_path / "folders")
    archives = sorted((tmp_path / "zips").glob("*.zip"))
    assert [path.name for path in archives] == ["Video_Speech_Actor_01.zip", "Video_Speech_Actor_04.zip"]
    for path in archives:
        with zipfile.ZipFile(path) as file:
            for name in file.namelist():
                assert file.read(name) == folders.pop(name)
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert list(folders) == ["README.txt"]
    assert '"zipped": true' in (tmp_path / "zips" / "README.txt").read_text()
    assert "zipped" not in folders["README.txt"].decode()


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(crema_d, tmp_path):
    again = tmp_path / "again"
    make_corpus(again, "crema_d", speakers=2, clips_per_speaker=2, **SMALL | {"workers": 2})
    assert _files(again) == _files(crema_d)


def test_another_seed_makes_other_clips(crema_d, tmp_path):
    other = tmp_path / "other"
    make_corpus(other, "crema_d", speakers=1, clips_per_speaker=1, **SMALL | {"seed": 4})
    (clip,) = (other / "VideoFlash").iterdir()
    assert clip.read_bytes() != (crema_d / "VideoFlash" / clip.name).read_bytes()


def test_a_rerun_generates_only_missing_files(crema_d, tmp_path):
    root = tmp_path / "resumed"
    make_corpus(root, "crema_d", speakers=2, clips_per_speaker=2, **SMALL)
    missing, kept = sorted((root / "VideoFlash").iterdir())[:2]
    missing.unlink()
    before = kept.stat().st_mtime_ns
    make_corpus(root, "crema_d", speakers=2, clips_per_speaker=2, **SMALL)
    assert kept.stat().st_mtime_ns == before
    assert _files(root) == _files(crema_d)


def test_a_folder_of_other_settings_is_refused(crema_d):
    with pytest.raises(UserError, match="other settings"):
        make_corpus(crema_d, "crema_d", speakers=2, clips_per_speaker=2, **SMALL | {"seed": 9})


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        make_corpus(tmp_path, "ravdess", speakers=1)
    with pytest.raises(UserError, match="is a file"):
        make_corpus(tmp_path / "thesis.txt", "ravdess", speakers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("bad", [{"corpus": "iemocap"}, {"workers": 0}, {"speakers": 25}])
def test_bad_arguments_write_nothing(tmp_path, bad):
    with pytest.raises(UserError):
        make_corpus(tmp_path / "out", **({"corpus": "ravdess", "speakers": 1} | bad))
    assert not (tmp_path / "out").exists()


def _maker(**dials):
    return ClipMaker(_config(**dials), 0)


def _config(**dials):
    return CorpusConfig(
        corpus="crema_d", speakers=1, clips_per_speaker=6, seed=3, dials=Dials(**dials), frame_size=(160, 120),
        seconds=FORMATS["crema_d"].seconds,
    )  # fmt: skip


def test_face_emotion_dial():
    assert all(_maker(face_emotion=0.0).actions(take.emotion, 1.0) == () for take in takes(_config(), 0))
    half, full = (dict(_maker(face_emotion=dial).actions("anger", 1.0)) for dial in (0.5, 1.0))
    assert full
    assert full == pytest.approx({name: 2 * amount for name, amount in half.items()})


def test_voice_emotion_dial_makes_angry_clips_louder_than_sad_ones():
    def difference(dial):
        maker = _maker(voice_emotion=dial)
        levels = {}
        for number, take in enumerate(takes(_config(), 0)):
            utterance = maker.speak(take, number)
            levels[take.emotion] = 10 * np.log10(np.mean(utterance.samples[np.repeat(utterance.voiced, 80)] ** 2))
        return levels["anger"] - levels["sad"]

    # The table's distance is 18 dB at full intensity; clips vary by 2.5 dB each.
    assert difference(1.0) - difference(0.0) == pytest.approx(18 * 0.8, abs=4)


def test_the_face_moves_within_a_clip(crema_d):
    frames = np.stack(_decoded(next((crema_d / "VideoFlash").iterdir()))).astype(int)
    assert np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)).max() > 1


def test_command_reports_a_mistake_in_one_line(tmp_path):
    command = [sys.executable, "-m", "datasets.synthetic", f"--output_dir={tmp_path / 'x'}", "--corpus=ravdess"]
    result = subprocess.run([*command, "--speakers=99"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: speakers of ravdess=99:")
    assert "1 to 24" in line
