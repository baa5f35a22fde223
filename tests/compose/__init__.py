"""docker-compose.yml, and its services as processes of this machine where there is no Docker."""
