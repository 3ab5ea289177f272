"""Who works at the demo's company, and how they sign in; these passwords open nothing else."""

from __future__ import annotations

from dataclasses import dataclass

COMPANY = "田铃县能源公司"
CURRENCY = "CNY"
TIME_ZONE = "Asia/Shanghai"
LANGUAGE = "zh_Hans"
PASSWORD = "fieldbell-demo"  # noqa: S105 (it is told to everybody and opens nothing else)


@dataclass(frozen=True)
class Person:
    """A member of staff of the demo; ``team`` is the code of a unit."""

    username: str
    name: str
    role: str
    team: str = "office"


TEAMS = (("team-north", "城北抄表班"), ("team-south", "城南抄表班"))

CASHIER, ACCOUNTANT = "cashier", "accountant"
ADMINISTRATOR = Person("admin", "系统管理员", "admin")
STAFF = (
    Person("manager", "王主任", "manager"),
    Person("clerk", "李会计", "billing_clerk"),
    Person(CASHIER, "孙收费", "cashier"),
    Person(ACCOUNTANT, "吴财务", "accountant"),
    Person("auditor", "周审计", "auditor"),
)
READERS = (
    Person("reader1", "张伟", "meter_reader", "team-north"),
    Person("reader2", "刘洋", "meter_reader", "team-south"),
    Person("reader3", "陈静", "meter_reader", "team-north"),
    Person("reader4", "赵敏", "meter_reader", "team-south"),
)
"""The reader of each route, in the order of the routes."""

EVERYBODY = (ADMINISTRATOR, *STAFF, *READERS)

ROUTE_NAMES = ("城西北抄表段", "城西南抄表段", "城东北抄表段", "城东南抄表段")

SUBSTATION = ("S1", "田铃110kV变电站")
FEEDERS = (("F11", "10kV 城西线"), ("F12", "10kV 城东线"))
TRANSFORMERS = (
    ("T111", "城西1号公变"),
    ("T112", "城西2号公变"),
    ("T113", "城西3号公变"),
    ("T121", "城东1号公变"),
    ("T122", "城东2号公变"),
    ("T123", "城东3号公变"),
)
