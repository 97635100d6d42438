"""Runs a SavedModel with TensorFlow's C API by ctypes, without TensorFlow's Python package: `Session`.

As a script, `python c_api.py library folder` answers the requests on standard input, see `main`.
"""

import base64
import ctypes
import itertools
import json
import sys

import numpy as np

_DTYPES = {1: np.float32, 3: np.int32, 9: np.int64}
_NUMBERS = {np.dtype(kind): number for number, kind in _DTYPES.items()}
_STRING, _TSTRING_BYTES = 7, 24


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def _load(path):
    library = ctypes.CDLL(path)
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("TF_NewStatus", pointer, []),
        ("TF_GetCode", ctypes.c_int, [pointer]),
        ("TF_Message", ctypes.c_char_p, [pointer]),
        ("TF_NewGraph", pointer, []),
        ("TF_NewSessionOptions", pointer, []),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            [pointer, pointer, ctypes.c_char_p, pointer, ctypes.c_int, *[pointer] * 3],
        ),
        ("TF_GraphOperationByName", pointer, [pointer, ctypes.c_char_p]),
        ("TF_AllocateTensor", pointer, [ctypes.c_int, pointer, ctypes.c_int, ctypes.c_size_t]),
        ("TF_DeleteTensor", None, [pointer]),
        ("TF_DeleteStatus", None, [pointer]),
        ("TF_TensorData", pointer, [pointer]),
        ("TF_TensorType", ctypes.c_int, [pointer]),
        ("TF_NumDims", ctypes.c_int, [pointer]),
        ("TF_Dim", ctypes.c_int64, [pointer, ctypes.c_int]),
        ("TF_TensorByteSize", ctypes.c_size_t, [pointer]),
        ("TF_StringInit", None, [pointer]),
        ("TF_StringCopy", None, [pointer, ctypes.c_char_p, ctypes.c_size_t]),
        ("TF_StringDealloc", None, [pointer]),
        ("TF_StringGetDataPointer", pointer, [pointer]),
        ("TF_StringGetSize", ctypes.c_size_t, [pointer]),
        (
            "TF_SessionRun",
            None,
            [pointer, pointer, *[pointer, pointer, ctypes.c_int] * 2, pointer, ctypes.c_int, pointer, pointer],
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Session:
    """A SavedModel, loaded as by a server.

    Args:
        library: path of libtensorflow_cc.
        folder: the SavedModel.
    """

    def __init__(self, library, folder):
        self._tf = _load(library)
        self._graph = self._tf.TF_NewGraph()
        status = self._tf.TF_NewStatus()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = self._tf.TF_LoadSessionFromSavedModel(
            self._tf.TF_NewSessionOptions(),
            None,
            folder.encode(),
            ctypes.cast(tags, ctypes.c_void_p),
            1,
            self._graph,
            None,
            status,
        )
        self._check(status)

    def run(self, feeds, fetches):
        """Returns the arrays of the tensors `fetches` for inputs by tensor name; text is an array of bytes objects."""
        tf, status = self._tf, self._tf.TF_NewStatus()
        fed = [self._tensor(np.asarray(values)) for values in feeds.values()]
        inputs, outputs = ((_Output * len(names))(*map(self._output, names)) for names in (list(feeds), fetches))
        values, fetched = (ctypes.c_void_p * len(fed))(*fed), (ctypes.c_void_p * len(fetches))()
        tf.TF_SessionRun(
            self._session, None, inputs, values, len(fed), outputs, fetched, len(fetches), None, 0, None, status
        )
        try:
            self._check(status)
            return [self._array(tensor) for tensor in fetched]
        finally:
            for text in itertools.chain(*map(self._texts, fed)):  # TF_DeleteTensor does not free them
                tf.TF_StringDealloc(text)
            for tensor in filter(None, (*fed, *fetched)):
                tf.TF_DeleteTensor(tensor)

    def _check(self, status):
        code, message = self._tf.TF_GetCode(status), self._tf.TF_Message(status).decode()
        self._tf.TF_DeleteStatus(status)
        if code:
            raise RuntimeError(message)

    def _output(self, name):
        operation, _, index = name.partition(":")
        found = self._tf.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise KeyError(name)
        return _Output(found, int(index))

    def _tensor(self, values):
        tf, dims = self._tf, (ctypes.c_int64 * values.ndim)(*values.shape)
        text = values.dtype == object
        size = values.size * _TSTRING_BYTES if text else values.nbytes
        tensor = tf.TF_AllocateTensor(_STRING if text else _NUMBERS[values.dtype], dims, values.ndim, size)
        data = tf.TF_TensorData(tensor)
        if text:
            for n, value in enumerate(values.ravel()):
                tf.TF_StringInit(data + n * _TSTRING_BYTES)
                tf.TF_StringCopy(data + n * _TSTRING_BYTES, value, len(value))
        else:
            ctypes.memmove(data, np.ascontiguousarray(values).ctypes.data, values.nbytes)
        return tensor

    def _array(self, tensor):
        tf = self._tf
        shape = [tf.TF_Dim(tensor, axis) for axis in range(tf.TF_NumDims(tensor))]
        kind, data = tf.TF_TensorType(tensor), tf.TF_TensorData(tensor)
        if kind == _STRING:
            at = self._texts(tensor)
            texts = [ctypes.string_at(tf.TF_StringGetDataPointer(p), tf.TF_StringGetSize(p)) for p in at]
            return np.array(texts, object).reshape(shape)
        return np.frombuffer(ctypes.string_at(data, tf.TF_TensorByteSize(tensor)), _DTYPES[kind]).reshape(shape)

    def _texts(self, tensor):
        """Addresses of a tensor's texts; none if it holds numbers."""
        if self._tf.TF_TensorType(tensor) != _STRING:
            return []
        data = self._tf.TF_TensorData(tensor)
        return range(data, data + self._tf.TF_TensorByteSize(tensor), _TSTRING_BYTES)


def packed(values):
    """Encodes an array for JSON."""
    if values.dtype == object:
        return [base64.b64encode(value).decode() for value in values]
    return {"dtype": values.dtype.name, "shape": values.shape, "data": base64.b64encode(values.tobytes()).decode()}


def unpacked(value):
    """Decodes an array of `packed`."""
    if isinstance(value, list):
        return np.array([base64.b64decode(text) for text in value], object)
    return np.frombuffer(base64.b64decode(value["data"]), value["dtype"]).reshape(value["shape"])


def main():
    """Answers the requests on standard input: [{"feeds": {tensor: packed}, "fetches": [tensor, ...]}, ...]."""
    session = Session(*sys.argv[1:])
    answers = []
    for request in json.load(sys.stdin):
        feeds = {name: unpacked(value) for name, value in request["feeds"].items()}
        answers.append([packed(values) for values in session.run(feeds, request["fetches"])])
    json.dump({"answers": answers, "imported_tensorflow": "tensorflow" in sys.modules}, sys.stdout)


if __name__ == "__main__":
    main()
