"""Settings of a synthetic corpus, checked on creation.

Public names: Dials, CorpusConfig, CorpusFormat, FORMATS.
"""

import dataclasses
from fractions import Fraction

from datasets.folds import CREMA_D_FOLDS, RAVDESS_FOLDS
from emogan.errors import UserError


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{name}={value}: must be from {low} to {high}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dials:
    """Strength of the ground-truth cues. At the defaults the classes overlap, as they do for human raters.

    Attributes:
        face_emotion: how much emotion the face carries, 0 to 1.5: scales all emotional movements of the face. At 0 the
            face only speaks and blinks, independently of the label.
        voice_emotion: how much emotion the voice carries, 0 to 2: scales the emotional prosody (pitch, range, contour,
            rate, energy, spectral tilt, breathiness, jitter) relative to a fixed variation between clips and speakers.
            At 0 the voice is independent of the label.
        face_voice: how much the face predicts the voice, 0 to 1: the correlation of face shape, complexion and
            lighting with pitch, vocal-tract length and vocal effort.
        speaker_spread: how much speakers differ, 0 to 1.5: scales all differences of voice, shape, colour and framing
            from the mean speaker. At 0 all speakers look and sound alike.
    """

    face_emotion: float = 1.0
    voice_emotion: float = 1.0
    face_voice: float = 0.7
    speaker_spread: float = 1.0

    def __post_init__(self) -> None:
        _check_range("face_emotion", self.face_emotion, 0, 1.5)
        _check_range("voice_emotion", self.voice_emotion, 0, 2)
        _check_range("face_voice", self.face_voice, 0, 1)
        _check_range("speaker_spread", self.speaker_spread, 0, 1.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusFormat:
    """The official format of a corpus, and the defaults of its synthetic version.

    Attributes:
        frame_size: default width and height, pixels.
        frame_rate: frames per second.
        seconds: default minimum and maximum clip length.
        max_speakers: number of official speaker ids.
        clips_per_speaker: default number of clips of a speaker.
        max_clips_per_speaker: number of distinct official names of one speaker's clips.
        face_height: mean height of the face, as a share of the frame's shorter side.
        room_noise_db: mean level of the room noise, dB against a full-scale sine.
    """

    frame_size: tuple[int, int]
    frame_rate: Fraction
    seconds: tuple[float, float]
    max_speakers: int
    clips_per_speaker: int
    max_clips_per_speaker: int
    face_height: float
    room_noise_db: float


FORMATS: dict[str, CorpusFormat] = {
    "crema_d": CorpusFormat(
        frame_size=(480, 360),
        frame_rate=Fraction(30000, 1001),
        seconds=(1.8, 3.2),
        max_speakers=sum(map(len, CREMA_D_FOLDS)),
        clips_per_speaker=36,
        max_clips_per_speaker=82,
        face_height=0.45,
        room_noise_db=-54.0,
    ),
    "ravdess": CorpusFormat(
        frame_size=(640, 360),
        frame_rate=Fraction(30000, 1001),
        seconds=(3.0, 4.0),
        max_speakers=sum(map(len, RAVDESS_FOLDS)),
        clips_per_speaker=60,
        max_clips_per_speaker=60,
        face_height=0.45,
        room_noise_db=-72.0,
    ),
    "voxceleb2": CorpusFormat(
        frame_size=(224, 224),
        frame_rate=Fraction(25),
        seconds=(3.0, 4.0),
        max_speakers=5994,
        clips_per_speaker=12,
        max_clips_per_speaker=1000,
        face_height=0.5,
        room_noise_db=-50.0,
    ),
    "voxceleb1": CorpusFormat(
        frame_size=(224, 224),
        frame_rate=Fraction(25),
        seconds=(3.0, 4.0),
        max_speakers=1251,
        clips_per_speaker=12,
        max_clips_per_speaker=1000,
        face_height=0.5,
        room_noise_db=-50.0,
    ),
}
"""The corpora that can be imitated; see CorpusFormat."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """The settings that determine the bytes of a synthetic corpus.

    Attributes:
        corpus: a key of FORMATS.
        speakers: number of speakers.
        clips_per_speaker: number of clips of each speaker.
        seed: of every random choice, 0 or more.
        dials: strength of the ground-truth cues.
        frame_size: width and height of the images, even numbers of pixels.
        seconds: minimum and maximum clip length.
        zipped: whether the clips are in zip archives, one per speaker; RAVDESS only.
        frame_lists: whether each utterance has a frame list; VoxCeleb1 only.
    """

    corpus: str
    speakers: int
    clips_per_speaker: int
    seed: int
    dials: Dials
    frame_size: tuple[int, int]
    seconds: tuple[float, float]
    zipped: bool = False
    frame_lists: bool = False

    def __post_init__(self) -> None:
        if self.corpus not in FORMATS:
            raise UserError(f"corpus={self.corpus}: must be one of {', '.join(FORMATS)}")
        _check_range(f"speakers of {self.corpus}", self.speakers, 1, self.format.max_speakers)
        _check_range(
            f"clips_per_speaker of {self.corpus}", self.clips_per_speaker, 1, self.format.max_clips_per_speaker
        )
        _check_range("seed", self.seed, 0, 2**32 - 1)
        for name, pixels in zip(("width", "height"), self.frame_size, strict=True):
            _check_range(f"frame {name}", pixels, 96, 1920)
            if pixels % 2:
                raise UserError(f"frame {name}={pixels}: must be even, for the video encoders")
        for name, owner in (("zipped", "ravdess"), ("frame_lists", "voxceleb1")):
            if getattr(self, name) and self.corpus != owner:
                raise UserError(f"{name}: only for {owner}, not for {self.corpus}; leave it out")
        _check_range("minimum seconds", self.seconds[0], 0.5, 10)
        _check_range("maximum seconds", self.seconds[1], self.seconds[0], 10)

    @property
    def format(self) -> CorpusFormat:
        """The format of the imitated corpus."""
        return FORMATS[self.corpus]
