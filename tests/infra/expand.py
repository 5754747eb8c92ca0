"""Prints infra/template.yaml as JSON, in one of three forms.

    parsed    the template as it is written
    packaged  with each CodeUri in S3, as `sam build` and `sam package` would leave it: s3://BUCKET/<binary>.zip
    expanded  the packaged template after the AWS::Serverless transform, as CloudFormation creates it

Usage: expand.py FORM [BUCKET]; the variable TEMPLATE names another template
"""

import json
import logging
import os
import sys
from pathlib import Path

# The transform asks for it to know the partition.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

# It says that AWS' own roll-out switches are not to be had here.
logging.getLogger("samtranslator.feature_toggle.feature_toggle").setLevel(logging.ERROR)

TEMPLATE = Path(os.environ.get("TEMPLATE") or Path(__file__).resolve().parents[2] / "infra" / "template.yaml")


class ManagedPolicies:
    """The template names no managed policy by its short name."""

    def load(self):
        return {}


def package(template, bucket):
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{binary}.zip"
    template["Globals"]["Function"].pop("CodeUri")
    return template


def read():
    return yaml_parse(TEMPLATE.read_text())


def main(form, bucket="artifacts"):
    template = read()
    if form != "parsed":
        package(template, bucket)
    if form == "expanded":
        template = transform(template, {}, ManagedPolicies())
    json.dump(template, sys.stdout, indent=1, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
