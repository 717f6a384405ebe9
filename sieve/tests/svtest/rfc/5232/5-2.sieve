# RFC 5232, section 5
require ["fileinto"];
fileinto "INBOX.From Boss";
