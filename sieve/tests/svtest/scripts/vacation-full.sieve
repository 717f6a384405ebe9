require ["vacation", "vacation-seconds"];
vacation :seconds 1800 :addresses ["alias@example.com"] :from "Me <alias@example.com>" :subject "Gone fishing"
    :handle "fishing" :mime text:
Content-Type: text/html

<b>Gone</b>
.
;
