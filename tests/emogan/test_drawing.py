import subprocess
import sys

import librosa
import numpy as np
import pytest

from emogan.drawing import mel_centres


@pytest.mark.parametrize(("bands", "highest_hz"), [(64, 8000.0), (128, 8000.0), (40, 900.0)])
def test_mel_centres_are_librosas(bands, highest_hz):
    expected = librosa.mel_frequencies(bands + 2, fmin=0, fmax=highest_hz)[1:-1]
    np.testing.assert_allclose(mel_centres(bands, highest_hz), expected, rtol=1e-12)


def test_generation_does_not_import_what_takes_long_and_only_few_need():
    """Nor does drawing, but for matplotlib."""
    script = (
        "import sys; import emogan.generation; print({'matplotlib', 'numba'} & {*sys.modules}); "
        "import emogan.drawing; emogan.drawing.mel_centres(64, 8e3); print({'numba'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nset()\n"
