require "vacation";
vacation :from "Bob <bob@example.com>, carl@example.com" :mime text:
Content-Type: text/plain; charset=utf-8

Ich bin für eine Woche weg.
.
;
