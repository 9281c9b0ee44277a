"""The builtin answerers that the demo evaluates; see services/runner/targets/answerer.py."""

GOOD, BASIC = "answerer-good", "answerer-basic"
