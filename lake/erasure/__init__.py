"""Erasing a tenant: its rows in every layer, the files that held them, and the certificate.

Begin with ``tenant.erase_tenant``. ADR 055 argues why it is safe beside a writer, builds and
maintenance, and docs/guides/erase-a-tenant.md says what it reaches and what it does not.
"""
