require ["vacation", "enotify", "fcc", "mailbox", "imap4flags"];
vacation :days 7 :fcc "Replies" :create :flags ["\\Seen"] "Away.";
notify :fcc "Notes" :message "mail" "mailto:pager@example.org";
