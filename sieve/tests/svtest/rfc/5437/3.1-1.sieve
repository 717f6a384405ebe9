# RFC 5437, section 3.1
require ["enotify"];
notify "xmpp:romeo@im.example.com";
