"""Calls to the AWS that answers at AWS_ENDPOINT_URL: for each line [SERVICE, OPERATION, ARGUMENTS] on standard input,
one line {"answer": ...} or {"error": ...} on standard output. The operations are named as in the API reference.
"""

import base64
import json
import sys

import botocore.config
import botocore.exceptions
import botocore.session
from botocore import xform_name

session = botocore.session.get_session()
clients = {}


def plain(value):
    """What JSON has no form for: bytes, streams, times."""
    if hasattr(value, "read"):
        value = value.read()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def call(service, operation, arguments):
    if service not in clients:
        config = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=120)
        clients[service] = session.create_client(service, region_name="us-east-1", config=config)
    answer = getattr(clients[service], xform_name(operation))(**arguments)
    answer.pop("ResponseMetadata")
    return answer


for line in sys.stdin:
    try:
        said = {"answer": call(*json.loads(line))}
    except botocore.exceptions.ClientError as error:
        said = {"error": str(error)}
    print(json.dumps(said, default=plain), flush=True)
