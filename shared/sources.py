"""Reads settings as text from the environment, `.env` and secret files; whatever is doubtful becomes a sentence.

The environment outranks `.env`. A name without a value, a name given twice and a misspelt name are mistakes: to ignore
one of them could switch off authentication or encryption without a word.
"""

import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from surehook.shared.files import read_text

PREFIX = "SUREHOOK_"
ENV_FILE = Path(".env")
ENVIRONMENT, DOTENV = "environment", ".env"
BLANKS = " \t\r\n"  # ignored around a value; any other invisible character is a mistake
# Kubernetes sets these for a service whose name starts with surehook.
_SERVICE_LINK = re.compile(r"SUREHOOK_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_NEARLY_PREFIX = re.compile(r"SURE|HOO|H00|OOK")  # names that are worth comparing with ours
_COMMENT = re.compile(r"(#|//|;).*\s")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_GLUED = re.compile(r"[^\W_]SUREHOOK_")  # as in exportSUREHOOK_GRACE
_REFERENCE = re.compile(r"\$\{([^}:]*)\}")
ALIKE = 0.6
ALIKE_WITH_ANOTHER_PREFIX = 0.9
ALIKE_PREFIX = 0.77  # WEBHOOK_ has 0.67


@dataclass(frozen=True, slots=True)
class Given:
    """A setting's text; a tuple if it came from a file with one value a line."""

    text: str | tuple[str, ...]
    origin: str
    label: str  # the variable, and the file if it names one


@dataclass(frozen=True, slots=True)
class Unknown:
    """A variable that looks like one of ours and is none."""

    name: str
    origin: str
    sentence: str


@dataclass(slots=True)
class Found:
    """All settings that are given, by the names of their fields."""

    given: dict[str, Given] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Names:
    """The settings: all fields, those that may come from a file, and of these the ones with one value a line."""

    fields: Collection[str]
    secrets: Collection[str]
    lists: Collection[str]

    def known(self) -> list[str]:
        return [*map(_variable, self.fields), *(f"{_variable(name)}_FILE" for name in self.secrets)]


def find_settings(environ: Mapping[str, str], names: Names) -> Found:
    """Reads all sources. Problems are in the result, so that all of them can be reported together."""
    found = Found()
    sources = ((ENVIRONMENT, _from_environment(environ, found)), (DOTENV, _from_dotenv(environ, found)))
    known = names.known()
    for origin, variables in sources:
        for name, value in variables.items():
            if name not in known and not (origin == ENVIRONMENT and _is_service_link(name, value)):
                _report_unknown(name, origin, names, found)
    for field_name in names.fields:
        for origin, variables in sources:
            if _take(field_name, origin, variables, names, found):
                break
    return found


def require_visible(text: str, label: str) -> str | None:
    """Returns a sentence about the first invisible character, or None. The text itself is never shown."""
    for position, character in enumerate(text, 1):
        if not character.isprintable():
            what = "a line break" if character in "\r\n" else f"the invisible character U+{ord(character):04X}"
            return f"{label}: character {position} is {what}: remove it"
    return None


def reason(exc: Exception) -> str:
    """Says in a few words why a file could not be read or written."""
    return (exc.strerror if isinstance(exc, OSError) else "it is not UTF-8") or type(exc).__name__


def _variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


def _from_environment(environ: Mapping[str, str], found: Found) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, value in environ.items():
        if not _is_ours(name) and not _is_nearly_ours(name):
            continue
        if name.upper() in variables and _is_ours(name):
            found.mistakes.append(f"{name.upper()} is set twice, in upper and in lower case: keep one")
        variables[name.upper()] = value
    return variables


def _from_dotenv(environ: Mapping[str, str], found: Found) -> dict[str, str]:
    try:
        text = read_text(ENV_FILE)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        found.mistakes.append(f"{ENV_FILE} cannot be read: {reason(exc)}")
        return {}
    values = dotenv_values(stream=io.StringIO(text))
    variables: dict[str, str] = {}
    defined = set(environ)
    for binding in parse_stream(io.StringIO(text)):
        found.mistakes += _mistakes_in(binding, defined)
        key = binding.key
        defined.add(key or "")
        if key is None or not (_is_ours(key) or _is_nearly_ours(key)):
            continue
        if key.upper() in variables and _is_ours(key):
            found.mistakes.append(f"{key.upper()} is set twice in {ENV_FILE}: keep one")
        variables[key.upper()] = values[key] or ""
    return variables


def _mistakes_in(binding: Binding, defined: Collection[str]) -> Iterator[str]:
    line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
    later_lines = binding.original.string.strip().splitlines()[1:]  # the parser only knows some of the line ends
    if any(PREFIX in each for each in later_lines) or (binding.error and PREFIX in binding.original.string.upper()):
        yield f"{ENV_FILE}, line {line}: expected NAME=value; is a quotation mark missing?"
    if binding.key and _is_ours(binding.key):
        for name in _REFERENCE.findall(binding.value or ""):
            if name not in defined:
                yield f"{ENV_FILE}, line {line}: the value refers to a variable in ${{…}} that is not set before it"


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _is_nearly_ours(name: str) -> bool:
    """True for a name that may be a setting's with a slip in the prefix."""
    return bool(_NEARLY_PREFIX.search(_without_invisible(name).upper()))


def _without_invisible(name: str) -> str:
    return "".join(character for character in name if character.isprintable())


def _spellings(name: str) -> Iterator[str]:
    """Names with about our prefix that could be meant, also by characters that no name has, as in `$env:NAME`."""
    shown = _without_invisible(name).upper()
    if glued := _GLUED.search(shown):
        yield shown[glued.start() + 1 :]
    for each in (re.sub(r"\W", "_", shown).strip("_"), *re.findall(r"\w+", shown)[-1:]):
        if SequenceMatcher(None, each[: len(PREFIX)], PREFIX).ratio() >= ALIKE_PREFIX:
            yield each


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or bool(_SERVICE_ADDRESS.match(value) and name.endswith("_PORT"))


def _report_unknown(name: str, origin: str, names: Names, found: Found) -> None:
    known = {each.removeprefix(PREFIX): each for each in names.known()}
    if not name.startswith(PREFIX):  # another program's, unless it is nearly one of our names
        matches = (get_close_matches(each, known.values(), 1, ALIKE_WITH_ANOTHER_PREFIX) for each in _spellings(name))
        near = next(filter(None, matches), [])
        if not near:
            return
    else:
        near = [known[each] for each in get_close_matches(name.removeprefix(PREFIX), known, 1, ALIKE)]
    advice = f"did you mean {near[0]}?" if near else "`surehook config` lists all settings"
    if name.endswith("_FILE") and name.removeprefix(PREFIX).removesuffix("_FILE").lower() in names.fields:
        advice = "only secrets can come from a file"
    found.unknown.append(Unknown(name, origin, f"{name}, set in {_place(origin)}, is no setting: {advice}"))


def _place(origin: str) -> str:
    return "the environment" if origin == ENVIRONMENT else str(ENV_FILE)


def _take(field_name: str, origin: str, variables: Mapping[str, str], names: Names, found: Found) -> bool:
    """Takes a setting from one source. Returns whether the source has it."""
    name, of_file = _variable(field_name), f"{_variable(field_name)}_FILE"
    spellings = (name, of_file) if field_name in names.secrets else (name,)
    given = [each for each in spellings if each in variables]
    if not given:
        return False
    problems = [problem for each in given if (problem := _problem_with(each, variables[each], origin))]
    if problems:
        found.mistakes += problems
    elif len(given) > 1:
        found.mistakes.append(f"{name} and {of_file} are both set in {_place(origin)}: keep one")
    elif given == [name]:
        found.given[field_name] = Given(variables[name].strip(BLANKS), origin, name)
    else:
        _take_file(field_name, variables[of_file].strip(BLANKS), names, found)
    return True


def _problem_with(name: str, value: str, origin: str) -> str | None:
    if not value.strip(BLANKS):
        return f"{name} is empty in {_place(origin)}: give it a value, or remove it"
    return require_visible(value.strip(BLANKS), name)


def _problem_with_line(line: str, label: str) -> str | None:
    if _COMMENT.match(line):  # it would be a key that can be guessed
        return f"{label} looks like a comment, and every line is a value: remove it"
    return require_visible(line, label)


def _take_file(field_name: str, path: str, names: Names, found: Found) -> None:
    label = f"{_variable(field_name)}_FILE={path}"
    try:
        text = read_text(Path(path))
    except (OSError, UnicodeDecodeError) as exc:
        found.mistakes.append(f"{label} cannot be read: {reason(exc)}")
        return
    lines = [line.strip(BLANKS) for line in text.split("\n")]
    values = tuple(line for line in lines if line)
    problems = (_problem_with_line(line, f"{label}, line {number}") for number, line in enumerate(lines, 1))
    if not values:
        found.mistakes.append(f"{label} is empty: write the value into it, or remove the variable")
    elif problem := next(filter(None, problems), None):
        found.mistakes.append(problem)
    elif field_name in names.lists:
        found.given[field_name] = Given(values, path, label)
    elif len(values) > 1:
        found.mistakes.append(f"{label} has {len(values)} lines, expected one")
    else:
        found.given[field_name] = Given(values[0], path, label)
