require ["special-use", "mailboxid", "fileinto"];
fileinto :specialuse "\\Junk" :mailboxid "x" "Spam";
if address :specialuse "foo" "from" "x" { discard; }
fileinto :specialuse 1 "Spam";
