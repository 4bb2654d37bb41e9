"""Programs that tests need. A missing one is a failure that says what to install, never a skip."""

import os
import shutil
from pathlib import Path

PACKAGES = {
    "rabbitmq-server": "rabbitmq-server",
    "rabbitmqctl": "rabbitmq-server",
    "sshd": "openssh-server",
    "chromium": "chromium",
    "nginx": "nginx-light",
    "postgres": "postgresql",
    "git": "git",
    "curl": "curl",
}
_PLACES = {
    "rabbitmq-server": ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
    # The one on the path is a wrapper that only knows the system's own broker.
    "rabbitmqctl": ["/usr/lib/rabbitmq/bin/rabbitmqctl"],
    "sshd": ["/usr/sbin/sshd"],
    "nginx": ["/usr/sbin/nginx"],
    "postgres": sorted((str(p) for p in Path("/usr/lib/postgresql").glob("*/bin/postgres")), reverse=True),
}


def program(name: str) -> str:
    """The path of `name`; AssertionError with the package to install if it is not there."""
    for place in _PLACES.get(name, []):
        if os.access(place, os.X_OK):
            return place
    if found := shutil.which(name):
        return found
    raise AssertionError(f"{name} is missing: apt-get install {PACKAGES.get(name, name)}")
