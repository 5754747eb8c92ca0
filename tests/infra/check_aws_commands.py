"""Checks calls of the AWS CLI against AWS' own API models: reads one JSON list of arguments a line from standard input,
prints what no service would understand, and exits with 1 if there is any.
"""

import json
import sys

import botocore.session
from botocore import xform_name

# Options of the CLI itself.
GLOBAL = {"query", "output", "region", "profile", "max-items", "page-size", "starting-token", "cli-input-json"}
session = botocore.session.get_session()


def problem(service, operation, *rest):
    if service == "s3":  # commands of the CLI, not of the API
        places = [word for word in rest if not word.startswith("--")][: 3 if operation == "cp" else 2]
        paired = operation == "cp" and len(places) >= 2 and "s3://" in places[0] + places[1]
        listed = operation == "ls" and places and places[0].startswith("s3://")
        return None if paired or listed else f"aws s3 {operation} {rest}"
    service = {"s3api": "s3", "deploy": "codedeploy"}.get(service, service)
    try:
        model = session.get_service_model(service)
    except Exception as error:
        return f"{service}: {error}"
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return f"{service} has no {operation}"
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-"): value for name, value in shape.members.items()} if shape else {}
    for word in rest:
        if not word.startswith("--"):
            continue
        name = word[2:].split("=")[0]
        negated = name.startswith("no-") and members.get(name[3:]) and members[name[3:]].type_name == "boolean"
        if name not in members and name not in GLOBAL and not negated:
            return f"{service} {operation} has no {word}"
    given = {word[2:] for word in rest if word.startswith("--")}
    missing = [name for name in (shape.required_members if shape else []) if xform_name(name, "-") not in given]
    return f"{service} {operation} lacks {missing}" if missing else None


problems = [text for text in (problem(*json.loads(line)) for line in sys.stdin) if text]
print("\n".join(problems))
sys.exit(bool(problems))
