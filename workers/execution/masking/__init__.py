"""Masks errors: a stored error keeps its frames, and its messages keep no value of the event.

1. A raised exception becomes text (`error_text`). That calls the user's code, so it counts as part of the run.
2. Each text is read in several ways, with the escapes of URLs, JSON, HTML and so on undone (`readings`).
3. A reading and the values are folded to letters and digits in one case, so that spaces, quotes and line breaks between
   words do not matter (`folding`).
4. The event's values that could occur in the texts are found in one pass over all values (`values`).
5. They are looked up at each position of each reading, in a sorted list (`value_index`, `matching`).
6. The matches are replaced in the original text (`masker`).
"""
