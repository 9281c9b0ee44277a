# ruff: noqa: INP001 - a script for the test pod, never imported
"""Asks every service something through the gateway, without credentials: each must answer by itself that they are missing."""

import ssl
import sys
import time
import urllib.error
import urllib.request

UNAUTHENTICATED = 401
QUESTIONS = (
    ("gateway", "GET", "/openapi.json", 200),
    ("catalog", "GET", "/v1/connections", UNAUTHENTICATED),
    ("runner", "POST", "/v1/evaluation/runs", UNAUTHENTICATED),
    ("scoring", "GET", "/model-hub/eval-groups/get_evals_list", UNAUTHENTICATED),
    ("reporting", "GET", "/v1/evaluation/runs/00000000-0000-0000-0000-000000000000", UNAUTHENTICATED),
)
PATIENCE_SECONDS = 60
# What is asked is no secret, and the gateway's certificate names the host that clients call, not the one that is called here.
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname = False
ANYBODY.verify_mode = ssl.CERT_NONE


def status(verb: str, url: str) -> int:
    """The HTTP status of an answer; 0 if nobody answers."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, b"{}" if verb == "POST" else None, headers, method=verb)  # noqa: S310 - the chart's own gateway
    try:
        with urllib.request.urlopen(request, timeout=5, context=ANYBODY) as answer:  # noqa: S310 - the same
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def main(gateway: str) -> int:
    """Prints a line per service; the exit status says whether all answered as they should."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    wrong = 0
    for service, verb, path, wanted in QUESTIONS:
        while (found := status(verb, gateway + path)) != wanted and time.monotonic() < deadline:
            time.sleep(1)
        sys.stdout.write(f"{service}: {verb} {path} -> {found}{'' if found == wanted else f', not {wanted}'}\n")
        wrong += found != wanted
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
