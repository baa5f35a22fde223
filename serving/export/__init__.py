"""Gold to files and to PostgreSQL."""
