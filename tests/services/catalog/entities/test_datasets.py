"""Rules of datasets."""

from datetime import UTC, datetime

import pytest

from services.catalog.entities.datasets import PROMPT, Dataset, DatasetOutline
from shared.errors import Invalid
from shared.ids import new_id

THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def a_dataset(**said: object) -> Dataset:
    return Dataset(new_id(), new_id(), new_id(), PROMPT, DatasetOutline(**{"name": "n", **said}), 3, 7, THEN, THEN)  # type: ignore[arg-type]


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(Invalid) as refusal:
        DatasetOutline("", input_names=("", "a"), media_input_names=("m" * 256,)).checked()
    assert set(refusal.value.fields) == {"name", "input_names[0]", "media_input_names[0]"}


def test_a_change_leaves_the_cases_as_they_are() -> None:
    before = a_dataset(description="d", input_names=("a",))
    after = before.changed({"name": "other", "input_names": ()}, NOW)
    assert after.outline == DatasetOutline("other", "d")
    assert (after.id, after.revision, after.case_count, after.created_at, after.updated_at) == (before.id, 3, 7, THEN, NOW)


def test_a_wrong_change_is_refused() -> None:
    with pytest.raises(Invalid, match="name: must not be empty"):
        a_dataset().changed({"name": ""}, NOW)
