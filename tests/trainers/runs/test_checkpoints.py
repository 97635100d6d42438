"""Checkpoints that are damaged, belong to another run, or cannot be written."""

import errno
import os

import pytest
import tensorflow as tf

from emogan.command import is_full_disk
from emogan.errors import UserError
from trainers.runs.checkpoints import Checkpoints


@pytest.fixture
def saved(tmp_path, small):
    """Checkpoints of the steps 2 (deleted), 4 and 6, best 2; at step n the first bias of D equals n."""
    gan = small.make_gan()
    checkpoints = Checkpoints(tmp_path / "c", gan)
    for step in (2, 4, 6):
        bias(gan).assign(tf.fill(bias(gan).shape, float(step)))
        checkpoints.save(step)
        if step == 2:
            checkpoints.save_best(step)
    return tmp_path / "c"


def bias(gan):
    return gan.discriminator.get_layer("trunk_0_conv").bias


def restored(small, folder):
    gan = small.make_gan()
    step = Checkpoints(folder, gan).restore()
    assert bias(gan).numpy().tolist() == [step] * bias(gan).shape[0]
    return step


def test_the_newest_two_and_the_best_are_kept(saved, small):
    assert sorted(file.name for file in saved.glob("*.index")) == [
        "best-00000002.index", "last-00000004.index", "last-00000006.index"
    ]  # fmt: skip
    assert restored(small, saved) == 6
    gan = small.make_gan()
    assert Checkpoints(saved, gan).restore_best() == 2
    assert bias(gan).numpy()[0] == 2


def cut(file):
    os.truncate(file, file.stat().st_size * 2 // 3)


def turn_a_bit(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def empty(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, turn_a_bit, empty, os.remove])
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(saved, caplog, harm, part, small):
    harm(saved / f"last-00000006.{part}")
    assert restored(small, saved) == 4
    if not (harm is os.remove and part == "index"):  # without an index there is no checkpoint
        assert f"{saved / 'last-00000006'} is damaged" in caplog.text


def test_if_all_are_damaged_the_stage_does_not_restart(saved, small):
    for file in saved.glob("last-*.data*"):
        empty(file)
    with pytest.raises(UserError, match=f"{saved} are damaged"):
        restored(small, saved)


def test_a_full_disk_loses_no_earlier_checkpoint(small_disk, small):
    disk, gan = small_disk("1m"), small.make_gan()
    checkpoints = Checkpoints(disk, gan)

    def fill_up():
        for step in range(2, 100, 2):
            bias(gan).assign(tf.fill(bias(gan).shape, float(step)))
            checkpoints.save(step)
            (disk / f"other_{step}").write_bytes(bytes(50_000))

    with pytest.raises(tf.errors.OpError) as caught:
        fill_up()
    assert is_full_disk(caught.value)
    kept = sorted(disk.glob("last-*"))
    assert len(kept) == 4  # index and data of the last two that fitted, and nothing of the one that did not
    assert restored(small, disk) == int(kept[-1].stem.removeprefix("last-"))


def test_a_write_that_fails_leaves_nothing_of_itself(saved, monkeypatch, small):
    gan = small.make_gan()
    checkpoints = Checkpoints(saved, gan)

    def fail(prefix):
        (saved / "last-00000008.data-00000-of-00001").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints._checkpoint, "write", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoints.save(8)
    assert is_full_disk(caught.value)
    assert not list(saved.glob("last-00000008*"))
    assert restored(small, saved) == 6
