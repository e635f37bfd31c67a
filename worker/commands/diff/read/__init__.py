"""Labels and posts from topics and files, read into the store in which they are compared. It judges nothing.

sources  what LEFT and RIGHT name: topics or files
topics, files, lines  their records, in bounded pieces
store    DuckDB on the disk: answers of both sides, the last of each post, joined by post
posts    community, language and length of the posts that were labelled
"""
