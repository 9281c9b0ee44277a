"""A JSON object as it is read, key by key: what a typed message can't hold, since it may be null, or an object or an array."""

from collections.abc import Collection
from typing import Any, TypeVar
from uuid import UUID

from shared.ids import canonical_id

MAX_WHOLE = 2**31 - 1

T = TypeVar("T")


class JsonObject:
    """Reads values by key, None for null and absent, and collects what is wrong in `faults`, by path."""

    def __init__(self, said: Any, place: str = "", faults: dict[str, str] | None = None) -> None:
        self.place = place
        self.faults: dict[str, str] = {} if faults is None else faults
        self._said: dict[str, Any] = said if isinstance(said, dict) else {}
        if not isinstance(said, dict):
            self.faults[place or "body"] = "must be an object"

    def fault(self, key: str, what: str) -> None:
        """Notes what is wrong with a key."""
        self.faults[self._path(key)] = what

    def has(self, key: str) -> bool:
        """Whether there is anything but null."""
        return self._said.get(key) is not None

    def text(self, key: str) -> str | None:
        """A text."""
        return self._typed(key, str, "a text")

    def required(self, key: str) -> str:
        """A text that must be there; "" if it isn't."""
        if not self.has(key):
            self.fault(key, "is required")
        return self.text(key) or ""

    def name(self, key: str) -> str:
        """A text that must be there and hold something."""
        said = self.required(key)
        if not said and self._path(key) not in self.faults:
            self.fault(key, "must not be empty")
        return said

    def choice(self, key: str, allowed: Collection[str]) -> str:
        """One of a few names, which must be there."""
        said = self.required(key)
        if self._path(key) not in self.faults and said not in allowed:
            self.fault(key, f"must be one of {', '.join(allowed)}")
        return said

    def flag(self, key: str) -> bool | None:
        """True or false."""
        return self._typed(key, bool, "true or false")

    def whole(self, key: str) -> int | None:
        """A whole number from 0 to the largest int32."""
        said = self._said.get(key)
        if said is None or (isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= MAX_WHOLE):
            return said
        self.fault(key, f"must be a whole number from 0 to {MAX_WHOLE}")
        return None

    def object(self, key: str) -> dict[str, Any] | None:
        """An object, as it is."""
        return self._typed(key, dict, "an object")

    def array(self, key: str) -> list[Any] | None:
        """An array, as it is."""
        return self._typed(key, list, "an array")

    def part(self, key: str) -> "JsonObject | None":
        """An object, to be read in its turn."""
        return JsonObject(self._said[key], self._path(key), self.faults) if self.has(key) else None

    def parts(self, key: str) -> "list[JsonObject] | None":
        """An array of objects, each to be read in its turn."""
        said = self.array(key)
        if said is None:
            return None
        return [JsonObject(item, f"{self._path(key)}[{index}]", self.faults) for index, item in enumerate(said)]

    def id(self, key: str) -> UUID | None:
        """An id; None for "" too."""
        said = self.text(key)
        if not said:
            return None
        try:
            return canonical_id(said)
        except ValueError:
            self.fault(key, "must be a UUID")
            return None

    def required_id(self, key: str) -> UUID | None:
        """An id that must be there; None only where that is noted as a fault."""
        self.required(key)
        found = self.id(key)
        if found is None and self._path(key) not in self.faults:
            self.fault(key, "is required")
        return found

    def _typed(self, key: str, kind: type[T], called: str) -> T | None:
        said: object = self._said.get(key)
        if said is None or isinstance(said, kind):
            return said
        self.fault(key, f"must be {called}")
        return None

    def _path(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key
