"""Files on disk and members of zip archives are read alike, and every fault has a reason."""

import contextlib
import errno
import io
import os
import random
import zipfile
import zlib
from pathlib import Path

import pytest

from datasets import files
from emogan.errors import MediaError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
LONG = bytes(range(256)) * 40


@pytest.fixture
def archive(tmp_path) -> Path:
    """Video_Speech_Actor_01.zip with a folder of its own, two clips, an empty one and one that is a pointer."""
    path = tmp_path / "RAVDESS" / "Video_Speech_Actor_01.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("Actor_01")
        file.writestr("Actor_01/b.mp4", b"second by name, first by place")
        file.writestr("Actor_01/a.mp4", LONG)
        file.writestr("Actor_01/empty.mp4", b"")
        file.writestr("Actor_01/pointer.mp4", POINTER)
    return path


def reason_of(call, *arguments) -> str:
    with pytest.raises(MediaError) as caught:
        call(*arguments)
    assert str(caught.value.path.parent) not in caught.value.detail  # details contain no absolute paths
    return caught.value.reason


def test_members_in_the_archives_order_without_its_folders(archive):
    assert [path.relative_to(archive).as_posix() for path in files.members(archive)] == [
        "Actor_01/b.mp4", "Actor_01/a.mp4", "Actor_01/empty.mp4", "Actor_01/pointer.mp4"
    ]  # fmt: skip


def test_a_member_reads_like_a_file(archive, tmp_path):
    (tmp_path / "a.mp4").write_bytes(LONG)
    assert files.read(tmp_path / "a.mp4") == files.read(archive / "Actor_01" / "a.mp4") == LONG
    assert files.archive_of(archive / "Actor_01" / "a.mp4") == archive
    assert files.archive_of(archive) is files.archive_of(tmp_path / "a.mp4") is None


def test_an_extracted_folder_may_be_named_like_an_archive(tmp_path):
    path = tmp_path / "Actor_01.zip" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(LONG)
    assert files.archive_of(path) is None
    assert files.exists(path)
    assert files.read(path) == LONG


def test_exists(archive):
    assert files.exists(archive)
    assert files.exists(archive / "Actor_01" / "a.mp4")
    for missing in (archive / "Actor_01" / "c.mp4", archive / "a.mp4", archive.parent / "gone.zip" / "a.mp4"):
        assert not files.exists(missing)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("Actor_01/empty.mp4", "empty"), ("Actor_01/pointer.mp4", "git_lfs_pointer"), ("Actor_01/c.mp4", "missing"),
        ("Actor_01", "missing"), ("../gone.zip/Actor_01/a.mp4", "missing"), ("../notes.txt/a.mp4", "missing"),
    ],
)  # fmt: skip
def test_reasons(archive, place, reason):
    (archive.parent / "notes.txt").write_text("a file, not a folder")
    assert reason_of(files.read, Path(os.path.normpath(archive / place))) == reason


def test_a_huge_file_is_not_read(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(LONG) - 1)
    (tmp_path / "a.mp4").write_bytes(LONG)
    assert reason_of(files.read, tmp_path / "a.mp4") == "too_large"
    assert reason_of(files.read, archive / "Actor_01" / "a.mp4") == "too_large"
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(LONG))
    assert files.read(archive / "Actor_01" / "a.mp4") == LONG


def test_a_member_that_unpacks_to_more_than_its_stated_size_is_damaged(tmp_path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.mp4", bytes(1_000_000))
    stated = (1_000_000).to_bytes(4, "little")
    bomb.write_bytes(bomb.read_bytes().replace(stated, (1_000).to_bytes(4, "little")))
    assert reason_of(files.read, bomb / "a.mp4") == "truncated"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(archive):
    archive.chmod(0)
    assert reason_of(files.members, archive) == "no_permission"
    assert reason_of(files.read, archive / "Actor_01" / "a.mp4") == "no_permission"


@pytest.mark.parametrize(
    "name", ["../a.mp4", "Actor_01/../../a.mp4", "/etc/a.mp4", "..\\a.mp4", "\\etc\\a.mp4", "Actor_01\\..\\..\\a.mp4"]
)
def test_a_name_that_leads_out_of_the_archive(tmp_path, name):
    path = tmp_path / "Actor_01.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("Actor_01/a.mp4", b"fine")
        info = zipfile.ZipInfo("x")
        info.filename = name  # ZipInfo itself would clean it
        file.writestr(info, b"not fine")
    with pytest.raises(MediaError, match="unsafe_name"):
        files.members(path)


def test_backslashes_are_folders(tmp_path):
    """Some Windows programs write them, and separate entries for folders."""
    path = tmp_path / "Actor_01.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (("Actor_01\\", b""), ("Actor_01\\a.mp4", LONG), ("./Actor_01/b.mp4", b"b")):
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, data)
    assert files.members(path) == [path / "Actor_01" / "a.mp4", path / "Actor_01" / "b.mp4"]
    assert files.read(path / "Actor_01" / "a.mp4") == LONG
    assert files.read(path / "Actor_01" / "b.mp4") == b"b"
    assert files.size(path / "Actor_01" / "a.mp4") == len(LONG)


TWO_WAYS = [("A/1.mp4", "A\\1.mp4"), ("A\\1.mp4", "A/1.mp4"), ("A/1.mp4", "./A//1.mp4"), ("A/1.mp4", "A/1.mp4")]


@pytest.mark.parametrize(("one", "other"), TWO_WAYS)
@pytest.mark.parametrize("second", [LONG, LONG[:-1] + b"x", b"short"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_path(tmp_path, one, other, second):
    path = tmp_path / "Actor_01.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in ((one, LONG), (other, second), ("A/2.mp4", b"fine")):
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, data)
    assert files.members(path) == [path / "A" / "1.mp4", path / "A" / "2.mp4"]
    assert files.exists(path / "A" / "1.mp4")
    assert files.read(path / "A" / "2.mp4") == b"fine"
    if second == LONG:
        assert files.read(path / "A" / "1.mp4") == LONG
        assert files.size(path / "A" / "1.mp4") == len(LONG)
    else:
        assert reason_of(files.read, path / "A" / "1.mp4") == "ambiguous_name"
        assert files.size(path / "A" / "1.mp4") is None  # so that it counts as a copy of nothing


def test_same(archive, tmp_path):
    member = archive / "Actor_01" / "a.mp4"
    contents = {"copy": LONG, "other": LONG[:-1] + b"x", "short": LONG[:-1]}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    same = {name for name in (*contents, "gone") if files.same(tmp_path / name, member)}
    assert same == {name for name in (*contents, "gone") if files.same(tmp_path / "copy", tmp_path / name)} == {"copy"}
    assert files.same(member, member)
    assert not files.same(tmp_path / "gone", tmp_path / "gone")


def test_size(archive, tmp_path):
    (tmp_path / "a.mp4").write_bytes(LONG)
    assert files.size(tmp_path / "a.mp4") == files.size(archive / "Actor_01" / "a.mp4") == len(LONG)
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    for missing in (tmp_path / "b.mp4", archive / "Actor_01" / "c.mp4", tmp_path / "broken.zip" / "a.mp4"):
        assert files.size(missing) is None


def test_dots_within_a_name_are_harmless(tmp_path):
    path = tmp_path / "Actor_01.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("Actor..01/a..mp4", b"fine")
    assert files.members(path) == [path / "Actor..01" / "a..mp4"]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_archive(archive, share):
    data = archive.read_bytes()
    archive.write_bytes(data[: int(share * len(data))])
    assert reason_of(files.members, archive) == "not_a_zip"
    assert reason_of(files.read, archive / "Actor_01" / "a.mp4") == "not_a_zip"


def test_a_damaged_member_leaves_the_others_readable(archive):
    with zipfile.ZipFile(archive) as file:
        place = file.getinfo("Actor_01/a.mp4").header_offset + 60
    data = bytearray(archive.read_bytes())
    data[place] ^= 0xFF
    archive.write_bytes(data)
    assert reason_of(files.read, archive / "Actor_01" / "a.mp4") == "truncated"
    assert files.read(archive / "Actor_01" / "b.mp4") == b"second by name, first by place"


def test_no_damage_raises_anything_else(archive):
    """Whatever byte is wrong, reading gives the right bytes, or a MediaError."""
    good, generator = archive.read_bytes(), random.Random(1)
    for _ in range(2_000):
        data = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        archive.write_bytes(data)
        try:
            for path in files.members(archive):
                content = files.read(path)
                assert zlib.crc32(content) in {zlib.crc32(c) for c in (LONG, b"second by name, first by place")}
        except MediaError:
            pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_methods(tmp_path, method):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a.mp4", LONG)
    assert files.read(path / "a.mp4") == LONG
    place = len(path.read_bytes()) // 3  # within the compressed data
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    assert reason_of(files.read, path / "a.mp4") == "truncated"


def test_an_archive_within_an_archive_is_a_member_like_others(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("a.mp4", LONG)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.writestr("inner.zip", inner.getvalue())
    assert files.members(tmp_path / "outer.zip") == [tmp_path / "outer.zip" / "inner.zip"]
    assert not files.exists(tmp_path / "outer.zip" / "inner.zip" / "a.mp4")


def test_a_link_without_permission_is_skipped(tmp_path, monkeypatch):
    """Simulated, because root may follow every link."""
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b").symlink_to(tmp_path / "a.mp4")
    look = os.scandir

    class Refused:
        name = "b"

        def is_symlink(self):
            return True

        def is_dir(self):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @contextlib.contextmanager
    def scandir(folder):
        with look(folder) as found:
            yield [Refused() if entry.name == "b" else entry for entry in found]

    monkeypatch.setattr(os, "scandir", scandir)
    skipped = {}
    assert list(files.walk(tmp_path, "a.mp4".__eq__, skipped.__setitem__)) == [tmp_path / "a.mp4"]
    assert [*skipped] == [tmp_path / "b"]
