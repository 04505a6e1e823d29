"""Reads a page as HTML by the letter (html5lib), and says what is wrong with it."""

import sys

import html5lib

parser = html5lib.HTMLParser(strict=False)
with open(sys.argv[1], "rb") as page:
    parser.parse(page)
for (line, column), code, more in parser.errors:
    print(f"{line}:{column}: {code} {more}")
sys.exit(1 if parser.errors else 0)
