"""The answerer finds sentences of a documentation folder, and says so when it finds none."""

from pathlib import Path

import pytest

from services.runner.targets.answerer import BASIC, DONT_KNOW, GOOD, VARIANTS, Answerer, Passage, passages_of

DOCUMENTATION = Path(__file__).parents[4] / "deploy" / "demo" / "documentation"

PAGE = """# Garden

Water the roses daily. `Tulips` need less
water than roses!

## Winter

- Cover the **beds** with leaves.
1. See the [guide](guide.md) for frost.

```
not a sentence.
```
"""


def _answerer(*texts: str, heading: str = "") -> Answerer:
    return Answerer(Passage(heading, text) for text in texts)


def test_a_page_is_split_into_sentences_with_the_headings_above_them() -> None:
    assert list(passages_of(PAGE)) == [
        Passage("Garden", "Water the roses daily."),
        Passage("Garden", "Tulips need less water than roses!"),
        Passage("Garden Winter", "Cover the beds with leaves."),
        Passage("Garden Winter", "See the guide for frost."),
    ]


def test_a_heading_ends_the_sections_beside_and_below_it() -> None:
    page = "# A\n## B\n### C\none\n## D\ntwo"
    assert [passage.heading for passage in passages_of(page)] == ["A B C", "A D"]


def test_an_abbreviated_number_does_not_end_a_sentence() -> None:
    assert [passage.text for passage in passages_of("It defaults to 0.7 of 1. Then stop.")] == ["It defaults to 0.7 of 1.", "Then stop."]


def test_the_good_variant_prefers_rare_words() -> None:
    answerer = _answerer("The run has a run state.", "The run keeps a lease.", "The run has a name.")
    assert answerer.answer("Which lease has the run?", GOOD) == "The run keeps a lease."


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("cancelling", "Runs can be cancelled."),
        ("queries", "One query is enough."),
        ("creation", "It was created yesterday."),
        ("deletes", "Deleting is final."),
        ("score", "Set passing_score first."),
        ("passing_score", "Set passing_score first."),
        ("status", "It has two statuses."),
        ("Wiping", "The store was wiped."),
    ],
)
def test_the_good_variant_knows_other_forms_of_a_word(asked: str, written: str) -> None:
    assert _answerer("Nothing else is here.", written).answer(f"What about {asked}?", GOOD) == written


def test_the_good_variant_finds_a_sentence_by_its_heading() -> None:
    answerer = Answerer([Passage("Tickets", "At most 64 are taken."), Passage("Pages", "At most 100 are shown.")])
    assert answerer.answer("How many on a page at most?", GOOD) == "At most 100 are shown."


def test_the_good_variant_joins_a_second_sentence_that_fits_as_well() -> None:
    answerer = _answerer("A lease lasts briefly.", "A lease ends quickly.", "Roses are red.")
    assert answerer.answer("lease", GOOD) == "A lease lasts briefly. A lease ends quickly."


def test_the_good_variant_leaves_out_a_second_sentence_that_fits_less() -> None:
    answerer = _answerer("A lease lasts 15 seconds.", "Seconds are short.", "Roses are red.")
    assert answerer.answer("How many seconds does a lease last?", GOOD) == "A lease lasts 15 seconds."


def test_the_basic_variant_counts_shared_words_and_keeps_the_first_of_equals() -> None:
    answerer = _answerer("The leases end.", "The lease of the worker ends.", "The lease of the runner ends.")
    assert answerer.answer("What of the lease?", BASIC) == "The lease of the worker ends."


def test_the_basic_variant_knows_no_other_form_of_a_word() -> None:
    assert _answerer("Runs end.", "Ran away.").answer("run", BASIC) == DONT_KNOW


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("question", ["Xyzzy plugh?", "", "?!", "\ud83c\udf39 \u00e9\u00e9"])
def test_without_a_match_it_does_not_know(variant: str, question: str) -> None:
    assert _answerer("Roses are red.").answer(question, variant) == DONT_KNOW


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_passages_it_does_not_know(variant: str) -> None:
    assert Answerer([]).answer("Anything there?", variant) == DONT_KNOW


def test_an_unknown_variant_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="answerer-best"):
        _answerer("Roses are red.").answer("Roses?", "answerer-best")


def test_a_folder_without_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Answerer.load(tmp_path)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("Roses are white.", encoding="utf-8")
    (tmp_path / "a.md").write_text("Roses are red.", encoding="utf-8")
    assert Answerer.load(tmp_path).answer("roses", BASIC) == "Roses are red."


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_answerers_of_one_folder_agree(variant: str) -> None:
    question = "How long is an idempotency key remembered?"
    assert Answerer.load(DOCUMENTATION).answer(question, variant) == Answerer.load(DOCUMENTATION).answer(question, variant)


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What is the default passing score?", "0.7"),
        ("Which test is behind the p-value of a comparison?", "McNemar"),
        ("How often does the reconciler look for forgotten work?", "5 seconds"),
        ("Who grants anything to the X-Internal-Service header?", "nothing"),
        ("How long are runs kept?", "until you delete it or its test set"),
        ("Do runs go by themselves after so many days?", "ASSAY_RUN_RETENTION_DAYS"),
    ],
)
def test_the_good_variant_answers_from_the_products_own_documentation(question: str, fact: str) -> None:
    assert fact in Answerer.load(DOCUMENTATION).answer(question, GOOD)
