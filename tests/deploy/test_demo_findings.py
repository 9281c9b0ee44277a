"""What the demo makes of two runs: rates, telling failures, sentences, and how they print."""

import io
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.demo import findings, report, screen
from deploy.demo.events import Progress
from deploy.demo.findings import Contrast, Evaluated, Rate
from deploy.demo.gateway import refusal


def a_result(
    case: str, status: str = "passed", *, method: str = "keyword_match", score: float | None = None, **more: Any
) -> dict[str, Any]:
    known = {"passed": 1.0, "failed": 0.0}.get(status) if score is None else score
    texts = {"question": f"What is {case}?", "expected_response": "It is.", "reasoning": "because"}
    return {"test_case_id": case, "status": status, "test_method": method, **texts, **({} if known is None else {"score": known}), **more}


def a_run(label: str, results: Sequence[dict[str, Any]], **more: Any) -> Evaluated:
    counts = {name: sum(result["status"] == name for result in results) for name in ("passed", "failed", "error")}
    run = {
        "id": f"id-of-{label}",
        "test_set_id": "id-of-set",
        "status": "completed",
        "total_cases": len(results),
        "passed_cases": counts["passed"],
        "failed_cases": counts["failed"],
        "error_cases": counts["error"],
        **({"pass_rate": counts["passed"] / len(results)} if results else {}),
        **more,
    }
    return Evaluated(label, run, results)


def a_comparison(**more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"improved": [], "regressed": [], "unchanged": 2, "only_in_a": 0, "only_in_b": 0, "warnings": []}
    return {"verdict": "undecided", **empty, **more}


def printed(*shown: Any) -> str:
    stream = io.StringIO()
    console = screen.open_console(stream)
    for each in shown:
        console.print(each)
    return stream.getvalue()


def cases(contrasts: Sequence[Contrast]) -> list[str]:
    return [contrast.a["test_case_id"] for contrast in contrasts]


def test_rates_are_counted_by_method_and_absent_methods_left_out() -> None:
    results = [a_result("1"), a_result("2", "failed"), a_result("3", "error", method="similarity")]
    assert findings.rates(a_run("x", results)) == {"keyword_match": Rate(1, 2), "similarity": Rate(0, 1)}


def test_failures_are_told_apart_by_who_failed() -> None:
    a = a_run("a", [a_result("1", "failed"), a_result("2"), a_result("3", "failed"), a_result("4"), a_result("5", "failed")])
    b = a_run("b", [a_result("1"), a_result("2", "failed"), a_result("3", "failed"), a_result("4"), a_result("6")])
    found = findings.failures(a, b)
    assert (cases(found.only_a), cases(found.only_b), cases(found.both)) == (["1"], ["2"], ["3"])


def test_errors_are_no_failed_answers() -> None:
    a, b = a_run("a", [a_result("1"), a_result("2", "failed")]), a_run("b", [a_result("1", "error"), a_result("2", "error")])
    assert findings.failures(a, b) == findings.Failures([], [], [])


def test_the_widest_gap_in_score_comes_first() -> None:
    a = a_run("a", [a_result("1", "failed", score=0.6), a_result("2", "failed", score=0.0), a_result("3", "failed", score=0.3)])
    b = a_run("b", [a_result("1", score=0.8), a_result("2", score=0.9), a_result("3", score=1.0)])
    assert cases(findings.failures(a, b).only_a) == ["2", "3", "1"]


def test_failures_are_shown_of_every_method_in_turn() -> None:
    both = [a_result(str(n), "failed", method="similarity" if n == 9 else "keyword_match") for n in range(10)]
    chosen = findings.varied([Contrast(result, result) for result in both], 3)
    assert cases(chosen) == ["0", "9", "1"]
    assert findings.varied([], 3) == []


def test_error_reasons_are_grouped() -> None:
    results = [a_result("1", "error", error="HTTP 500"), a_result("2", "error", error="refused"), a_result("3", "error", error="refused")]
    assert findings.error_reasons(a_run("x", results)) == [("refused", 2), ("HTTP 500", 1)]


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("improved", "new is better than old, by more than chance explains."),
        ("regressed", "old is better than new, by more than chance explains."),
        ("undecided", "Undecided: the difference between new and old may be chance."),
    ],
)
def test_the_verdict_is_said_in_words(verdict: str, sentence: str) -> None:
    assert findings.verdict_sentence({"verdict": verdict}, "old", "new") == sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n  lines", "two lines"),
        ("red \x1b[31m alert\x07", "red [31m alert"),
        ("a" * 20, "a" * 9 + "…"),
        ("exactly10!", "exactly10!"),
        ("", ""),
    ],
)
def test_a_text_is_shown_on_one_line_without_what_a_terminal_obeys(text: str, shown: str) -> None:
    assert findings.one_line(text, 10 if "\x1b" not in text else 20) == shown


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":3,"message":"name: is required"}', "name: is required"),
        (b"<html>", "no reason was given"),
        (b"[]", "no reason was given"),
    ],
)
def test_a_refusal_says_why(body: bytes, reason: str) -> None:
    assert refusal("POST", "/v1/contexts?x=1", 400, body) == f"POST /v1/contexts was refused with 400: {reason}"


def test_the_tables_fit_100_columns_and_hold_no_control_characters() -> None:
    name = "answerer-with-a-long-name"
    a = a_run(name, [a_result("1", "failed", actual_response="[bold]no " * 60), a_result("2")], average_score=0.5)
    b = a_run("b", [a_result("1"), a_result("2", "failed", actual_response="\x1b[2J")])
    text = printed(report.results_table([a, b]), report.methods_table([a, b]), report.failures_report(a, b))
    assert max(map(len, text.splitlines())) <= 100
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "50.0 % (1)" in text
    assert "[bold]no" in text


def test_a_run_without_any_result_still_has_its_row() -> None:
    text = printed(report.results_table([a_run("gone", [], status="cancelled")]), report.methods_table([a_run("gone", [])]))
    assert "cancelled" in text


def test_unreachable_targets_show_their_reason() -> None:
    errors = [a_result(str(n), "error", error=f"reason {n % 7}") for n in range(70)]
    text = printed(report.errors_report(a_run("mine", errors)))
    assert "70 of mine could not be executed or scored" in text
    assert "20  for other reasons" in text
    assert "Not one call succeeded" in text


def test_the_comparison_shows_what_there_is() -> None:
    full = a_comparison(
        verdict="improved",
        pass_rate_diff=0.25,
        confidence_interval=[0.1, 0.4],
        p_value=0.00001,
        average_score_diff=0.2,
        warnings=["judged differently"],
    )
    text = printed(report.comparison_report(full, "a", "b"))
    for part in ("b is better than a", "+25.0 percentage points", "+10.0 to +40.0", "p < 0.0001", "+0.200", "warning: judged differently"):
        assert part in text
    bare = printed(report.comparison_report(a_comparison(), "a", "b"))
    assert "interval" not in bare
    assert "2 unchanged" in bare


def test_seconds_are_those_from_the_first_case_to_the_last_result() -> None:
    times = {"started_at": "2026-01-01T00:00:00.500Z", "completed_at": "2026-01-01T00:00:02Z"}
    assert a_run("x", [], **times).seconds == 1.5
    assert a_run("x", []).seconds is None


def test_a_log_gets_a_line_a_second_and_the_last_one() -> None:
    stream, now = io.StringIO(), 0.0
    lines = screen.Lines(screen.open_console(stream), {"a": Progress(9)}, clock=lambda: now)
    with lines:
        for step in range(1, 10):
            now = step * 0.3
            lines.show("a", Progress(9, passed=step))
    assert stream.getvalue().splitlines() == ["  a 4/9", "  a 8/9", "  a 9/9"]


def test_a_log_has_no_trailing_blanks_and_no_two_empty_lines() -> None:
    paper = io.StringIO()
    console = screen.open_console(paper)
    console.print()
    console.print(report.results_table([a_run("a", [a_result("1")])]))
    console.print("\n\nend")
    lines = paper.getvalue().split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\n\n\n" not in paper.getvalue()
    assert lines[-2:] == ["end", ""]
