"""The synthesised voice has the requested properties, as measured with librosa."""

import dataclasses

import librosa
import numpy as np
import pytest

from datasets.synthetic.phones import CREMA_D_SENTENCES, PHONES, RAVDESS_STATEMENTS, babble
from datasets.synthetic.prosody import Prosody, draw_prosody
from datasets.synthetic.speakers import Voice
from datasets.synthetic.voices import SAMPLE_RATE, synthesise
from emogan.emotions import EMOTIONS

VOICE = Voice(pitch_hz=120.0, formant_scale=1.0, tilt_db=8.0, level_db=-30.0, breath_db=-26.0, rate=1.0)
SENTENCE = CREMA_D_SENTENCES["IWL"]


def _speak(voice=VOICE, prosody=None, phones=SENTENCE, seconds=(1.8, 3.2), room=-70.0, seed=0):
    return synthesise(phones, voice, prosody or Prosody(), seconds, room, np.random.default_rng(seed))


def _level_db(samples):
    return 10 * np.log10(2 * np.mean(np.square(samples)))


@pytest.mark.parametrize("pitch_hz", [90.0, 130.0, 220.0])
def test_yin_finds_the_stated_pitch(pitch_hz):
    utterance = _speak(dataclasses.replace(VOICE, pitch_hz=pitch_hz))
    found = librosa.yin(utterance.samples.astype(float), fmin=60, fmax=500, sr=SAMPLE_RATE, hop_length=80)
    found = found[: len(utterance.pitch_hz)]
    error = np.abs(np.log2(found / utterance.pitch_hz))[utterance.voiced]
    assert np.median(error) < 0.02  # a quarter of a semitone
    assert np.median(utterance.pitch_hz[utterance.voiced]) == pytest.approx(pitch_hz, rel=0.12)


def test_a_sustained_vowel_has_its_formants():
    """At 120 Hz, linear prediction locates resonances within half the distance of two harmonics."""
    utterance = _speak(phones="AA AA AA AA AA AA AA AA", prosody=Prosody(tilt=-2))
    middle = utterance.samples[len(utterance.samples) // 2 - 2000 :][:4000].astype(float)
    emphasised = np.append(middle[0], middle[1:] - 0.95 * middle[:-1]) * np.hanning(4000)
    roots = np.roots(librosa.lpc(emphasised, order=16))
    roots = roots[(roots.imag > 0) & (np.abs(roots) > 0.9)]
    hertz = np.sort(np.angle(roots)) * SAMPLE_RATE / (2 * np.pi)
    for formant in PHONES["AA"].formants[:2]:
        assert np.min(np.abs(hertz - formant)) < 70


def test_a_shorter_vocal_tract_moves_energy_up():
    def centroid(scale):
        samples = _speak(dataclasses.replace(VOICE, formant_scale=scale)).samples
        return float(np.mean(librosa.feature.spectral_centroid(y=samples, sr=SAMPLE_RATE)))

    assert centroid(1.15) > 1.04 * centroid(0.87)


def test_level_is_the_stated_one_and_energy_adds_to_it():
    quiet, loud = (_speak(prosody=Prosody(energy=energy)) for energy in (0.0, 6.0))
    active = np.repeat(quiet.voiced, 80)
    assert _level_db(quiet.samples[active]) == pytest.approx(-30.0, abs=0.1)
    assert _level_db(loud.samples[active]) - _level_db(quiet.samples[active]) == pytest.approx(6.0, abs=0.05)


def test_silence_holds_the_noise_of_the_room():
    utterance = _speak(room=-60.0)
    assert np.all(np.diff(np.flatnonzero(utterance.samples == 0)) > 1)
    assert _level_db(utterance.samples[:1600]) == pytest.approx(-60.0, abs=3.0)


def test_slower_speech_lasts_longer_within_the_limits():
    lengths = [len(_speak(prosody=Prosody(rate=rate), seconds=(0.5, 10)).samples) for rate in (0.4, 0.0, -0.4)]
    assert lengths == sorted(lengths)
    assert lengths[2] > 1.5 * lengths[0]
    assert len(_speak(seconds=(0.8, 0.8)).samples) == 0.8 * SAMPLE_RATE


def test_tilt_darkens_the_voice():
    def high_share(tilt):
        power = np.abs(np.fft.rfft(_speak(prosody=Prosody(tilt=tilt)).samples)) ** 2
        hertz = np.fft.rfftfreq(len(_speak().samples), 1 / SAMPLE_RATE)
        return power[(hertz > 1000) & (hertz < 3000)].sum() / power[(hertz > 100) & (hertz < 1000)].sum()

    # From about 500 Hz to about 1.5 kHz: 1.6 octaves of 4 dB more.
    assert 10 * np.log10(high_share(-2) / high_share(2)) == pytest.approx(6.3, abs=3)


def test_the_mouth_opens_with_the_vowels_only():
    utterance = _speak()
    assert utterance.opening.max() > 0.5
    assert np.all(utterance.opening[:10] < 0.05)
    assert len(utterance.opening) * 80 == len(utterance.samples)


def test_the_same_generator_speaks_the_same():
    np.testing.assert_array_equal(_speak(seed=3).samples, _speak(seed=3).samples)
    assert not np.array_equal(_speak(seed=3).samples[:8000], _speak(seed=4).samples[:8000])


def test_no_emotion_without_the_dial():
    drawn = {draw_prosody(emotion, 0.0, np.random.default_rng(2)) for emotion in EMOTIONS}
    assert len(drawn) == 1


def test_emotions_are_ordered_by_arousal():
    energy = {e: np.mean([draw_prosody(e, 1.0, np.random.default_rng(i)).energy for i in range(200)]) for e in EMOTIONS}
    assert energy["anger"] > energy["happy"] > energy["neutral"] > energy["sad"]


def test_every_sentence_consists_of_known_phones():
    for phones in (*CREMA_D_SENTENCES.values(), *RAVDESS_STATEMENTS.values(), babble(np.random.default_rng(0), 12)):
        assert set(phones.split()) <= set(PHONES)
        assert any(PHONES[symbol].is_vowel for symbol in phones.split())
    assert len(CREMA_D_SENTENCES) == 12
