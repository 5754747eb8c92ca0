"""The callback function as it is usually written: verify the HMAC, send one message, answer 202."""
import base64, hashlib, hmac, json, os, time
import boto3

SQS = boto3.client("sqs")
RING = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["IDV_KEY_RING_SECRET_ID"])["SecretString"])
KEYS = [base64.b64decode(key["secret"].removeprefix("whsec_")) for key in RING["webhook"]]


def handler(event, context):
    headers = {name.lower(): value for name, value in event["headers"].items()}
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode() + body
    tags = [base64.b64decode(item.split(",")[1]) for item in headers["webhook-signature"].split(" ")]
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    if not fresh or not any(hmac.compare_digest(hmac.digest(key, signed, "sha256"), tag) for key in KEYS for tag in tags):
        return {"statusCode": 401, "body": "{}"}
    callback = json.loads(body)
    digest = hashlib.sha256(body).hexdigest()
    metadata = callback["metadata"]
    SQS.send_message(
        QueueUrl=os.environ["IDV_QUEUE_URL"],
        MessageBody=json.dumps({"event": callback, "body_sha256": digest}),
        MessageGroupId=hashlib.sha256(f'{metadata["cognito_user_pool"]}/{metadata["cognito_username"]}'.encode()).hexdigest(),
        MessageDeduplicationId=hashlib.sha256(f'{callback["event_id"]}/{digest}'.encode()).hexdigest(),
    )
    print(json.dumps({"event": "accepted", "event_id": callback["event_id"], "body_sha256": digest}))
    return {"statusCode": 202, "body": json.dumps({"event_id": callback["event_id"]})}
