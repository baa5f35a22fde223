"""Database servers that tests start, stop and start again."""
