"""Open files that may be logs: heads, lines, rows, archives and JSON in pieces, under limits.

Not here: the tools that write them (`hypernova.table.sources`).

- ``files``: files that may be logs
- ``archive``: ZIP archives and gzip files unpacked under limits
- ``json_stream``: JSON read in pieces
- ``json_values``: numbers, objects and hashes of values in it
- ``exported_rows``: the cells of exported tables
- ``messages``: the text of chat messages
- ``prompt_choice``: which text is the prompt
"""
