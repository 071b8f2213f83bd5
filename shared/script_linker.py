"""Links a Lua script with the definitions of `scripts/lib/` that it uses.

The store runs a script from its first line in every call, and creates each of its functions again. So an unused
function costs as much as a command, and so does one that most calls do not need. The linker leaves out the first kind.
The second kind, whose first lines end in `-- rare`, is created by the first call of one of them, together with what
only these use.
"""

import re
from collections.abc import Collection, Mapping

RARE = "-- rare"
_DEFINED = re.compile(r"local (?:function )?(\w+)")
_CONSTANT = re.compile(r"local ([A-Z][A-Z_]*) = ('[^']*'|\d+)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_STRING_OR_WORD = re.compile(r"'[^'\n]*'|[A-Za-z_]\w*")
_COMMENT = re.compile(r" *--.*")
# `rarely('name', …)` calls the rare function of that name. Their list stands behind all other functions, which they
# may use, and in front of the script.
_DECLARATION = "local rarely"
_LIST = """rarely = function(name, ...)
  {functions}
  local functions = {{{names}}}
  rarely = function(name, ...) return functions[name](...) end
  return functions[name](...)
end"""


def linked(script: str, shared: str) -> str:
    """Puts the shared definitions that `script` uses, directly or through others, in front of it.

    A definition begins with `local` at the margin and ends at the next line there.
    """
    rare = {_name(line) for line in shared.splitlines() if line.startswith("local function ") and line.endswith(RARE)}
    script, shared = _COMMENT.sub("", script), _COMMENT.sub("", shared)  # a word in a comment is no use of a definition
    wanted, wanted_rarely = set(_WORD.findall(script)), set[str]()
    kept: list[str] = []
    created_rarely: list[str] = []
    constants: dict[str, str] = {}
    for definition in reversed(_definitions(shared)):  # a definition uses only earlier ones
        name = _name(definition)
        if name not in wanted and name not in wanted_rarely:
            continue
        if constant := _CONSTANT.fullmatch(definition):
            constants[name] = constant[2]
        elif name in wanted and name not in rare:
            kept.append(definition)
            wanted.update(_WORD.findall(definition))
        else:
            created_rarely.append(definition)
            wanted_rarely.update(_WORD.findall(definition))
    parts = [*reversed(kept), script]
    if created_rarely:
        names = [_name(each) for each in reversed(created_rarely) if _name(each) in rare]
        parts = [_DECLARATION, *(_calling_rarely(each, names) for each in parts)]
        parts.insert(-1, _list(created_rarely, names))
    return _with_constants("\n".join(parts), constants)


def _name(definition: str) -> str:
    name = _DEFINED.match(definition)
    if name is None:
        raise ValueError(f"no definition, so its users are unknown: {definition}")
    return name[1]


def _list(created_rarely: Collection[str], names: Collection[str]) -> str:
    functions = "\n".join(reversed([*created_rarely])).replace("\n", "\n  ")
    return _LIST.format(functions=functions, names=", ".join(f"{name} = {name}" for name in names))


def _calling_rarely(source: str, names: Collection[str]) -> str:
    call = re.compile(rf"'[^'\n]*'|(?<![\w.])({'|'.join(names)})\b(\()?(\))?")

    def replaced(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]  # a string
        if found[2] is None:
            raise ValueError(f"a rare function can only be called: {source[found.start() - 20 : found.end() + 20]}")
        return f"rarely('{found[1]}')" if found[3] else f"rarely('{found[1]}', "

    return call.sub(replaced, source)


def _with_constants(source: str, constants: Mapping[str, str]) -> str:
    """Writes each constant where it is used.

    Creating a function takes longer with each local of the script that it uses: the store's Lua looks for it in a list
    of all those that any function uses.
    """
    return _STRING_OR_WORD.sub(lambda found: constants.get(found[0], found[0]), source)


def _definitions(shared: str) -> list[str]:
    found: list[str] = []
    for line in shared.splitlines():
        if not line:
            continue
        if line.startswith((" ", "end", "}")) and found:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found
