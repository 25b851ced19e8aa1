"""What is known of each maker's readers, as settings that a site can override one by one.

Only what a manual or running code says stands here; where nothing could be verified, the value
is the usual one and the note says "site setting": look at the reader's own configuration.

- generic: nothing is known; a line ends in CR or CRLF, and the usual no-read words count.
- sick: CLV and Lector. STX before and ETX after the telegram is the usual setting, a separator
  has up to 10 characters, the terminator before ETX is CR LF (manual CLV 410, output format).
  The error string is the site's own; "no code!" is what a CLV 45x shows on its terminal
  interface. Host port: site setting.
- cognex: DataMan. TCP port 23, we connect; CR LF after the result (DataMan Communications and
  Programming). A reader can also push to us: role = "server". No-read string: site setting.
- keyence: SR and N series. Header none, STX or ESC and end CR, CR LF or ETX can be chosen; a
  failed read sends ERROR; LON and LOFF start and stop reading, answered by OK,LON or ER,LON,nn
  unless that is switched off (manuals SR-750, N-410). A hello of LON and CR is for readers that are
  started by command; most lines use the sensor at the reader. Port: site setting.
- datalogic: header and terminator can be chosen freely; CR LF and no header is the default of
  the handhelds (manual QuickScan Mobile). Fixed readers send a heartbeat whose text is the
  site's. No-read string and port: site settings.
- hikrobot: the code platform's JSON, seen in running code: {"type": "1001", "read": "AlRead" |
  "NoRead" | "ErrRead", "code": [...], "reqTime": ...}, heartbeat {"type": 9000} both ways every
  5 s, nothing between telegrams. ErrRead stands beside several codes. That client's heartbeat
  also has reqTime and reqCode; whether they are needed is not known. `uid` is no number of the
  PLC and is not used. Port: site setting.
- hikrobot_text: the readers' own TCP output, as server or client; prefix, suffix and separator
  are set in IDMVS (site settings). Chinese code takes "NoRead" in any case as its no-read.
- dws: {Code},{Weight},{Length},{Width},{Height},{Volume},{Timestamp} in grams and millimetres,
  zeros where nothing was measured, time in ms, s or ISO 8601 (a sorting engine's guide). Others
  send kg and cm: weight_unit, length_unit. Line end: site setting.
- dws_json: the same engine's JSON: barcode, weight, length, width, height, volume; other
  software sends "noread" as the barcode, kg and cm.
- honeywell: fixed and hand-held imagers. No prefix and no suffix by default (manuals 4820,
  HH490), so a silence ends the telegram; better give the reader a CR suffix and write
  framing = "cr". No-read text and port: site settings.
"""

from typing import Any, Final

NO_READ: Final = ("noread", "no read", "no_read", "error", "err", "fail", "null", "empty", "?", "\x18")
SEPARATORS: Final = (",", ";", "|", "\t", "\x1d", "\r", "\n")

_DWS_JSON: Final = {
    "code": "barcode",
    "weight": "weight",
    "length": "length",
    "width": "width",
    "height": "height",
    "time": "timestamp",
}

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "generic": {},
    "sick": {"framing": "stx_etx", "no_read": [*NO_READ, "no code!"]},
    "cognex": {"framing": "crlf", "port": 23},
    "keyence": {"framing": "cr", "heartbeats": ["OK,*"], "complaints": ["ER,*"]},
    "datalogic": {"framing": "crlf"},
    "hikrobot": {
        "framing": "json",
        "template": "json",
        "fields": {"code": "code", "status": "read", "kind": "type", "time": "reqTime"},
        "heartbeats": ["9000"],
        "heartbeat_send": '{"type":9000}',
        "heartbeat_every_s": 5.0,
    },
    "hikrobot_text": {"framing": "crlf"},
    "dws": {
        "framing": "lf",
        "template": "{code},{weight},{length},{width},{height},{volume},{time}",
        "empty_is_no_read": True,
    },
    "dws_json": {"framing": "json", "template": "json", "fields": _DWS_JSON, "empty_is_no_read": True},
    "honeywell": {"framing": "idle"},
}
