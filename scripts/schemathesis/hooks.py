"""How Schemathesis signs in, and what a JSON schema cannot tell it about valid data."""

import json
import os
import secrets
import subprocess
import threading
import unicodedata
import urllib.error
import urllib.request

import schemathesis
from schemathesis import GenerationMode

BASE_URL = os.environ["FUZZED_URL"]
# Prints the password of a new administrator whose e-mail is its last argument.
NEW_ADMIN = os.environ["FUZZED_NEW_ADMIN"].split()

_lock = threading.Lock()
_keeper = None
_session = None
_sessions = {}
_client = None


def _post(path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(BASE_URL + path, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _new_keeper():
    email = f"keeper-{secrets.token_hex(6)}@example.org"
    output = subprocess.run([*NEW_ADMIN, "--email", email], check=True, capture_output=True, text=True).stdout
    return {"email": email, "password": output.strip().rsplit(" ", 1)[-1]}


def _sign_in():
    """An administrator of its own for each session: the fuzzer may change its e-mail, its role, or delete it."""
    global _keeper, _client
    for attempt in range(3):
        if _keeper is None:
            _keeper = _new_keeper()
        try:
            token = _post("/api/auth/login", _keeper)["access_token"]
            account = {"email": f"fuzzer-{secrets.token_hex(6)}@example.org", "password": secrets.token_urlsafe(18)}
            _post("/api/users", {"name": "Fuzzer", "role": "admin", **account}, token)
            if _client is None:
                wanted = {"name": "Fuzzer", "scopes": ["tokens:introspect", "users:read"]}
                made = _post("/api/service-accounts", wanted, token)
                _client = {"client_id": made["id"], "client_secret": made["client_secret"]}
            tokens = _post("/api/auth/login", account)
            session = {"token": tokens["access_token"], "refresh_token": tokens["refresh_token"], **account}
            _sessions[session["token"]] = session
            return session
        except urllib.error.HTTPError:
            # The fuzzer has found the keeper itself.
            _keeper = None
    raise RuntimeError("no administrator could sign in")


@schemathesis.auth(refresh_interval=None)
class Administrator:
    def get(self, case, ctx):
        global _session
        with _lock:
            if _session is None:
                _session = _sign_in()
            return _session["token"]

    def set(self, case, data, ctx):
        # Public operations have no use for it, and OAuth's would take it for the client's credentials.
        if not any("bearer" in one for one in case.operation.definition.raw.get("security", [])):
            return
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


ENDS_SESSION = {
    "POST /api/auth/logout",
    "DELETE /api/auth/sessions/{id}",
    "PATCH /api/auth/password",
    "POST /api/auth/revoke",
    "POST /api/auth/password/reset",
    "DELETE /api/users/{id}",
    "PATCH /api/users/{id}",
    "PUT /api/users/{id}",
}


@schemathesis.hook
def after_call(context, case, response):
    """A session that may have ended, or whose password may have changed, is not used again."""
    global _session
    sent = (response.request.headers or {}).get("Authorization")
    known = _sessions.get((sent or "").removeprefix("Bearer "))
    changed = f"{response.request.method} {case.operation.path}" == "PATCH /api/auth/password" and response.status_code == 200
    if known is not None and changed:
        # The session that changes it goes on.
        known["password"] = case.body["new_password"]
    with _lock:
        if _session is not None and sent == f"Bearer {_session['token']}":
            if response.status_code == 401 or (case.operation.label in ENDS_SESSION and response.status_code < 300):
                _session = None


def _valid_password(text):
    """The same text as far as it is allowed: at most 72 bytes of UTF-8, at least 8 characters after NFC, not common."""
    kept = unicodedata.normalize("NFC", text).replace("\0", "").encode("utf-8", "ignore")[:52].decode("utf-8", "ignore")
    return kept + secrets.token_urlsafe(9)


METADATA = ("user_metadata", "app_metadata", "private_metadata")
REFUSED_KEYS = ("__proto__", "constructor", "prototype")


def _text(text):
    return text.encode("utf-8", "ignore").decode("utf-8", "ignore")


def _valid_metadata(value, levels=8):
    """The same JSON as far as it can be stored: names, depth and text have rules, and a whole has at most 8 KiB."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_valid_metadata(one, levels - 1) for one in value] if levels > 0 else None
    if isinstance(value, dict):
        if levels == 0:
            return None
        named = {_text(name).replace(".", "").replace("\0", "").lstrip("$")[:60]: one for name, one in value.items()}
        return {name: _valid_metadata(one, levels - 1) for name, one in named.items() if name and name not in REFUSED_KEYS}
    return value


def _keep_rules_of_users(body):
    for name in METADATA:
        if isinstance(body.get(name), dict):
            kept = _valid_metadata(body[name])
            body[name] = kept if len(json.dumps(kept)) <= 4000 else {}
    if isinstance(body.get("role"), str) and body["role"] not in ("user", "support", "admin"):
        # Which roles there are is a setting.
        body["role"] = "user"
    if body.get("send_invitation") is True:
        # Only an account without a password is invited.
        body.pop("password", None)
    if isinstance(body.get("until"), str):
        # In the future.
        body["until"] = f"2999{body['until'][4:]}"


@schemathesis.serializer("application/x-ndjson")
def _lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _known(body, names, source):
    for name in names:
        if name in body and secrets.randbelow(2) == 0:
            body[name] = source[name]


@schemathesis.hook
def before_call(context, case, kwargs):
    """
    Data that is meant to be valid keeps the rules on passwords that a JSON schema has no words for, and often names
    credentials that exist.
    """
    global _client
    meta, body = case.meta, case.body
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE:
        return
    if "Idempotency-Key" in (case.headers or {}):
        # One that was used for another request is refused.
        case.headers["Idempotency-Key"] = secrets.token_hex(16)
    # No schema tells a proof that was signed now, nor which pages may have the cookie.
    for name in ("DPoP", "Refresh-Token-Mode"):
        (case.headers or {}).pop(name, None)
    if not isinstance(body, dict):
        return
    label = case.operation.label
    _keep_rules_of_users(body)
    sent = (case.headers or {}).get("Authorization", "").removeprefix("Bearer ")
    session = _sessions.get(sent)
    if session is not None and isinstance(body.get("current_password"), str):
        body["current_password"] = session["password"]
    if isinstance(body.get("name"), str) and not any(unicodedata.category(one)[0] in "LNPS" for one in body["name"]):
        # Beyond the BMP no pattern that every language reads can tell what shows.
        body["name"] = f"A{body['name'][:99]}"
    for name in ("email", "new_email"):
        if isinstance(body.get(name), str) and "@" in body[name]:
            # A pattern can bound each part of the local part, not their sum: at most 64 characters.
            local, domain = body[name].rsplit("@", 1)
            body[name] = f"{local[:64].rstrip('.')}@{domain}"
    if label != "POST /api/auth/login":
        for name in ("password", "new_password"):
            if isinstance(body.get(name), str):
                body[name] = _valid_password(body[name])
    current = _session
    if current is None:
        return
    if label == "POST /api/auth/login":
        body.update({"email": current["email"], "password": current["password"]})
    if label == "POST /api/auth/refresh":
        # It may be absent where there is a cookie.
        body.setdefault("refresh_token", current["refresh_token"])
    if label in ("POST /api/auth/refresh", "POST /api/auth/token"):
        _known(body, ["refresh_token"], current)
    if label in ("POST /api/auth/token", "POST /api/auth/introspect", "POST /api/auth/revoke") and _client is not None:
        body.update(_client)
        if "scope" in body:
            body["scope"] = "users:read"
    if label == "POST /api/auth/introspect":
        body["token"] = current["token"]
