"""Deploys infra/template.yaml to an AWS that answers at AWS_ENDPOINT_URL, and prints the stack's outputs as JSON.

What `sam build` and `sam deploy` do, for an emulator: the given binaries are zipped as `bootstrap` and put into a
bucket, the template's CodeUri is pointed there, the template goes to the bucket, the stack is created from it.

    deploy.py STACK FOLDER_OF_BINARIES [--parameter NAME=VALUE]... [--keep NAME]...

What the emulator cannot create is left out, each by name (LEFT_OUT below); --keep NAME leaves it in.
"""

import argparse
import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import botocore.config
import botocore.session

import expand

BUCKET = "artifacts"


def without_deployment_preference(template):
    """AWS::CodeDeploy resources, which SAM makes of DeploymentPreference, are unknown to the emulator."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"].pop("DeploymentPreference")
    # The roles of the checks before traffic name CodeDeploy's application, which then is not there.
    for role in ["PreTrafficRole", "TriggersPreTrafficRole"]:
        statements = template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        report = next(statement for statement in statements if statement.get("Sid") == "Report")
        report["Resource"] = "arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:idv/*"


def without_metric_math(template):
    """Alarms over a formula are refused: "Metrics (metric math) is not supported"."""
    template["Resources"].pop("RefusalRateAlarm")


def without_identity_provider(template):
    """AWS::Cognito::UserPoolIdentityProvider is an "unrecognized resource type"; its app client is made all the same."""
    template["Resources"].pop("FederationProvider")
    template["Resources"]["FederationClient"].pop("DependsOn")


LEFT_OUT = {
    "deployment-preference": without_deployment_preference,
    "metric-math": without_metric_math,
    "identity-provider": without_identity_provider,
}


def client(session, service):
    config = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=120)
    return session.create_client(service, region_name="us-east-1", config=config)


def zipped(binary):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, binary.read_bytes())
    return archive.getvalue()


def wait(cloudformation, stack):
    for _ in range(300):
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            return found
        time.sleep(0.2)
    sys.exit(f"{stack} was not done within a minute")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stack")
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--parameter", action="append", default=[])
    parser.add_argument("--keep", action="append", default=[])
    options = parser.parse_args()

    session = botocore.session.get_session()
    template = expand.package(expand.read(), BUCKET)
    for name, leave_out in LEFT_OUT.items():
        if name not in options.keep:
            leave_out(template)

    s3 = client(session, "s3")
    s3.create_bucket(Bucket=BUCKET)
    for binary in ("callback", "consumer", "pretraffic", "triggers", "session"):
        s3.put_object(Bucket=BUCKET, Key=f"{binary}.zip", Body=zipped(options.binaries / binary))
    s3.put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(template).encode())

    pairs = [parameter.split("=", 1) for parameter in options.parameter]
    cloudformation = client(session, "cloudformation")
    cloudformation.create_stack(
        StackName=options.stack,
        TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{BUCKET}/template.json",
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in pairs],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = wait(cloudformation, options.stack)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=options.stack)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                print(event["LogicalResourceId"], event.get("ResourceStatusReason"), file=sys.stderr)
        sys.exit(stack["StackStatus"])
    json.dump({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}, sys.stdout)


main()
