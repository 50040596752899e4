"""Read tables that are not held in memory, chunk by chunk.

Not here: `OutcomeTable` and `ScannedTable`, which make tables of the chunks' columns.

- ``files``: finding the files, in their order, and noticing when one changes
- ``places``: the numbers of rows of many files
- ``parquet_layout``: schemas of Parquet files
- ``parquet_stream``, ``text_stream``: rows of Parquet, of CSV and of JSON Lines, from any row on
- ``nested``: outcomes in the rows of their tasks, in Parquet
- ``cursors``, ``joined_cursors``: chunks of each form
- ``forms``: the choice among them
- ``look_through``: the pass that checks and indexes a table
- ``ids``, ``seen_ids``: ids of tasks
- ``long_rows``: digests of the rows of a long form
- ``join``, ``duckdb_session``, ``scratch``: outcomes put into the tasks' order
- ``reader``: chunks by number, in any process
- ``scan``: all of it, in order
"""
