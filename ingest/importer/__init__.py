"""Files in: JSON Lines, CSV and access logs into a topic, resumable, every line accounted for."""
