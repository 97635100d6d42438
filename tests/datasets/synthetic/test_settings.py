"""Settings out of range are a user's mistake."""

import pytest

from datasets.synthetic.settings import CorpusConfig, Dials
from emogan.errors import UserError

GOOD = {
    "corpus": "crema_d",
    "speakers": 2,
    "clips_per_speaker": 6,
    "seed": 1,
    "dials": Dials(),
    "frame_size": (160, 120),
    "seconds": (1.0, 2.0),
}


@pytest.mark.parametrize(
    "changes",
    [
        {"corpus": "iemocap"},
        {"speakers": 0},
        {"speakers": 92},
        {"clips_per_speaker": 83},
        {"seed": -1},
        {"frame_size": (161, 120)},
        {"frame_size": (160, 64)},
        {"seconds": (2.0, 1.0)},
        {"seconds": (0.1, 1.0)},
        {"zipped": True},
        {"frame_lists": True},
    ],
)
def test_bad_settings_are_refused(changes):
    (value,) = changes.values()
    CorpusConfig(**GOOD)
    with pytest.raises(UserError) as caught:
        CorpusConfig(**(GOOD | changes))
    shown = value if not isinstance(value, tuple) else min(value, key=lambda v: (v % 2 == 0, v))
    shown = next(iter(changes)) if value is True else shown
    assert str(shown).strip("()") in str(caught.value)


@pytest.mark.parametrize(
    "dial", [{"face_emotion": 1.6}, {"voice_emotion": -0.1}, {"face_voice": 1.1}, {"speaker_spread": 2.0}]
)
def test_bad_dials_are_refused(dial):
    with pytest.raises(UserError, match=next(iter(dial))):
        Dials(**dial)
