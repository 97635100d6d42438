"""The TFDS builder `voxceleb_av`: names and splits of VoxCeleb2 and VoxCeleb1."""

import collections
import functools
import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.builder import PairsBuilder, Variant, make_configs
from datasets.clips import Clip, Listing, media_in
from datasets.voxceleb_av import voxceleb1
from datasets.voxceleb_av.speakers import Speakers
from emogan.errors import UserError, first_ones

VALIDATION_PERCENT = 2
"""Share of the development speakers used for validation. Our choice."""
_NAME = re.compile(r"(id\d{5})/([\w-]{11})/\d{5}")
"""Of an utterance, in both corpora: speaker, YouTube id, number."""


class Builder(PairsBuilder):
    """Interviews without labels; official test set; validation speakers by hash.

    VoxCeleb2: face tracks from mp4, audio from mp4 or aac. VoxCeleb1: audio from wav, faces from still crops.
    """

    BUILDER_CONFIGS = make_configs(
        Variant(description="VoxCeleb2: face tracks.", folder="VoxCeleb2", markers=("*/mp4/*",), class_names=None),
        Variant(
            name="vox1",
            description="VoxCeleb1: audio, and still crops of faces.",
            folder="VoxCeleb1",
            markers=(voxceleb1.META, voxceleb1.FACES),
            class_names=None,
        ),
    )
    HOMEPAGE = "https://mm.kaist.ac.kr/datasets/voxceleb/"
    LICENSE = "Creative Commons Attribution 4.0 for the metadata; the videos belong to their owners"
    FEATURES: ClassVar = {"pairing": tfds.features.Text(), "speaker_gender": tfds.features.Text()}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
VoxCeleb2 is expected in its official layout, in the manual directory itself or in its subfolder VoxCeleb2:
  dev/mp4/id00012/21Uxsk56VDQ/00001.mp4 ...  and test/mp4/...
  dev/aac/id00012/21Uxsk56VDQ/00001.m4a ...  and test/aac/...  (only used if a video has no audio)
  vox2_meta.csv  (only for the speakers' gender)
VoxCeleb1, for the configurations 64_vox1 to 256_vox1, in the manual directory itself or in its subfolder VoxCeleb1:
  wav/id10001/1zcIwhmdeo4/00001.wav ...  (or dev/wav/... and test/wav/...)
  unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/0000800.jpg ...
  vox1_meta.csv
  vox1_dev_txt/id10001/1zcIwhmdeo4/00001.txt ...  and vox1_test_txt/...  (frame lists, which select the crop)
Ask for them at https://mm.kaist.ac.kr/datasets/voxceleb/ and unpack the archives."""

    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists every utterance of the development and the test set."""
        listing = Listing(splits={"train": [], "validation": [], "test": []})
        if self.builder_config.variant.name == "vox1":
            self._list_voxceleb1(corpus_dir, listing)
        else:
            self._list_voxceleb2(corpus_dir, listing)
        return listing

    def _list_voxceleb2(self, corpus_dir: Path, listing: Listing) -> None:
        speakers = Speakers(corpus_dir / "vox2_meta.csv", "VoxCeleb2")
        folders = [corpus_dir / part / kind for part in ("dev", "test") for kind in ("mp4", "aac")]
        found = media_in(corpus_dir, folders, listing)
        parts: dict[str, set[str]] = collections.defaultdict(set)
        for part in ("dev", "test"):
            videos, audios = corpus_dir / part / "mp4", corpus_dir / part / "aac"
            audio_only = {path.relative_to(audios).with_suffix("") for path in found[audios]}
            audio_only.difference_update(path.relative_to(videos).with_suffix("") for path in found[videos])
            listing.left_out["sound_without_video"] += len(audio_only)
            for path in found[videos]:
                clip_id = path.relative_to(videos).with_suffix("").as_posix()
                match = _NAME.fullmatch(clip_id)
                if match is None or path.suffix != ".mp4":
                    listing.bad_name(path, f"must be {part}/mp4/<speaker id>/<YouTube id>/<number>.mp4")
                    continue
                clip = Clip(
                    clip_id=clip_id,
                    speaker_id=match[1],
                    image_path=path,
                    audio_path=path,
                    fallback_audio_path=audios / f"{clip_id}.m4a",
                    features=_features("video", speakers.gender(match[1])),
                )
                listing.add(_split(match[1], part), clip)
                parts[match[1]].add(part)
        listing.left_out = +listing.left_out
        _check_parts(corpus_dir, parts)

    def _list_voxceleb1(self, corpus_dir: Path, listing: Listing) -> None:
        speakers = Speakers(corpus_dir / voxceleb1.META, "VoxCeleb1", ("VGGFace1 ID", "Set"))
        crops = voxceleb1.Crops(corpus_dir, speakers, listing)
        for folder, paths in media_in(corpus_dir, voxceleb1.audio_folders(corpus_dir), listing).items():
            for path in paths:
                clip_id = path.relative_to(folder).with_suffix("").as_posix()
                match = _NAME.fullmatch(clip_id)
                if match is None or path.suffix != ".wav":
                    listing.bad_name(path, "must be wav/<speaker id>/<YouTube id>/<number>.wav")
                elif match[1] not in speakers:
                    listing.reject(path, "unknown_speaker", f"{match[1]} is not in {voxceleb1.META}", clip_id=clip_id)
                elif not (choice := crops.choose(match[1], match[2], clip_id)).paths:
                    detail = f"the video has no crops in {crops.folder(match[1], match[2])}"
                    listing.reject(path, "no_face_crops", detail, clip_id=clip_id)
                else:
                    clip = Clip(
                        clip_id=clip_id,
                        speaker_id=match[1],
                        image_path=choice.paths[0],
                        other_images=choice.paths[1:],
                        audio_path=path,
                        features=_features(choice.pairing, speakers.gender(match[1])),
                    )
                    listing.add(_split(match[1], speakers.cell(match[1], "Set")), clip)


def _check_parts(corpus_dir: Path, parts: Mapping[str, Collection[str]]) -> None:
    """Raises UserError if a speaker is in both parts; the official parts share none."""
    if both := sorted(speaker for speaker, found in parts.items() if len(found) > 1):
        raise UserError(
            f"{corpus_dir} has the same speakers in dev/mp4 (training) and test/mp4: {first_ones(both)}; remove them from "
            "one of the two (VoxCeleb2's parts share none)"
        )


def _split(speaker_id: str, part: str) -> str:
    if part == "test":
        return "test"
    number = int(hashlib.sha256(speaker_id.encode()).hexdigest(), 16)
    return "validation" if number % 100 < VALIDATION_PERCENT else "train"


@functools.cache
def _features(pairing: str, gender: str) -> dict[str, str]:
    """Returns one object for all clips with these features, because there may be a million clips."""
    return {"pairing": pairing, "speaker_gender": gender}
