"""Text on the pages can be read: WCAG's contrast AA, computed from the style sheet's colours."""

import re
from pathlib import Path

import pytest

from surehook import dashboard

STYLE = (Path(dashboard.__file__).parent / "static/style.css").read_text()
TEXT_ON_GROUND = 4.5
PARTS_ON_GROUND = 3.0
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in STYLE.split("@media")[:2])


def luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_known_values() -> None:
    assert round(contrast("#ffffff", "#000000"), 2) == 21
    assert round(contrast("#ffffff", "#767676"), 2) == 4.54


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_aa(colours: dict[str, str]) -> None:
    for ground in ("ground", "raised"):
        for text in ("text", "quiet", "accent"):
            assert contrast(colours[text], colours[ground]) >= TEXT_ON_GROUND, (text, ground)
        for part in ("bar", "focus"):  # edges of fields, bars of charts, the focus
            assert contrast(colours[part], colours[ground]) >= PARTS_ON_GROUND, (part, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= TEXT_ON_GROUND


def test_colours_are_named_once() -> None:
    rules = re.sub(r"(?s):root \{.*?\}", "", STYLE)

    assert set(LIGHT) == set(DARK)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![\w-]* *[{,:.>])", rules) == []
