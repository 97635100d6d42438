"""Generates one clip: synthesises the voice, renders the face in synchrony, and encodes both.

Public names: ClipMaker.
"""

from collections.abc import Iterator

import numpy as np

from datasets.synthetic import encoders
from datasets.synthetic.corpora import Take, is_female, speaker_ids, stream
from datasets.synthetic.expressions import ACTIONS, EXPRESSIONS
from datasets.synthetic.faces import SWAY_PIXELS, FaceRenderer
from datasets.synthetic.prosody import draw_prosody
from datasets.synthetic.settings import CorpusConfig
from datasets.synthetic.speakers import make_speaker, restage
from datasets.synthetic.voices import SAMPLE_RATE, Utterance, synthesise

_TRACK_RATE = 200
"""Values per second of an utterance's tracks."""

_INTENSITY_STEPS = 8
_OPENING_STEPS = 3
"""Intensity and mouth opening are quantised to these steps, so that warped faces recur and can be cached."""

_BLINK = (0.5, 1.0, 1.0, 0.5)
"""Closing of the eyes in the frames of a blink."""

_SECONDS_BETWEEN_BLINKS = 2.5
_STYLE_DEVIATION = 0.35
_LEAK = 0.25


class ClipMaker:
    """Generates the clips of one speaker."""

    def __init__(self, config: CorpusConfig, index: int) -> None:
        """Draws the speaker at place `index` of `corpora.speaker_ids`."""
        self._config = config
        self._index = index
        speaker_id = speaker_ids(config.corpus, index + 1)[index]
        female = is_female(config.corpus, index)
        self.speaker = make_speaker(speaker_id, female, config.dials, stream(config, "speaker", index))
        self._renderer: FaceRenderer | None = None
        self._occasion = -1

    def make(self, take: Take, number: int) -> dict[str, bytes]:
        """Returns the files of a take: path below the corpus's root -> contents.

        Args:
            take: the clip to generate.
            number: index of the take in the speaker's list, which seeds the clip.
        """
        utterance = self.speak(take, number)
        frames = self._frames(take, number, utterance)
        container_format = take.image.rpartition(".")[2]
        if container_format == "jpg":
            return self._stills(take, frames, utterance)
        silent = container_format == "mp4" and take.audio is not None
        samples = None if silent else utterance.samples
        settings = self._config
        files = {
            take.image: encoders.video(
                container_format, frames, settings.frame_size, settings.format.frame_rate, samples
            )
        }
        if take.audio is not None:
            encode = encoders.wav if take.audio.endswith(".wav") else encoders.m4a
            files[take.audio] = encode(utterance.samples)
        return files

    def _stills(self, take: Take, frames: Iterator[np.ndarray], utterance: Utterance) -> dict[str, bytes]:
        """Returns the audio file last, so that its presence on disk means that the take is complete."""
        folder, _, first = take.image.removesuffix(".jpg").rpartition("/")
        rate = round(self._config.format.frame_rate)
        numbers = []
        files = {}
        for number, image in enumerate(frames, start=int(first)):
            numbers.append(number)
            if len(numbers) % rate == 1:
                files[f"{folder}/{number:07d}.jpg"] = encoders.jpeg(image)
        audio = str(take.audio)
        if take.frame_list is not None:
            speaker_id, video = audio.split("/")[1:3]
            files[take.frame_list] = _frame_list(speaker_id, video, numbers, self._config.frame_size)
        return {**files, audio: encoders.wav(utterance.samples)}

    def speak(self, take: Take, number: int) -> Utterance:
        """Returns the audio of a take and the movement of the mouth."""
        rng = stream(self._config, "voice", self._index, number)
        prosody = draw_prosody(take.emotion, self._config.dials.voice_emotion * take.intensity, rng)
        level = self._config.format.room_noise_db + 4 * self._config.dials.speaker_spread * float(rng.uniform(-1, 1))
        return synthesise(take.phones, self.speaker.voice, prosody, self._config.seconds, level, rng)

    def actions(self, emotion: str, intensity: float) -> tuple[tuple[str, float], ...]:
        """Returns names and amounts of the facial actions of an emotion, in this speaker's style.

        The style scales each action and mixes in some of another emotion.
        """
        rng = stream(self._config, "style", self._index, list(EXPRESSIONS).index(emotion))
        amounts = dict.fromkeys(ACTIONS, 0.0)
        other = str(rng.choice(list(EXPRESSIONS)))
        leak = _LEAK * rng.uniform()
        for expression, weight in ((emotion, 1 - leak), (other, leak)):
            for name, amount in EXPRESSIONS[expression].items():
                amounts[name] += weight * amount * float(np.exp(_STYLE_DEVIATION * rng.normal()))
        strength = self._config.dials.face_emotion * intensity
        return tuple((name, strength * amount) for name, amount in amounts.items() if strength * amount)

    def _frames(self, take: Take, number: int, utterance: Utterance) -> Iterator[np.ndarray]:
        config = self._config
        renderer = self._render_on(take.occasion)
        rng = stream(config, "clip", self._index, number)
        seconds = len(utterance.samples) / SAMPLE_RATE
        count = round(seconds * config.format.frame_rate)
        times = np.arange(count) / float(config.format.frame_rate)
        places = np.minimum((times * _TRACK_RATE).astype(int), len(utterance.opening) - 1)
        openings = np.round(utterance.opening[places] * _OPENING_STEPS) / _OPENING_STEPS
        shares = 0.7 + 0.3 * np.sin(np.pi * np.clip(times / seconds + rng.uniform(-0.15, 0.15), 0, 1))
        intensities = np.round(take.intensity * shares * _INTENSITY_STEPS) / _INTENSITY_STEPS
        actions = {intensity: self.actions(take.emotion, float(intensity)) for intensity in np.unique(intensities)}
        blinks = self._blinks(count, rng)
        sway = self._sway(times, rng)
        for i in range(count):
            yield renderer.frame(actions[intensities[i]], float(openings[i]), float(blinks[i]), sway[i])

    def _render_on(self, occasion: int) -> FaceRenderer:
        if self._renderer is None or occasion != self._occasion:
            config = self._config
            look = self.speaker.look
            if occasion > 0:
                look = restage(look, config.dials, stream(config, "occasion", self._index, occasion))
            wall = stream(config, "wall", self._index, occasion)
            self._renderer = FaceRenderer(look, config.frame_size, config.format.face_height, wall)
            self._occasion = occasion
        return self._renderer

    def _blinks(self, count: int, rng: np.random.Generator) -> np.ndarray:
        blinks = np.zeros(count)
        rate = float(self._config.format.frame_rate)
        frame = int(rng.uniform(0, _SECONDS_BETWEEN_BLINKS) * rate)
        while frame < count:
            length = min(len(_BLINK), count - frame)
            blinks[frame : frame + length] = _BLINK[:length]
            frame += int(rng.uniform(0.6, 1.4) * _SECONDS_BETWEEN_BLINKS * rate)
        return blinks

    @staticmethod
    def _sway(times: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Returns the slow movement of the head, whole pixels (right, down) per frame."""
        phases, speeds = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.15, 0.45, 2)
        place = SWAY_PIXELS * np.sin(2 * np.pi * speeds * times[:, None] + phases)
        return [(int(right), int(down)) for right, down in np.round(place)]


def _frame_list(speaker_id: str, video: str, numbers: list[int], frame_size: tuple[int, int]) -> bytes:
    """Returns a frame list in the official format. The box is the whole crop, which shows only the face."""
    head = {"Identity": speaker_id, "Reference": video, "Offset": "0", "FV Conf": "20.000\t(1)", "ASD Conf": "5.000"}
    lines = [f"{name:10}: \t{value}" for name, value in head.items()]
    rows = [f"{number:06d} \t0 \t0 \t{frame_size[0]} \t{frame_size[1]} " for number in numbers]
    return "\n".join([*lines, "", "FRAME \tX \tY \tW \tH ", *rows, ""]).encode()
