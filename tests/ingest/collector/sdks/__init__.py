"""Segment's libraries for JavaScript, from npm, and the pages and programs that use them."""
