"""What a command has done so far: the rows it changed and the events it emitted."""

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from flask import g


class WriteOutsideCommand(RuntimeError):
    """Business rows were about to be written by code that is not a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; subclasses carry ids and values, never rows (G4).

    `AGGREGATE` names the thing it happened to and the field `<aggregate>_id` holds its id.
    """

    TYPE: ClassVar[str]
    AGGREGATE: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int] = 1

    @property
    def aggregate_id(self) -> UUID:
        value: UUID = getattr(self, f"{self.AGGREGATE}_id")
        return value


@dataclass(slots=True)
class Journal:
    """The changes and events of one command."""

    action: str
    changes: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[Event, bool]] = field(default_factory=list)
    object_type: str | None = None
    object_id: UUID | None = None
    why: str | None = None
    quiet: bool = False
    written: bool = False  # by the statement that wrote the rows themselves
    joined: bool = False  # to another command, which keeps the books of both
    answer: dict[str, Any] | None = None  # of an API's call: id, status, response; kept even where nothing changed

    def note(self, table: str, key: object, fields: dict[str, Any] | list[str] | None = None) -> None:
        """Record a change made by SQL, which the ORM does not see (D30)."""
        self.changes.append({"table": table, "key": str(key), "fields": fields or []})

    def unchanged(self) -> None:
        """A replay: nothing is written to the books (D30)."""
        self.quiet = True

    def about(self, object_type: str, object_id: UUID) -> None:
        """The object that the audit log files this command under."""
        self.object_type, self.object_id = object_type, object_id

    def reason(self, text: str) -> None:
        """Why a person did it, in their words."""
        self.why = text


def journal() -> Journal:
    """The running command's journal."""
    current: Journal | None = g.get("journal")
    if current is None:
        raise WriteOutsideCommand("call this from a function decorated with @command")
    return current


def emit(event: Event, *, historical: bool = False) -> None:
    """Promise the event to its subscribers once the command commits; `historical` events notify nobody (D27)."""
    journal().events.append((event, historical))
