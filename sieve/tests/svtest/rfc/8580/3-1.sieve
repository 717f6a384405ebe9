# RFC 8580, section 3
require ["vacation", "fcc", "mailbox", "imap4flags"];

vacation :days 7
         :from "hemingway@example.com"
         :fcc "INBOX.Sent" :flags ["\\Seen"] :create
         "Gone Fishin'";
