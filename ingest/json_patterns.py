"""Regular expressions for the parts of JSON (RFC 8259). All counts are bounded, so that no match takes long.

Blanks and digits are not: they are skipped at some hundred megabytes a second.
"""

import re

_SPACE = rb"[ \t\r\n]*+"
_CHARACTERS = rb'[^"\\\x00-\x1f]'
_ESCAPE = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
# A longer one is skipped in parts: one match of ten megabytes would stop the event loop for a second.
_STRING = rb'"%b{0,20000}+(?:%b%b{0,500}+){0,200}+"' % (_CHARACTERS, _ESCAPE, _CHARACTERS)
_SCALAR = rb"(?:%b|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)" % _STRING
_COMMA = _SPACE + rb"," + _SPACE
_COLON = _SPACE + rb":" + _SPACE
_MEMBER = _STRING + _COLON + _SCALAR


def _nested(item: bytes) -> bytes:
    """Matches what `item` does, and short lists and objects of it."""
    parts = {"s": _SPACE, "i": item, ",": _COMMA, "k": _STRING + _COLON}
    pattern = "(?:{i}|\\[{s}(?:{i}(?:{,}{i}){0,19}+{s})?+\\]|\\{{s}(?:{k}{i}(?:{,}{k}{i}){0,19}+{s})?+\\})"
    for name, part in parts.items():
        pattern = pattern.replace(f"{{{name}}}", part.decode("latin-1"))
    return pattern.encode("latin-1")


# Small containers are skipped like scalars. All counts are bounded, so that no match takes long.
_SIMPLE = _nested(_nested(_nested(_SCALAR)))

SPACES = re.compile(_SPACE)
PART_OF_STRING = re.compile(rb"%b{0,50000}+(?:%b%b{0,500}+){0,2000}+" % (_CHARACTERS, _ESCAPE, _CHARACTERS))
AFTER_KEY = re.compile(_COLON)
VALUE = re.compile(rb"%b|((?:\[%b){1,200}+)|(\{%b)" % (_SIMPLE, _SPACE, _SPACE))
KEY = re.compile(rb"(%b)%b" % (_STRING, _COLON))
ITEMS = re.compile(rb"(?:%b%b){0,200}+(?:%b%b){0,5}+" % (_COMMA, _SCALAR, _COMMA, _SIMPLE))
MEMBERS = re.compile(rb"(?:%b%b){0,100}+(?:%b%b%b%b){0,5}+" % (_COMMA, _MEMBER, _COMMA, _STRING, _COLON, _SIMPLE))
NEXT = re.compile(_COMMA)
ENDS = re.compile(rb"%b([\]}]{1,200}+)" % _SPACE)
