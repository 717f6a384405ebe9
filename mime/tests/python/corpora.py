"""Says what Python's email package reads in the messages of a folder.

usage: corpora.py FOLDER

For each message a line `M name`, the path inside the folder, then lines of words separated by
spaces:
    tree depth type          each part, before its children
    bodies octets            decoded body of each leaf
    texts characters         each leaf of text, in its charset
    names characters         file name of each leaf
    subject characters
    date seconds             since 1970; "None" if there is none or it cannot be read
    From name address        of each mailbox; To likewise
    X aspect class           the exception that Python raised instead
Octets and characters (as UTF-8) are in hexadecimal, "-" for none. Line ends at the end of bodies
and texts are left out and CRLF is LF: which multipart the last ones belong to is told in python.rs.
"""

import datetime
import email
import email.header
import email.policy
import email.utils
import os
import sys


def hexadecimal(value):
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    return value.hex() or "-"


def without_eol(octets):
    return octets.replace(b"\r", b"").rstrip(b" \t\n\v\f")


def decoded(value):
    """A field's value without encoded words; a str in any case."""
    return str(email.header.make_header(email.header.decode_header(value)))


def unfolded(value):
    return str(value).replace("\r", "").replace("\n", "")


def leaves(message):
    return [part for part in message.walk() if not part.is_multipart()]


def content_type(part):
    """A multipart without parts is shown as text."""
    empty = part.get_content_maintype() == "multipart" and not part.is_multipart()
    return "text/plain" if empty else part.get_content_type()


def tree(message):
    def walk(part, depth):
        yield [str(depth), content_type(part)]
        if part.is_multipart():
            for child in part.get_payload():
                yield from walk(child, depth + 1)

    return walk(message, 1)


def bodies(message):
    for part in leaves(message):
        yield [hexadecimal(without_eol(part.get_payload(decode=True) or b""))]


def texts(message):
    for part in leaves(message):
        if content_type(part).startswith("text/"):
            octets = part.get_payload(decode=True) or b""
            text = octets.decode(part.get_content_charset("us-ascii"), "replace")
            yield [hexadecimal(without_eol(text.encode("utf-8", "surrogateescape")))]


def names(message):
    for part in leaves(message):
        yield [hexadecimal(decoded(part.get_filename() or ""))]


def subject(message):
    yield [hexadecimal(decoded(unfolded(message["Subject"] or "")).strip())]


def date(message):
    value = message["Date"]
    try:
        when = email.utils.parsedate_to_datetime(str(value)) if value is not None else None
    except ValueError:
        when = None
    if when is not None and when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    yield [str(None if when is None else int(when.timestamp()))]


def people(field):
    def read(message):
        value = message[field]
        for name, address in email.utils.getaddresses([] if value is None else [str(value)]):
            if name or address:
                yield [hexadecimal(decoded(unfolded(name))), hexadecimal(address)]

    return read


ASPECTS = {
    "tree": tree,
    "bodies": bodies,
    "texts": texts,
    "names": names,
    "subject": subject,
    "date": date,
    "From": people("From"),
    "To": people("To"),
}


def main():
    folder = sys.argv[1]
    files = []
    for path, _, found in os.walk(folder, followlinks=True):
        for name in found:
            if name.endswith(".eml") or name.startswith("msg_") and name.endswith(".txt"):
                files.append(os.path.relpath(os.path.join(path, name), folder))
    for file in sorted(files):
        print("M", file)
        with open(os.path.join(folder, file), "rb") as opened:
            message = email.message_from_bytes(opened.read(), policy=email.policy.compat32)
        for aspect, read in ASPECTS.items():
            try:
                for words in list(read(message)):
                    print(aspect, *words)
            except Exception as error:
                print("X", aspect, type(error).__name__)


main()
