"""How a record looks inside another: short, with its addresses. The full rows are of `views`.

Fields by version: 1.0 has no web_url, 1.2 adds list archive addresses.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from shared.practice.patchwork.records import Comment, Cover, Patch, Project, Series
from shared.practice.patchwork.state import Patchwork

Json = dict[str, object]


def stamp(date: datetime) -> str:
    """ISO 8601 without zone, as Patchwork writes every date."""
    return date.isoformat()


@lru_cache(maxsize=100_000)
def page_of(kind: str, msgid: str, link_name: str) -> str:
    """The path of a patch or cover page. A slash in the message id comes out escaped twice, and works as given."""
    name = quote(msgid.strip("<>").replace("/", "%2F"), safe="~:@!$&'()*+,;=")
    return f"/project/{link_name}/{kind}/{name}/"


class Links:
    """Renders for one request: `host` is `http://HOST:PORT`, `version` is (1, minor), `api` its path (`/api/1.3`
    or `/api`).
    """

    def __init__(self, pw: Patchwork, host: str, api: str, version: tuple[int, int]) -> None:
        self.pw = pw
        self.host = host
        self.api = host + api
        self.version = version
        self._projects: dict[int, Json] = {}

    def since(self, minor: int) -> bool:
        return self.version >= (1, minor)

    def web(self, path: str) -> Json:
        return {"web_url": self.host + path} if self.since(1) else {}

    def user(self, user_id: int | None) -> Json | None:
        if user_id is None:
            return None
        user = self.pw.users[user_id]
        return {
            "id": user.id,
            "url": f"{self.api}/users/{user.id}/",
            "username": user.username,
            "first_name": "",
            "last_name": "",
            "email": user.email,
        }

    def person(self, person_id: int) -> Json:
        person = self.pw.people[person_id]
        url = f"{self.api}/people/{person.id}/"
        return {"id": person.id, "url": url, "name": person.name, "email": person.email}

    def project(self, project_id: int) -> Json:
        """Shared by all rows of an answer: never change what this gives."""
        if project_id not in self._projects:
            self._projects[project_id] = self.project_fields(self.pw.projects[project_id])
        return self._projects[project_id]

    def project_fields(self, project: Project) -> Json:
        return {
            "id": project.id,
            "url": f"{self.api}/projects/{project.id}/",
            "name": project.name,
            "link_name": project.link_name,
            "list_id": project.list_id,
            "list_email": project.list_email,
            "web_url": "",
            "scm_url": "",
            "webscm_url": "",
            **self.archives(project),
        }

    def archives(self, project: Project) -> Json:
        if not self.since(2):
            return {}
        return {
            "list_archive_url": project.list_archive_url,
            "list_archive_url_format": project.list_archive_url_format,
            "commit_url_format": "",
        }

    def archived(self, msgid: str, project_id: int) -> Json:
        if not self.since(2):
            return {}
        pattern = self.pw.projects[project_id].list_archive_url_format
        return {"list_archive_url": pattern.replace("{}", msgid.strip("<>")) if pattern else None}

    def patch_link(self, patch: Patch) -> Json:
        page = page_of("patch", patch.msgid, self.pw.projects[patch.project].link_name)
        return self._submission(patch, "patches", page)

    def cover_link(self, cover: Cover) -> Json:
        page = page_of("cover", cover.msgid, self.pw.projects[cover.project].link_name)
        return self._submission(cover, "covers", page)

    def _submission(self, record: Patch | Cover, table: str, page: str) -> Json:
        return {
            "id": record.id,
            "url": f"{self.api}/{table}/{record.id}/",
            **self.web(page),
            "msgid": record.msgid,
            **self.archived(record.msgid, record.project),
            "date": stamp(record.date),
            "name": record.name,
            "mbox": f"{self.host}{page}mbox/",
        }

    def series_link(self, series: Series) -> Json:
        return {
            "id": series.id,
            "url": f"{self.api}/series/{series.id}/",
            **self.series_page(series),
            "date": stamp(series.date),
            "name": series.name,
            "version": series.version,
            "mbox": f"{self.host}/series/{series.id}/mbox/",
        }

    def series_page(self, series: Series) -> Json:
        return self.web(f"/project/{self.pw.projects[series.project].link_name}/list/?series={series.id}")

    def comment_link(self, comment: Comment) -> Json:
        """As an event shows it."""
        table, parent, project = self._parent(comment)
        return {
            "id": comment.id,
            "url": f"{self.api}/{table}/{parent}/comments/{comment.id}/",
            **self.web(f"/comment/{comment.id}/"),
            "msgid": comment.msgid,
            **self.archived(comment.msgid, project),
            "date": stamp(comment.date),
        }

    def _parent(self, comment: Comment) -> tuple[str, int, int]:
        if comment.patch is not None:
            return "patches", comment.patch, self.pw.patches[comment.patch].project
        cover = self.pw.covers[comment.cover or 0]
        return "covers", cover.id, cover.project
