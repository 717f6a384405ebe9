# RFC 5232, section 3.1
require ["imap4flags"];
if size :over 500K {
    setflag "\\Deleted";
}
