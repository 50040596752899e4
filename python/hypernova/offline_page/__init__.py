"""One HTML file that needs nothing else: no network, no script, no font.

Not here: the content of a page; each report writes its own sections.

- ``markup``: elements and tables, every string escaped
- ``numbers``, ``scale``: numbers as text, and as positions in a drawing
- ``document``: the whole page, with its policy and its style
"""
