"""Runs a SavedModel through TensorFlow's C API, without TensorFlow's Python.

    python tests/serving/c_api.py CALLS.json

CALLS.json names the folder of TensorFlow's libraries, the SavedModel, and for
each call the tensors to feed and to fetch and the npz files of their values;
see `run_calls`. TensorFlow Serving loads a folder with the same native loader.
"""

import ctypes
import json
import os
import sys

import numpy as np

STRING = 7
TYPES = {1: "float32", 3: "int32", 9: "int64", 10: "bool"}
NUMBERS = {name: number for number, name in TYPES.items()}
STRING_SIZE = 24  # of a TF_TString
POINTERS = """
    TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel
    TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_Message
    TF_StringGetDataPointer
"""


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class SavedModel:
    """A session with the graph of a folder.

    Args:
        libraries: folder of `libtensorflow_cc.so.2`.
        folder: the SavedModel.
    """

    def __init__(self, libraries, folder):
        path = os.path.join(libraries, "libtensorflow_cc.so.2")
        self.api = ctypes.CDLL(path)
        for name in POINTERS.split():
            getattr(self.api, name).restype = ctypes.c_void_p
        for name in ("TF_Dim", "TF_TensorByteSize", "TF_StringGetSize"):
            getattr(self.api, name).restype = ctypes.c_int64
        self.status = ctypes.c_void_p(self.api.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.api.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.api.TF_LoadSessionFromSavedModel(
                ctypes.c_void_p(self.api.TF_NewSessionOptions()),
                None,
                folder.encode(),
                tags,
                1,
                self.graph,
                None,
                self.status,
            )
        )
        self.check()

    def check(self):
        if self.api.TF_GetCode(self.status):
            message = ctypes.c_void_p(self.api.TF_Message(self.status))
            raise RuntimeError(ctypes.string_at(message.value).decode())

    def run(self, feeds, fetches):
        """Arrays of tensors.

        Args:
            feeds: dict from names of tensors to arrays.
            fetches: list of names.
        """
        inputs = (Output * len(feeds))(*map(self.output, feeds))
        values = (ctypes.c_void_p * len(feeds))(
            *map(self.tensor, feeds.values())
        )
        outputs = (Output * len(fetches))(*map(self.output, fetches))
        results = (ctypes.c_void_p * len(fetches))()
        self.api.TF_SessionRun(
            *(self.session, None, inputs, values, len(feeds)),
            *(outputs, results, len(fetches)),
            *(None, 0, None, self.status),
        )
        self.check()
        return [self.array(ctypes.c_void_p(result)) for result in results]

    def output(self, name):
        operation, index = name.split(":")
        found = self.api.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def tensor(self, array):
        array = np.ascontiguousarray(array)
        text = array.dtype.kind == "S"
        size = array.size * STRING_SIZE if text else array.nbytes
        tensor = self.api.TF_AllocateTensor(
            STRING if text else NUMBERS[array.dtype.name],
            (ctypes.c_int64 * array.ndim)(*array.shape),
            array.ndim,
            ctypes.c_size_t(size),
        )
        data = self.api.TF_TensorData(ctypes.c_void_p(tensor))
        if not text:
            ctypes.memmove(data, array.ctypes.data, size)
            return tensor
        for index, entry in enumerate(array.ravel().tolist()):
            place = ctypes.c_void_p(data + index * STRING_SIZE)
            self.api.TF_StringInit(place)
            self.api.TF_StringCopy(place, entry, ctypes.c_size_t(len(entry)))
        return tensor

    def array(self, tensor):
        rank = self.api.TF_NumDims(tensor)
        shape = [self.api.TF_Dim(tensor, axis) for axis in range(rank)]
        data = self.api.TF_TensorData(tensor)
        kind = self.api.TF_TensorType(tensor)
        if kind != STRING:
            size = self.api.TF_TensorByteSize(tensor)
            values = np.frombuffer(ctypes.string_at(data, size), TYPES[kind])
            return values.reshape(shape)
        places = [
            ctypes.c_void_p(data + index * STRING_SIZE)
            for index in range(int(np.prod(shape)))
        ]
        values = [
            ctypes.string_at(
                self.api.TF_StringGetDataPointer(place),
                self.api.TF_StringGetSize(place),
            )
            for place in places
        ]
        return np.array(values, "S").reshape(shape)


def run_calls(libraries, folder, calls):
    """Runs signatures; a refused call gives its message as `error`.

    Args:
        libraries, folder: see `SavedModel`.
        calls: list of dicts of `inputs` and `outputs`, which name the tensors
            of a signature, and `given` and `result`, paths of npz files.
    """
    model = SavedModel(libraries, folder)
    for call in calls:
        with np.load(call["given"]) as given:
            feeds = {
                tensor: given[name] for name, tensor in call["inputs"].items()
            }
        try:
            values = model.run(feeds, list(call["outputs"].values()))
            answer = dict(zip(call["outputs"], values, strict=True))
        except RuntimeError as error:
            answer = {"error": str(error)}
        np.savez(call["result"], **answer)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        run_calls(**json.load(file))
