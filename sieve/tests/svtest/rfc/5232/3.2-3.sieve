# RFC 5232, section 3.2
require ["imap4flags", "variables"];
addflag "flagvar" "\\Deleted \\Answered";
