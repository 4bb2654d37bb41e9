"""What was asked of a practice Patchwork, counted: "this took two requests", "posted once a value"."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By method and route; a route is the path with `N` for each number and message id, without version:
    `/api/patches/N/checks/`.
    """
    statuses: Counter[int] = field(default_factory=Counter)
    check_posts: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    """Checks stored, by (patch id, context, state)."""
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=10_000))
    """The newest requests as `METHOD PATH?QUERY`, oldest first."""
    now: int = 0
    most_at_once: int = 0
    """The most requests ever in work at the same time."""

    @property
    def total(self) -> int:
        return self.requests.total()

    def of(self, route: str, method: str = "GET") -> int:
        """Requests of one route."""
        return self.requests[method, route]

    def begin(self, method: str, route: str, target: str) -> None:
        self.requests[method, route] += 1
        self.seen.append(f"{method} {target}")
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)

    def end(self, status: int) -> None:
        """`status` 0 is a connection dropped without an answer."""
        self.statuses[status] += 1
        self.now -= 1

    def reset(self) -> None:
        for counts in (self.requests, self.statuses, self.check_posts, self.seen):
            counts.clear()
        self.most_at_once = self.now

    def as_json(self) -> dict[str, object]:
        return {
            "total": self.total,
            "requests": {f"{method} {route}": n for (method, route), n in sorted(self.requests.items())},
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "check_posts": [
                {"patch": patch, "context": context, "state": state, "times": n}
                for (patch, context, state), n in sorted(self.check_posts.items())
            ],
            "most_at_once": self.most_at_once,
        }
