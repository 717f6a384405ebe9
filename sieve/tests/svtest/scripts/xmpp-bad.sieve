require "enotify";
notify "xmpp:";
notify "xmpp:@example.com";
notify "xmpp:romeo@im.example.com?message;body";
notify "xmpp:romeo juliet@example.com";
