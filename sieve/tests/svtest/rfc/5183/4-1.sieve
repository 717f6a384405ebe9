# RFC 5183, section 4
require ["environment"];
if environment :contains "item" "" { discard; }
