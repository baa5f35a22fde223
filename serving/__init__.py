"""Gold to people: the read-only catalog of views."""
