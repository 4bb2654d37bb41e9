"""Templates escape everything and stop at what they were not given."""

import pytest
from jinja2 import UndefinedError

from services.report.web.app import make_pages
from shared.web.static import Assets


def test_everything_is_escaped() -> None:
    pages = make_pages(Assets("services.report.web"))
    text = pages.render("error.html", code=404, title="<b>", detail="<script>", path="/")
    assert "<script>" not in text.replace("<script type", "")
    assert "&lt;script&gt;" in text


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        make_pages(Assets("services.report.web")).render("error.html", code=404, path="/")
