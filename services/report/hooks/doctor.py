"""Whether webhooks can be signed: the key is there, and every secret opens with it."""

from services.report.hooks.seal import HOW, Seal, seal_of
from services.report.hooks.store import SQL
from shared.db.pool import Connection
from shared.doctor import Finding
from shared.errors import InfraError, NetciError, Refused
from shared.floor import connected
from shared.settings import Settings

WHAT = "webhooks"


async def sealed(settings: Settings) -> Finding:
    """Never raises for what it finds."""
    try:
        seal = seal_of(settings)
    except Refused as exc:
        return Finding(False, WHAT, str(exc), HOW)
    try:
        async with connected(settings) as conn:
            return await _opened(conn, seal)
    except (NetciError, OSError) as exc:
        return Finding(False, WHAT, str(exc), "start it, or netci up")


async def _opened(conn: Connection, seal: Seal | None) -> Finding:
    rows = await conn.fetch(SQL["secrets"])
    if seal is None:
        words = f"off: [webhooks] key_file is not set, and {len(rows)} are registered" if rows else "off"
        return Finding(not rows, WHAT, words, "name the key file that their secrets are sealed with")
    shut = [row["id"] for row in rows if not _opens(seal, row["id"], row["secret"])]
    if not shut:
        return Finding(True, WHAT, f"{len(rows)}, and the key fits")
    mend = "bring the key file back, or give them new secrets: netci hook rotate ID"
    return Finding(False, WHAT, f"the key does not fit {len(shut)} of {len(rows)}: {', '.join(shut)}", mend)


def _opens(seal: Seal, ident: str, secret: bytes) -> bool:
    try:
        seal.open(ident, secret)
    except InfraError:
        return False
    return True
