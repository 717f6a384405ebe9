require ["enotify", "variables"];
set "to" "xmpp:romeo@im.example.com";
if valid_notify_method "${to}" { notify "${to}"; }
