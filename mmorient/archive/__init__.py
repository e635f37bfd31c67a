"""Archives of posts: JSON lines and Parquet in, labels out, in constant memory.

    paths ─▶ reading ─▶ labelling ─▶ writing
             │ json_lines, parquet_rows   │ label_table, resuming
             └ ray_engine: the same on many machines

A row is named by its file and its number in it (a line's, or a Parquet row's), from 1.
"""
