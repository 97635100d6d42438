"""The counts of a build, the order of its rejections, and the conditions that stop it."""

import csv
import os

import pytest

from datasets.clips import Clip, Listing, Rejection
from datasets.tally import Tally
from emogan.errors import UserError


@pytest.fixture
def clips(tmp_path):
    """Clips of different speakers, in an order that is not that of their paths."""
    names = ["b/2", "a/1", os.fsdecode(b"c/M\xfcller"), "a/0"]
    paths = [tmp_path / f"{name}.mp4" for name in names]
    return [
        Clip(clip_id=name, speaker_id=name[0], label="sad", image_path=path, audio_path=path)
        for name, path in zip(names, paths, strict=True)
    ]


@pytest.fixture
def tally(tmp_path, clips):
    listing = Listing(splits={"fold_0": clips})
    listing.left_out["song"] += 2
    return Tally(listing, corpus_dir=tmp_path, csv_path=tmp_path / "rejections.csv", max_rejects=0.8)


def reject(clip) -> Rejection:
    return Rejection(clip_id=clip.clip_id, path=clip.image_path, reason="silent", detail=f"{clip.image_path} is silent")


def test_rejections_are_in_the_order_of_the_corpus(tally, clips):
    for clip in clips[:3]:
        assert not tally.accepts(clip, "", reject(clip))
    assert tally.accepts(clips[3], "key", None)
    counts = tally.finish(examples=1, class_names=["happy", "sad"])
    assert (counts["clips"], counts["examples"], counts["left_out"]) == (4, 1, {"song": 2})
    places = ["a/1.mp4", "b/2.mp4", "c/M\\xfcller.mp4"]
    assert [row["path"] for row in counts["rejected"]] == places
    assert counts["rejected"][2]["detail"] == f"{places[2]} is silent"
    with tally.csv_path.open(newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == places
    assert list(counts["warnings"]) == ["Classes without examples"]
    assert "happy" in counts["warnings"]["Classes without examples"]


def test_missing_clips_stop_the_build(tally, clips):
    for number, clip in enumerate(clips[:3]):
        tally.accepts(clip, f"key {number}", None)
    tally.accepts(clips[3], "", reject(clips[3]))
    with pytest.raises(UserError, match=r"1 of 4 clips .*2 .*1 "):
        tally.finish(examples=2, class_names=["sad"])
    assert tally.finish(examples=3, class_names=["sad"])["warnings"] == {}


def test_clips_with_the_same_bytes_are_reported(tally, clips):
    for clip, key in zip(clips, ("x", "x", "y", "x"), strict=True):
        tally.accepts(clip, key, None)
    assert tally.finish(examples=4, class_names=["sad"])["warnings"]["Same files"].endswith(": b/2 = a/1 = a/0")
