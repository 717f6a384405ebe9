# RFC 5437, section 3.2
require ["enotify"];
notify "xmpp:romeo@im.example.com?message;body=Wherefore%20art%20thou%3F";
