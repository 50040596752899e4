"""Read and write files of outcome tables, one module for each format.

Not here: what a table may hold; every format hands over `columns`, which `checks` examines.
"""
