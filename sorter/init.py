"""A new site: the Wushan model site's tables and settings, a day of faults to try, and the services that run it.

All of it goes into a folder of its own.
"""

import shutil
from pathlib import Path
from typing import Final

RULES: Final = Path(__file__).parent.parent / "rules"
SETTINGS: Final = "site.toml"
FAULTS: Final = "faults.toml"

_DAEMON: Final = """\
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
_ADAPTER: Final = """\
# Where [plc] sections name the PLCs: copy to /etc/systemd/system/plc-adapter.service,
# then: systemctl enable --now plc-adapter
[Unit]
Description=Hub Sorter: the PLCs and readers of {folder}
After=network.target hub-sorter.service

[Service]
ExecStart={command} run --site {folder}
Restart=always
RestartSec=0.5
RestartPreventExitStatus=2
ProtectSystem=strict
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

    `command` is the path of the `sorter` program that the service shall start; `plc-adapter` lies beside it.
    Raises FolderInUse when the folder holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty; name a new folder")
    tables = folder / "rules"
    tables.mkdir(parents=True)
    written = [shutil.copy(source, tables) for source in sorted(RULES.iterdir()) if source.suffix in {".csv", ".md"}]
    written += [shutil.copy(RULES / name, folder) for name in (SETTINGS, FAULTS)]
    adapter = Path(command).with_name("plc-adapter")
    units = {
        folder / "hub-sorter.service": _DAEMON.format(folder=folder.resolve(), command=command),
        folder / "plc-adapter.service": _ADAPTER.format(folder=folder.resolve(), command=adapter),
    }
    for path, text in units.items():
        path.write_text(text, encoding="utf-8")
    return [Path(path) for path in written] + list(units)
