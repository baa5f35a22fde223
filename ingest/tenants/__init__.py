"""Who may send events: tenants, their write keys, quotas and privacy settings."""
