"""The AT commands a simulated modem knows, and which of its methods answers each."""

from __future__ import annotations

COMMANDS = (
    (r"AT", "_cmd_ok"),
    (r"ATE([01])", "_cmd_echo"),
    (r"ATZ", "_cmd_reset"),
    (r"AT\+CMEE=([012])", "_cmd_errors"),
    (r"AT\+CMGF=0", "_cmd_ok"),
    (r"AT\+CSMS=([01])", "_cmd_service"),
    (r"AT\+CNMI=[0-3](?:,([0-3]))?(?:,[0-3])?(?:,([0-2]))?(?:,[01])?", "_cmd_notify"),
    (r'AT\+CPMS="(?:SM|ME|MT)".*', "_cmd_memory"),
    (r"AT\+CPMS\?", "_cmd_memory_asked"),
    (r"AT\+CMGL=[0-4]", "_cmd_list"),
    (r"AT\+CMGR=(\d+)", "_cmd_read"),
    (r"AT\+CMGD=(\d+)(?:,0)?", "_cmd_delete"),
    (r"AT\+CMGS=(\d+)", "_cmd_send"),
    (r"AT\+CNMA.*", "_cmd_ok"),
    (r"AT\+CFUN=1", "_cmd_ok"),
    (r"AT\+CMGF=\?", "_cmd_formats"),
    (r"AT\+CMGF\?", "_cmd_format"),
    (r"AT\+CPMS=\?", "_cmd_memories"),
    (r"AT\+CNMI=\?", "_cmd_notifies"),
    (r"AT\+CSQ", "_cmd_signal"),
    (r"AT\+CREG\?", "_cmd_registered"),
    (r"AT\+CSCA\?", "_cmd_centre"),
    (r"AT\+CSCA=.*", "_cmd_ok"),
    (r"AT\+CPIN\?", "_cmd_pin"),
    (r"AT\+CPIN=(\d+)", "_cmd_unlock"),
    (r"AT\+CGSN", "_cmd_imei"),
    (r"AT\+CIMI", "_cmd_imsi"),
    (r"AT\+C?GM[IMR]|ATI", "_cmd_name"),
)
