"""Bring Superset's metadata database up to date, and its users; runs in Superset's environment.

Reads ``{"users": [{"username", "password"}]}`` from standard input, so that no password is ever an
argument or a variable. It is one process because importing Superset takes seconds, and safe to run
again after a kill.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Migrate, write the roles that Superset comes with, give administrators their passwords."""
    users = json.load(sys.stdin)["users"]
    import superset
    from flask_migrate import upgrade
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        superset.appbuilder.add_permissions(update_perms=True)
        superset.security_manager.sync_role_definitions()
        for user in users:
            _make(user["username"], user["password"])


def _make(name: str, password: str) -> None:
    """Make an administrator, or give the one that there is another password."""
    from superset import security_manager as manager

    known = manager.find_user(username=name)
    if known is not None:
        manager.reset_password(known.id, password)
        return
    role = manager.find_role("Admin")
    if not manager.add_user(name, name, "", f"{name}@localhost", role, password=password):
        sys.exit(f"the user {name} cannot be made")


if __name__ == "__main__":
    main()
