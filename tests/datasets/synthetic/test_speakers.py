"""The effect of the dials on speakers."""

import numpy as np
import pytest

from datasets.synthetic.settings import Dials
from datasets.synthetic.speakers import make_speaker, restage


def _speakers(count, **dials):
    return [make_speaker(str(i), i % 2 == 0, Dials(**dials), np.random.default_rng([5, i])) for i in range(count)]


@pytest.mark.parametrize("face_voice", [0.0, 0.7, 1.0])
def test_face_voice_is_the_correlation_of_lighting_with_vocal_effort(face_voice):
    speakers = _speakers(1500, face_voice=face_voice)
    level = [s.voice.level_db for s in speakers]
    light = [s.look.light[0] for s in speakers]
    # Looks are clipped at two deviations, and 1,500 pairs have a standard error of 0.026 at most.
    assert np.corrcoef(level, light)[0, 1] == pytest.approx(face_voice, abs=0.06)


def test_a_face_coupled_to_the_voice_shows_pitch_in_its_jaw():
    def correlation(face_voice):
        speakers = _speakers(400, face_voice=face_voice)
        return np.corrcoef([np.log(s.voice.pitch_hz) for s in speakers], [s.look.jaw for s in speakers])[0, 1]

    assert correlation(1.0) < -0.9
    assert abs(correlation(0.0)) < 0.15


def test_sexes_have_the_stated_mean_pitch():
    speakers = _speakers(800)
    for female, hertz in ((False, 111.7), (True, 201.4)):
        pitches = [s.voice.pitch_hz for s in speakers if s.female == female]
        assert np.exp(np.mean(np.log(pitches))) == pytest.approx(hertz, rel=0.03)


def test_without_spread_all_speakers_are_the_same():
    first, *others = _speakers(4, speaker_spread=0.0)
    for other in others:
        assert other.voice == first.voice
        assert other.look == first.look
    assert first.voice.pitch_hz == 150.0


def test_another_occasion_keeps_the_face():
    look = _speakers(1)[0].look
    again = restage(look, Dials(), np.random.default_rng(1))
    assert again.background != look.background
    assert (again.width, again.jaw, again.skin, again.hair, again.light) == (
        look.width, look.jaw, look.skin, look.hair, look.light
    )  # fmt: skip
