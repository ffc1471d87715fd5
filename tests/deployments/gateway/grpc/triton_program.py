# mypy: ignore-errors
"""Runs in the environment of `.ci/clients`: Triton's client, told an address and a key, says what it got as JSON."""

import json
import sys

import numpy
import tritonclient.grpc as triton

address, key = sys.argv[1:]
headers = {"authorization": f"Bearer {key}"}
client = triton.InferenceServerClient(address)


def infer(**parameters):
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(numpy.array(["Grüße".encode()], dtype=numpy.object_))
    return client.infer("tiny", [tensor], request_id="7", headers=headers, parameters=parameters)


def refusal(**parameters):
    try:
        infer(**parameters)
    except triton.InferenceServerException as error:
        return [error.status(), error.message()]


metadata = client.get_model_metadata("tiny", headers=headers)
result = infer(max_tokens=8, temperature=0.5, seed=3)
told = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("tiny", headers=headers),
    "server": client.get_server_metadata().name,
    "inputs": [[tensor.name, tensor.datatype] for tensor in metadata.inputs],
    "text": [text.decode() for text in result.as_numpy("text_output").tolist()],
    "id": result.get_response().id,
    "refused": refusal(max_tokens=0),
}
json.dump(told, sys.stdout)
