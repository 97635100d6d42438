"""Every signature by TensorFlow's C API, in a process without Python's TensorFlow: the same loader as in a server."""

import json
import subprocess
import sys
from pathlib import Path

import c_api
import numpy as np
import preset_gans
import tensorflow as tf

from emogan.serving import signatures

LIBRARY = Path(tf.__file__).parent / "libtensorflow_cc.so.2"


def test_every_signature_has_the_same_outputs_by_the_c_api(exported, inputs_of, record_property):
    served = signatures.LocalModel(exported)
    names = preset_gans.tensor_names(exported / "10")
    requests = [
        {
            "feeds": {names[name][0][key]: c_api.packed(values) for key, values in inputs_of(name).items()},
            "fetches": [names[name][1][key] for key in signatures.OUTPUTS[name]],
        }
        for name, signature in served.signatures.items()
    ]
    done = subprocess.run(
        [sys.executable, c_api.__file__, LIBRARY, exported / "10"],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["imported_tensorflow"]
    largest = 0.0
    for (name, signature), answer in zip(served.signatures.items(), found["answers"], strict=True):
        expected = signature(**{key: tf.constant(values) for key, values in inputs_of(name).items()})
        for key, values in zip(signatures.OUTPUTS[name], map(c_api.unpacked, answer), strict=True):
            if values.dtype == object:
                assert list(values) == list(expected[key].numpy()), (name, key)
            else:
                largest = max(largest, float(np.abs(values - expected[key]).max()))
    record_property("largest difference", largest)
    assert largest < 1e-5
