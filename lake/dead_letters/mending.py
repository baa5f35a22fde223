"""The mending file: what is to be done to a dead letter's payload before it is decoded again.

A few declarative steps, taken one after the other. Two work on the text (``encoding`` and
``replace``) and come first; the others on the members of the JSON object, which JSONPath (RFC 9535)
names. A step whose path finds nothing changes nothing, so one file fits letters that differ.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lake.errors import MendingFileError

PATHS: Final = JSONPathEnvironment(strict=True)
"""Takes what RFC 9535 has, and none of the library's own additions."""

LAST_NAME: Final = re.compile(
    r"""(?P<parent>\$.*?)(?:\.(?P<plain>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)"""
    r"""|\[(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\])""",
    re.DOTALL,
)
"""A path whose last segment is the name of one member, and the path of what has that member."""


def _is_path(text: str) -> str:
    try:
        PATHS.compile(text)
    except JSONPathError as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"`{text}` is no JSONPath (RFC 9535): {why}") from None
    return text


def _names_one(text: str) -> str:
    path = PATHS.compile(_is_path(text))
    if not (isinstance(path, JSONPath) and path.singular_query()):
        raise ValueError(f"`{text}` may find several values; name one, such as $.context.locale")
    return text


AnyPath = Annotated[str, AfterValidator(_is_path)]
OnePath = Annotated[str, AfterValidator(_names_one)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Encoding(_Part):
    """Read the bytes in another encoding than UTF-8."""

    source: str = Field(alias="from", description="A name such as latin-1, windows-1252, utf-16.")

    @field_validator("source")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            info = codecs.lookup(value)
        except LookupError:
            raise ValueError(f"no encoding is called `{value}`") from None
        if not getattr(info, "_is_text_encoding", True):
            raise ValueError(f"`{value}` does not make text of bytes")
        return value


class Replace(_Part):
    """Replace every occurrence of a text in the payload, before it is read as JSON."""

    text: str = Field(min_length=1, description="What to look for.")
    by: str = Field(alias="with", description="What to put there.")
    regex: bool = Field(
        default=False,
        description="True: `text` is a regular expression of Python, and `with` may name groups.",
    )

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.regex:
            try:
                re.compile(self.text)
                re.sub(self.text, self.by, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"`{self.text}` is no regular expression: {error}") from None
        return self


class Set(_Part):
    """Give a member a value; it is made where what would hold it is there."""

    path: AnyPath = Field(description="Which member or members.")
    value: Any = Field(default=None, description="The value; any JSON.")
    source: OnePath | None = Field(
        default=None, alias="from", description="Or: the path of the member to copy."
    )
    letter: Literal["appended_at", "key"] | None = Field(
        default=None,
        description="Or: what Kafka kept with the message: when it came in, or its key as text.",
    )
    only_missing: bool = Field(
        default=False, description="True: leave a member alone that is there and not null."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len({"value", "source", "letter"} & self.model_fields_set) != 1:
            raise ValueError("expected exactly one of value, from, letter")
        return self


class Rename(_Part):
    """Give a member another name, in the same object; its place is kept."""

    path: AnyPath = Field(description="Which member or members.")
    to: str = Field(min_length=1, description="The new name.")


class Cast(_Part):
    """Make a value one of another type. What cannot be one makes mending fail."""

    path: AnyPath = Field(description="Which value or values; null stays null.")
    to: Literal["string", "integer", "number", "boolean", "timestamp", "json"] = Field(
        description="json: the value is a text that holds JSON."
    )
    form: str | None = Field(
        default=None,
        alias="format",
        description="For timestamp: unix, unix_ms, or what Python's strptime takes; UTC unless it "
        "says otherwise.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.form is None) == (self.to == "timestamp"):
            raise ValueError("`format` belongs to `to: timestamp`, which needs it")
        return self


class Drop(_Part):
    """Take a member, or an element of a list, away."""

    path: AnyPath = Field(description="Which.")


class Step(_Part):
    """One change: exactly one of its members."""

    encoding: Encoding | None = None
    replace: Replace | None = None
    set: Set | None = None
    rename: Rename | None = None
    cast: Cast | None = None
    drop: Drop | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"expected one of {', '.join(cls.model_fields)}")
        value = dict(value)
        if isinstance(value.get("drop"), str):
            value["drop"] = {"path": value["drop"]}
        if isinstance(value.get("encoding"), str):
            value["encoding"] = {"from": value["encoding"]}
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"expected exactly one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def verb(self) -> str:
        """Its name."""
        return next(iter(self.model_fields_set))

    @property
    def is_of_text(self) -> bool:
        """True for a step that works on the payload before it is read as JSON."""
        return self.verb in ("encoding", "replace")


class Mending(_Part):
    """A mending file."""

    description: str = Field(default="", description="What was wrong, for whoever reads it later.")
    contract: str | None = Field(
        default=None, description="The only contract whose letters it is for."
    )
    steps: tuple[Step, ...] = Field(min_length=1, description="Taken in this order.")

    @field_validator("steps")
    @classmethod
    def _text_first(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        seen_members = False
        for at, step in enumerate(steps):
            if step.verb == "encoding" and at > 0:
                raise ValueError("`encoding` must be the first step")
            if step.is_of_text and seen_members:
                raise ValueError("`replace` must come before the steps that work on members")
            seen_members = seen_members or not step.is_of_text
        return steps

    @property
    def of_text(self) -> tuple[Step, ...]:
        """The steps before the payload is read as JSON."""
        return tuple(step for step in self.steps if step.is_of_text)

    @property
    def of_members(self) -> tuple[Step, ...]:
        """The steps after that."""
        return tuple(step for step in self.steps if not step.is_of_text)

    def as_json(self) -> str:
        """Return its steps as the history keeps them."""
        document = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return json.dumps({"steps": document["steps"]}, ensure_ascii=False)


def load_mending(path: Path) -> Mending:
    """Read a mending file.

    Raises:
        MendingFileError: it cannot be read, or something in it is wrong: says what and where.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise MendingFileError(f"{path}: it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MendingFileError(f"{path}: it is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise MendingFileError(f"{path}{line}: expected YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise MendingFileError(f"{path}: expected YAML: {error}") from error
    return parse_mending(document, str(path))


def parse_mending(document: Any, name: str) -> Mending:
    """Check what a mending file, or the configuration of a job, says.

    Raises:
        MendingFileError: something in it is wrong: says what and where, each thing in a line.
    """
    try:
        return Mending.model_validate(document)
    except ValidationError as error:
        found = error.errors()
        if len(found) > 1:  # a list of which every entry is wrong is not short as well
            found = [one for one in found if one["type"] != "too_short"]
        lines = [f"{name}: {_where(one['loc'])}: {_what(one['type'], one['msg'])}" for one in found]
        raise MendingFileError(
            "\n".join(lines), hint="docs/reference/mending.md lists the steps"
        ) from error


def _where(location: tuple[int | str, ...]) -> str:
    if location[:1] == ("steps",) and len(location) > 1:
        location = (f"step {int(location[1]) + 1}", *location[2:])
    return ".".join(map(str, location)) or "the file"


def _what(kind: str, message: str) -> str:
    words = {"extra_forbidden": "it is not known here", "too_short": "it is empty"}
    return words.get(kind) or message.removeprefix("Value error, ")
