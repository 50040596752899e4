"""Read and write files of outcome tables, one module for each format.

Not here: the rules for a table; every format hands over `columns`, which `checks` examines.

- ``files``: opening a file of text, plain or compressed
- ``csv``, ``jsonl``, ``parquet``: reading each format
- ``parquet_rows``: reading the rows of a Parquet file in batches
- ``read``: the choice among them
- ``write``: writing a folder of Parquet files, or JSON Lines
"""
