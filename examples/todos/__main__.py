"""`python -m examples.todos USER_ID [TEXT]`: list a user's todos, or add one."""

import sys
from uuid import UUID

from examples.todos import todos


def main() -> None:
    user_id = UUID(sys.argv[1])
    if len(sys.argv) > 2:  # noqa: PLR2004 - a text was given
        todos.add(user_id, " ".join(sys.argv[2:]))
    for text in todos.of(user_id):
        sys.stdout.write(f"- {text}\n")


if __name__ == "__main__":
    main()
