require ["enotify"];
notify "xmpp:me@example.org";
notify :importance "4" "mailto:me@example.org";
