"""Speech sounds and the sentences of the corpora.

Public names: Phone, PHONES, CREMA_D_SENTENCES, RAVDESS_STATEMENTS, babble.
Vowel formants are near the means of Hillenbrand et al. (1995); the rest is our choice. Symbols follow ARPAbet.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Phone:
    """One speech sound.

    Attributes:
        formants: first three resonances of a mean speaker, hertz.
        voicing_db: level of the voiced source, dB; `SILENT` for none.
        noise_db: level of the friction noise, dB; `SILENT` for none.
        noise_hz: centre frequency of the friction noise, hertz.
        seconds: duration in neutral speech.
    """

    formants: tuple[float, float, float]
    voicing_db: float
    noise_db: float
    noise_hz: float
    seconds: float

    @property
    def is_vowel(self) -> bool:
        """Whether the phone is the nucleus of a syllable."""
        return self.voicing_db == 0 and self.seconds >= 0.1


SILENT = -60.0


def _vowel(f1: float, f2: float, f3: float, seconds: float = 0.11) -> Phone:
    return Phone((f1, f2, f3), 0.0, SILENT, 4000.0, seconds)


def _sonorant(f1: float, f2: float, f3: float, voicing_db: float) -> Phone:
    return Phone((f1, f2, f3), voicing_db, SILENT, 4000.0, 0.065)


def _noise(f2: float, noise_hz: float, noise_db: float, voicing_db: float = SILENT, seconds: float = 0.08) -> Phone:
    return Phone((320.0, f2, 2600.0), voicing_db, noise_db, noise_hz, seconds)


PHONES: dict[str, Phone] = {
    "IY": _vowel(310, 2250, 2950), "IH": _vowel(430, 1950, 2550), "EH": _vowel(580, 1800, 2550),
    "AE": _vowel(660, 1780, 2480),
    "AA": _vowel(750, 1200, 2500), "AO": _vowel(620, 950, 2500), "OW": _vowel(500, 920, 2450),
    "UH": _vowel(460, 1120, 2350),
    "UW": _vowel(340, 980, 2300), "AH": _vowel(600, 1250, 2500, 0.1), "ER": _vowel(480, 1350, 1720),
    "L": _sonorant(370, 1050, 2700, -5), "R": _sonorant(400, 1200, 1650, -5), "W": _sonorant(320, 700, 2300, -6),
    "Y": _sonorant(290, 2250, 3000, -5), "M": _sonorant(280, 1100, 2300, -12), "N": _sonorant(290, 1600, 2500, -12),
    "NG": _sonorant(290, 2000, 2600, -13), "DH": _noise(1500, 5000, -30, -14, 0.05),
    "V": _noise(1200, 5000, -28, -14, 0.06),
    "Z": _noise(1700, 5800, -16, -16), "S": _noise(1700, 6200, -10, seconds=0.1),
    "SH": _noise(1900, 3300, -9, seconds=0.1),
    "F": _noise(1200, 5200, -24), "TH": _noise(1500, 5500, -26), "HH": _noise(1500, 1800, -18, -20, 0.06),
    "T": _noise(1800, 5000, -14, seconds=0.06), "K": _noise(1900, 2400, -15, seconds=0.07),
    "P": _noise(1000, 1200, -20, seconds=0.06),
    "CH": _noise(1900, 3500, -11), "JH": _noise(1900, 3300, -16, -18), "B": _noise(1000, 1000, -30, -18, 0.06),
    "D": _noise(1800, 4200, -22, -17, 0.055), "G": _noise(1900, 2200, -22, -17, 0.06),
    "_": _noise(1500, 3000, SILENT, seconds=0.05),
}  # fmt: skip

CREMA_D_SENTENCES: dict[str, str] = {
    "IEO": "IH T S IH L EH V AH N AH K L AA K",
    "TIE": "DH AE T IH Z IH G Z AE K T L IY W AH T HH AE P AH N D",
    "IOM": "AA IH M AA N M AA IH W EH IY T UW DH AH M IY T IH NG",
    "IWW": "AA IH W AH N D ER W AH T DH IH S IH Z AH B AE UH T",
    "TAI": "DH IY EH R P L EH IY N IH Z AO L M OW S T F UH L",
    "MTI": "M EH IY B IY T AH M AA R OW IH T W IH L B IY K OW L D",
    "IWL": "AA IH W UH D L AA IH K AH N UW AH L AA R M K L AA K",
    "ITH": "AA IH TH IH NG K AA IH HH AE V AH D AA K T ER Z",
    "DFA": "D OW N T F ER G EH T AH JH AE K IH T",
    "ITS": "AA IH TH IH NG K AA IH V S IY N DH IH S B IH F AO R",
    "TSI": "DH AH S ER F AH S IH Z S L IH K",
    "WSI": "W IH L S T AA P IH N AH K AH P AH L _ M IH N IH T S",
}
"""Phones of CREMA-D's sentences ("It's eleven o'clock", ...) by code."""

RAVDESS_STATEMENTS: dict[str, str] = {
    "01": "K IH D Z AA R T AO K IH NG B AA IH DH AH D AO R",
    "02": "D AO G Z AA R S IH T IH NG B AA IH DH AH D AO R",
}
"""Phones of RAVDESS's statements, "Kids are talking by the door" and "Dogs are sitting by the door", by code."""


def babble(rng: np.random.Generator, syllables: int) -> str:
    """Returns a random utterance of consonant-vowel syllables, with occasional pauses, as symbols separated by spaces."""
    vowels = [symbol for symbol, phone in PHONES.items() if phone.is_vowel]
    consonants = [symbol for symbol, phone in PHONES.items() if not phone.is_vowel]
    return " ".join(f"{rng.choice(consonants)} {rng.choice(vowels)}" for _ in range(syllables))
