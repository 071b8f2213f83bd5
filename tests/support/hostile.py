"""Values that would become a script, an element or another attribute where a page does not escape them."""

RUNS = "window.ran=1"
SPOILED = (
    f'"\'><img  src=none onerror="{RUNS}"><script>{RUNS}</script></script><svg onload={RUNS}>{{{{7*7}}}}\u202e\x1b'
)
CANNOT_BE_THERE = ("<img", "<script>", "<svg onload", ">49<", "\u202e", "\x1b")
