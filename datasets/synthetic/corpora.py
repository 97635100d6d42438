"""The contents of each corpus: official ids, names and folders, and the emotion and text of each clip.

Public names: Take, speaker_ids, is_female, voxceleb_part, vggface_name, takes, stream.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from datasets.folds import CREMA_D_FOLDS, RAVDESS_FOLDS
from datasets.synthetic.phones import CREMA_D_SENTENCES, RAVDESS_STATEMENTS, babble
from datasets.synthetic.settings import FORMATS, CorpusConfig
from emogan.emotions import EMOTIONS

CREMA_D_CODES = {"anger": "ANG", "disgust": "DIS", "fear": "FEA", "happy": "HAP", "neutral": "NEU", "sad": "SAD"}
_CREMA_D_LEVELS = {"LO": 0.5, "MD": 0.75, "HI": 1.0}
_CREMA_D_LEVELLED_SENTENCE = "IEO"

RAVDESS_CODES = {
    "neutral": "01", "calm": "02", "happy": "03", "sad": "04", "anger": "05", "fear": "06", "disgust": "07",
    "surprised": "08",
}  # fmt: skip
_RAVDESS_INTENSITIES = {"01": 0.75, "02": 1.0}

_VOXCELEB_FIRST_IDS = {"voxceleb2": 12, "voxceleb1": 10001}
_VOXCELEB_CLIPS_PER_VIDEO = 3
_VOXCELEB1_FRAMES_APART = 1000
"""Frames of a video between the beginnings of two utterances."""
_YOUTUBE_ALPHABET = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_STREAMS = ("speaker", "plan", "clip", "voice", "wall", "style", "raters", "occasion")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """One clip to generate.

    Attributes:
        image: path of the video file below the corpus's root; its suffix determines the codecs. A .jpg is the first of several
            still images, one per second, named by their frame numbers.
        audio: path of the separate audio file, or None if the audio is in the video only.
        emotion: the acted emotion.
        intensity: intensity of the emotion, 0 to 1.
        phones: the spoken text, as symbols of `datasets.synthetic.phones`.
        occasion: number of the recording session, which determines wall, clothes and framing.
        frame_list: path of the frame list, or None.
    """

    image: str
    audio: str | None
    emotion: str
    intensity: float
    phones: str
    occasion: int = 0
    frame_list: str | None = None


def stream(config: CorpusConfig, purpose: str, *indices: int) -> np.random.Generator:
    """Returns the random generator of one purpose (one of `_STREAMS`), for example for one clip of one speaker."""
    corpus = list(FORMATS).index(config.corpus)
    return np.random.default_rng([config.seed, corpus, _STREAMS.index(purpose), *indices])


def _in_turn(folds: tuple[tuple[str, ...], ...]) -> list[str]:
    return [speaker for row in itertools.zip_longest(*folds) for speaker in row if speaker is not None]


def speaker_ids(corpus: str, speakers: int) -> list[str]:
    """Returns the ids of the first speakers: the first of each fold, then the second, ... (VoxCeleb: id00012, id00013, ...)"""
    if corpus == "crema_d":
        return _in_turn(CREMA_D_FOLDS)[:speakers]
    if corpus == "ravdess":
        return _in_turn(RAVDESS_FOLDS)[:speakers]
    return [f"id{_VOXCELEB_FIRST_IDS[corpus] + i:05d}" for i in range(speakers)]


def is_female(corpus: str, index: int) -> bool:
    """Returns whether the speaker at this index of `speaker_ids` is female: RAVDESS's even ids; else half of each fold."""
    if corpus == "ravdess":
        return int(speaker_ids(corpus, index + 1)[index]) % 2 == 0
    folds = len(CREMA_D_FOLDS) if corpus == "crema_d" else 1
    return (index // folds + index % folds) % 2 == 1


def voxceleb_part(index: int) -> str:
    """Returns the official set of the speaker at this index of `speaker_ids`: the second of every ten is in `test`."""
    return "test" if index % 10 == 1 else "dev"


def vggface_name(index: int) -> str:
    """Returns the folder name of VoxCeleb1's faces of the speaker at this index of `speaker_ids`."""
    return f"Synthetic_Speaker_{index + 1:04d}"


def takes(config: CorpusConfig, index: int) -> list[Take]:
    """Returns the clips of one speaker, cycling through emotions first, then through sentences."""
    speaker_id = speaker_ids(config.corpus, index + 1)[index]
    rng = stream(config, "plan", index)
    if config.corpus == "crema_d":
        clips = _crema_d(speaker_id, index, rng)
    elif config.corpus == "ravdess":
        clips = _ravdess(speaker_id, index, rng)
    else:
        clips = _voxceleb(config, speaker_id, index, rng)
    return list(itertools.islice(clips, config.clips_per_speaker))


def _crema_d(speaker_id: str, index: int, rng: np.random.Generator) -> Iterator[Take]:
    """All emotions of a sentence before the next one; the remaining levels of IEO last. The start depends on the speaker."""
    sentences = list(np.roll(list(CREMA_D_SENTENCES), -5 * index))
    emotions = list(np.roll(EMOTIONS, -2 * index))

    def take(sentence: str, emotion: str, level: str) -> Take:
        name = f"{speaker_id}_{sentence}_{CREMA_D_CODES[emotion]}_{level}"
        return Take(
            image=f"VideoFlash/{name}.flv",
            audio=f"AudioWAV/{name}.wav",
            emotion=emotion,
            intensity=_CREMA_D_LEVELS[level] if level != "XX" else float(rng.uniform(0.6, 1.0)),
            phones=CREMA_D_SENTENCES[sentence],
        )

    def level(sentence: str, emotion: str, turn: int) -> str:
        if sentence != _CREMA_D_LEVELLED_SENTENCE or emotion == "neutral":
            return "XX"
        return list(_CREMA_D_LEVELS)[(turn + index + EMOTIONS.index(emotion)) % 3]

    first = (take(s, e, level(s, e, 0)) for s, e in itertools.product(sentences, emotions))
    more = (
        take(_CREMA_D_LEVELLED_SENTENCE, e, level(_CREMA_D_LEVELLED_SENTENCE, e, turn))
        for turn, e in itertools.product((1, 2), emotions)
        if e != "neutral"
    )
    return itertools.chain(first, more)


def _ravdess(speaker_id: str, index: int, rng: np.random.Generator) -> Iterator[Take]:
    """All eight emotions at normal (01), then at strong intensity (02), for each repetition and statement."""
    emotions = list(np.roll(list(RAVDESS_CODES), -3 * index))

    def take(repetition: str, statement: str, intensity: str, emotion: str) -> Take:
        name = f"01-01-{RAVDESS_CODES[emotion]}-{intensity}-{statement}-{repetition}-{speaker_id}"
        return Take(
            image=f"Actor_{speaker_id}/{name}.mp4",
            audio=None,
            emotion=emotion,
            intensity=_RAVDESS_INTENSITIES[intensity] * float(rng.uniform(0.8, 1.0)),
            phones=RAVDESS_STATEMENTS[statement],
        )

    cells = itertools.product(("01", "02"), RAVDESS_STATEMENTS, _RAVDESS_INTENSITIES, emotions)
    return itertools.chain(take(*cell) for cell in cells if cell[2:] != ("02", "neutral"))


def _voxceleb(config: CorpusConfig, speaker_id: str, index: int, rng: np.random.Generator) -> Iterator[Take]:
    """Videos of three utterances each, with mild, unlabelled emotions."""

    def video(occasion: int) -> Iterator[Take]:
        name = "".join(rng.choice(_YOUTUBE_ALPHABET, 11))
        return itertools.chain(
            Take(
                **_voxceleb_files(config, index, f"{speaker_id}/{name}", utterance),
                emotion=str(rng.choice(EMOTIONS)),
                intensity=float(rng.uniform(0.1, 0.7)),
                phones=babble(rng, int(rng.integers(10, 17))),
                occasion=occasion,
            )
            for utterance in range(1, _VOXCELEB_CLIPS_PER_VIDEO + 1)
        )

    return itertools.chain.from_iterable(video(occasion) for occasion in itertools.count())


def _voxceleb_files(config: CorpusConfig, index: int, video: str, utterance: int) -> dict[str, Any]:
    part = voxceleb_part(index)
    if config.corpus == "voxceleb2":
        return {
            "image": f"{part}/mp4/{video}/{utterance:05d}.mp4",
            "audio": f"{part}/aac/{video}/{utterance:05d}.m4a",
        }
    first_frame = _VOXCELEB1_FRAMES_APART * utterance
    return {
        "image": f"unzippedFaces/{vggface_name(index)}/1.6/{video.partition('/')[2]}/{first_frame:07d}.jpg",
        "audio": f"wav/{video}/{utterance:05d}.wav",
        "frame_list": f"vox1_{part}_txt/{video}/{utterance:05d}.txt" if config.frame_lists else None,
    }
