"""What a client says of a file in words."""

LONGEST_DESCRIPTION = 1000


def clean_description(text: str) -> str | None:
    """Trim a description, None when nothing is left; raises `ValueError` that says what is wrong with it."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(f"Longer than {LONGEST_DESCRIPTION} characters.")
    if any(mark < " " and mark not in "\n\t" for mark in text):
        raise ValueError("It has control characters.")
    return text or None
