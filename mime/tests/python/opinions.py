"""Makes messages from a seed and says what Python's email package reads in them.

usage: opinions.py SEED COUNT

One message after another, each in lines of words separated by spaces, octets in hexadecimal ("-"
for none):
    M octets                       the message
    P depth type name octets open  a part before its children; octets are a leaf's decoded body;
                                   open is 1 for a leaf that should have ended at a boundary,
                                   2 for a multipart without parts, whose octets are not given
    F name octets                  a field of the message, unfolded
    S octets                       the subject, decoded
    D seconds offset               the date: seconds since 1970, zone in seconds
    A name local-part domain       an address of To
    .                              end of the message
"""

import datetime
import email
import email.header
import email.policy
import email.utils
import random
import re
import sys
from email.message import EmailMessage

WORDS = "lorem ipsum dolor sit amet Grüße Köln café 日本 привет € =? =20 -- --a From . \t".split(" ")
CHARSETS = ["utf-8", "us-ascii", "iso-8859-1", "koi8-r", "iso-2022-jp", "windows-1252"]
NAMES = ["a.txt", "a b.txt", 'q"u.txt', "ä.pdf", "名.png", "x" * 90 + ".bin", "ö" * 60]


def text(rng, lines=12):
    return "".join(
        " ".join(rng.choice(WORDS) for _ in range(rng.randrange(0, 14))).rstrip() + "\n"
        for _ in range(rng.randrange(0, lines))
    )


def leaf(rng):
    part = EmailMessage(policy=email.policy.SMTP)
    kind = rng.randrange(4)
    if kind == 0:
        body = rng.randbytes(rng.randrange(0, 400))
        disposition = rng.choice(["attachment", "inline"])
        part.set_content(
            body, "application", "octet-stream", disposition=disposition, filename=rng.choice(NAMES)
        )
    else:
        body = text(rng)
        charset = rng.choice(CHARSETS)
        try:
            body.encode(charset)
        except UnicodeEncodeError:
            charset = "utf-8"
        part.set_content(
            body,
            subtype=rng.choice(["plain", "html", "x-other"]),
            charset=charset,
            cte=rng.choice(["quoted-printable", "base64", "8bit"])
            if charset not in ("us-ascii", "iso-2022-jp")
            else "base64",
        )
    del part["MIME-Version"]
    return part


def tree(rng, depth):
    """The octets of an entity, header and body, in CRLF."""
    kind = rng.random()
    if depth == 0 or kind < 0.4:
        return leaf(rng).as_bytes(policy=email.policy.SMTP.clone(cte_type="8bit"))
    if kind < 0.5:
        inner = tree(rng, depth - 1)
        return b"Content-Type: message/rfc822\r\n\r\n" + headers(rng) + inner
    boundary = "".join(rng.choice("abcXYZ=_.-0123'+") for _ in range(rng.randrange(6, 40))) + "z"
    quoted = '"%s"' % boundary if rng.random() < 0.5 or re.search(r"[=]", boundary) else boundary
    fold = rng.choice([" ", "\r\n\t", "\r\n "])
    subtype = rng.choice(["mixed", "alternative", "related"])
    out = ("Content-Type: multipart/%s;%sboundary=%s\r\n\r\n" % (subtype, fold, quoted)).encode()
    if rng.random() < 0.4:
        out += b"preamble\r\n" * rng.randrange(1, 3)
    for _ in range(rng.randrange(1, 4)):
        out += b"--%s%s\r\n" % (boundary.encode(), rng.choice([b"", b"", b" \t"]))
        out += tree(rng, depth - 1)
        out += b"\r\n"
    if rng.random() < 0.85:
        out += b"--%s--\r\n" % boundary.encode()
        if rng.random() < 0.3:
            out += b"epilogue\r\n--%s\r\n" % rng.choice([b"other", b"", b"-"])
    return out


def headers(rng):
    subject = "".join(rng.choice(WORDS[:11]) + " " for _ in range(rng.randrange(1, 12))).strip()
    charset = rng.choice(["utf-8", "utf-8", "iso-8859-1", "iso-2022-jp"])
    try:
        encoded = email.header.Header(subject, charset, header_name="Subject").encode(linesep="\r\n")
    except UnicodeEncodeError:
        encoded = email.header.Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n")
    zone = datetime.timezone(datetime.timedelta(minutes=rng.randrange(-48, 57) * 15))
    when = datetime.datetime.fromtimestamp(rng.randrange(10**9, 2 * 10**9), zone)
    people = []
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(["", "Jo Doe", "Doe, Jo", 'Jo "J" Doe', "Jörg", "J. R. Doe", "日本 太郎"])
        people.append(email.utils.formataddr((name, rng.choice(["a@b.example", "x.y+z@sub.b.example"]))))
    return (
        "Received: from a\r\n\tby b;\r\n\t%s\r\n"
        "Subject: %s\r\nDate: %s\r\nTo: %s\r\nMessage-ID: <%d@x>\r\n"
        % (email.utils.format_datetime(when), encoded, email.utils.format_datetime(when),
           rng.choice([", ", ",\r\n ", " ,"]).join(people), rng.randrange(10**9))
    ).encode()


def sound(rng):
    """A message as it should be, in CRLF."""
    return headers(rng) + b"MIME-Version: 1.0\r\n" + tree(rng, rng.randrange(0, 5))


def damage(rng, message):
    """One or two lines less, or twice, or the end missing."""
    lines = message.splitlines(keepends=True)
    for _ in range(rng.randrange(1, 3)):
        at = rng.randrange(len(lines))
        # Folds stay with their fields, and what python.rs says is read differently is not made.
        fold = lines[at][:1] in (b" ", b"\t")
        folded = fold or at + 1 < len(lines) and lines[at + 1][:1] in (b" ", b"\t")
        single = folded or lines[at].startswith(b"--")
        match rng.randrange(3):
            case 0 if not folded and len(lines) > 1:
                del lines[at]
            case 1 if not single:
                lines.insert(at, lines[at])
            case 2 if at > 1:
                del lines[at:]
    return b"".join(lines)


def opinion(octets, out):
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    word = lambda value: value.hex() or "-"
    raw = lambda value: str(value).encode("utf-8", "surrogateescape")

    def walk(part, depth, is_open):
        kind = part.get_content_type()
        if part.is_multipart():
            out("P", depth, kind, "-", "-", 0)
            defects = [type(defect).__name__ for defect in part.defects]
            unclosed = "CloseBoundaryNotFoundDefect" in defects
            children = part.get_payload()
            for child in children:
                walk(child, depth + 1, (is_open or unclosed) and child is children[-1])
            return
        # A multipart without parts is shown as text.
        if part.get_content_maintype() == "multipart":
            out("P", depth, "text/plain", "-", "-", 2)
            return
        name = part.get_filename() or ""
        body = part.get_payload(decode=True) or b""
        out("P", depth, kind, word(name.encode("utf-8", "surrogateescape")),
            word(body), int(is_open))

    walk(message, 0, False)
    for name, value in message.items():
        value = re.sub(rb"\r?\n", b"", raw(value)).strip(b" \t\r\n")
        out("F", name, word(value))
    if message["Subject"] is not None:
        try:
            subject = str(email.header.make_header(email.header.decode_header(message["Subject"])))
            out("S", word(subject.strip().encode("utf-8", "surrogateescape")))
        except (LookupError, UnicodeError):
            pass
    if message["Date"] is not None:
        try:
            date = email.utils.parsedate_to_datetime(message["Date"])
            offset = date.utcoffset() or datetime.timedelta(0)
            out("D", int(date.replace(tzinfo=datetime.timezone(offset)).timestamp()),
                int(offset.total_seconds()))
        except ValueError:
            pass
    if message["To"] is not None:
        people = email.utils.getaddresses([str(message["To"])])
        for name, address in people:
            local_part, _, domain = address.rpartition("@")
            out("A", word(name.encode()), word(local_part.encode()), word(domain.encode()))


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    out = lambda *words: print(*words)
    for number in range(count):
        message = sound(rng)
        if number % 3 == 2:
            message = damage(rng, message)
        if rng.random() < 0.4:
            message = message.replace(b"\r\n", b"\n")
        out("M", message.hex() or "-")
        opinion(message, out)
        out(".")


if __name__ == "__main__":
    main()
