"""What each writable path of the API does: who may, then `changes`, then the thing as it is now."""

from __future__ import annotations

from shared.practice.patchwork import asking, changes
from shared.practice.patchwork.asking import Answer
from shared.practice.patchwork.changes import denied
from shared.practice.patchwork.reading import Call, comment_of, get
from shared.practice.patchwork.records import Patch


def post_check(call: Call) -> Answer:
    found: Patch = get(call.pw.patches, call.number(), "Patch")
    if call.user is None or not changes.may_edit(call.pw, call.user, found):
        raise denied(403, changes.NOT_ALLOWED)
    made = changes.post_check(call.pw, found, call.user, *asking.body(call.ask))
    row = call.views.check_row(made)
    return asking.as_json(row, 201, Location=str(row["url"]))


def change_patch(call: Call) -> Answer:
    found: Patch = get(call.pw.patches, call.number(), "Patch")
    _may(call, found)
    changes.change_patch(call.pw, found, call.known_user(), *asking.body(call.ask))
    return asking.as_json(call.views.patch_detail(found, changed=True))


def _may(call: Call, found: Patch) -> None:
    if not changes.may_edit(call.pw, call.known_user(), found):
        raise denied(403, changes.NOT_ALLOWED)


def change_patch_comment(call: Call) -> Answer:
    comment = comment_of(call, "patch")
    author = call.pw.people[comment.submitter].user
    caller = call.known_user()
    if caller.id != author:
        _may(call, call.pw.patches[comment.patch or 0])
    changes.address_comment(call.pw, comment, asking.body(call.ask)[0])
    return asking.as_json(call.views.comment_row(comment))


def change_cover_comment(call: Call) -> Answer:
    comment = comment_of(call, "cover")
    caller = call.known_user()
    cover = call.pw.covers[comment.cover or 0]
    if not call.pw.maintains(caller, cover.project) and call.pw.people[comment.submitter].user != caller.id:
        raise denied(403, changes.NOT_ALLOWED)
    changes.address_comment(call.pw, comment, asking.body(call.ask)[0])
    return asking.as_json(call.views.comment_row(comment))
