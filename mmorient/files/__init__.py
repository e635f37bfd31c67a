"""Files of rows: which files are meant, what they are, and their rows one after the other. It knows no post.

paths ─▶ formats ─▶ opening ─▶ json_rows (json_lines, json_values) or csv_rows
└ lakes, partitions           refusals: which rows could not be read, a few of each kind by name
"""
