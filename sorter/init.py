"""A new site: the Wushan model site's tables and settings, a day of faults to try, and the service that runs it.

All of it goes into a folder of its own.
"""

import shutil
from pathlib import Path
from typing import Final

RULES: Final = Path(__file__).parent.parent / "rules"
SETTINGS: Final = "site.toml"
FAULTS: Final = "faults.toml"

_UNIT: Final = """\
# Copy to /etc/systemd/system/hub-sorter.service, then: systemctl enable --now hub-sorter
[Unit]
Description=Hub Sorter: the daemon of {folder}
Wants=time-sync.target
After=network.target time-sync.target

[Service]
Type=notify
ExecStart={command} run --site {folder}
Restart=always
RestartSec=0.2
RestartPreventExitStatus=2 3
WatchdogSec=10
TimeoutStartSec=infinity
TimeoutStopSec=150
ProtectSystem=strict
ReadWritePaths={folder}
CacheDirectory=hub-sorter
PrivateTmp=yes
NoNewPrivileges=yes
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


class FolderInUse(Exception):
    """The folder holds something already; nothing was written."""


def make_site(folder: Path, command: str) -> list[Path]:
    """Write a new site into an empty or missing folder and return what was written.

    `command` is the path of the `sorter` program that the service shall start.
    Raises FolderInUse when the folder holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty; name a new folder")
    tables = folder / "rules"
    tables.mkdir(parents=True)
    written = [shutil.copy(source, tables) for source in sorted(RULES.iterdir()) if source.suffix in {".csv", ".md"}]
    written += [shutil.copy(RULES / name, folder) for name in (SETTINGS, FAULTS)]
    unit = folder / "hub-sorter.service"
    unit.write_text(_UNIT.format(folder=folder.resolve(), command=command), encoding="utf-8")
    return [Path(path) for path in written] + [unit]
