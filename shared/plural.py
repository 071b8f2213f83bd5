"""Numbers in sentences: one thing, several things."""


def counted(count: int, one: str, many: str) -> str:
    """Returns a number with the words that fit it, such as "1 case" or "2 cases"."""
    return f"{count:,} {one if count == 1 else many}"
