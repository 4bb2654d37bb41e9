"""What a client may write, checked as Patchwork checks it: checks, fields of a patch, whether a comment is dealt
with.

Bodies are mappings of JSON values, or of text when they came as a form (`form`), where an empty field is often no
field at all. It raises `Denied` with Patchwork's own words; it knows no HTTP but the number of the status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import Refused
from shared.practice.patchwork.records import CHECK_STATES, STATES, Check, Comment, Patch, User
from shared.practice.patchwork.state import Patchwork

Body = Mapping[str, Any]

SLUG = re.compile(r"[-a-zA-Z0-9_]+\Z")
ADDRESS = re.compile(
    r"(?:https?|ftps?)://(?:[^\s/?#@:]+(?::[^\s/?#@]*)?@)?[^\s/?#:@]+(?::\d{1,5})?(?:[/?#]\S*)?\Z", re.I
)
NOT_ALLOWED = "You do not have permission to perform this action."
NO_CREDENTIALS = "Authentication credentials were not provided."


class Denied(Exception):
    """An answer other than success: `status` and the JSON `body` that explains it."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class _Bad(Exception):
    """One field's fault."""


def denied(status: int, detail: str) -> Denied:
    return Denied(status, {"detail": detail})


def may_edit(pw: Patchwork, user: User, patch: Patch) -> bool:
    """Maintainers of the project, the delegate, and the submitter whose account is linked to the address."""
    return pw.maintains(user, patch.project) or patch.delegate == user.id or pw.people[patch.submitter].user == user.id


# -- checks


def post_check(pw: Patchwork, patch: Patch, user: User | None, body: Body, form: bool) -> Check:
    """Store one check more; nothing is ever replaced. `user` in the body is believed, as Patchwork believes it."""
    fields = _Fields({name: v for name, v in body.items() if not (form and v == "" and name in ("user", "context"))})
    if "state" not in body or body["state"] == "":
        raise Denied(400, {"state": ["A check must have a state."]})
    poster = fields.take("user", lambda value: _user(pw, value, form), None)
    state = fields.take("state", _state, None)
    target_url = fields.take("target_url", _target_url, None)
    context = fields.take("context", _context, "default")
    description = fields.take("description", lambda v: None if v is None else _text(v), None)
    fields.settle()
    assert state is not None
    by = poster or user
    assert by is not None
    check = Check(pw.next_id("checks"), patch.id, by.id, pw.now(), state, context or "default", target_url, description)
    pw.add_check(check)
    return check


class _Fields:
    """Takes fields one by one and gathers what is wrong with them."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.wrong: dict[str, object] = {}

    def take(self, name: str, read: Any, absent: Any) -> Any:
        if name not in self.body:
            return absent
        try:
            return read(self.body[name])
        except _Bad as bad:
            self.wrong[name] = list(bad.args)
            return absent

    def settle(self) -> None:
        if self.wrong:
            raise Denied(400, self.wrong)


def _state(value: Any) -> str:
    if value in CHECK_STATES:
        return str(value)
    if value is None:
        raise _Bad("This field may not be null.")
    if not isinstance(value, bool) and str(value) in ("0", "1", "2", "3"):
        return CHECK_STATES[int(value)]
    raise _Bad(f'"{value}" is not a valid choice.')


def _text(value: Any, most: int | None = None) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Bad("Not a valid string.")
    text = str(value).strip()
    if "\0" in text:
        raise _Bad("Null characters are not allowed.")
    if most is not None and len(text) > most:
        raise _Bad(f"Ensure this field has no more than {most} characters.")
    return text


def _context(value: Any) -> str:
    if value is None:
        raise _Bad("This field may not be null.")
    text = _text(value, 255)
    if not text:
        raise _Bad("This field may not be blank.")
    if not SLUG.match(text):
        raise _Bad('Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.')
    return text


def _target_url(value: Any) -> str | None:
    if value is None:
        return None
    text = _text(value, 200)
    if text and not ADDRESS.match(text):
        raise _Bad("Enter a valid URL.")
    return text


def _user(pw: Patchwork, value: Any, form: bool) -> User:
    if value is None:
        raise _Bad("This field may not be null.")
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise _Bad(f"Incorrect type. Expected pk value, received {type(value).__name__}.") from None
    if number not in pw.users:
        raise _Bad(f'Invalid pk "{value}" - object does not exist.')
    return pw.users[number]


# -- patches


def change_patch(pw: Patchwork, patch: Patch, user: User, body: Body, form: bool) -> None:
    """Set state, delegate, archived, commit_ref, related; every other field is ignored without a word."""
    fields = _Fields(body)
    state = fields.take("state", _patch_state, patch.state)
    delegate = fields.take("delegate", lambda value: _maintainer(pw, patch, value), patch.delegate)
    archived = fields.take("archived", _flag, patch.archived)
    commit_ref = fields.take("commit_ref", lambda value: None if value is None else _text(value, 255), patch.commit_ref)
    related = fields.take("related", lambda value: _patches(pw, patch, value), None)
    fields.settle()
    _set(pw, patch, user, "state", "patch-state-changed", state)
    _set(pw, patch, user, "delegate", "patch-delegated", delegate)
    patch.archived, patch.commit_ref = archived, commit_ref
    if related is not None:
        _relate(pw, patch, user, related)


def _set(pw: Patchwork, patch: Patch, user: User | None, field: str, category: str, value: Any) -> None:
    before = getattr(patch, field)
    if before == value:
        return
    setattr(patch, field, value)
    pw.record(category, patch.project, actor=user.id if user else None, patch=patch.id, was=before, now=value)


def set_state(pw: Patchwork, patch_id: int, state: str, by: str | None = None) -> None:
    """A maintainer changes a state in the browser. Raises `Refused` for a state that there is not."""
    if state not in STATES:
        raise Refused(f"no patch state {state}; there are: {', '.join(STATES)}")
    _set(pw, pw.patches[patch_id], pw.user(by) if by else None, "state", "patch-state-changed", state)


def _patch_state(value: Any) -> str:
    if value in STATES:
        return str(value)
    raise _Bad(f"Invalid state {value}. Expected one of: {', '.join(STATES)}.")


def _maintainer(pw: Patchwork, patch: Patch, value: Any) -> int | None:
    if value in (None, ""):
        return None
    user, project = _user(pw, value, form=False), pw.projects[patch.project]
    if not pw.maintains(user, project.id):
        raise _Bad(f"User '{user.username}' is not a maintainer for project '{project.name}'")
    return user.id


def _flag(value: Any) -> bool:
    if str(value).lower() in ("true", "1", "on", "yes"):
        return True
    if str(value).lower() in ("false", "0", "off", "no"):
        return False
    raise _Bad("Must be a valid boolean.")


def _patches(pw: Patchwork, patch: Patch, value: Any) -> list[int]:
    wanted = value if isinstance(value, list) else [value]
    for other in wanted:
        if not str(other).isdigit() or int(other) not in pw.patches:
            raise _Bad(f'Invalid pk "{other}" - object does not exist.')
    return [int(other) for other in wanted if int(other) != patch.id]


def _relate(pw: Patchwork, patch: Patch, user: User, others: list[int]) -> None:
    """All of them are related to each other; the event of the patch asked for has the actor, the others have none."""
    group = [patch.id, *others] if others else [patch.id]
    for member in group:
        pw.patches[member].related = [other for other in group if other != member]
    for other in others:
        pw.record("patch-relation-changed", patch.project, patch=other)
    pw.record("patch-relation-changed", patch.project, actor=user.id, patch=patch.id)


# -- comments


def address_comment(pw: Patchwork, comment: Comment, body: Body) -> None:
    """Set `addressed`; raises the event of the comment's creation once more, as Patchwork does."""
    if "addressed" not in body:
        return
    try:
        comment.addressed = _flag(body["addressed"])
    except _Bad as bad:
        raise Denied(400, {"addressed": list(bad.args)}) from None
    kind, parent = ("patch", comment.patch) if comment.patch is not None else ("cover", comment.cover)
    project = (pw.patches if kind == "patch" else pw.covers)[parent or 0].project
    pw.record(f"{kind}-comment-created", project, patch=comment.patch, cover=comment.cover, comment=comment.id)
