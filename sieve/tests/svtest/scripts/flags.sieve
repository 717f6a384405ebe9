require ["fileinto", "imap4flags", "variables"];
setflag "\\Seen";
fileinto :flags "$work" "INBOX.work";
keep;
