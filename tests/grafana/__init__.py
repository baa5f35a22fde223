"""The dashboards of Grafana: by its own types, in order, and about metrics that there are."""
