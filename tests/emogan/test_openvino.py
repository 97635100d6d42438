"""The signature `tensors` in a runtime that shares no code with TensorFlow."""

import shutil

import numpy as np
import openvino
from tensorflow.core.protobuf import saved_model_pb2

from emogan.serving.signatures import LocalModel


def test_openvino_gives_the_same_spectrograms(exported, inputs_of, tmp_path, record_property):
    # OpenVINO reads the whole graph below the signature it takes, and has no operators for text: so a copy has this one alone.
    shutil.copytree(exported / "10", tmp_path / "tensors")
    file = tmp_path / "tensors" / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    for name in set(signatures) - {"tensors"}:
        del signatures[name]
    file.write_bytes(saved.SerializeToString())

    model = openvino.convert_model(tmp_path / "tensors")
    network = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert {port.any_name for port in network.inputs} == {"face", "condition", "noise"}
    inputs = inputs_of("tensors")
    (found,) = network(inputs).values()
    expected = LocalModel(exported).predict("tensors", inputs)["spectrogram"]
    record_property("largest difference", float(np.abs(found - expected).max()))
    np.testing.assert_allclose(found, expected, atol=1e-5)
