"""The HTML that Patchwork gives where a client hoped for JSON: error pages, and the page for browsers."""

from __future__ import annotations

import html
import json

NOT_FOUND = """
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
  <head><title>404: File not found - Patchwork</title></head>
  <body><h1>404: File not found</h1><p>The page URL requested was not found on this server.</p></body>
</html>
"""
FAILED = """
<!doctype html>
<html lang="en">
<head>
  <title>Server Error (500)</title>
</head>
<body>
  <h1>Server Error (500)</h1><p></p>
</body>
</html>
"""
WALL = """<!doctype html>
<html lang="en"><head><title>Making sure you are not a bot</title></head>
<body><h1>One moment</h1><noscript>This site needs JavaScript.</noscript></body></html>
"""


def browsable(body: object) -> str:
    """An answer for somebody who asked with a browser."""
    text = html.escape(json.dumps(body, ensure_ascii=False, indent=4))
    head = "<head><title>Patchwork REST API</title></head>"
    return f"<!DOCTYPE html>\n<html>\n{head}\n<body><pre>{text}</pre></body>\n</html>\n"
