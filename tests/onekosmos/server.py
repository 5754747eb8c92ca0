"""A 1Kosmos for tests: its four API calls, the pages that a person sees, the signed callback; and it misbehaves on demand.

    server.py --port 0 --api-key KEY --webhook-secret whsec_... [--ca FILE]

It listens on loopback, and posts callbacks to loopback alone. A person goes to /session/{link} and /challenge/{link}. Tests use

    POST /_control    {"on": "POST /v1/verify/sessions", "status": 500, "times": 2}: how the next calls of this method and
                      path (or a longer path) are answered. `times` is 1 if it is not said, 0 is for ever. `status` comes
                      instead of doing what is asked, with "act": true after doing it. Others: "delay_ms", "headers" {…},
                      "override" {members of the answer}, "raw" (any text as the body), "drop": true (the connection is
                      cut). Also {"callback_url": "http://…"}: where callbacks go, whatever a session says, until it is
                      null; {"reset": true}: nothing of this any more.
    POST /_decide     {"session": id, link or "latest", "as": "approved|declined|expired|abandoned|in_review"} with "override"
                      {members of the callback} and "callback": false (nothing is posted); or
                      {"challenge": id, link or "latest", "match_result": bool, "liveness_verified": bool}, or "as": "expired".
    GET /_calls       the API calls since DELETE /_calls; GET /_callbacks the callbacks, with the answer to each try
"""

import argparse
import base64
import hashlib
import hmac
import html
import itertools
import json
import re
import secrets
import ssl
import sys
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUSES = ("approved", "declined", "expired", "abandoned", "in_review")
RULE = {"on": str, "status": int, "times": int, "act": bool, "delay_ms": int}
RULE |= {"headers": dict, "override": dict, "raw": str, "drop": bool}
PAUSES = (0, 0.2, 0.5, 1, 2, 4)  # before each try of a callback, in seconds
SESSION_BUTTONS = {"Approve": "approved", "Decline": "declined", "Walk away": "abandoned"}
CHALLENGE_BUTTONS = {"It is me": "yes", "It is somebody else": "no"}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.1rem/1.5 sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1rem;margin:.25rem 0}}</style></head>
<body><main><h1>{title}</h1><p role="status">{text}</p>{buttons}</main></body></html>"""


class Refused(Exception):
    """An answer other than success: its status and word."""


def require(condition, word, status=400):
    if not condition:
        raise Refused(status, word)


def read_object(body):
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    require(isinstance(value, dict), "the body is not a JSON object")
    return value


def now(later=0):
    moment = datetime.now(timezone.utc) + timedelta(seconds=later)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


class OneKosmos:
    """Sessions and challenges, and how to behave. Its methods are called under its lock, but for posting."""

    def __init__(self, options):
        self.api_key, self.secret = options.api_key.encode(), options.webhook_secret.encode()
        if options.webhook_secret.startswith("whsec_"):
            self.secret = base64.b64decode(options.webhook_secret.removeprefix("whsec_"))
        tls = ssl.create_default_context(cafile=options.ca)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
        self.http = urllib.request.build_opener(*handlers)
        self.lock, self.connections, self.url, self.callback_url = threading.RLock(), itertools.count(1), None, None
        self.sessions, self.challenges, self.answers, self.links = {}, {}, {}, {}
        self.rules, self.calls, self.callbacks = [], [], []

    def call(self, method, path, body, key):
        found = re.fullmatch(r"/v1/(verify/sessions|auth/stepup)(?:/([^/]+)/result)?", path)
        require(found and (method == "POST") == (found[2] is None), "no such call", 404)
        is_session = found[1].startswith("verify")
        if method == "GET":
            return self.session_result(found[2]) if is_session else self.challenge_result(found[2])
        require(re.fullmatch("[0-9a-f]{64}", key or ""), "Idempotency-Key")
        digest = hashlib.sha256(path.encode() + b"\n" + body).digest()
        known, answer = self.answers.get(key, (digest, None))
        require(known == digest, "this Idempotency-Key came with another body", 422)
        if answer is None:
            answer = (self.open_session if is_session else self.open_challenge)(read_object(body))
            self.answers[key] = (digest, answer)
        return answer

    def open_session(self, body):
        require(isinstance(body.get("document_types"), list) and body["document_types"], "document_types")
        require(body.get("liveness_mode") == "active", "liveness_mode")
        callback_url = body.get("callback_url")
        require(callback_url is None or re.match("https?://.", str(callback_url)), "callback_url")
        metadata = body.get("metadata")
        require(isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values()), "metadata")
        name = "vs_" + secrets.token_urlsafe(16)
        self.sessions[name] = {"metadata": metadata, "callback_url": callback_url, "result": None}
        return 201, {"session_id": name, "session_url": self.link("session", name), "expires_at": now(3600)}

    def link(self, kind, name):
        """Whoever has the id, from a log say, has not the link."""
        token = secrets.token_urlsafe(16)
        self.links[token] = name
        return f"{self.url}/{kind}/{token}"

    def session_result(self, name):
        require(name in self.sessions, "no such session", 404)
        session = self.sessions[name]
        return 200, session["result"] or {"session_id": name, "status": "pending", "metadata": session["metadata"]}

    def open_challenge(self, body):
        require(isinstance(body.get("user_id"), str) and body["user_id"], "user_id")
        require(isinstance(body.get("reason_code"), str) and body["reason_code"], "reason_code")
        seconds = body.get("timeout_seconds")
        require(isinstance(seconds, int) and 0 < seconds <= 3600, "timeout_seconds")
        name = "ch_" + secrets.token_urlsafe(16)
        result = {"challenge_id": name, "user_id": body["user_id"], "status": "pending"}
        self.challenges[name] = {"until": time.monotonic() + seconds, "result": result}
        return 201, {"challenge_id": name, "challenge_url": self.link("challenge", name)}

    def challenge_result(self, name):
        require(name in self.challenges, "no such challenge", 404)
        challenge = self.challenges[name]
        if challenge["result"]["status"] == "pending" and time.monotonic() > challenge["until"]:
            challenge["result"]["status"] = "expired"
        return 200, challenge["result"]

    def rule_for(self, call):
        for rule in self.rules:
            if call == rule["on"] or call.startswith(rule["on"].rstrip("/") + "/"):
                rule["left"] -= 1
                if rule["left"] == 0:
                    self.rules.remove(rule)
                return rule
        return {}

    def control(self, said):
        if said.get("reset"):
            self.rules, self.callback_url = [], None
        self.callback_url = said.get("callback_url", self.callback_url)
        if "on" in said:
            wrong = [name for name in said if name not in RULE or not isinstance(said[name], RULE[name])]
            require(not wrong, "no such member, or of another type: " + ", ".join(wrong))
            require(200 <= said.get("status", 200) < 1000 and 0 <= said.get("delay_ms", 0) < 1e6, "status, delay_ms")
            self.rules.append(said | {"left": said.get("times", 1)})
        return 200, {"rules": list(self.rules), "callback_url": self.callback_url}

    def decide(self, said):
        require(isinstance(said.get("override", {}), dict), "override")
        kind = "session" if "session" in said else "challenge"
        things = self.sessions if kind == "session" else self.challenges
        name = next(reversed(things), None) if said.get(kind) == "latest" else said.get(kind)
        name = self.links.get(name, name) if isinstance(name, str) else name
        require(isinstance(name, str) and name in things, f"no such {kind}", 404)
        return self.decide_session(name, said) if kind == "session" else self.decide_challenge(name, said)

    def decide_challenge(self, name, said):
        result = self.challenge_result(name)[1]
        require(result["status"] == "pending", "it is decided, or over", 409)
        if said.get("as") == "expired":
            result["status"] = "expired"
        else:
            words = {word: said.get(word, True) for word in ("match_result", "liveness_verified")}
            require(all(isinstance(value, bool) for value in words.values()), "match_result, liveness_verified")
            result |= {"status": "completed"} | words
        return 200, result

    def decide_session(self, name, said):
        session, word = self.sessions[name], said.get("as")
        require(word in STATUSES, "as")
        require(session["result"] is None or session["result"]["status"] == "in_review", "it is decided", 409)
        result = {"event_id": "evt_" + secrets.token_urlsafe(16), "occurred_at": now(), "session_id": name, "status": word}
        if word == "approved":
            username = session["metadata"].get("cognito_username", name).encode(errors="surrogatepass")
            result |= {"blockid_sub": "did:blockid:" + hashlib.sha256(username).hexdigest()[:32], "ial": 2, "aal": 2}
            result |= {"liveness_verified": True, "match_result": True, "document_type": "drivers_license"}
            result |= {"framework": "nist_800_63A-3", "expires_at": now(365 * 24 * 3600)}
        session["result"] = result | {"metadata": session["metadata"]} | said.get("override", {})
        if said.get("callback", True) and (self.callback_url or session["callback_url"]):
            told = {"session_id": name, "status": word, "to": self.callback_url or session["callback_url"], "answers": []}
            self.callbacks.append(told)
            threading.Thread(target=self.post, args=(told, json.dumps(session["result"]).encode()), daemon=True).start()
        return 200, session["result"]

    def post(self, told, body):
        message_id = "msg_" + secrets.token_urlsafe(16)
        for pause in PAUSES:
            time.sleep(pause)
            answer = self.try_to_post(told["to"], message_id, body)
            told["answers"].append(answer)
            if isinstance(answer, int) and answer < 500 and answer != 429:
                break
        if not isinstance(answer, int) or answer >= 300:
            print(f"callback of {told['session_id']} to {told['to']}: {answer}", file=sys.stderr, flush=True)

    def try_to_post(self, url, message_id, body):
        seconds = str(int(time.time()))
        tag = hmac.new(self.secret, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
        headers = {"content-type": "application/json", "webhook-id": message_id, "webhook-timestamp": seconds}
        headers["webhook-signature"] = "v1," + base64.b64encode(tag).decode()
        try:
            if urllib.parse.urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
                return "not posted: not an address of loopback"
            request = urllib.request.Request(url, body, headers, method="POST")
            with self.http.open(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except Exception as error:  # whatever the address, the network or the other side comes up with
            return f"{type(error).__name__}: {error}"

    def page(self, kind, name, choice=None):
        require(name in self.links, "no such page", 404)
        name = self.links[name]
        result = self.session_result if kind == "session" else self.challenge_result
        title, buttons = ("Prove who you are", SESSION_BUTTONS) if kind == "session" else ("Is it you?", CHALLENGE_BUTTONS)
        result(name)
        if choice is not None:
            require(choice in buttons.values(), "choice")
            self.decide({kind: name, "as": choice} if kind == "session" else {kind: name, "match_result": choice == "yes"})
        status = result(name)[1]["status"]
        button = '<form method="post"><button name="choice" value="{}">{}</button></form>'
        open_ = status in ("pending", "in_review")
        text = f"State: {status}." + ("" if open_ else " You can close this page.")
        forms = "".join(button.format(value, label) for label, value in buttons.items()) if open_ else ""
        return PAGE.format(title=title, text=html.escape(text), buttons=forms)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is written in one piece
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.connection_number = next(self.server.fake.connections)

    def log_message(self, *_):
        pass

    def do_GET(self):
        try:
            self.answer(*self.dispatch(self.server.fake, self.command, self.path.split("?")[0]))
        except Refused as refused:
            self.answer(refused.args[0], {"error": refused.args[1]})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            traceback.print_exc()
            self.answer(500, {"error": "a mistake of this server; see its error output"})

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET

    def read_body(self):
        length = self.headers.get("content-length", "0")
        is_known = "transfer-encoding" not in self.headers and re.fullmatch("[0-9]{1,6}", length)
        self.close_connection |= not is_known  # the rest of it is on its way
        require(is_known, "the body's length is not known, or 1 MB and more", 413)
        return self.rfile.read(int(length))

    def dispatch(self, fake, method, path):
        body = self.read_body()
        if path.startswith("/v1/"):
            return self.api(fake, method, path, body)
        with fake.lock:
            if method == "POST" and path in ("/_control", "/_decide"):
                return (fake.control if path == "/_control" else fake.decide)(read_object(body))
            if method in ("GET", "DELETE") and path in ("/_calls", "/_callbacks"):
                things = fake.calls if path == "/_calls" else fake.callbacks
                said = 200, list(things)
                if method == "DELETE":
                    things.clear()
                return said
            found = re.fullmatch("/(session|challenge)/([^/]+)", path)
            require(found and method in ("GET", "POST"), "not here", 404)
            form = urllib.parse.parse_qs(body.decode(errors="replace"))
            return 200, fake.page(found[1], found[2], form.get("choice", [""])[0] if method == "POST" else None)

    def api(self, fake, method, path, body):
        given = self.headers.get("authorization", "").encode(errors="surrogateescape")
        authorized = hmac.compare_digest(given, b"Bearer " + fake.api_key)
        key = self.headers.get("idempotency-key")
        try:
            readable = json.loads(body) if body else None
        except (ValueError, RecursionError):
            readable = body.decode(errors="replace")
        call = {"method": method, "path": path, "body": readable, "idempotency_key": key}
        with fake.lock:
            fake.calls.append(call | {"authorization_ok": authorized, "connection": self.connection_number})
            require(authorized, "unauthorized", 401)
            rule = fake.rule_for(f"{method} {path}")
            acts = rule.get("act") or not ("status" in rule or rule.get("drop"))
            status, answer = fake.call(method, path, body, key) if acts else (None, {})
            answer = ({"error": "as it was told"} if "status" in rule else answer) | rule.get("override", {})
        time.sleep(rule.get("delay_ms", 0) / 1000)
        if rule.get("drop"):
            raise ConnectionAbortedError
        return rule.get("status", status), rule.get("raw", answer), rule.get("headers", {})

    def answer(self, status, value, headers=None):
        text = value if isinstance(value, str) else json.dumps(value)
        body = text.encode(errors="backslashreplace")
        kind = "text/html; charset=utf-8" if text.startswith("<!DOCTYPE") else "application/json"
        fields = {"content-type": kind, "content-length": len(body)} | (headers or {})
        self.send_response(status)
        for name, field in fields.items():
            self.send_header(re.sub("[^!-~]", "-", name), re.sub("[^ -~]", "?", str(field)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Whoever hangs up in the middle is no news."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--webhook-secret", required=True)
    parser.add_argument("--ca", help="the certificate of a receiver of callbacks")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    server.fake = OneKosmos(options)
    server.fake.url = f"http://127.0.0.1:{server.server_port}"
    print(f"listening on {server.fake.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
