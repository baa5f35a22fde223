"""Object stores that tests and benchmarks start, kill and start again."""
