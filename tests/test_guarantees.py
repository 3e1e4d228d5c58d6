"""What the documentation says is tested, is."""

import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "guarantees.rst"


def test_every_test_that_is_named_exists():
    """A guarantee whose test was renamed or removed is noticed."""
    named = set(re.findall(r"``(test_\w+)``", DOCUMENT.read_text()))
    texts = (path.read_text() for path in HERE.rglob("test_*.py"))
    there = {
        name for text in texts for name in re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)
    }

    assert len(named) > 50
    assert set() == named - there
