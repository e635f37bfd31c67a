"""Archives of posts: JSON, CSV and Parquet in, labels out, in constant memory.

    files ─▶ reading ─▶ labelling ─▶ writing
             │ json_posts                  │ label_table, resuming
             │ csv_posts, parquet_rows ─▶ post_fields ─▶ media_shapes
             └ ray_engine: the same on many machines

A row is named by its file and its number in it (a line's, a Parquet row's, or a post's in an array), from 1.
"""
