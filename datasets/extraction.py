"""Extracts from one clip what datasets of every size need. Only this module decodes media and detects faces.

Public names: Extract, Contents, read_contents, extract, thumbnail.
"""

import dataclasses
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from datasets import files, media
from datasets.clips import Clip
from emogan import faces
from emogan.config import FaceConfig
from emogan.errors import MediaError
from emogan.media import audio_streams

MIN_AUDIO_SECONDS = 0.5
"""AAC's padding makes 0.2 s of audio as long as 0.32 s."""
MAX_LENGTH_DIFFERENCE_SECONDS = 1.0
"""Between video and audio of one clip; above it their middles are different moments. Our choice."""
AUDIO_STEPS = 2.0**23
"""Audio is stored with 24 bits, so files of 16 or 24 bits lose nothing."""
THUMBNAIL_SIDE = 160

Contents = dict[Path, bytes]
"""Contents of a clip's files."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Extract:
    """Face and audio of one clip.

    Attributes:
        face: uint8 [S, S, 3], RGB, aligned.
        landmarks: float32 [5, 2], (x, y) in pixels of `face`.
        face_confidence: MTCNN's, in [0, 1].
        face_width: width of the face's box in the frame, pixels; below S the face was magnified.
        face_count: number of faces found in the frame, of which this is the largest; much smaller ones are not detected.
        invented_share: share of `face` that lies beyond the frame, in [0, 1]; see `emogan.faces.invented_share`.
        frame_index: index of the frame used; of a still image, its index among the clip's images.
        frame_offset: `frame_index` relative to the middle frame.
        samples: the whole audio, float32 [n] in [-1, 1], mono, in steps of 1 / AUDIO_STEPS.
    """

    face: np.ndarray
    landmarks: np.ndarray
    face_confidence: float
    face_width: float
    face_count: int
    invented_share: float
    frame_index: int
    frame_offset: int
    samples: np.ndarray


def read_contents(clip: Clip) -> tuple[Contents, MediaError | None]:
    """Reads the files of a clip; fallback audio and further images may be missing.

    Returns:
        The contents of the files that could be read, and the error of the first one that could not, or None.
    """
    contents: Contents = {}
    first_error = None
    needed = {clip.audio_path: "missing_sound_file", clip.image_path: "missing_picture_file"}  # they may be one file
    for path in dict.fromkeys(path for path in clip.paths if path):
        try:
            if files.exists(path):
                contents[path] = files.read(path)
            elif path in needed:
                raise MediaError(path, needed[path], "there is no such file")
        except MediaError as error:
            # A fault of an archive is reported for its member.
            first_error = first_error or MediaError(path, error.reason, error.detail)
    return contents, first_error


def extract(clip: Clip, contents: Contents, face: FaceConfig, sample_rate: int) -> Extract:
    """Decodes a clip.

    Args:
        clip: the clip.
        contents: contents of its files; see `read_contents`.
        face: settings of face detection and alignment, with the size.
        sample_rate: of the audio, samples per second.

    Raises:
        MediaError: the clip cannot be used.
    """
    samples, begin = _audio(clip, contents, sample_rate)
    tried, widest = 0, 0.0
    for index, offset, image in _images(clip, contents, len(samples) / sample_rate, begin, face.search_frames):
        tried += 1
        found = faces.detect(image, face)
        widest = max(widest, found[0].box[2] if found else 0.0)
        if found and found[0].box[2] >= face.min_width:
            aligned, landmarks = faces.align(image, found[0].landmarks, face)
            return Extract(
                face=aligned,
                landmarks=landmarks,
                face_confidence=found[0].confidence,
                face_width=found[0].box[2],
                face_count=len(found),
                invented_share=faces.invented_share(image.shape, found[0].landmarks, face),
                frame_index=index,
                frame_offset=offset,
                samples=samples,
            )
    where = f"in {tried} images around the middle"
    if widest:
        detail = f"the widest face {where} has {widest:.1f} pixels; it must have at least {face.min_width:g} pixels"
        raise MediaError(clip.image_path, "small_face", detail)
    raise MediaError(clip.image_path, "no_face", f"no face found {where}")


def thumbnail(clip: Clip, contents: Contents) -> bytes:
    """Returns the clip's first image (of a video, the middle frame) as a small JPEG; empty if it cannot be decoded."""
    data = contents.get(clip.image_path, b"")
    try:
        if clip.image_path.suffix.lower() in media.IMAGE_SUFFIXES:
            image = media.read_image(clip.image_path, data)
        else:
            with media.Video(clip.image_path, data) as video:
                _, image = next(video.frames([0]))
    except MediaError:
        return b""
    thumbnail, buffer = Image.fromarray(image), io.BytesIO()
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    thumbnail.save(buffer, "JPEG")
    return buffer.getvalue()


def _audio(clip: Clip, contents: Contents, sample_rate: int) -> tuple[np.ndarray, float | None]:
    """Returns the samples and the time of the first one on the video's clock, seconds; None if that is unknown."""
    path = clip.audio_path
    try:
        samples, begin = audio_streams.read_audio(path, contents[path], sample_rate)
    except MediaError as error:
        if error.reason != "no_sound" or clip.fallback_audio_path not in contents:
            raise
        path = clip.fallback_audio_path
        samples, begin = audio_streams.read_audio(path, contents[path], sample_rate)
    if len(samples) < MIN_AUDIO_SECONDS * sample_rate:
        seconds = len(samples) / sample_rate
        detail = f"{seconds:.2f} s of audio; must be at least {MIN_AUDIO_SECONDS} s"
        raise MediaError(clip.audio_path, "too_short", detail)
    if np.abs(samples).max() < audio_streams.SILENCE:
        raise MediaError(clip.audio_path, "silent", "every sample is zero")
    steps = np.round(samples * AUDIO_STEPS).clip(-AUDIO_STEPS, AUDIO_STEPS - 1)
    return (steps / AUDIO_STEPS).astype(np.float32), begin if path == clip.image_path else None


def _images(
    clip: Clip, contents: Contents, audio_seconds: float, audio_begin: float | None, search_frames: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields (index, offset from the middle, image), in the order in which they are searched for a face."""
    if clip.image_path.suffix.lower() in media.IMAGE_SUFFIXES:
        for index, path in enumerate((clip.image_path, *clip.other_images)):
            if path in contents:
                yield index, index, media.read_image(path, contents[path])
        return
    with media.Video(clip.image_path, contents[clip.image_path]) as video:
        if abs(video.seconds - audio_seconds) > MAX_LENGTH_DIFFERENCE_SECONDS:
            limit = f"they may differ by {MAX_LENGTH_DIFFERENCE_SECONDS:g} s"
            detail = f"{video.seconds:.2f} s of video, {audio_seconds:.2f} s of audio; {limit}"
            raise MediaError(clip.image_path, "wrong_length", detail)
        if audio_begin is not None:
            video.turn_to(audio_begin + audio_seconds / 2)
        around = itertools.chain.from_iterable((-k, k) for k in range(1, search_frames + 1))
        for offset, image in video.frames([0, *around]):
            yield video.middle + offset, offset, image
