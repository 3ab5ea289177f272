"""The code lists of the field with their words: code → (中文, English)."""

from __future__ import annotations

SKIPS = {
    "locked": ("门闭", "Locked"),
    "dog": ("有犬", "Dog"),
    "refused": ("拒绝进入", "Access refused"),
    "not_found": ("未找到表", "Meter not found"),
    "flooded": ("积水或堵塞", "Flooded or blocked"),
    "dangerous": ("有危险", "Dangerous"),
    "vacant": ("空户", "Vacant"),
    "unreadable": ("表盘不清", "Dial unreadable"),
}

TROUBLES = {
    "stopped": ("表停", "Stopped"),
    "broken": ("表损或表烧", "Broken or burnt"),
    "seal_broken": ("封印缺失", "Seal broken"),
    "wrong_meter": ("表号不符", "Wrong meter"),
    "reversed": ("反转", "Runs backwards"),
    "theft": ("疑似窃电", "Suspected theft"),
    "leak": ("泄漏", "Leak"),
    "display_dead": ("无显示", "Display dead"),
}

MISSES = {
    "closed": ("停业", "Closed"),
    "nobody": ("无人", "Nobody there"),
    "refused": ("拒绝", "Refused"),
    "no_access": ("无法到达", "No way there"),
    "dangerous": ("有危险", "Dangerous"),
    "no_time": ("时间不足", "No time left"),
}
