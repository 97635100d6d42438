"""In all corpora, links are followed, and files that are not read are counted."""

from pathlib import Path

import pytest
from listings import VIDEO, archive, names, rejected, touch

from datasets.clips import SYNTHETIC_MARK
from datasets.tally import Tally

PLACES = {
    "crema_d_av": ("VideoFlash", "1001_DFA_ANG_XX.flv", "1001_DFA_ANG_XX"),
    "folder_av": ("sad/eve", "1.mp4", "sad/eve/1"),
    "ravdess_av": ("Actor_01", "01-01-05-01-01-01-01.mp4", "01-01-05-01-01-01-01"),
    "voxceleb_av": ("dev/mp4/id00012", "21Uxsk-6_DQ/00001.mp4", "id00012/21Uxsk-6_DQ/00001"),
}
"""For each corpus, a folder, a file in it, and the file's clip id."""


@pytest.mark.parametrize("dataset", PLACES)
def test_links_are_followed_and_loops_end(root, tmp_path, listed, dataset):
    folder, name, clip_id = PLACES[dataset]
    touch(tmp_path / "disk", name, "more/x.txt")
    (root / folder).parent.mkdir(parents=True, exist_ok=True)
    (root / folder).symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(root)
    (tmp_path / "disk" / "more" / "up").symlink_to(tmp_path)
    (tmp_path / "disk" / "self").symlink_to("self")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    touch(root, "happy/ann/1.mp4", "happy/bob/1.mp4")
    listing = listed(dataset)
    assert clip_id in {clip.clip_id for clips in listing.splits.values() for clip in clips}
    assert listing.rejections == []
    assert {path.relative_to(root).as_posix(): "broken" in reason for path, reason in listing.closed.items()} == {
        f"{folder}/back": False, f"{folder}/more/up": False, f"{folder}/self": True, "gone": True,
    }  # fmt: skip


def test_a_link_to_a_speaker_is_that_speaker(root, tmp_path, listed):
    """With two links to each other's folders, every clip is found once per path, and the walk ends."""
    touch(root, "dev/mp4/id00012/21Uxsk-6_DQ/00001.mp4")
    touch(tmp_path, "a/21Uxsk-6_DQ/00002.mp4", "b/21Uxsk-6_DQ/00003.mp4")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    (root / "dev" / "mp4" / "id00013").symlink_to(tmp_path / "a")
    listing = listed("voxceleb_av")
    assert names(listing) == {"train": ["id00012/21Uxsk-6_DQ/00001", "id00013/21Uxsk-6_DQ/00002"]}
    assert rejected(listing, root) == {("dev/mp4/id00013/to_b/21Uxsk-6_DQ/00003.mp4", "bad_name")}
    assert [path.name for path in listing.closed] == ["to_a"]


def not_read(listing, root):
    return Tally(listing, corpus_dir=root, csv_path=root / "r.csv", max_rejects=0).not_read()


def test_unread_folders_and_files_are_counted(root, listed):
    touch(root, "dev/mp4/id00012/21Uxsk-6_DQ/00001.mp4", "dev/mp4_old/x/1.mp4", "dev/mp4_old/y/2.mp4", "notes.txt")
    touch(
        root, *(f"mp4/id00017/21Uxsk-6_DQ/0000{number}.mp4" for number in range(3))
    )  # the test part, one folder too high
    touch(root, "vox2_test_mp4.zip", "dev/aac/id00012/21Uxsk-6_DQ/00001.m4a", "test/aac/id00017/21Uxsk-6_DQ/00001.m4a")
    listing = listed("voxceleb_av")
    assert names(listing) == {"train": ["id00012/21Uxsk-6_DQ/00001"]}
    assert not_read(listing, root) == {"mp4": 3, "dev/mp4_old": 2, "vox2_test_mp4.zip": 1}
    assert listing.left_out == {"sound_without_video": 1}


OTHER_KINDS = (
    "2.mxf",
    "2.QT",
    "3.rar",
    "4.tar",
    "4.tar.gz",
    "5.zip.part",
    "6.mp4.crdownload",
    "vox_partaa",
    "vox_partab",
)
NO_MEDIA = (
    "README",
    "notes.txt",
    "table.csv",
    "a.json",
    "a.pdf",
    "a.jpg",
    "a.srt",
    "a.py",
    "departure",
    ".7.mxf",
    "mxf",
)


@pytest.mark.parametrize("dataset", PLACES)
def test_files_of_other_kinds_are_counted(root, listed, dataset):
    folder, name, _ = PLACES[dataset]
    touch(root, f"{folder}/{name}", "happy/ann/1.mp4", "happy/bob/1.mp4")
    before = not_read(listed(dataset), root)
    touch(root, *(f"{folder}/{other}" for other in (*OTHER_KINDS, *NO_MEDIA)), "more/a.mxf", "more/deeper/b.Mxf")
    touch(root, *(f"{folder}/{number}.mxf" for number in range(10, 15)))
    found = not_read(listed(dataset), root)
    one_each = ("2.QT", "3.rar", "4.tar", "4.tar.gz", "5.zip.part", "6.mp4.crdownload")
    further = {f"{folder}/{other}": 1 for other in one_each} | {
        f"{folder}/*.mxf": 6,
        f"{folder}/vox_part*": 2,
        "more": 2,
    }
    assert found == before | further


def test_a_table_may_name_a_file_of_another_kind(root, listed):
    touch(root, "1.mxf", "2.mxf")
    (root / "clips.csv").write_text("file,speaker,emotion\n1.mxf,ann,sad\n3.mp4,bob,sad\n4.mp4,eve,happy\n")
    listing = listed("folder_av")
    assert sum(map(len, listing.splits.values())) == 3
    assert not_read(listing, root) == {"2.mxf": 1}


def test_members_of_other_kinds_are_counted(root, listed):
    (root / "README.txt").write_text(SYNTHETIC_MARK)
    archive(
        root / "Actor_01.zip", VIDEO, "Actor_01/2.mxf", "Actor_01/inner.zip", "Actor_01/notes.txt", "__MACOSX/._3.mxf"
    )
    listing = listed("ravdess_av")
    assert len(names(listing)) == 1
    assert not_read(listing, root) == {"Actor_01.zip/Actor_01/2.mxf": 1, "Actor_01.zip/Actor_01/inner.zip": 1}


@pytest.mark.parametrize(
    ("dataset", "config", "unread"),
    [
        ("crema_d_av", "64", {"AudioMP3": 2, "VideoFlash/more": 1, "stray.mp4": 1}),
        ("ravdess_av", "64", {"AudioMP3": 2, "VideoFlash": 2, "stray.mp4": 1}),
        ("voxceleb_av", "64_vox1", {"AudioMP3": 2, "VideoFlash": 2, "stray.mp4": 1, "Actor_01": 1, "Actor_01.zip": 1}),
    ],
)
@pytest.mark.usefixtures("vox1", "no_sums")
def test_unread_files_of_each_corpus(root, listed, dataset, config, unread):
    touch(root, "AudioMP3/1.mp3", "AudioMP3/2.mp3", "stray.mp4", "VideoFlash/1001_DFA_ANG_XX.flv", ".hidden/3.mp4")
    touch(root, "VideoFlash/more/1001_DFA_DIS_XX.flv", f"Actor_01/{Path(VIDEO).name}")
    archive(root / "Actor_01.zip", VIDEO.replace("05", "04"))
    found = not_read(listed(dataset, config), root)
    assert unread.items() <= found.items()
    assert found.items() <= (unread | {"wav": 2, "Actor_01": 1, "Actor_01.zip": 1}).items()
