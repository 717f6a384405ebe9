# Messages that the command lines are tried on; one file each.
cat >plain <<'END'
From ann@example.org Mon Jan  1 00:00:00 2024
Return-Path: <ann@example.org>
Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000
Received: from c by d;
	Mon, 1 Jan 2024 00:00:00 +0000
From: Ann Other <ann@example.org>
To: bob@example.net, carl@example.net,
 dora@example.net
Subject: Hello there
Message-ID: <1@example.org>
Date: Mon, 1 Jan 2024 00:00:00 +0000
X-Empty:
X-Blank: 
X-Tight:tight
X-Wide:   wide   

Dear Bob,
From here on it is text.
>From there, too.

End.
END
sed 1d plain >nofrom
cat >list <<'END'
From owner-list@lists.example.org Tue Feb 13 10:00:00 2024
Sender: owner-list@lists.example.org
Resent-From: rf@example.org
Resent-Sender: rs@example.org
Resent-Reply-To: rr@example.org
Errors-To: errors@example.org
Return-Receipt-To: receipt@example.org
Path: news!a!b
Reply-To: The List <list@lists.example.org>
From: "Doe, John" <john@doe.example>
Subject: Re: [list] thread
References: <a@x> <b@x>
	<c@x>
In-Reply-To: <c@x>
Message-ID: <d@x>
X-Loop: list@lists.example.org
X-Loop: second

body
END
printf 'From: a@b.c\r\nTo: d@e.f\r\nSubject: crlf\r\n\r\nbody\r\nFrom x\r\n' >crlf
printf 'From: a@b.c\nSubject: no end' >noend
printf 'From: a@b.c\nSubject: s\n\nno end' >bodynoend
printf 'From: a@b.c\nSubject: s\n' >headonly
printf '\n\n\nFrom: a@b.c\nSubject: s\n\nbody\n' >leading
printf 'just text\nno header\n\nmore\n' >text
printf '\n' >newline
printf '\n\n\n' >newlines
: >empty
printf 'From: a@b.c\nSubject: n\000ul\nX-N: a\000b\n\nbo\000dy\n' >nul
printf 'From: \344\366@b.c\nSubject: =?utf-8?q?=C3=A4?= \303\244\nX-\344: v\n\nb\374\n' >eight
cat >dups <<'END'
From: first@x.org
From: second@x.org
Subject: one
Subject: two
subject: three
SUBJECT: four
Subj: five
Subject : six
X-A: 1
X-AB: 2
X-a: 3

body
END
cat >mbox <<'END'
From a@x Mon Jan  1 00:00:00 2024
From: a@x
Subject: one
Message-ID: <1@x>

first
>From quoted

From b@x Mon Jan  1 00:00:01 2024
From: b@x
Subject: two
Message-ID: <2@x>

second
From not a postmark

From c@x Mon Jan  1 00:00:02 2024
From: c@x
Subject: three
Message-ID: <1@x>

third

END
cat >digest <<'END'
From: list@x.org
Subject: Digest 1
To: list@x.org

Topics: a, b

------------------------------

From: one@x.org
Subject: first
Date: Mon, 1 Jan 2024 00:00:00 +0000

Text one.

------------------------------

From: two@x.org
Subject: second
To: list@x.org

Text two.
From: not@x.org

End of digest
END
cat >length <<'END'
From a@x Mon Jan  1 00:00:00 2024
From: a@x
Content-Length: 52

From inside the body
From inside again, as well as x

From after@x Mon Jan  1 00:00:00 2024
Subject: s

b
END
cat >babyl <<'END'
BABYL OPTIONS:
Version: 5
Labels:
END
printf '\037\014\n1,answered,,\nFrom: a@x\nSubject: one\nX-Full: yes\n\n*** EOOH ***\nFrom: a@x\nSubject: one\n\nbody one\n\037\014\n1,,\nMail-from: From b@x Mon Jan  1 00:00:00 2024\nFrom: b@x\nSubject: two\n\n*** EOOH ***\nSubject: two\n\nbody two\n\037' >>babyl
cat >uucp <<'END'
From user Mon Jan  1 00:00:00 2024 remote from hosta
>From user Mon Jan  1 00:00:00 2024 remote from hostb
>From other Mon Jan  1 00:00:00 2024 forwarded by hostc
Subject: by uucp

b
END
cat >colon <<'END'
Subject: ok
not a field
To: x

b
END
cat >spaces <<'END'
Subject :  odd
To	: tab
 : cont
From: x@y.z

b
END
{ printf 'From: a@x.org\nReferences:'; i=0; while [ $i -lt 200 ]; do printf ' <%d.long.reference@some.host.example.org>\n' $i; i=$((i+1)); done; printf 'Message-ID: <last@x>\n\nb\n'; } >longrefs
{ printf 'From: a@x.org\nSubject: '; head -c 20000 /dev/zero | tr '\0' s; printf '\n\nb\n'; } >longline
{ printf 'From: a@x.org\nSubject: big\n\n'; i=0; while [ $i -lt 2000 ]; do echo "From line $i of the body, which is so long that it fills some place"; i=$((i+1)); done; } >big
n=0
from() { n=$((n+1)); printf 'From: %s\nSubject: s\n\nb\n' "$1" >addr$n; }
from 'a@b.c (Comment (nested) here)'
from '(lead) a@b.c'
from '"Quoted \" (x) <no>" <a@b.c>'
from '<@r1,@r2:a@b.c>'
from '<>'
from 'a @ b . c'
from 'a@b.c, d@e.f'
from 'Group: a@b.c, d@e.f;'
from 'Group:;'
from 'plainuser'
from 'a!b!c'
from 'a@b.UUCP'
from 'a@b'
from '/G=x/S=y/@gw.example'
from '"a b"@c.d'
from 'a@[127.0.0.1]'
from 'Name <a@b.c> trailing'
from 'Name <a@b.c'
from 'a@b.c>'
from 'a\,b@c.d'
from '"unclosed a@b.c'
from '(unclosed a@b.c'
from 'a@b.c,'
from 'a@b.c;'
from '<a@b.c> <d@e.f>'
from 'Two Words'
from 'Two Words <>'
from 'Mister X <x@y.z> (c)'
from 'a%b@c.d'
from 'a@b.c d@e.f'
from ''
from ' '
from 'a@b.c
	(folded)'
from '=?utf-8?q?J=C3=B6rg?= <j@x.org>'
from "O'Hara <o@x.org>"
from 'a.b.@c.d'
from '<a b@c.d>'
from '<"a b"@c.d>'
from 'x: y: a@b.c;'
from '@'
from 'a@'
from '@b.c'
from '<a@b.c>,<d@e.f>'
from 'undisclosed-recipients:;'
from 'a@b.c\'
from '"a\\" <x@y.z>'
