"""People who post patches in the practice world. Their addresses lead nowhere; some names are not ASCII."""

from shared.model.mails import Person

PEOPLE: tuple[Person, ...] = (
    Person("Ada Byrd", "ada@byrd.example"),
    Person("Zoë Ångström", "zoe@fjord.example"),
    Person("Łukasz Żak", "lukasz.zak@wisla.example"),
    Person("Ren Nakamura", "ren@nakamura.example"),
    Person("José Peña", "jose@pena.example"),
    Person("Miloš Dvořák", "milos@vltava.example"),
    Person("Ingrid O'Neill", "ingrid+kernel@oneill.example"),
    Person("陈小明", "xiaoming@chen.example"),
)
MAINTAINER = Person("Nora Netdev", "nora@netdev.example")
LIST = Person("", "netdev@vger.kernel.org")
LIST_ID = "netdev.vger.kernel.org"
